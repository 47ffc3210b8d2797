# FileStore: what is unsafe is refused, with the reason and the remedy.

import os
import socket
from collections.abc import Callable
from pathlib import Path

import pytest
from tenure.transports.stores import FileStore

from .files import KEY, refusal, saved, the_file


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
