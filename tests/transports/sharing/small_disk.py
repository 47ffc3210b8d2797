# A small disk that processes share, in namespaces of their own: it is gone when they are, and it takes no root.

import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

from .fleet import Fleet

__all__ = ["SmallDisk"]

SIZE = "64k"
Trouble = tuple[Callable[[], object], str]  # how to mend it, and the words that an error has for it


class SmallDisk:
    """A disk of 64 KiB under the sessions of a fleet of two.

    Args:
        mount_point: where the processes see it; it is made.
        settings: what else a worker is told.
    """

    def __init__(self, mount_point: Path, **settings: Any) -> None:
        mount_point.mkdir()
        self._path = mount_point
        self._settings = settings
        self._pid = 0

    def fleet(self, new_fleet: Callable[..., Fleet]) -> Fleet:
        """Return two processes whose session is on this disk."""
        store = {"kind": "file", "directory": str(self._path / "sessions")}
        mount = f'mount -t tmpfs -o size={SIZE},mode=700 tmpfs "$0" && exec "$@"'
        prefix = ("unshare", "--map-root-user", "--mount", "sh", "-c", mount, str(self._path))
        fleet = new_fleet(1, store, prefix=prefix, **self._settings)
        self._pid = fleet.processes[0].pid
        fleet.add(prefix=self._beside())
        return fleet

    def _beside(self) -> tuple[str, ...]:
        """Return the command that runs another where the disk is."""
        return ("nsenter", "--target", str(self._pid), "--user", "--preserve-credentials", "--mount", "--wd")

    def _run(self, *command: str) -> None:
        subprocess.run([*self._beside(), *command], check=True, stderr=subprocess.DEVNULL)

    def fill(self) -> Trouble:
        """Leave no room."""
        filler = str(self._path / "filler")
        self._run("sh", "-c", 'dd if=/dev/zero of="$0" bs=512; test -s "$0"', filler)
        return lambda: self._run("rm", filler), "the disk is full: make room"

    def make_read_only(self) -> Trouble:
        """Allow nothing to be changed."""
        self._run("mount", "-o", "remount,ro", str(self._path))
        return lambda: self._run("mount", "-o", "remount,rw", str(self._path)), "read-only"
