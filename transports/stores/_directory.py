# A directory that its owner alone may use: files are read from it only if they are safe, and replaced as a whole and
# durably, or not at all.
#
# It knows nothing of sessions and leases. Not decided here: who may rename the directories above it, and how durable
# fsync is on this disk. On Windows there are no modes and no owners to look at, and a directory needs no fsync.

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from . import StoreError

__all__ = ["SafeDirectory"]

MAX_FILE = 1024 * 1024  # bytes
IS_POSIX = hasattr(os, "geteuid")
# O_NONBLOCK: opening a pipe must not wait for a writer.
READ_FLAGS = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
WRITE_FLAGS = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)

_NO_LOCKS = "the file system has no locks: choose a directory on another one"
_NO_FILE = "it is not a regular file: remove it"
_REMEDIES = {
    errno.ENOSPC: "the disk is full: make room on it",
    errno.EDQUOT: "the disk quota is used up: make room",
    errno.EFBIG: "no file may become that large: raise the limit of this process (ulimit -f)",
    errno.EROFS: "the file system is read-only: mount it for writing, or choose another directory",
    errno.EACCES: "this process has no permission: check owner and mode of the directory and those above it",
    errno.EPERM: "this process has no permission: check owner, mode and attributes of the directory",
    errno.ENOENT: "the directory is gone: acquire the lease anew, which makes it again, or choose another directory",
    errno.ENOTDIR: "something on the way to it is no directory: choose another directory",
    errno.EEXIST: "it is no directory: choose another name",
    errno.ELOOP: "it is a symbolic link, which may lead anywhere: remove it",
    errno.ENXIO: _NO_FILE,
    errno.EISDIR: _NO_FILE,
    errno.ENOSYS: _NO_LOCKS,
    errno.EOPNOTSUPP: _NO_LOCKS,
    errno.ENOLCK: "the system has no lock left: find what uses them up, or choose a directory on another file system",
    errno.EMFILE: "this process has too many open files: raise its limit (ulimit -n)",
}


class SafeDirectory:
    """A directory and the files in it. Its methods raise OSError; use them under `explained()`.

    Attributes:
        path: absolute, so that it does not matter where the process moves to.

    Raises:
        StoreError: what is found is not safe: it belongs to another user, others may use it, or it is no file.
    """

    def __init__(self, path: "str | os.PathLike[str]") -> None:
        self.path = Path(path).absolute()

    @contextmanager
    def explained(self) -> Iterator[None]:
        """Turn what the system says into a StoreError with a remedy."""
        try:
            yield
        except OSError as problem:
            reason = _REMEDIES.get(problem.errno or 0) or f"{os.strerror(problem.errno or 0)}: mend that"
            raise StoreError(f"{problem.filename or self.path}: {reason}") from None

    def make(self) -> None:
        """Make it, and what it lies in, if it is missing: durably, and for this user only."""
        missing = [path for path in (self.path, *self.path.parents) if not path.exists()]
        for path in reversed(missing):
            path.mkdir(mode=0o700, exist_ok=True)
            _flush(path.parent)
        self._check()

    def read(self, name: str) -> bytes | None:
        """Return the first mebibyte of what a file holds; None if there is no file, or no directory."""
        path = self.path / name
        try:
            self._check()
            descriptor = os.open(path, READ_FLAGS)
        except FileNotFoundError:
            return None
        with os.fdopen(descriptor, "rb") as file:
            found = os.fstat(descriptor)
            if not stat.S_ISREG(found.st_mode):
                raise StoreError(f"{path}: {_NO_FILE}")
            _check_safety(path, found, "600")
            return file.read(MAX_FILE)

    def write(self, name: str, data: bytes) -> None:
        """Replace a file durably, or leave it as it was. One at a time may do this with a name."""
        draft = self.path / _draft(name)
        with suppress(FileNotFoundError):
            draft.unlink()  # of somebody who was killed
        try:
            with os.fdopen(os.open(draft, WRITE_FLAGS, 0o600), "wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            os.replace(draft, self.path / name)  # noqa: PTH105 (a test stops the process at this name)
        except BaseException:
            with suppress(OSError):
                draft.unlink()
            raise
        _flush(self.path)

    def remove(self, *names: str) -> None:
        """Remove files, and what somebody who was killed left of them. Not durable: see `flush`."""
        for name in names:
            for path in (self.path / name, self.path / _draft(name)):
                with suppress(FileNotFoundError):
                    path.unlink()

    def flush(self) -> None:
        """Make durable what was removed, unless the directory itself is gone."""
        with suppress(FileNotFoundError):
            _flush(self.path)

    def _check(self) -> None:
        # A directory may well be reached by a symbolic link: what counts is where it leads.
        found = self.path.stat()
        if not stat.S_ISDIR(found.st_mode):
            raise StoreError(f"{self.path}: {_REMEDIES[errno.EEXIST]}")
        _check_safety(self.path, found, "700")


def _draft(name: str) -> str:
    return name + ".new"


def _flush(directory: Path) -> None:
    """Make the names in a directory durable."""
    if IS_POSIX:
        descriptor = os.open(directory, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _check_safety(path: Path, found: os.stat_result, mode: str) -> None:
    """Raise StoreError if others than this user can change or read it."""
    if not IS_POSIX:
        return
    if found.st_uid != os.geteuid():
        remedy = "run as that user, or choose another directory"
        raise StoreError(f"{path}: it belongs to another user, with uid {found.st_uid}: {remedy}")
    if found.st_mode & 0o077:
        remedy = f"chmod {mode} it; if anybody has, establish the session anew"
        raise StoreError(f"{path}: others may use it (its mode is {stat.S_IMODE(found.st_mode):o}): {remedy}")
