# EncryptedStore: what it hides, what it notices, and how keys are replaced. That it keeps the contract is in
# test_conformance.py.

from pathlib import Path
from typing import Any

import pytest
from cryptography.fernet import Fernet
from tenure import UsageError
from tenure.transports.stores import EncryptedStore, FileStore

KEY = "4f1c"
SECRET = "refresh-token-of-4f1c"
OLD, NEW = EncryptedStore.generate_key(), EncryptedStore.generate_key()


@pytest.fixture
def inner(tmp_path: Path) -> FileStore:
    return FileStore(tmp_path / "sessions")


def saved(store: Any, key: str = KEY) -> None:
    store.save(store.acquire(key, 60).lease, {"token": SECRET, "of": key}, release=True)


def test_nothing_is_stored_in_clear(inner: FileStore, tmp_path: Path) -> None:
    """Neither a value nor a name in the state, nor the session's key."""
    store = EncryptedStore(inner, [OLD])
    saved(store)
    on_disk = b"".join(path.read_bytes() for path in (tmp_path / "sessions").glob("*.json"))
    assert SECRET.encode() not in on_disk
    assert b"token" not in on_disk
    assert store.load(KEY).state == {"token": SECRET, "of": KEY}


def test_keys_are_replaced_without_losing_a_session(inner: FileStore) -> None:
    """The new key in front, the old one behind it; with the next save the old one is not needed any more."""
    saved(EncryptedStore(inner, [OLD]))
    both = EncryptedStore(inner, [NEW, OLD])
    assert both.load(KEY).state == {"token": SECRET, "of": KEY}
    saved(both)
    assert EncryptedStore(inner, [NEW]).load(KEY).state == {"token": SECRET, "of": KEY}
    assert EncryptedStore(inner, [OLD]).load(KEY).state is None


def test_wrong_key_is_a_problem_and_no_error(inner: FileStore) -> None:
    """The state may be replaced by establishing anew, and the text says what else would help."""
    saved(EncryptedStore(inner, [OLD]))
    store = EncryptedStore(inner, [NEW])
    stored = store.acquire(KEY, 60)
    assert stored.state is None
    assert stored.version == inner.load(KEY).version
    assert stored.problem is not None
    assert "add the key" in stored.problem
    store.save(stored.lease, {}, release=True)
    assert store.load(KEY).state == {}


def put(inner: FileStore, key: str, state: dict[str, object]) -> None:
    inner.save(inner.acquire(key, 60).lease, state, release=True)


def test_state_of_another_session_is_refused(inner: FileStore) -> None:
    """Whoever may write to the store cannot hand out his own session as somebody else's."""
    store = EncryptedStore(inner, [OLD])
    saved(store, "mallory")
    stolen = inner.load("mallory").state
    assert stolen is not None
    put(inner, KEY, stolen)
    stored = store.load(KEY)
    assert stored.state is None
    assert stored.problem is not None
    assert "another session" in stored.problem


@pytest.mark.parametrize("state", [{"token": "planted"}, {}, {"fernet": None}, {"fernet": ["a"]}])
def test_state_in_clear_is_refused(inner: FileStore, state: dict[str, object]) -> None:
    """Anybody might have put it there, who could not have encrypted it."""
    put(inner, KEY, state)
    stored = EncryptedStore(inner, [OLD]).load(KEY)
    assert stored.state is None
    assert stored.problem is not None
    assert "not encrypted" in stored.problem


@pytest.mark.once
def test_damaged_ciphertext_is_a_problem_wherever_it_is_damaged(inner: FileStore) -> None:
    """One changed character anywhere, or none left."""
    store = EncryptedStore(inner, [OLD])
    saved(store)
    sealed = inner.load(KEY).state
    assert sealed is not None
    token = str(sealed["fernet"])
    changed = [token[:at] + ("A" if token[at] != "A" else "B") + token[at + 1 :] for at in range(0, len(token) - 4, 7)]
    for damaged in [*changed, "", token[:-4], "AAAA" + token, "ä", "\ud800"]:
        put(inner, KEY, {"fernet": damaged})
        stored = store.load(KEY)
        assert stored.state is None
        assert stored.problem is not None


@pytest.mark.parametrize("content", [b"no json", b"[]", b"{}", b'{"key": "4f1c"}', b'{"key": "4f1c", "state": 1}'])
def test_what_another_program_has_encrypted_is_a_problem(inner: FileStore, content: bytes) -> None:
    """The right encryption key alone makes no state."""
    put(inner, KEY, {"fernet": Fernet(OLD).encrypt(content).decode()})
    stored = EncryptedStore(inner, [OLD]).load(KEY)
    assert stored.state is None
    assert stored.problem is not None


def test_problem_of_the_inner_store_is_passed_on(inner: FileStore, tmp_path: Path) -> None:
    """A file that cannot be read cannot be decrypted, either."""
    store = EncryptedStore(inner, [OLD])
    saved(store)
    for path in (tmp_path / "sessions").glob("*.json"):
        path.write_bytes(b"garbage")
    assert store.load(KEY).problem == inner.load(KEY).problem


WRONG_KEYS = [[], OLD, OLD.encode(), None, 7, ["short"], [b"\xff" * 32], [None], [OLD, "x" * 44]]


@pytest.mark.parametrize("keys", WRONG_KEYS, ids=range(len(WRONG_KEYS)))  # no key in the name of a test
def test_wrong_keys_are_refused_and_not_shown(inner: FileStore, keys: Any) -> None:
    """A mistyped key is a secret all the same."""
    with pytest.raises(UsageError) as caught:
        EncryptedStore(inner, keys)
    assert "short" not in str(caught.value)
    assert caught.value.__cause__ is None


@pytest.mark.parametrize("store", [None, "directory", FileStore])
def test_wrong_store_is_refused(store: Any) -> None:
    """A class has no leases to give; nor has a path."""
    with pytest.raises(UsageError):
        EncryptedStore(store, [OLD])
