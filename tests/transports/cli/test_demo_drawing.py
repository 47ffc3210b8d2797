import pytest
from tenure.transports.cli.demo_drawing import ASCII, UNICODE, Glyphs, draw, draw_report
from tenure.transports.cli.demo_record import Life, Moment, Summary, View
from tenure.transports.cli.demo_verdict import Row


def a_view(tokens: int = 7, moments: int = 20, callers: list[tuple[str, int]] | None = None) -> View:
    """Return a view from the middle of a run."""
    lives = {n: Life(2.0 * n, 2.0 * n + 1.9, 5000 + n, []) for n in range(tokens)}
    if lives:
        lives[0].marks.append(Moment(1.0, "lost", "lost"))
    story = [Moment(float(n), "plan", f"moment {n}") for n in range(moments)]
    crowd = callers or [("working", tokens - 1)] * 32
    return View(2.0 * tokens, crowd, lives, story, Summary(len(crowd), handed_out=12345, used=67), 3, 2)


def plain(view: View, width: int = 79, height: int = 23, glyphs: Glyphs = UNICODE) -> list[str]:
    return [line.plain for line in draw(view, width, height, 22.0, glyphs, "blocking")]


@pytest.mark.parametrize("height", [5, 12, 23, 39])
@pytest.mark.parametrize("width", [40, 60, 79, 119])
@pytest.mark.parametrize("tokens", [0, 1, 7, 30])
def test_the_picture_fits(width: int, height: int, tokens: int) -> None:
    """Whatever there is to show: a line too many or too long would scroll the screen."""
    lines = plain(a_view(tokens), width, height)
    assert len(lines) <= height
    assert max(map(len, lines)) <= width


def test_at_80_by_24_every_token_of_the_demo_has_its_bar() -> None:
    """The usual terminal shows all of it: crowd, seven bars, the latest of the story, counters."""
    lines = plain(a_view())
    assert "32 callers, one session, driver blocking" in lines[0]
    assert "G G G G G G G G  G" in lines[2]
    bars = [line for line in lines if "█" in line]
    assert [line.split()[0] for line in bars] == list("ABCDEFG")
    assert "█!" in bars[0]
    assert [line.split()[-1] for line in bars] == [f"5,00{n}" for n in range(7)]
    assert "moment 19" in lines[-3]
    assert lines[-1] == "  12,345 handed out · 67 used, 0 refused · 3 refreshes, 2 failed · 0 errors"


def test_the_newest_tokens_and_moments_are_kept_where_room_is_scarce() -> None:
    """What is happening now matters most."""
    lines = plain(a_view(tokens=12), height=18)
    bars = [line.split()[0] for line in lines if "█" in line]
    assert bars[-1] == "L"
    assert "A" not in bars
    assert any("moment 19" in line for line in lines)


def test_the_crowd_shows_what_each_does() -> None:
    """A letter for a token in hand, and a sign for each other state."""
    crowd = [("working", 0), ("resting", 0), ("told", 0), ("waiting", 0), ("working", -1)]
    assert plain(a_view(tokens=1, callers=crowd))[2].split()[1:] == ["A", "·", "x", "?", "·"]


def test_whoever_has_only_just_asked_is_not_shown_as_waiting() -> None:
    """Calm: between asking and getting are microseconds."""
    view = a_view(tokens=1, callers=[("waiting", 0)])
    view.lives[0].last = view.now - 0.01
    assert plain(view)[2].split()[1:] == ["A"]


def test_ascii_is_enough() -> None:
    """For terminals and pipes that cannot do more."""
    rows = [Row("a", "1", "n", True), Row("b", "2", "n", False), Row("c", "3", "n", None)]
    report = [line.plain for line in draw_report({"blocking": rows}, {"blocking": ["Broken."]}, ASCII)]
    assert "".join(plain(a_view(), glyphs=ASCII) + report).isascii()


def test_the_report_says_what_is_broken() -> None:
    """A sentence for each promise, and a mark at its row."""
    rows = [Row("good", "1", "", True), Row("bad", "2", "", False), Row("whatever", "3", "", None)]
    lines = [line.plain.split() for line in draw_report({"trio": rows}, {"trio": ["It is broken."]}, UNICODE)]
    assert ["✓", "good", "1"] in lines
    assert ["✗", "bad", "2"] in lines
    assert ["whatever", "3"] in lines
    assert ["✗", "It", "is", "broken."] in lines


def test_the_report_of_a_good_run_ends_with_the_verdict() -> None:
    """Nothing broken: the last line says so."""
    lines = draw_report({"trio": [Row("good", "1", "a note", True)]}, {"trio": []}, UNICODE)
    assert lines[-1].plain == "  One session, one refresh at a time, and nobody noticed."
    assert "a note" in lines[1].plain


def three_tables(is_good: bool) -> dict[str, list[Row]]:
    return {
        "blocking": [Row("this", "12,345", "a note", True), Row("that", "1", "", None)],
        "asyncio": [Row("this", "12,346", "a note", is_good), Row("that", "2", "", None)],
        "trio": [Row("this", "12,347", "a note", True), Row("that", "3", "", None)],
    }


@pytest.mark.parametrize("glyphs", [UNICODE, ASCII])
def test_several_drivers_are_reported_side_by_side(glyphs: Glyphs) -> None:
    """A column for each driver, right-aligned below its name; no notes, so that it fits into 80 columns."""
    lines = [line.plain for line in draw_report(three_tables(True), {}, glyphs)]
    head, first, second = lines[1:4]
    assert head.split() == ["blocking", "asyncio", "trio"]
    assert first.split() == [glyphs.good, "this", "12,345", "12,346", "12,347"]
    assert second.split() == ["that", "1", "2", "3"]
    assert len(head) == len(first) == len(second) < 80
    assert lines[-1] == "  3 drivers, each with one session, one refresh at a time, and nobody noticed."
    assert len(lines[-1]) < 80


@pytest.mark.parametrize("glyphs", [UNICODE, ASCII])
def test_side_by_side_says_which_driver_broke_what(glyphs: Glyphs) -> None:
    """The row bears the mark of the worst, and the sentence names the driver."""
    broken = {"blocking": [], "asyncio": ["It is broken."], "trio": []}
    lines = [line.plain for line in draw_report(three_tables(False), broken, glyphs)]
    assert lines[2].split()[:2] == [glyphs.bad, "this"]
    assert len(lines[1]) == len(lines[2])
    assert lines[-1] == f"  {glyphs.bad} asyncio: It is broken."
