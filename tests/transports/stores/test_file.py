# FileStore: what it finds unsafe, what it makes of a damaged file, and what a fault of the disk leaves behind. That it
# keeps the contract is in test_conformance.py, what processes do to each other in test_file_processes.py.

import os
import socket
import stat
from collections.abc import Callable
from pathlib import Path

import pytest
from tenure import UsageError
from tenure.transports.stores import FileStore, LeaseLostError, StoreError, _boot_clock

from .tmpfs import run_on_small_disk

KEY = "4f1c"


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    return tmp_path / "sessions"


@pytest.fixture
def store(directory: Path) -> FileStore:
    return FileStore(directory)


def saved(store: FileStore, number: int = 1) -> None:
    store.save(store.acquire(KEY, 60).lease, {"number": number}, release=True)


def the_file(directory: Path, kind: str = "json") -> Path:
    (path,) = directory.glob(f"*.{kind}")
    return path


def refusal(operation: Callable[[], object]) -> str:
    with pytest.raises(StoreError) as caught:
        operation()
    assert type(caught.value) is StoreError
    return str(caught.value)


def test_directory_and_files_are_for_their_owner_only(tmp_path: Path) -> None:
    """DESIGN.md, Sharing a session: mode 0600, whatever the umask; directories that were missing are 0700."""
    before = os.umask(0)
    try:
        store = FileStore(tmp_path / "a" / "b")
        lease = store.acquire(KEY, 60).lease
        store.save(lease, {})
    finally:
        os.umask(before)
    modes = {stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "a" / "b").iterdir()}
    assert modes == {0o600}
    assert [stat.S_IMODE((tmp_path / name).stat().st_mode) for name in ("a", "a/b")] == [0o700, 0o700]


def test_file_names_are_safe_and_tell_nothing(directory: Path, store: FileStore) -> None:
    """Any key will do: its hash is the name, in lower case, and nothing leaves the directory."""
    for key in ("../../etc/passwd", "A", "a", "con", "x" * 1000):
        store.save(store.acquire(key, 60).lease, {}, release=True)
    names = [path.name for path in directory.glob("*.json")]
    assert len(names) == 5
    assert all(len(name) == 69 and name == name.lower() for name in names)


def test_nothing_but_state_and_lock_is_left(directory: Path, store: FileStore) -> None:
    """One file per session, and the empty one that its lease is a lock on; deleting leaves only the latter."""
    saved(store)
    assert sorted(path.suffix for path in directory.iterdir()) == [".json", ".lock"]
    store.delete(KEY)
    assert [path.suffix for path in directory.iterdir()] == [".lock"]
    assert the_file(directory, "lock").read_bytes() == b""


def test_directory_survives_a_change_of_the_working_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A relative path is meant as it was when the store was made."""
    monkeypatch.chdir(tmp_path)
    store = FileStore("sessions")
    saved(store)
    monkeypatch.chdir("/")
    assert store.load(KEY).state == {"number": 1}


@pytest.mark.parametrize("wrong", ["", None, 7, b"bytes"])
def test_wrong_directory_is_refused(wrong: "str") -> None:
    """A path is asked for; the empty one is most likely a variable that was not set."""
    with pytest.raises(UsageError):
        FileStore(wrong)


# What is unsafe is refused, with the reason and the remedy.


@pytest.mark.parametrize("mode", [0o701, 0o710, 0o750, 0o755, 0o777, 0o1777])
def test_directory_that_others_may_use_is_refused(directory: Path, mode: int) -> None:
    """Others could read names, or put files in the place of ours."""
    store = FileStore(directory)
    directory.chmod(mode)
    for operation in (lambda: FileStore(directory), lambda: store.load(KEY), lambda: store.acquire(KEY, 60)):
        assert "chmod 700" in refusal(operation)


@pytest.mark.parametrize("mode", [0o601, 0o640, 0o604, 0o620, 0o666])
@pytest.mark.parametrize("kind", ["json", "lease"])
def test_file_that_others_may_use_is_refused(directory: Path, store: FileStore, mode: int, kind: str) -> None:
    """Others could have read the tokens, or have replaced them."""
    lease = store.acquire(KEY, 60).lease
    store.save(lease, {})
    the_file(directory, kind).chmod(mode)
    assert "chmod 600" in refusal(lambda: store.save(lease, {}) if kind == "lease" else store.load(KEY))


def give_away(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let it belong to somebody else than who runs this; who is not root can only become somebody else."""
    if os.geteuid() == 0:
        os.chown(path, 12345, -1)
    else:
        monkeypatch.setattr(os, "geteuid", lambda: 12345)


def test_directory_of_another_user_is_refused(
    directory: Path, store: FileStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its owner can do what he likes in it. Root, too, had better not write there."""
    give_away(directory, monkeypatch)
    assert "belongs to another user" in refusal(lambda: store.load(KEY))


def test_file_of_another_user_is_refused(directory: Path, store: FileStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its owner can read what is in it."""
    saved(store)
    give_away(the_file(directory), monkeypatch)
    assert "belongs to another user" in refusal(lambda: store.load(KEY))


def _to_link(path: Path) -> None:
    path.rename(path.with_name("elsewhere"))
    path.symlink_to(path.with_name("elsewhere"))


def _to_directory(path: Path) -> None:
    path.unlink()
    path.mkdir(mode=0o700)


def _to_pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path, 0o600)


def _to_socket(path: Path) -> None:
    path.unlink()
    here = os.open(".", os.O_RDONLY)
    os.chdir(path.parent)  # the path of a socket has to be short
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path.name)
    os.chdir(here)
    os.close(here)
    path.chmod(0o600)


@pytest.mark.parametrize(
    ("turn", "reason"),
    [
        (_to_link, "symbolic link"),
        (_to_directory, "not a regular file"),
        (_to_pipe, "not a regular file"),
        (_to_socket, "not a regular file"),
    ],
)
def test_what_is_no_file_is_refused(
    directory: Path, store: FileStore, turn: Callable[[Path], None], reason: str
) -> None:
    """And nobody waits for a pipe to be written to."""
    saved(store)
    turn(the_file(directory))
    assert reason in refusal(lambda: store.load(KEY))


@pytest.mark.parametrize("turn", [_to_link, _to_directory])
def test_lock_that_is_no_file_is_refused(directory: Path, store: FileStore, turn: Callable[[Path], None]) -> None:
    """A lock on something else would be no lock."""
    saved(store)
    turn(the_file(directory, "lock"))
    assert "remove it" in refusal(lambda: store.acquire(KEY, 60))


@pytest.mark.parametrize("place", ["file", "file/below"])
def test_path_that_is_no_directory_is_refused(tmp_path: Path, place: str) -> None:
    """The error says which path it is about."""
    (tmp_path / "file").touch()
    assert str(tmp_path / "file") in refusal(lambda: FileStore(tmp_path / place))


def test_directory_may_be_reached_by_a_link(directory: Path, store: FileStore, tmp_path: Path) -> None:
    """What counts is where it leads: many keep their state directory on another disk."""
    (tmp_path / "link").symlink_to(directory)
    saved(FileStore(tmp_path / "link"))
    assert store.load(KEY).state == {"number": 1}


# A damaged state is no error: it can be replaced.


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


# The age is reckoned by a clock that nobody can set.


def test_age_is_counted_from_the_save(store: FileStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """Seconds since the save, by the clock that began at boot."""
    reading = 1000.0
    for name in ("clock_gettime", "monotonic"):
        monkeypatch.setattr(f"time.{name}", lambda *clock: reading)
    saved(store)
    reading = 1007.5
    assert store.load(KEY).age == (7.5 if Path("/proc/sys/kernel/random/boot_id").exists() else None)


def test_age_is_unknown_after_a_boot(directory: Path, store: FileStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """The clock has begun anew. So it is where the system does not say which boot it is."""
    saved(store)
    monkeypatch.setattr("tenure.transports.stores.file.boot_id", lambda: "another boot")
    assert FileStore(directory).load(KEY).age is None
    monkeypatch.setattr("tenure.transports.stores.file.boot_id", lambda: None)
    other = FileStore(directory)
    saved(other)
    assert other.load(KEY).age is None


def test_age_is_never_negative(store: FileStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """A container may have a clock of its own, behind that of whoever saved."""
    saved(store)
    monkeypatch.setattr(_boot_clock, "seconds_since_boot", lambda: 0.0)
    assert store.load(KEY).age is None


# Faults of the disk: what was there stays, and the error says what to do.


def test_full_disk_leaves_the_old_state(tmp_path: Path) -> None:
    """No space for the new file: the old one is whole, nothing else is left, and with space it goes on."""
    program = """
store = FileStore(disk / "sessions")
store.save(store.acquire("a", 60).lease, {"number": 1}, release=True)
lease = store.acquire("a", 60).lease
fill()
seen.append(outcome(store.save, lease, {"long": "x" * 20_000}))
seen.append(sorted(path.suffix for path in (disk / "sessions").iterdir()))
seen.append(store.load("a").state)
(disk / "filler").unlink()
seen.append(outcome(store.save, lease, {"number": 2}, release=True) > 0)
seen.append(store.load("a").state)
"""
    (kind, text), files, *others = run_on_small_disk(program, tmp_path / "disk")
    assert kind == "StoreError"
    assert "the disk is full: make room" in text
    assert files == [".json", ".lease", ".lock"]
    assert others == [{"number": 1}, True, {"number": 2}]


def test_full_disk_gives_no_lease(tmp_path: Path) -> None:
    """The intent cannot be made durable, so nothing may be sent; with space the lease can be had."""
    program = """
store = FileStore(disk / "sessions")
store.save(store.acquire("a", 60).lease, {"number": 1}, release=True)
fill()
seen.append(outcome(store.acquire, "a", 60))
(disk / "filler").unlink()
stored = store.acquire("a", 60)
seen.append([stored.state, stored.lease is not None, stored.interrupted])
"""
    (kind, text), stored = run_on_small_disk(program, tmp_path / "disk")
    assert kind == "StoreError"
    assert "the disk is full" in text
    assert stored == [{"number": 1}, True, False]


def test_read_only_disk_can_be_read(tmp_path: Path) -> None:
    """Looking goes on; a lease, and a save, cannot be had until it is writable again."""
    program = """
store = FileStore(disk / "sessions")
lease = store.acquire("a", 60).lease
store.save(lease, {"number": 1})
store.release(lease)
remount("ro")
seen.append(store.load("a").state)
seen.append(outcome(FileStore(disk / "sessions").acquire, "a", 60))
remount("rw")
lease = store.acquire("a", 60).lease
seen.append(outcome(store.save, lease, {"number": 2}, release=True) > 0)
"""
    state, (kind, text), is_saved = run_on_small_disk(program, tmp_path / "disk")
    assert state == {"number": 1}
    assert kind == "StoreError"
    assert "read-only" in text
    assert is_saved is True


@pytest.mark.parametrize("release", [False, True])
def test_deleted_directory_takes_the_lease_with_it(directory: Path, store: FileStore, release: bool) -> None:
    """Its lock can be taken by others in a new directory of that name, so that a save would be nobody's right."""
    lease = store.acquire(KEY, 60).lease
    for path in directory.iterdir():
        path.unlink()
    directory.rmdir()
    with pytest.raises(LeaseLostError):
        store.save(lease, {}, release=release)
    assert not directory.exists()
    store.release(lease)


def test_deleted_directory_is_made_again_by_acquire(directory: Path, store: FileStore) -> None:
    """A program that runs for long heals, and what it holds is saved anew; looking makes nothing."""
    directory.rmdir()
    assert store.load(KEY).version == 0
    store.delete(KEY)
    assert not directory.exists()
    saved(store)
    assert store.load(KEY).state == {"number": 1}
    assert stat.S_IMODE(directory.stat().st_mode) == 0o700


def test_directory_that_is_deleted_during_a_save_is_an_error(
    directory: Path, store: FileStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between the last look and the write: the remedy is to acquire anew."""
    lease = store.acquire(KEY, 60).lease
    original = os.fsync

    def delete_directory_first(descriptor: int) -> None:
        original(descriptor)
        for path in directory.iterdir():
            path.unlink()
        directory.rmdir()

    monkeypatch.setattr(os, "fsync", delete_directory_first)
    assert "the directory is gone" in refusal(lambda: store.save(lease, {}))


def test_no_failure_leaves_a_draft(directory: Path, store: FileStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """A state that was not put into its place holds secrets all the same."""
    lease = store.acquire(KEY, 60).lease

    def fail(*arguments: object) -> None:
        raise OSError(5, "Input/output error")

    with monkeypatch.context() as broken:
        broken.setattr(os, "replace", fail)
        assert "Input/output error" in refusal(lambda: store.save(lease, {}))
    assert not list(directory.glob("*.new"))


def test_failed_acquire_keeps_no_lock(directory: Path, store: FileStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not even while somebody still looks at the error, and at the frames behind it."""

    def fail(*arguments: object) -> None:
        raise OSError(5, "Input/output error")

    with monkeypatch.context() as broken:
        broken.setattr(os, "replace", fail)
        with pytest.raises(StoreError) as caught:
            store.acquire(KEY, 60)
    assert store.acquire(KEY, 60).lease is not None
    assert "Input/output error" in str(caught.value)


def test_version_is_looked_at_under_the_lock(
    directory: Path, store: FileStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Somebody saves between the first look and the lock: no lease for a view that has become outdated."""
    saved(store)
    original = FileStore._lock

    def lock_late(self: FileStore, key: str) -> object:
        monkeypatch.undo()
        saved(FileStore(directory), 2)
        return original(self, key)

    monkeypatch.setattr(FileStore, "_lock", lock_late)
    stored = store.acquire(KEY, 60, store.load(KEY).version)
    assert (stored.lease, stored.state) == (None, {"number": 2})
    assert store.acquire(KEY, 60, stored.version).lease is not None


def test_draft_of_a_killed_process_is_removed(directory: Path, store: FileStore) -> None:
    """By the next save, and by delete."""
    saved(store)
    draft = the_file(directory).with_suffix(".json.new")
    draft.write_text("secret")
    saved(store, 2)
    assert not draft.exists()
    draft.write_text("secret")
    store.delete(KEY)
    assert not draft.exists()


def test_order_of_writing_is_durable(store: FileStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """The file before its name, and the name before save returns: else a power cut leaves an empty file, or the old."""
    lease = store.acquire(KEY, 60).lease
    done: list[str] = []
    flush, replace = os.fsync, os.replace

    def watched_flush(descriptor: int) -> None:
        done.append("directory" if stat.S_ISDIR(os.fstat(descriptor).st_mode) else "file")
        flush(descriptor)

    def watched_replace(*arguments: str) -> None:
        done.append("name")
        replace(*arguments)

    monkeypatch.setattr(os, "fsync", watched_flush)
    monkeypatch.setattr(os, "replace", watched_replace)
    store.save(lease, {}, release=True)
    assert done == ["file", "name", "directory"]
    done.clear()
    store.acquire(KEY, 60)
    assert done == ["file", "name", "directory"]
