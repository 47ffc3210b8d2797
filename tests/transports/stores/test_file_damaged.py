# FileStore: a damaged state is no error, since it can be replaced.

from pathlib import Path

import pytest
from tenure.transports.stores import FileStore

from .files import KEY, saved, the_file


@pytest.mark.once
def test_truncated_state_is_a_problem_at_every_length(directory: Path, store: FileStore) -> None:
    """Whatever is left of a file, it is not taken for a state; and the lease can be had, to replace it."""
    saved(store)
    path = the_file(directory)
    whole = path.read_bytes()
    versions = set()
    for length in range(len(whole)):
        path.write_bytes(whole[:length])
        stored = store.load(KEY)
        assert stored.state is None
        assert stored.problem is not None
        assert "establish the session anew" in stored.problem
        assert stored.version != 0
        versions.add(stored.version)
        lease = store.acquire(KEY, 60, stored.version).lease
        assert lease is not None
        store.release(lease)
        assert path.read_bytes() == whole[:length]  # taking a lease touches no state
    assert len(versions) == len(whole)


@pytest.mark.parametrize(
    "garbage",
    [
        b"\x00" * 100,
        b"\xff\xfe",
        b"[]",
        b"null",
        b"{}",
        b"[" * 100_000,
        b"9" * 5000,
        b'{"format":2,"key":"4f1c","version":1,"boot":null,"saved_at":1,"ended":null,"state":{}}',
        b'{"format":1,"key":"4f1d","version":1,"boot":null,"saved_at":1,"ended":null,"state":{}}',
        b'{"format":1,"key":"4f1c","version":"1","boot":null,"saved_at":1,"ended":null,"state":{}}',
        b'{"format":1,"key":"4f1c","version":1,"boot":null,"saved_at":1,"ended":null,"state":[]}',
        b"x" * 2_000_000,
    ],
)
def test_garbage_is_a_problem_and_can_be_replaced(directory: Path, store: FileStore, garbage: bytes) -> None:
    """What another program, another version or a broken disk has left is reported, and gone with the next save."""
    saved(store)
    the_file(directory).write_bytes(garbage)
    stored = store.acquire(KEY, 60)
    assert stored.state is None
    assert stored.problem is not None
    store.save(stored.lease, {"number": 2}, release=True)
    assert store.load(KEY).state == {"number": 2}


def test_state_of_another_session_is_not_taken(directory: Path, store: FileStore) -> None:
    """A file that was copied over another's is noticed by the key in it."""
    saved(store)
    copy = the_file(directory).read_bytes()
    store.save(store.acquire("other", 60).lease, {}, release=True)
    for path in directory.glob("*.json"):
        path.write_bytes(copy)
    assert store.load("other").problem is not None
    assert store.load(KEY).problem is None


def test_any_mark_counts_as_an_interruption(directory: Path, store: FileStore) -> None:
    """A mark that was not written to its end was left by somebody who was killed while taking the lease."""
    saved(store)
    mark = the_file(directory).with_suffix(".lease")
    for content in (b"", b"\xff\xff", b"None"):
        mark.touch(0o600)
        mark.write_bytes(content)
        stored = store.acquire(KEY, 60)
        assert stored.interrupted
        store.release(stored.lease)


def test_mark_that_outlived_its_save_does_not_count(directory: Path, store: FileStore) -> None:
    """The save that ends a lease is one durable write: killed before the mark is removed, it is no interruption."""
    lease = store.acquire(KEY, 60).lease
    mark = the_file(directory, "lease")
    content = mark.read_bytes()
    store.save(lease, {}, release=True)
    mark.touch(0o600)
    mark.write_bytes(content)
    assert not store.acquire(KEY, 60).interrupted
