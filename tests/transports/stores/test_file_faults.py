# FileStore: faults of the disk. What was there stays, and the error says what to do.

import os
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tenure.transports.stores import EncryptedStore, FileStore, LeaseLostError, StoreError

from .files import KEY, refusal, saved, the_file
from .tmpfs import run_on_small_disk


def encrypted(store: FileStore) -> EncryptedStore:
    return EncryptedStore(store, [EncryptedStore.generate_key()])


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


@pytest.mark.parametrize("wrap", [lambda store: store, encrypted], ids=["file", "encrypted file"])
def test_abandoned_lease_can_be_had_and_tells_of_it(store: FileStore, wrap: Callable[[FileStore], Any]) -> None:
    """What could not be saved may have been sent. The one who has abandoned it may not use it any more."""
    either = wrap(store)
    lease = either.acquire(KEY, 60).lease
    assert either.acquire(KEY, 60).lease is None
    either.abandon(lease)
    with pytest.raises(LeaseLostError):
        either.save(lease, {})
    stored = either.acquire(KEY, 60)
    assert (stored.lease is not None, stored.interrupted) == (True, True)


def test_lease_of_a_deleted_session_locks_nobody_out(store: FileStore) -> None:
    """Whoever is told that the lease is lost has lost the kernel's lock, too."""
    lease = store.acquire(KEY, 60).lease
    store.delete(KEY)
    with pytest.raises(LeaseLostError):
        store.save(lease, {})
    assert store.acquire(KEY, 60).lease is not None


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
