# The demo's picture and its table, as lines of styled text. Pure functions: a view and a size in, lines out.
#
# From top to bottom: a title; the crowd, a letter for each caller; the timeline, a bar for each token; what happened;
# the counters. Colours only repeat what the letters and words say. Where there is no room, the oldest tokens and the
# oldest moments are left out; 80 by 24 has room for all tokens.

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from rich.text import Text

from .demo_record import FAILED, GOOD, LOST, OVER, PLAN, RESTING, TOLD, WAITING, Life, View, letter
from .demo_verdict import Row

__all__ = ["ASCII", "UNICODE", "Glyphs", "draw", "draw_report"]


class Glyphs(NamedTuple):
    """The characters that drawings are made of."""

    bar: str
    half_bar: str
    rule: str
    rest: str
    wait: str
    told: str
    good: str
    bad: str
    dot: str


UNICODE = Glyphs("█", "▌", "─", "·", "?", "x", "✓", "✗", "·")
ASCII = Glyphs("#", "#", "-", ".", "?", "x", "ok", "BROKEN", "|")

TOKEN_COLOURS = ("cyan", "green", "magenta", "blue", "yellow", "bright_cyan", "bright_green", "bright_magenta")
MOMENT_STYLES = {PLAN: "dim", GOOD: "", LOST: "yellow", FAILED: "yellow", OVER: "bold"}
MARK = "!"  # on a bar: a refresh failed here
MARGIN = 2
LABELS = 12  # columns left of the timeline
TALLY = 11  # columns right of it
LABEL, COLUMN = 21, 10  # columns of the report
STORY_ROWS = 6  # at least, before the timeline gives way


def draw(view: View, width: int, height: int, expected_length: float, glyphs: Glyphs, driver: str) -> list[Text]:
    """Return the picture, at most so wide and so high."""
    title = Text(" " * MARGIN + "tenure demo", style="bold")
    title.append(f"   {view.summary.callers} callers, one session, driver {driver}", style="not bold")
    clock = f"{view.now:5.1f} s"
    title.append(clock.rjust(max(len(clock) + 1, width - len(title.plain))), style="not bold")
    top = [title, _rule(width, glyphs), *_draw_crowd(view, width, glyphs), Text()]
    bottom = [_rule(width, glyphs), _draw_counters(view, glyphs)]
    room = height - len(top) - len(bottom) - 1
    timeline = _draw_timeline(view, width, expected_length, glyphs, max(1, room - STORY_ROWS - 1))
    story = _draw_story(view, max(0, room - len(timeline)))
    lines = [*top, *timeline, Text(), *story, *bottom]
    for line in lines:
        line.truncate(width)
        line.no_wrap = True
    return lines[:height]


def _rule(width: int, glyphs: Glyphs) -> Text:
    return Text(" " * MARGIN + glyphs.rule * (width - 2 * MARGIN), style="dim")


def _draw_crowd(view: View, width: int, glyphs: Glyphs) -> list[Text]:
    """Return a cell for each caller, and what the cells mean."""
    line = Text(f"{'':{MARGIN}}{'callers':<{LABELS - MARGIN}}")
    gap = " " if width >= LABELS + 2 * len(view.callers) + MARGIN else ""
    for caller, (doing, number) in enumerate(view.callers):
        if doing == RESTING:
            line.append(glyphs.rest, style="dim")
        elif doing == TOLD:
            line.append(glyphs.told, style="bold")
        elif doing == WAITING and _has_waited(view, number):
            line.append(glyphs.wait, style="yellow")
        elif number < 0:
            line.append(glyphs.rest, style="dim")
        else:
            line.append(letter(number), style=_colour(number))
        line.append(gap + (" " if caller % 8 == 7 else ""))
    meaning = f"the token each got last, {glyphs.rest} resting, {glyphs.wait} waiting, {glyphs.told} told it is over"
    return [line, Text(" " * LABELS + meaning, style="dim")]


def _has_waited(view: View, number: int) -> bool:
    """Return True for a caller whose token nobody has got for a while: others are between asking and getting."""
    return number < 0 or view.now - view.lives[number].last > 0.1


def _draw_timeline(view: View, width: int, expected_length: float, glyphs: Glyphs, rows: int) -> list[Text]:
    """Return the axis, and a bar for each of the latest tokens: from when to when callers got it."""
    columns = max(10, width - LABELS - TALLY - MARGIN)
    length = max(expected_length, view.now)
    axis = [" "] * columns
    step = 5 if length < 60 else 20
    for second in range(0, int(length) + 1, step):
        _write(axis, round(second / length * columns), f"{second}" if second else "0 s")
    lines = [
        Text(" " * MARGIN + f"{'token':<{LABELS - MARGIN}}" + "".join(axis) + "handed out".rjust(TALLY), style="dim")
    ]
    newest = max(view.lives, default=-1)
    for number, life in list(view.lives.items())[-rows:]:
        line = Text(" " * MARGIN).append(f"{letter(number):<{LABELS - MARGIN}}", style=_colour(number))
        line.append_text(_draw_bar(life, number, length, columns, glyphs))
        line.append(f"{life.times:,}".rjust(TALLY), style="" if number == newest else "dim")
        lines.append(line)
    return lines


def _draw_bar(life: Life, number: int, length: float, columns: int, glyphs: Glyphs) -> Text:
    begin, end = int(life.first / length * columns), life.last / length * columns
    whole = max(1, int(end) - begin)
    bar = " " * begin + glyphs.bar * whole
    if end - int(end) >= 0.5:
        bar += glyphs.half_bar
    line = Text(bar[:columns].ljust(columns), style=_colour(number))
    for mark in life.marks:
        column = min(columns - 1, int(mark.at / length * columns))
        line = Text.assemble(line[:column], (MARK, "bold yellow"), line[column + 1 :])
    return line


def _draw_story(view: View, rows: int) -> list[Text]:
    lines = []
    for moment in view.moments[len(view.moments) - min(rows, len(view.moments)) :]:
        line = Text(f"{moment.at:{LABELS - 4}.1f} s  ", style="dim")
        lines.append(line.append(moment.text, style=f"not dim {MOMENT_STYLES[moment.kind]}"))
    return lines + [Text()] * (rows - len(lines))


def _draw_counters(view: View, glyphs: Glyphs) -> Text:
    seen = view.summary
    refused = f"{seen.refused} refused"
    errors = f"{len(seen.errors)} errors"
    line = Text(f"{'':{MARGIN}}{seen.handed_out:,} handed out {glyphs.dot} {seen.used:,} used, ")
    line.append(refused, style="bold red" if seen.refused else "green")
    line.append(f" {glyphs.dot} {view.accepted} refreshes, {view.attempts_failed} failed {glyphs.dot} ")
    line.append(errors, style="bold red" if seen.errors else "green")
    return line


def _write(cells: list[str], column: int, text: str) -> None:
    if column + len(text) <= len(cells):
        cells[column : column + len(text)] = text


def _colour(number: int) -> str:
    return TOKEN_COLOURS[number % len(TOKEN_COLOURS)]


def draw_report(tables: Mapping[str, Sequence[Row]], broken: Mapping[str, Sequence[str]], glyphs: Glyphs) -> list[Text]:
    """Return the table and the verdict: with notes for one driver, side by side for several.

    Args:
        tables: driver to its rows; all of them have the same labels.
        broken: driver to what was not as it has to be.
        glyphs: what to draw with.
    """
    sentences = [(driver, sentence) for driver, several in broken.items() for sentence in several]
    column = max(len(glyphs.good), len(glyphs.bad) if sentences else 0)
    lines = [Text()]
    if len(tables) > 1:
        heads = "".join(f"{driver:>{COLUMN}}" for driver in tables)
        lines.append(Text(f"{'':{MARGIN + column + 1 + LABEL}}{heads}", style="dim"))
    for rows in zip(*tables.values(), strict=True):
        lines.append(_draw_row(rows, column, glyphs))
    lines.append(Text())
    for driver, sentence in sentences:
        who = f"{driver}: " if len(tables) > 1 else ""
        lines.append(Text(f"{'':{MARGIN}}{glyphs.bad} {who}{sentence}", style="bold red"))
    if not sentences:
        who = f"{len(tables)} drivers, each with one" if len(tables) > 1 else "One"
        lines.append(
            Text(f"{'':{MARGIN}}{who} session, one refresh at a time, and nobody noticed.", style="bold green")
        )
    return lines


def _draw_row(rows: Sequence[Row], column: int, glyphs: Glyphs) -> Text:
    """Return a line of the table, of one driver or several; the mark is that of the worst."""
    is_good = None if rows[0].is_good is None else all(row.is_good for row in rows)
    mark = "" if is_good is None else glyphs.good if is_good else glyphs.bad
    line = Text(" " * MARGIN)
    line.append(f"{mark:<{column}} ", style="green" if is_good else "bold red").append(f"{rows[0].label:<{LABEL}}")
    for row in rows:
        line.append(f"{row.value:>{COLUMN}}", style="bold red" if row.is_good is False else "bold")
    if len(rows) == 1:
        line.append(f"  {rows[0].note}", style="dim")
    return line
