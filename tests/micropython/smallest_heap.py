# How small may MicroPython's heap be? For the tests' scripts, and for the import alone:
#
#     python -m tests.micropython.smallest_heap
#
# A figure is exact to 1 KiB on one machine and says nothing of another: these are 64-bit heaps.

import tempfile
from collections.abc import Callable
from pathlib import Path

from tenure.transports.emulator import Emulator

from .board import Board

LARGEST = 256  # KiB
IMPORT = "import tenure\n"


def smallest(works: Callable[[str], bool]) -> int:
    """Return the KiB from which on every size works, up to the largest.

    One after the other downwards: a heap one size larger is laid out differently, so that it may fail where a smaller
    one does, and halving intervals would find some border, but not this one.
    """
    size = LARGEST
    while works(f"{size}k"):
        size -= 1
    return size + 1


def main() -> None:
    with tempfile.TemporaryDirectory() as sources, tempfile.TemporaryDirectory() as compiled, Emulator() as emulator:
        username, password = emulator.credentials
        secret = {"TENURE_PASSWORD": password}
        boards = {"source": Board(Path(sources)), ".mpy": Board(Path(compiled), compiled=True)}
        for board in boards.values():
            (board.folder / "only_import.py").write_text(IMPORT, "utf-8")
        print("smallest heap, KiB           source   .mpy")
        for title, script, arguments in (
            ("import tenure", "only_import", ()),
            ("talk.py, over sockets", "talk", (emulator.url, username)),
            ("check_core.py", "check_core", ()),
            ("check_shared.py", "check_shared", ()),
        ):
            figures = [
                smallest(lambda heap: board.run(script, *arguments, heap=heap, environment=secret).is_clean)  # noqa: B023
                for board in boards.values()
            ]
            print(f"{title:28} {figures[0]:6} {figures[1]:6}")


if __name__ == "__main__":
    main()
