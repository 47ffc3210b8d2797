# FileStore: what it leaves on the disk, and the clock that it reckons an age by. That it keeps the contract is in
# test_conformance.py; the other files here that begin with test_file are about what goes wrong.

import os
import stat
from pathlib import Path

import pytest
from tenure import UsageError
from tenure.transports.stores import FileStore, _boot_clock

from .files import KEY, saved, the_file


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
