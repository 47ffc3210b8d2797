# How the demo is shown: drawn on a terminal, told line by line everywhere else.
#
# What is drawn is decided by pure functions of a `View` and a size (demo_drawing.py). Nobody here waits for the demo or
# is waited for: the picture is drawn by a thread of rich's, a few times a second.

import os
import sys
import threading
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Protocol, TextIO

from .demo_drawing import ASCII, UNICODE, Glyphs, draw, draw_report
from .demo_record import Record
from .demo_verdict import Row

if TYPE_CHECKING:
    from rich.console import RenderableType
    from typing_extensions import Self

__all__ = ["Screen", "choose_glyphs", "is_drawable", "open_screen"]

FRAMES = 10  # a second
SIZE_OF_LINES = 79  # columns


class Screen(Protocol):
    """Shows a run of the demo; a context manager around all but the report."""

    def __enter__(self) -> "Self":
        """Begin to show it."""

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Show its last picture."""

    def tell(self) -> None:
        """Show what has just happened. Called from any thread."""

    def show_report(self, tables: Mapping[str, Sequence[Row]], broken: Mapping[str, Sequence[str]]) -> None:
        """Show the table and the verdict; both are by the name of the driver, for as many as have played."""


def open_screen(record: Record, driver: str, expected_length: float, plain: bool) -> Screen:
    """Return the screen that fits where stdout leads."""
    glyphs = choose_glyphs(sys.stdout.encoding, os.environ)
    if plain or not is_drawable(sys.stdout, os.environ):
        return Lines(record, sys.stdout, driver, glyphs)
    return Picture(record, driver, expected_length, glyphs)


def is_drawable(stream: TextIO, environment: Mapping[str, str]) -> bool:
    """Return True if the stream is a terminal on which the cursor can be moved."""
    return stream.isatty() and environment.get("TERM", "") not in ("", "dumb", "unknown")


def choose_glyphs(encoding: str | None, environment: Mapping[str, str]) -> Glyphs:
    """Return glyphs that the encoding can do, and that the locale says will be understood.

    In the C locale Python writes UTF-8 all the same (PEP 538, PEP 540), but whoever set it did not ask for that.
    """
    if (environment.get("LC_ALL") or environment.get("LANG")) in ("C", "POSIX"):
        return ASCII
    try:
        "".join(UNICODE).encode(encoding or "ascii")
    except (UnicodeEncodeError, LookupError):
        return ASCII
    return UNICODE


class Lines:
    """A line for each moment, in order of time; nothing is ever overwritten."""

    def __init__(self, record: Record, stream: TextIO, driver: str, glyphs: Glyphs) -> None:
        self._record = record
        self._told = 0
        self._lock = threading.Lock()
        self._is_over = False
        self._stream = stream
        self._driver = driver
        self._glyphs = glyphs

    def __enter__(self) -> "Self":
        self._print(f"tenure demo, driver: {self._driver}")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        with self._lock:
            self._is_over = True  # a thread that writes while the interpreter ends would abort it

    def tell(self) -> None:
        """Print the moments that are not printed yet."""
        with self._lock:  # the threads of two moments may come here in any order
            if self._is_over:
                return
            for moment in self._record.moments_from(self._told):
                self._told += 1
                self._print(f"{moment.at:6.2f} s  {moment.text}")

    def show_report(self, tables: Mapping[str, Sequence[Row]], broken: Mapping[str, Sequence[str]]) -> None:
        """Print the table and the verdict."""
        for line in draw_report(tables, broken, self._glyphs):
            self._print(line.plain.rstrip())

    def _print(self, line: str) -> None:
        self._stream.write(line + "\n")  # flushed, since somebody behind a pipe may be watching, too
        self._stream.flush()


class Picture:
    """A picture that moves, drawn by rich."""

    def __init__(self, record: Record, driver: str, expected_length: float, glyphs: Glyphs) -> None:
        from rich.console import Console
        from rich.live import Live

        self._record = record
        self._driver = driver
        self._expected_length = expected_length
        self._glyphs = glyphs
        self._console = Console(highlight=False)
        self._live = Live(
            get_renderable=self._draw,
            console=self._console,
            refresh_per_second=FRAMES,
            redirect_stdout=False,
            redirect_stderr=False,
        )

    def __enter__(self) -> "Self":
        self._live.start(refresh=True)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._live.stop()

    def tell(self) -> None:
        """Do nothing: the next picture shows it."""

    def show_report(self, tables: Mapping[str, Sequence[Row]], broken: Mapping[str, Sequence[str]]) -> None:
        """Print the table and the verdict below the last picture."""
        for line in draw_report(tables, broken, self._glyphs):
            self._console.print(line)

    def _draw(self) -> "RenderableType":
        from rich.text import Text

        size = self._console.size
        view = self._record.view(moments=size.height)
        lines = draw(view, size.width - 1, size.height - 1, self._expected_length, self._glyphs, self._driver)
        return Text("\n").join(lines)
