# What is known for certain in a simulated world: what the server issued, what of it reached the client, and what may
# excuse a refresh. Facts only; watch_wire.py and watch_callers.py judge by them.

import math
from collections import Counter
from dataclasses import dataclass
from typing import Any

from tenure import Instant

from .clocks import Clocks
from .plan import BARE
from .rules import InvariantBroken

__all__ = ["Issued", "Ledger", "dead_after"]

EARLIEST_REFRESH = 0.7  # of the lifetime: the design's 80 %, minus a jitter of 10 %
DOUBT = 2.0  # seconds; the lifetime of what may be a replay is reckoned shorter, since dates are whole seconds


def dead_after(lifetime: float) -> float:
    """Return at which age a token is dead, by the design: a short leeway before it expires."""
    return lifetime - min(10, lifetime / 10)


@dataclass
class Issued:
    """A pair that the server issued. Readings are the client's clocks', `true_…` are seconds of true time."""

    order: int
    permission_token: str
    refresh_token: str
    lifetime: int
    refresh_lifetime: int
    asked_at: Instant  # when the request that brought it was first sent
    true_asked_at: float
    born_at: Instant  # when the server issued it
    true_born_at: float
    told_at: Instant | None = None  # when it reached the client
    true_told_at: float = 0.0
    process: int = 0  # which of the client's processes got it
    in_doubt: bool = False  # the client could not know whether this is the answer to an earlier sending
    is_replay: bool = False  # it was
    is_skewed: bool = False  # a clock jumped between the first sending and the answer: its age is in doubt

    @property
    def tokens(self) -> tuple[str, str]:
        """Permission token and refresh token."""
        return self.permission_token, self.refresh_token


class Ledger:
    """The facts of a life."""

    def __init__(self, clocks: Clocks, answers: str) -> None:
        self.clocks = clocks
        self.coarse = 1.0 if answers == BARE else 0.0  # seconds by which an expiry may be misjudged
        self.issued: dict[str, Issued] = {}  # by permission token
        self.first_sent: dict[str, tuple[Instant, float]] = {}  # by request id: the client's clocks, true time
        self.told: Issued | None = None  # the newest pair that reached the client whole
        self.process = 1  # of the client; counts its crashes
        self.is_invalidated = False  # a resource server refused the token that is held
        self.has_reason = False  # a refresh before its time is excused
        self.checked: Counter[str] = Counter()  # how often each rule was looked at
        self._jumped_at = -math.inf  # true time of the last jump of a client's clock

    def fail(self, rule: str, text: str) -> None:
        """Complain."""
        raise InvariantBroken(rule, text)

    def note_sent(self, request_id: str) -> bool:
        """A request leaves; return whether one with this id has left before."""
        before = request_id in self.first_sent
        if not before:
            self.first_sent[request_id] = self.clocks.client(), self.clocks.true
        return before

    def note_issued(self, request_id: str, data: dict[str, Any]) -> None:
        """The server answers with this pair, maybe not for the first time."""
        permission, refresh = data["permissionToken"], data["permissionRefreshToken"]
        token = permission["permissionToken"]
        if token in self.issued:
            return
        server_now = int(self.clocks.server())
        self.issued[token] = Issued(
            len(self.issued),
            token,
            refresh["permissionRefreshToken"],
            permission["expiresAt"] - server_now,
            refresh["expiresAt"] - server_now,
            *self.first_sent[request_id],
            self.clocks.client(),
            self.clocks.true,
        )

    def note_told(self, token: str, in_doubt: bool) -> None:
        """A whole answer with this permission token reaches the client."""
        pair = self.issued[token]
        if pair.told_at is None:
            pair.told_at, pair.true_told_at = self.clocks.client(), self.clocks.true
        pair.process = self.process
        pair.in_doubt |= in_doubt or self.process > 1
        self.told = pair
        self.is_invalidated = False
        pair.is_skewed |= self._jumped_at >= pair.true_asked_at
        self.has_reason = pair.is_replay or pair.is_skewed

    def note_restored(self, token: str | None) -> None:
        """A new process has begun, with this permission token."""
        self.process += 1
        self.told = None if token is None else self.issued[token]
        if self.told is not None:
            self.told.in_doubt = True
            # Where the wall clock ran backwards, the new process takes the token for dead.
            self.has_reason |= self.clocks.client().wall < self.told.asked_at.wall

    def note_jump(self) -> None:
        """One of the client's clocks has jumped."""
        self._jumped_at = self.clocks.true
        self.has_reason = True

    def is_early(self, pair: Issued, now: Instant) -> bool:
        """Tell whether a refresh of this pair comes before its time, by both clocks."""
        limit = EARLIEST_REFRESH * pair.lifetime - (DOUBT if pair.in_doubt else 0)
        return _age(pair.asked_at, now) < limit

    def works_for_sure(self, now: Instant) -> bool:
        """Tell whether the client must take the token that it holds for one that works."""
        pair = self.told
        if pair is None or pair.process != self.process:
            return False
        if self.is_invalidated or pair.is_replay or pair.is_skewed:
            return False
        return _age(pair.asked_at, now) < dead_after(pair.lifetime) - (DOUBT if pair.in_doubt else 0)


def _age(since: Instant, now: Instant) -> float:
    """Return the greater of the ages that the two clocks tell."""
    return max(now.monotonic - since.monotonic, now.wall - since.wall)
