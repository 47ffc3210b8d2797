# Draws a history as a sequence chart in plain text, for people who have not seen the code.

from collections.abc import Iterable

from .history import Entry

__all__ = ["draw_chart"]

TITLES = ("callers", "client", "network", "server")
PLACES = (4, 38, 76, 104)  # of the four lifelines, in characters
NOTABLE = 1.0  # seconds by which a clock must differ from true time to be shown


def draw_chart(entries: Iterable[Entry]) -> str:
    """Return the chart: true time on the left, the client's clocks where they differ, then one line for each entry."""
    rows = [(_times(entry), _line(entry)) for entry in entries]
    width = max((len(times) for times, _ in rows), default=0)
    head = [" "] * (PLACES[-1] + 8)
    for title, place in zip(TITLES, PLACES, strict=True):
        begin = max(0, place - len(title) // 2)
        head[begin : begin + len(title)] = title
    titles = "".join(head).rstrip()
    return "\n".join([f"{'':{width}}  {titles}", *(f"{times:{width}}  {line}" for times, line in rows)])


def _times(entry: Entry) -> str:
    text = f"{entry.true:12.3f}"
    if abs(entry.monotonic - entry.true) > NOTABLE:
        text += f" mono {entry.monotonic:.1f}"
    if abs(entry.wall - entry.true) > NOTABLE:
        text += f" wall {entry.wall:.0f}"
    return text


def _line(entry: Entry) -> str:
    line = [" "] * (PLACES[-1] + 1)
    for place in PLACES:
        line[place] = "|"
    if entry.source == entry.target:
        begin = PLACES[entry.source] + 2
        line[begin : begin + len(entry.text) + 1] = entry.text + " "
        return "".join(line).rstrip()
    left, right = sorted((PLACES[entry.source], PLACES[entry.target]))
    room = right - left - 1
    text = f" {entry.text} "
    if len(text) > room - 3:
        text = f" {entry.text[: room - 6]}… "
    shaft = text.center(room, "-")
    line[left + 1 : right] = shaft[:-1] + ">" if entry.target > entry.source else "<" + shaft[1:]
    return "".join(line)
