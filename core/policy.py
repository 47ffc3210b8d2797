# When to refresh and how to retry: numbers and the arithmetic on them, nothing else.
#
# This file knows no state and no clock. Chance comes in as a number in [0, 1), so that a run can be replayed.

from .errors import UsageError

__all__ = ["Policy"]


class Policy:
    """The numbers that govern a session. Immutable by convention; may be shared between sessions and threads.

    Args:
        fresh_fraction: the part of a token's lifetime after which an early refresh starts, 0 < x <= 1.
        jitter: at most this part of the lifetime is subtracted, by chance, so that fleets do not march in step.
        leeway: seconds before its expiry at which a token counts as dead; never more than a tenth of its lifetime.
        deadline: seconds that a caller waits at most, retries included; a second more if a request has just left then,
            and another if its answer is lost and it is sent again at once, while a grace window may be open.
        attempt_timeout: seconds that one HTTP exchange may take.
        backoff_base: seconds; the first wait is a random part of it, and each failure doubles it.
        backoff_cap: seconds; the longest wait that backoff alone asks for.
        retry_after_cap: seconds; a longer `Retry-After` counts as this (a typing error of an operator should not
            shut users out for a year).
        on_store_failure: what to do where the store fails at the end of a token's life: "error", or "refresh" without
            the lease, which may lose the session for all who share it.

    Raises:
        UsageError: a number is out of range, or not a number; or a word is neither of those two.
    """

    # fmt: off
    __slots__ = ("fresh_fraction", "jitter", "leeway", "deadline", "attempt_timeout", "backoff_base", "backoff_cap",
                 "retry_after_cap", "refreshes_blindly")
    # fmt: on

    def __init__(
        self,
        *,
        fresh_fraction: float = 0.8,
        jitter: float = 0.1,
        leeway: float = 10.0,
        deadline: float = 30.0,
        attempt_timeout: float = 10.0,
        backoff_base: float = 0.5,
        backoff_cap: float = 30.0,
        retry_after_cap: float = 3600.0,
        on_store_failure: str = "error",
    ) -> None:
        if on_store_failure not in ("error", "refresh"):
            raise UsageError('Policy: on_store_failure must be "error" or "refresh"')
        self.refreshes_blindly = on_store_failure == "refresh"
        self.fresh_fraction = _number("fresh_fraction", fresh_fraction, above=0, upto=1)
        self.jitter = _number("jitter", jitter, upto=fresh_fraction)
        self.leeway = _number("leeway", leeway)
        self.deadline = _number("deadline", deadline, above=0)
        self.attempt_timeout = _number("attempt_timeout", attempt_timeout, above=0)
        self.backoff_base = _number("backoff_base", backoff_base, above=0)
        self.backoff_cap = _number("backoff_cap", backoff_cap, above=0)
        self.retry_after_cap = _number("retry_after_cap", retry_after_cap)

    def stale_after(self, lifetime: float, chance: float) -> float:
        """Return the seconds after which a token that lives `lifetime` seconds should be refreshed early."""
        return lifetime * (self.fresh_fraction - self.jitter * chance)

    def dead_after(self, lifetime: float) -> float:
        """Return the seconds after which a token that lives `lifetime` seconds is not handed out any more."""
        return lifetime - min(self.leeway, lifetime / 10)

    def backoff(self, failures: int, chance: float) -> float:
        """Return the seconds to wait after the given number of failures (1 or more) in a row: full jitter."""
        # The exponent is bounded so that a thousand failures do not make an enormous integer.
        return chance * min(self.backoff_cap, self.backoff_base * (1 << min(failures - 1, 30)))


def _number(name: str, value: float, above: float = -1, upto: float = 1e9) -> float:
    """Check a number of the policy; `not (a <= b)` also catches NaN."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise UsageError(f"Policy: {name} must be a number, not {type(value).__name__}")
    if not (value > above and 0 <= value <= upto):
        raise UsageError(f"Policy: {name} must be {'above' if above == 0 else 'at least'} 0 and at most {upto:g}")
    return value
