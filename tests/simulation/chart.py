# Draws a history as a sequence chart in plain text, for people who have not seen the code.

from collections.abc import Iterable, Sequence

from .history import Entry

__all__ = ["draw_chart"]

TITLES = ("callers", "client", "network", "server")
PLACES = (4, 38, 76, 104)  # of the four lifelines, in characters
NOTABLE = 1.0  # seconds by which a clock must differ from true time to be shown


def draw_chart(entries: Iterable[Entry], titles: Sequence[str] = TITLES, places: Sequence[int] = PLACES) -> str:
    """Return the chart: true time on the left, the client's clocks where they differ, then one line for each entry."""
    rows = [(_times(entry), _line(entry, places)) for entry in entries]
    width = max((len(times) for times, _ in rows), default=0)
    head = [" "] * (places[-1] + 40)
    for title, place in zip(titles, places, strict=True):
        begin = max(0, place - len(title) // 2)
        head[begin : begin + len(title)] = title
    heading = "".join(head).rstrip()
    return "\n".join([f"{'':{width}}  {heading}", *(f"{times:{width}}  {line}" for times, line in rows)])


def _times(entry: Entry) -> str:
    text = f"{entry.true:12.3f}"
    if abs(entry.monotonic - entry.true) > NOTABLE:
        text += f" mono {entry.monotonic:.1f}"
    if abs(entry.wall - entry.true) > NOTABLE:
        text += f" wall {entry.wall:.0f}"
    return text


def _line(entry: Entry, places: Sequence[int]) -> str:
    line = [" "] * (places[-1] + 1)
    for place in places:
        line[place] = "|"
    if entry.source == entry.target:
        begin = places[entry.source] + 2
        line[begin : begin + len(entry.text) + 1] = entry.text + " "
        return "".join(line).rstrip()
    left, right = sorted((places[entry.source], places[entry.target]))
    room = right - left - 1
    text = f" {entry.text} "
    if len(text) > room - 3:
        text = f" {entry.text[: room - 6]}… "
    shaft = text.center(room, "-")
    line[left + 1 : right] = shaft[:-1] + ">" if entry.target > entry.source else "<" + shaft[1:]
    return "".join(line)
