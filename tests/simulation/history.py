# What happened in a simulated life, as small facts that a chart can be drawn from. Tokens and request ids get names
# here (p1, r1): no secret enters a history.

from typing import NamedTuple

from .clocks import EPOCH, Clocks

__all__ = ["CALLERS", "CLIENT", "NETWORK", "SERVER", "Entry", "History", "Names"]

CALLERS, CLIENT, NETWORK, SERVER = range(4)  # the columns of a chart, from left to right


class Entry(NamedTuple):
    """One thing that happened: an arrow from one column to another, or a remark in one column."""

    true: float
    monotonic: float
    wall: float  # seconds since true time 0, as the client's wall clock has it
    source: int
    target: int
    text: str


class Names:
    """What the tokens of a life are called."""

    def __init__(self) -> None:
        self._names: dict[str, str] = {}

    def name_pair(self, permission_token: str, refresh_token: str) -> None:
        """Give the tokens of a pair the next number, unless they have one."""
        number = len(self._names) // 2 + 1
        if permission_token not in self._names:
            self._names[permission_token] = f"p{number}"
            self._names[refresh_token] = f"r{number}"

    def name(self, token: str | None) -> str:
        """Return what a token is called here."""
        return self._names.get(token or "", "no known token")


class History(Names):
    """The entries of a life, and the names of its tokens."""

    def __init__(self, clocks: Clocks) -> None:
        super().__init__()
        self.clocks = clocks
        self.entries: list[Entry] = []

    def note(self, source: int, text: str, target: int | None = None) -> None:
        """Write down what happens now; without `target` it is a remark."""
        now = self.clocks.client()
        entry = Entry(
            self.clocks.true, now.monotonic, now.wall - EPOCH, source, source if target is None else target, text
        )
        self.entries.append(entry)
