# Watches what callers get: tokens, errors, events, and when (invariants 3, 5, 6, 7, 9, 10, freshness, lifetimes).

import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tenure import (
    ESTABLISH,
    EXPIRED,
    REFRESH,
    VERIFY,
    AuthorizationProtocol,
    Call,
    EstablishError,
    Event,
    Instant,
    NotEstablishedError,
    ProtocolViolationError,
    RefreshError,
    RefusedError,
    SessionExpired,
    SessionExpiredError,
    TenureError,
)

from .clocks import Moment
from .ledger import Issued, Ledger, dead_after
from .rules import FRESHNESS, LIFETIMES
from .secrets import Secrets

__all__ = ["Caller", "CallerWatch"]

LONGEST_TOKEN = 16 * 1024  # characters
WALL_DOUBT = 2  # seconds by which whole wall readings must differ beyond a whole limit before it has passed for sure

# How a call may fail. Any other error says that its exchange was cut off.
ERRORS: dict[str, tuple[type[TenureError], ...]] = {
    REFRESH: (NotEstablishedError, RefreshError, ProtocolViolationError, SessionExpiredError),
    ESTABLISH: (EstablishError, ProtocolViolationError, RefusedError),
    VERIFY: (EstablishError, ProtocolViolationError, RefusedError),
}

Outcome = tuple[Any, ...]


@dataclass(eq=False)
class Caller:
    """Somebody who waits for a call."""

    name: str
    call: Call
    asked: Moment
    bound: float  # seconds that it may wait
    wants_token: bool = False
    by_hand: bool = False  # wants a refresh, needed or not
    has_left: bool = False


class CallerWatch:
    """Each method is told a fact when it happens, and raises `InvariantBroken`."""

    def __init__(self, ledger: Ledger, secrets: Secrets) -> None:
        self.ledger = ledger
        self.secrets = secrets
        self.newest_handed_out = -1
        self.before_establish: tuple[Any, ...] = ()  # state and pair, before its first request
        self.is_cut_off = False  # somebody has cut the exchange off, so that an error may say so
        self._tracebacks: set[tuple[str, str]] = set()
        self._settled: list[tuple[Call, object]] = []  # and to what

    # Tokens

    def has_to_wait(self, now: Instant) -> None:
        """A caller who asked now is not served at once."""
        self.ledger.checked[FRESHNESS] += 1
        if self.ledger.works_for_sure(now):
            self.ledger.fail(FRESHNESS, "a caller has to wait although the token that is held still works")

    def handed_out(self, token: str | None, asked: Moment) -> None:
        """A caller that asked at that moment gets `token` now."""
        ledger = self.ledger
        ledger.checked.update(["3", "10"])
        if not is_fit(token):
            ledger.fail("10", "a token unfit for a header is handed out")
        pair = ledger.issued.get(token or "")
        if pair is None:
            ledger.fail("10", "a token is handed out that the server did not issue")
            return
        self._judge_age(pair, asked)
        if pair.order < self.newest_handed_out:
            ledger.fail("3", "an older token is handed out than somebody has already got")
        self.newest_handed_out = pair.order

    def _judge_age(self, pair: Issued, asked: Moment) -> None:
        """Judge the age of a token when it was asked for. Two wall readings may be off by a second either way."""
        # The leeway of a replay is a tenth of what was left of it when it came; what that was only the server can tell.
        limit = (pair.lifetime if pair.is_replay else dead_after(pair.lifetime)) + self.ledger.coarse
        by_monotonic, by_wall = asked.read.monotonic - pair.born_at.monotonic, asked.read.wall - pair.born_at.wall
        if pair.is_skewed and asked.true - pair.true_born_at < limit:
            return  # a clock jumped before the client had it, and only the server could tell how old it was
        # A process that was not there when the token came knows of the monotonic clock only what the wall clock says.
        is_known = pair.process == self.ledger.process and not pair.in_doubt
        is_dead_by_monotonic = by_monotonic >= limit and (is_known or by_wall > limit + 1)
        # Of a token on whose way a clock jumped, or that came after it was asked for, the wall clock may say anything.
        is_measured = pair.told_at is not None and asked.true >= pair.true_told_at and not pair.is_skewed
        is_dead_by_wall = is_measured and by_wall >= int(limit) + WALL_DOUBT
        if is_dead_by_monotonic or is_dead_by_wall:
            ages = f"{by_monotonic:.1f} s by the monotonic clock, {by_wall} s by the wall clock"
            self.ledger.fail(
                "3", f"a token that lives {pair.lifetime} s was dead when it was asked for: its age was {ages}"
            )

    # Outcomes

    def settled(self, call: Call, callers: Sequence[Caller], protocol: AuthorizationProtocol) -> None:
        """A call has settled, and these callers were waiting for it."""
        self.ledger.checked.update(["5", "7"])
        self._settled.append((call, outcome_of(call)))
        outcomes = {outcome_of(call) for _ in callers}
        if len(outcomes) > 1:
            self.ledger.fail("5", f"those who waited for the same do not get the same: {len(outcomes)} outcomes")
        for caller in callers:
            self._judge_wait(caller)
            if caller.wants_token and call.error is None and not caller.has_left:
                self._judge_gift(protocol.newest_token(), caller)
        if call.error is not None:
            self._judge_error(call, call.error, protocol)
        elif call.kind == VERIFY and not is_fit(call.result()):
            self.ledger.fail("10", "a security token unfit for use is returned")

    def _judge_wait(self, caller: Caller) -> None:
        waited = self.ledger.clocks.awake - caller.asked.awake
        if waited > caller.bound:
            text = f"'{caller.name}' waited {waited:.1f} s, more than the {caller.bound:.1f} s that are promised"
            self.ledger.fail("7", text)

    def _judge_gift(self, token: str | None, caller: Caller) -> None:
        if self.ledger.told is None or token != self.ledger.told.permission_token:
            self.ledger.fail("5", f"'{caller.name}' has waited for a token and gets one that is not the newest")
        self.handed_out(token, caller.asked)

    def _judge_error(self, call: Call, error: TenureError, protocol: AuthorizationProtocol) -> None:
        self.secrets.look_at(f"{call!r} {error!r} {error} {error.copy()!r}")
        if (call.kind, str(error)) not in self._tracebacks:  # they take long, and the same error has the same one
            self._tracebacks.add((call.kind, str(error)))
            self.secrets.look_at(traceback_of(call))
        if not isinstance(error, ERRORS[call.kind]) and not self.is_cut_off:
            self.ledger.fail("4", f"a call to {call.kind} is abandoned: {type(error).__name__}")
        if isinstance(error, SessionExpiredError) and protocol.state != EXPIRED:
            self.ledger.fail(LIFETIMES, "a caller is told that the session is over while it is not")
        if call.kind == ESTABLISH and not self.is_cut_off:
            self.ledger.checked["6"] += 1
            if self.before_establish != held_by(protocol):
                self.ledger.fail("6", "a failed establish has changed the session")

    def in_turn(self, waiting: Mapping[Call, Sequence[Caller]]) -> None:
        """These waited up to now, in the order in which they asked; some of their calls may have settled.

        Whoever joins a refresh may have asked after others who wait for something else, and have the outcome first.
        """
        for call in waiting:
            self.secrets.look_at(repr(call))
        settled = [call.settled for call in waiting if call.kind != REFRESH]
        if settled != sorted(settled, reverse=True):
            self.ledger.fail("6", "somebody who asked later has an outcome before somebody who asked earlier")

    def still_waiting(self, waiting: Mapping[Call, Sequence[Caller]]) -> None:
        """These wait, in the order in which they asked; whatever was due has happened."""
        if not waiting:
            return
        self._judge_wait(next(iter(waiting.values()))[0])
        if len(waiting) > 1 and sum(call.kind == REFRESH for call in waiting) > 1:
            self.ledger.fail("5", "those who wait for a token do not wait for the same refresh")

    def happened(self, event: Event) -> None:
        """An event was delivered."""
        self.secrets.look_at(f"{event!r} {event}")

    def expired(self, event: SessionExpired, was_refused: bool) -> None:
        """The core says that the session is over."""
        self.ledger.checked[LIFETIMES] += 1
        if was_refused:
            return
        pair, now = self.ledger.told, self.ledger.clocks.client()
        assert pair is not None
        assert pair.told_at is not None
        # A second or two is what rounding to whole seconds may hide.
        left = pair.refresh_lifetime - (pair.true_told_at - pair.true_born_at) - 2
        ages = now.monotonic - pair.told_at.monotonic, now.wall - pair.told_at.wall
        if min(ages) < left:
            text = f"the session is declared over {min(ages):.1f} s after a refresh token came that lived {left:.0f} s"
            self.ledger.fail(LIFETIMES, text)

    def at_rest(self, protocol: AuthorizationProtocol, waiting: Mapping[Call, Sequence[Caller]]) -> None:
        """Nothing is under way any more."""
        for callers in waiting.values():
            self.ledger.fail("7", f"'{callers[0].name}' waits for ever")
        if protocol.next_step(self.ledger.clocks.process()) is not None:
            self.ledger.fail("7", "there is something to do although nobody asked")
        for call, outcome in self._settled:
            if not call.settled or outcome_of(call) != outcome:
                self.ledger.fail("7", "a call that had settled has changed its outcome")


def is_fit(token: str | None) -> bool:
    """Tell whether a token may stand in a header."""
    if not isinstance(token, str) or not 0 < len(token) <= LONGEST_TOKEN:
        return False
    return token.isascii() and token.isprintable() and " " not in token


def held_by(protocol: AuthorizationProtocol) -> tuple[Any, ...]:
    """Return what makes a session usable: its state and its pair."""
    pair = protocol.held.pair
    tokens = () if pair is None else (pair.grant.permission_token, pair.grant.refresh_token, pair.request_id)
    return protocol.state, protocol.generation, *tokens


def outcome_of(call: Call) -> Outcome:
    """Return what a caller gets out of a call, in a form that can be compared."""
    try:
        return ("value", call.result())
    except TenureError as error:
        return (type(error), str(error), error.retry_after, error.status, error.ambiguous)


def traceback_of(call: Call) -> str:
    """Return the traceback that a caller of a failed call may show, with the values of all variables."""
    result: Callable[[], object] = call.result
    try:
        result()
    except TenureError as error:
        return "".join(traceback.TracebackException.from_exception(error, capture_locals=True).format())
    return ""
