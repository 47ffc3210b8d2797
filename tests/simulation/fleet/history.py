# What happened in the life of a fleet: one column for each process, then the store, then the server.

from collections.abc import Callable, Iterable

from ..chart import draw_chart
from ..clocks import EPOCH
from ..history import Entry, Names
from .machines import Machine, TrueTime

__all__ = ["FleetHistory"]

WIDTH = 34  # characters from one lifeline to the next


class FleetHistory(Names):
    """The entries of a life, and the names of its tokens."""

    def __init__(self, time: TrueTime, processes: int, machine_of: Callable[[int], Machine]) -> None:
        super().__init__()
        self.time = time
        self.store = processes
        self.server = processes + 1
        self.entries: list[Entry] = []
        self._machine_of = machine_of

    def note(self, source: int, text: str, target: int | None = None) -> None:
        """Write down what happens now; without `target` it is a remark."""
        true = self.time.now
        monotonic, wall = true, true
        if source < self.store:
            machine = self._machine_of(source)
            now = machine.client()
            monotonic, wall = now.monotonic - machine.booted, now.wall - EPOCH
        self.entries.append(Entry(true, monotonic, wall, source, source if target is None else target, text))

    def draw(self) -> str:
        """Return the chart; processes to which nothing happens are left out."""
        columns = sorted({each for entry in self.entries for each in (entry.source, entry.target)})
        places = {column: place for place, column in enumerate(columns)}
        titles = [self._title(column) for column in columns]
        return draw_chart(self._moved(places), titles, [4 + WIDTH * place for place in range(len(columns))])

    def _moved(self, places: dict[int, int]) -> Iterable[Entry]:
        for entry in self.entries:
            yield entry._replace(source=places[entry.source], target=places[entry.target])

    def _title(self, column: int) -> str:
        if column < self.store:
            return f"process {column} on machine {self._machine_of(column).number}"
        return "store" if column == self.store else "server"
