# A store of files, for the processes of one machine. Three files per session, named after a hash of its key:
#
#   ….json    the state: replaced as a whole (write, fsync, rename, fsync the directory), by the lease's holder only.
#   ….lock    empty. The lease is a lock on it that the kernel holds, and so frees at once when a process is killed.
#   ….lease   the mark that the lease was taken, with the lease's id: durable before acquire returns. A state names the
#             lease that was ended by saving it, so that ending one is the same durable write as the save, and removing
#             the mark is mere tidiness. It is a file of its own because taking a lease must not touch a state, least of
#             all one that cannot be read here.
#
# - A holder that is alive but stopped keeps its lease: a kernel's lock does not lapse. The ttl is checked, not used.
# - Lock files are never removed: who has opened one that is then removed would lock what nobody else can find.
# - A missing directory is made by the constructor and by acquire, never by save: the lock that proved the lease went
#   with it, and the same lock, made anew, may be somebody else's by now.
# - delete does not wait for a holder. A save that has already looked at its mark wins against it.

import hashlib
import json
import os
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from ... import Stored, UsageError
from . import LeaseLostError, StoreError
from ._arguments import Lease, check_key, check_state, check_ttl, encode, new_version, own_lease
from ._boot_clock import age_of, boot_id, seconds_since_boot
from ._directory import SafeDirectory

if TYPE_CHECKING:
    from filelock import FileLock

# Looked for now, and loaded when the first lease is taken: who only reads a token need not wait for it.
if find_spec("filelock") is None:
    raise ImportError("FileStore needs filelock, which is not installed: pip install 'tenure[file]'")

__all__ = ["FileStore"]

FORMAT = 1


class FileLease(Lease):
    """A lease with the kernel's lock that is behind it."""

    __slots__ = ("lock",)

    def __init__(self, key: str, lock: "FileLock") -> None:
        super().__init__(key)
        self.lock = lock


class FileStore:
    """Keeps each session in a file that its owner alone may read, for the processes of one machine. See `Store`.

    A holder that dies gives up its lease at once, whatever its ttl; one that is stopped keeps it until it goes on.

    Args:
        directory: a directory for this purpose, made with mode 700 if it is missing. On a local disk: what locks and
            fsync are worth on a network file system is its own business.

    Raises:
        StoreError: the directory cannot be made, or is not safe: it belongs to another user, or others may enter it.
            The directory and the files are looked at again with each operation (not so on Windows).
    """

    def __init__(self, directory: "str | os.PathLike[str]") -> None:
        self._directory = SafeDirectory(_path(directory))
        self._boot = boot_id()
        with self._directory.explained():
            self._directory.make()

    def load(self, key: str) -> Stored:
        """See `Store.load`."""
        check_key(key)
        with self._directory.explained():
            return self._read(key)[0]

    def acquire(self, key: str, ttl: float, version: int | None = None) -> Stored:
        """See `Store.acquire`. The lease lasts until it is given back, or its process ends."""
        check_key(key)
        check_ttl(ttl)
        with self._directory.explained():
            self._directory.make()
            stored, _ = self._read(key)
            if version not in (None, stored.version):
                return stored  # seen without the lock, at which others would fail
            lock = self._lock(key)
            return self._read(key)[0] if lock is None else self._take(FileLease(key, lock), version)

    def renew(self, lease: Any, ttl: float) -> None:
        """See `Store.renew`. There is nothing to prolong: this looks whether the lease is still ours."""
        check_ttl(ttl)
        with self._holding(own_lease(lease, FileLease)):
            pass

    def save(self, lease: Any, state: dict[str, object], *, release: bool = False) -> int:
        """See `Store.save`."""
        own = own_lease(lease, FileLease)
        check_state(state)
        version = new_version()
        content = {
            "format": FORMAT,
            "key": own.key,
            "version": version,
            "boot": self._boot,
            "saved_at": seconds_since_boot(),
            "ended": own.id if release else None,
            "state": state,
        }
        data = encode(content)
        with self._holding(own):
            self._directory.write(_name(own.key, "json"), data)
            if release:
                self._give_back(own)
        return version

    def release(self, lease: Any) -> None:
        """See `Store.release`."""
        own = own_lease(lease, FileLease)
        if own.is_inherited:
            return
        with own.guard:
            if not own.is_over:
                self._give_back(own)

    def abandon(self, lease: Any) -> None:
        """Let the lease go without giving it back (see `Store`): the kernel's lock goes, and the mark stays."""
        own = own_lease(lease, FileLease)
        if not own.is_inherited:
            with own.guard:
                own.is_over = True
                own.lock.release()

    def delete(self, key: str) -> None:
        """See `Store.delete`. The empty lock file stays."""
        check_key(key)
        with self._directory.explained():
            self._directory.remove(_name(key, "lease"), _name(key, "json"))  # the mark first: then no save comes
            self._directory.flush()

    def _lock(self, key: str) -> "FileLock | None":
        """Return the kernel's lock, or None if somebody has it."""
        from filelock import FileLock, Timeout

        # An object per lease, known to its holder only, and given back by whichever of its threads: no singleton, which
        # would let a second acquire of this process in, and nothing thread-local. A file system without locks is an
        # error, since the marker file in their stead would outlive a killed holder. After fork() filelock closes the
        # child's copy of the descriptor without unlocking it; it does so since 3.30, which is why we ask for that.
        lock = FileLock(
            self._directory.path / _name(key, "lock"),
            mode=0o600,
            blocking=False,
            thread_local=False,
            is_singleton=False,
            fallback_to_soft=False,
            preserve_lock_file=True,
        )
        try:
            lock.acquire()
        except Timeout:
            return None
        return lock

    def _take(self, lease: FileLease, version: int | None) -> Stored:
        """Take the lease, whose lock is ours, by leaving its mark, unless the version is another by now."""
        is_taken = False
        try:
            stored, ended = self._read(lease.key)
            if version in (None, stored.version):
                mark = _name(lease.key, "lease")
                left = self._directory.read(mark)
                self._directory.write(mark, lease.id.encode("ascii"))
                stored.interrupted = left is not None and left != ended  # whatever it holds: it was left behind
                stored.lease = lease
                is_taken = True
        finally:
            if not is_taken:
                lease.lock.release()
        return stored

    @contextmanager
    def _holding(self, lease: FileLease) -> Iterator[None]:
        """Raise LeaseLostError unless the lease is ours, and explain what else goes wrong."""
        lease.check()
        with self._directory.explained(), lease.guard:
            lease.check()
            if self._directory.read(_name(lease.key, "lease")) != lease.id.encode("ascii"):
                lease.is_over = True
                lease.lock.release()
                raise LeaseLostError("the session was deleted from the store meanwhile: acquire its lease anew")
            yield

    def _give_back(self, lease: FileLease) -> None:
        """End the lease. A mark that cannot be removed now gives the next holder one doubt too many, and no more."""
        lease.is_over = True
        try:
            mark = _name(lease.key, "lease")
            if self._directory.read(mark) == lease.id.encode("ascii"):
                self._directory.remove(mark)
        except (OSError, StoreError):
            pass
        finally:
            lease.lock.release()

    def _read(self, key: str) -> tuple[Stored, bytes | None]:
        """Return what is stored, and the id of the lease that was ended with it."""
        data = self._directory.read(_name(key, "json"))
        if data is None:
            return Stored(None, 0), None
        try:
            content = json.loads(data)
            version, state, ended = content["version"], content["state"], content["ended"]
            if (content["format"], content["key"]) != (FORMAT, key) or (type(version), type(state)) != (int, dict):
                raise ValueError("it is of another version of this library, or of another session")
            age = age_of(content["saved_at"], content["boot"], self._boot)
        except (ValueError, LookupError, TypeError, RecursionError):
            where = self._directory.path / _name(key, "json")
            problem = f"{where} is damaged, or was not written by this version: establish the session anew"
            return Stored(None, -1 - zlib.crc32(data), problem=problem), None
        return Stored(state, version, age=age), None if ended is None else str(ended).encode()


def _path(directory: Any) -> str:
    """Return a path as a string: the empty one, which would be the working directory, is most likely a mistake."""
    path = os.fspath(directory) if isinstance(directory, str | os.PathLike) else ""
    if not isinstance(path, str) or not path:
        raise UsageError("directory must be a path")
    return path


def _name(key: str, kind: str) -> str:
    """Return a file name that is safe for any key and differs between any two, also where case does not count."""
    return f"{hashlib.sha256(key.encode('utf-8')).hexdigest()}.{kind}"
