# What a caller wants, and how it came out. Many callers may share one call; a driver maps "settled" to its own way of
# waking them.

__all__ = ["Call", "ESTABLISH", "REFRESH", "VERIFY", "LOAD"]

ESTABLISH = "establish"
REFRESH = "refresh"
VERIFY = "verify credentials"
LOAD = "load"


class Call:
    """One thing asked of the protocol. It settles exactly once (invariant 7).

    Attributes:
        kind: ESTABLISH, REFRESH, VERIFY or LOAD.
        settled: True once the outcome is known; it never changes afterwards.
        error: None, or the `TenureError` this call ended with. Raise it with `result()`, not directly.
        urgent: True if somebody waits for it; False for an early refresh that nobody waits for.
        by_hand: True if somebody wants a refresh whatever the age of the token.
    """

    __slots__ = ("kind", "settled", "error", "urgent", "by_hand", "generation", "asked_at", "make_request", "_value")

    def __init__(
        self,
        kind: str,
        make_request: "Callable[[str], Request] | None" = None,
        urgent: bool = True,
        generation: int = 0,
    ) -> None:
        self.kind = kind
        self.settled = False
        self.error: TenureError | None = None
        self.urgent = urgent
        self.by_hand = False
        self.generation = generation  # of the pair that was held when this was asked
        self.asked_at: Instant | None = None  # by the last of those who joined, if any did
        self.make_request = make_request  # holds the secrets of a call that is not settled
        self._value: str | None = None

    def settle(self, error: "TenureError | None" = None, value: "str | None" = None) -> None:
        """Fix the outcome. For the protocol only."""
        assert not self.settled, "invariant 7: a call settles once"
        self.make_request = None
        self.error = error
        self._value = value
        self.settled = True  # last: a thread that reads it without a lock finds the rest in place

    def result(self) -> "str | None":
        """Return the security token of a settled VERIFY call, None for the other kinds.

        Raises:
            TenureError: what the call ended with, a fresh copy for each caller.
        """
        assert self.settled, "the outcome is not known yet"
        if self.error is not None:
            raise self.error.copy()
        return self._value

    def __repr__(self) -> str:
        outcome = "under way" if not self.settled else "done" if self.error is None else type(self.error).__name__
        return f"<Call to {self.kind}: {outcome}>"


TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from .errors import TenureError
    from .steps import Instant, Request
