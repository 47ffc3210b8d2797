import io

import pytest
from tenure.transports.cli.demo_drawing import ASCII, UNICODE, Glyphs
from tenure.transports.cli.demo_record import Record
from tenure.transports.cli.demo_screen import Lines, choose_glyphs, is_drawable, open_screen


@pytest.mark.parametrize(
    ("encoding", "variables", "glyphs"),
    [
        ("utf-8", {}, UNICODE),
        ("utf-8", {"LANG": "en_US.UTF-8"}, UNICODE),
        ("utf-8", {"LANG": "C"}, ASCII),
        ("utf-8", {"LANG": "de_DE.UTF-8", "LC_ALL": "POSIX"}, ASCII),
        ("utf-8", {"LANG": "C", "LC_ALL": "C.UTF-8"}, UNICODE),
        ("ascii", {}, ASCII),
        ("iso-8859-1", {}, ASCII),
        ("no such thing", {}, ASCII),
        (None, {}, ASCII),
    ],
)
def test_glyphs_are_what_the_output_can_do(encoding: str | None, variables: dict[str, str], glyphs: Glyphs) -> None:
    """Nothing but ASCII where the encoding or the locale says so."""
    assert choose_glyphs(encoding, variables) == glyphs


@pytest.mark.parametrize(
    ("terminal", "variables", "drawable"),
    [
        (True, {"TERM": "xterm-256color"}, True),
        (True, {"TERM": "xterm", "NO_COLOR": "1"}, True),
        (True, {"TERM": "dumb"}, False),
        (True, {}, False),
        (False, {"TERM": "xterm"}, False),
        (False, {"TERM": "xterm", "FORCE_COLOR": "1"}, False),
    ],
)
def test_the_cursor_is_moved_on_terminals_only(
    terminal: bool, variables: dict[str, str], drawable: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Everywhere else there are lines."""
    stream = io.StringIO()
    monkeypatch.setattr(stream, "isatty", lambda: terminal)
    assert is_drawable(stream, variables) is drawable


def test_lines_are_in_the_order_of_time() -> None:
    """The thread of an event and that of the script may come in any order; each moment is printed once."""
    record, stream = Record(1, lambda: 1.0), io.StringIO()
    screen = Lines(record, stream, "blocking", ASCII)
    record.tell("first")
    record.tell("second")
    screen.tell()
    screen.tell()
    assert stream.getvalue() == "  0.00 s  first\n  0.00 s  second\n"


def test_nothing_is_printed_behind_the_end() -> None:
    """The thread of an event may come late, when the interpreter is closing its files."""
    record, stream = Record(1, lambda: 1.0), io.StringIO()
    with Lines(record, stream, "blocking", ASCII) as screen:
        pass
    record.tell("late")
    screen.tell()
    assert "late" not in stream.getvalue()


def test_a_picture_is_drawn_on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """The picture and the report reach a terminal, without colours where NO_COLOR asks for none."""
    stream = io.StringIO()
    monkeypatch.setattr(stream, "isatty", lambda: True)
    monkeypatch.setattr("sys.stdout", stream)
    for name, value in {"TERM": "xterm-256color", "NO_COLOR": "1", "COLUMNS": "80", "LINES": "24"}.items():
        monkeypatch.setenv(name, value)
    record = Record(2, lambda: 1.0)
    with open_screen(record, "blocking", 22.0, plain=False) as screen:
        record.got(0, "token")
        screen.tell()
    screen.show_report({"blocking": []}, {})
    text = stream.getvalue()
    assert "tenure demo" in text
    assert "1 handed out" in text
    assert "nobody noticed" in text
    assert "\x1b[32m" not in text
