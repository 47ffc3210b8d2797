# What happened in a simulated life, as small facts that a chart can be drawn from. Tokens and request ids get names
# here (p1, r1, id 1): no secret enters a history.

from typing import NamedTuple

from .clocks import EPOCH, Clocks

__all__ = ["CALLERS", "CLIENT", "NETWORK", "SERVER", "Entry", "History", "Names"]

CALLERS, CLIENT, NETWORK, SERVER = range(4)  # the columns of a chart, from left to right


class Entry(NamedTuple):
    """One thing that happened: an arrow from one column to another, or a remark in one column."""

    true: float  # seconds, and so are the next two
    monotonic: float
    wall: float  # since true time 0, as the client's wall clock has it
    source: int
    target: int
    text: str


class Names:
    """What the tokens and the request ids of a life are called."""

    def __init__(self) -> None:
        self._names: dict[str, str] = {}
        self._pairs = 0
        self._requests = 0

    def name_pair(self, permission_token: str, refresh_token: str) -> None:
        """Give the tokens of a pair the next number, unless they have one."""
        if permission_token not in self._names:
            self._pairs += 1
            self._names[permission_token] = f"p{self._pairs}"
            self._names[refresh_token] = f"r{self._pairs}"

    def name_request(self, request_id: str) -> str:
        """Return what a request id is called here, and call it so from now on."""
        if request_id not in self._names:
            self._requests += 1
            self._names[request_id] = f"id {self._requests}"
        return self._names[request_id]

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
        true, now = self.clocks.true, self.clocks.client()
        target = source if target is None else target
        self.entries.append(Entry(true, now.monotonic, now.wall - EPOCH, source, target, text))
