# Tells a history to people who have not seen the code: which rule broke, a sequence chart in plain text of what led to
# it, and where in the chart it broke.

import math
import textwrap
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from .history import Entry
from .plan import Settings
from .rules import RULES, InvariantBroken, name_of

__all__ = ["draw_chart", "draw_story"]

TITLES = ("callers", "client", "network", "server")
PLACES = (3, 39, 72, 104)  # of the four lifelines, in characters after the time
WIDTH = 118  # characters, with the time
ALONE = 40  # characters for a remark beside the only lifeline
NOTABLE = 1.0  # seconds by which a clock must differ from true time to be shown
MARK = ">>"
LONG = 30.0  # seconds without anything that are worth a remark

LEGEND = (
    "Time runs downwards, in seconds. The callers use the client, which is the library and its driver. An arrow goes "
    "from who tells to who is told. p2 and r2 are the permission token and the refresh token of the 2nd pair that the "
    "server made, id 3 is a request id, x a fault, * an event that the client reports, ! an error that a caller gets "
    "(!Refresh is a RefreshError)."
)


def draw_story(entries: Sequence[Entry], broken: Exception, settings: Settings) -> str:
    """Return all that people need to know of a life in which something broke at the last entry."""
    lines = [
        _verdict(broken),
        "",
        *_folded(LEGEND, ""),
        _describe(settings),
        "",
        draw_chart(entries, shows_clocks=False, mark_last=True),
    ]
    text = broken.text if isinstance(broken, InvariantBroken) else f"{type(broken).__name__}: {broken}"
    lines += _folded(f"{MARK} Here it breaks: {text}.", "   ")
    return "\n".join(lines)


def draw_chart(
    entries: Iterable[Entry],
    titles: Sequence[str] = TITLES,
    places: Sequence[int] = PLACES,
    *,
    shows_clocks: bool = True,
    mark_last: bool = False,
) -> str:
    """Return the chart: time on the left, then the lifelines, one entry after the other.

    Args:
        entries: in the order of their times.
        titles: of the lifelines.
        places: of the lifelines, in characters.
        shows_clocks: show the readings of the client's clocks as well, where they differ from true time.
        mark_last: mark the last entry.
    """
    rows = [Row.of(entry, places, shows_clocks) for entry in entries]
    width = max((len(row.time) for row in rows), default=0) + 1
    lines = [" " * width + _titles(titles, places)]
    before = -math.inf
    for row in rows:
        if LONG < row.true - before < math.inf:
            lines.append(
                " " * width + _put(_lifelines(places, ":"), places[0] + 2, f" {_words(row.true - before)} later ")
            )
        time = row.time if f"{row.true:.2f}" != f"{before:.2f}" else ""
        mark = MARK if mark_last and row is rows[-1] else ""
        lines += _beside(mark + time[len(mark) :], row.lines, width)
        before = row.true
    return "\n".join(lines)


class Row(NamedTuple):
    """An entry, drawn."""

    true: float
    time: str
    lines: list[str]

    @classmethod
    def of(cls, entry: Entry, places: Sequence[int], shows_clocks: bool) -> "Row":
        """Draw an entry."""
        time = f"{entry.true:10.2f}"
        if shows_clocks and abs(entry.monotonic - entry.true) > NOTABLE:
            time += f" mono {entry.monotonic:.1f}"
        if shows_clocks and abs(entry.wall - entry.true) > NOTABLE:
            time += f" wall {entry.wall:.0f}"
        lines = _remark(entry, places) if entry.source == entry.target else [_arrow(entry, places)]
        return cls(entry.true, time, lines)


def _beside(time: str, lines: Sequence[str], width: int) -> list[str]:
    return [f"{time if number == 0 else '':{width}}{line}".rstrip() for number, line in enumerate(lines)]


def _verdict(broken: Exception) -> str:
    if not isinstance(broken, InvariantBroken):
        return f"Something broke that is no rule: {type(broken).__name__}"
    return "\n".join(_folded(f'Broken: {name_of(broken.rule)}. "{RULES[broken.rule]}"', "  "))


def _describe(settings: Settings) -> str:
    """Return what has to be known of the world."""
    words = [
        f"A permission token lives {_words(settings.permission_lifetime)}, a refresh token "
        f"{_words(settings.refresh_lifetime)}."
    ]
    if settings.grace:
        words.append(f"The server answers a used refresh token the same again for {_words(settings.grace)}.")
    if settings.server_offset:
        words.append(
            f"Its clock is {_words(abs(settings.server_offset))} {'ahead' if settings.server_offset > 0 else 'behind'}."
        )
    if settings.answers != "signed":
        words.append(f"Its answers are {settings.answers} (see the README).")
    return "\n".join(_folded(" ".join(words), ""))


def _remark(entry: Entry, places: Sequence[int]) -> list[str]:
    """A remark stands at the right of its lifeline; that of the last one at the left."""
    place, is_last = places[entry.source], entry.source == len(places) - 1 > 0
    room = place - places[entry.source - 1] - 3 if is_last else [*places, place + ALONE][entry.source + 1] - place - 3
    texts = textwrap.wrap(entry.text, room, subsequent_indent="  ")
    begin = place - 1 - max(map(len, texts), default=0) if is_last else place + 2
    return [_put(_lifelines(places), begin, text) for text in texts]


def _arrow(entry: Entry, places: Sequence[int]) -> str:
    left, right = sorted((places[entry.source], places[entry.target]))
    room = right - left - 1
    text = f" {entry.text} "
    if len(text) > room - 3:
        text = f" {entry.text[: room - 6]}… "
    shaft = text.center(room, "-")
    shaft = shaft[:-1] + ">" if entry.target > entry.source else "<" + shaft[1:]
    return _put(_lifelines(places), left + 1, shaft)


def _titles(titles: Sequence[str], places: Sequence[int]) -> str:
    line = ""
    for title, place in zip(titles, places, strict=True):
        line = f"{line:{max(0, place - len(title) // 2)}}{title} "
    return line.rstrip()


def _lifelines(places: Sequence[int], character: str = "|") -> str:
    line = " " * (places[-1] + 1)
    for place in places:
        line = _put(line, place, character)
    return line


def _put(line: str, begin: int, text: str) -> str:
    return line[:begin] + text + line[begin + len(text) :]


def _folded(text: str, indent: str) -> list[str]:
    return textwrap.wrap(text, WIDTH, subsequent_indent=indent)


def _words(seconds: float) -> str:
    """Return a length of time as people say it."""
    for unit, length in (("days", 86400), ("hours", 3600), ("minutes", 60)):
        if seconds >= 2 * length:
            return f"{seconds / length:.0f} {unit}"
    return f"{seconds:.0f} s"
