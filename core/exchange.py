# One exchange, told from its first step to its last: wait, send, judge, settle. What a store adds to it (lease, look,
# save) is told in shared.py.
#
# It is a generator. Each `yield` hands out a step and is sent (reply, now) once the driver has reported; anything may
# have been asked of the session meanwhile, so whatever matters is looked at again behind each `yield`. Only one
# exchange is alive at a time; protocol.py sees to that.
#
# What follows from an outcome:
#   granted              the pair becomes the current one
#   refused              a refresh: the session is over. Anything else: an error, and the session stays as it was
#   protocol violation   an error; the tokens stay. A refresh cools down and presents the same token, with the same
#                        request id, when it is asked for again
#   ambiguous            once at once again, while a grace window may be open; from then on like the next line
#   not sent, temporary  again after a backoff, as long as somebody waits and has time; else an error and a cool-down

from . import errors, events, steps, verdicts
from .calls import ESTABLISH, REFRESH, VERIFY
from .states import ACTIVE, LIFETIME_PASSED, PAIR_RECEIVED, REFRESH_REFUSED
from .verdicts import Verdict

__all__ = ["CutShortError", "Exchange", "abandoned", "FOREVER"]

FOREVER = float("inf")


class CutShortError(Exception):
    """Thrown in where an exchange would send or wait, but nothing more is to begin. Never leaves the core."""


class Exchange:
    """Works off one call. `run(now)` is the generator; whatever happens in it, the call is settled at its end."""

    def __init__(self, session: "Session", dialect: "SpatiumDialect", call: "Call") -> None:
        self.session = session
        self.policy = session.policy
        self.dialect = dialect
        self.call = call
        self.retried_at_once = False
        self.until = self.until_wall = FOREVER  # by either clock; no request leaves later

    def run(self, now: "Instant") -> "Steps[None]":
        """Tell the story."""
        try:
            yield from self._tell(now)
        except CutShortError:
            pass  # where nobody else shares the session there is nothing to leave in order
        finally:
            if not self.call.settled:  # invariant 7, also if the exchange is disowned or our own code fails
                self.call.settle(abandoned())

    def _tell(self, now: "Instant") -> "Steps[None]":
        yield from self._obtain(now.monotonic + self.policy.deadline, now)

    def _obtain(self, give_up_at: float, now: "Instant") -> "Steps[None]":
        """Get what the call asks for: a pair or a security token."""
        if self.call.kind == REFRESH:
            if self._needs_no_request(now):
                return
            now = yield from self._cool_off(give_up_at, now)
        while not self.call.settled:
            now = yield from self._obtain_once(give_up_at, now)

    def _cool_off(self, give_up_at: float, now: "Instant") -> "Steps[Instant]":
        """Wait until a refresh may begin, or settle it if that would be too late."""
        wait = self.session.not_before - now.monotonic
        if self.session.not_before >= give_up_at:
            self._give_up(Verdict(verdicts.TEMPORARY, "it is too early for another attempt"), wait, now)
        elif wait > 0:
            _, now = yield steps.Sleep(wait)
        return now

    def _obtain_once(self, give_up_at: float, now: "Instant") -> "Steps[Instant]":
        """Send one request, as often as it takes, and do what its verdict asks for."""
        call = self.call
        request_id = self._request_id()
        verdict, since, now = yield from self._send_until_verdict(request_id, give_up_at, now)
        if verdict.kind == verdicts.REFUSED:
            self._settle_refused(verdict, now)
        elif verdict.kind != verdicts.GRANTED:
            self._give_up(verdict, verdict.retry_after or 0.0, now)
        elif call.kind == VERIFY:
            call.settle(value=verdict.granted)
        else:
            now = yield from self._take_over(verdict.granted, since, now)
            if call.settled:
                pass  # the pair is not durable, and nobody may have it yet
            elif call.kind != REFRESH or self._is_worth_having(verdict.replayed, now):
                call.settle()
            elif now.monotonic >= give_up_at:
                late = Verdict(verdicts.TEMPORARY, "the token that came had expired on the way")
                self._give_up(late, 0.0, now)
            # else go on with the refresh token that came with it, which is as good as any
        return now

    def _send_until_verdict(
        self, request_id: str, give_up_at: float, now: "Instant"
    ) -> "Steps[tuple[Verdict, Instant, Instant]]":
        """Send one and the same request until there is a verdict, or no point or no time in going on.

        Returns:
            The verdict; the instant from which the lifetimes in it count; now.
        """
        session = self.session
        refreshing = self.call.kind == REFRESH
        request = self._request(request_id)
        replaying = refreshing and session.was_presented
        since = now
        while True:
            now = yield from self._prepare_attempt(now)
            before = session.ambiguous, session.was_presented
            if refreshing:  # until the answer says otherwise, or has been taken over
                session.ambiguous = session.was_presented = True
            timeout = min(self.policy.attempt_timeout, give_up_at - now.monotonic)
            timeout = max(timeout, min(steps.SHORTEST_TIMEOUT, self.policy.attempt_timeout))
            try:
                reply, now = yield steps.SendRequest(request, timeout, self.until, self.until_wall)
            except CutShortError:  # it has not left
                session.ambiguous, session.was_presented = before
                raise
            verdict = self._judge(reply, request_id, since.wall, replaying)
            verdict.replayed = replaying
            if refreshing and verdict.kind != verdicts.GRANTED and not may_have_been_acted_on(verdict):
                session.ambiguous, session.was_presented = before
            elif self.call.kind == ESTABLISH and may_have_been_acted_on(verdict):
                session.ambiguous = True  # issuing again voids the refresh token that is held (WIRE.md, token id)
            if verdict.kind in (verdicts.GRANTED, verdicts.REFUSED):
                return verdict, since, now
            session.failures += 1
            delay = self._delay(verdict)
            if not self._goes_on(verdict, delay, give_up_at, now):
                verdict.retry_after = delay
                return verdict, since, now
            if verdict.kind == steps.AMBIGUOUS and not self.retried_at_once:
                self.retried_at_once, delay = True, 0.0
            # Once it may have been acted on, an answer may be the one to that sending: lifetimes count from the first.
            replaying = replaying or may_have_been_acted_on(verdict)
            self._record_failure(verdict, delay, now)
            _, now = yield steps.Sleep(delay)
            since = since if replaying else now

    def _prepare_attempt(self, now: "Instant") -> "Steps[Instant]":
        """Do what has to be done right before a request is sent: here nothing, see shared.py."""
        yield from ()
        return now

    def _take_over(self, grant: "Grant", since: "Instant", now: "Instant") -> "Steps[Instant]":
        """Make the granted pair the current one; see shared.py for what may come before that."""
        yield from ()
        self._install(self.session.next_pair(grant, since, now), now)
        return now

    def _install(self, pair: "TokenPair", now: "Instant") -> None:
        happened = events.TokenRotated if self.call.kind == REFRESH else events.SessionEstablished
        if pair is not self.session.pair:  # which it may be already if it could not be saved at once, see shared.py
            self.session.install(PAIR_RECEIVED, pair, happened, now)

    # Decisions

    def _needs_no_request(self, now: "Instant") -> bool:
        """Settle a refresh that needs no request; things may have changed while it waited for its turn."""
        session = self.session
        if session.pair is None or session.state != ACTIVE:
            self.call.settle(session.lack_of_tokens())
        elif self.call.generation != session.generation and session.is_usable(now):
            self.call.settle()  # somebody else got a newer pair
        elif session.pair.is_over(now):
            session.expire(LIFETIME_PASSED, "the lifetime of its refresh token has passed", now)
            self.call.settle(session.lack_of_tokens())
        return self.call.settled

    def _is_worth_having(self, replayed: bool, now: "Instant") -> bool:
        """Is the token that has just come one that its callers may have?

        It may be the replay of an answer given long ago. And it may have been so long on its way that it was dead
        already when the last caller joined (invariant 3); for the others a slow service is no reason to refuse it.
        """
        pair, asked_at = self.session.pair, self.call.asked_at
        if pair is None or self.session.is_usable(now):
            return True
        return not replayed and (asked_at is None or not pair.is_dead(asked_at))

    def _judge(self, reply: "Response | steps.SendFailure", request_id: str, wall: int, replaying: bool) -> Verdict:
        if isinstance(reply, steps.SendFailure):
            # The unknown may have been sent: only a driver that is sure says NOT_SENT.
            return Verdict(steps.NOT_SENT if reply.kind == steps.NOT_SENT else steps.AMBIGUOUS, reply.reason)
        if self.call.kind == VERIFY:
            return self.dialect.read_security_token(reply, request_id, wall)
        return self.dialect.read_grant(reply, request_id, wall, replaying)

    def _goes_on(self, verdict: Verdict, delay: float, give_up_at: float, now: "Instant") -> bool:
        """Try again within this exchange?"""
        if verdict.kind == verdicts.VIOLATION:
            return False
        if verdict.kind == steps.AMBIGUOUS and not self.retried_at_once:
            return True
        if not self.call.urgent and self.session.is_usable(now):
            return False  # nobody waits, since the current token works
        return now.monotonic + delay < give_up_at

    def _delay(self, verdict: Verdict) -> float:
        """Return the seconds until the next attempt: backoff, or what the service asked for if that is longer."""
        backoff = self.policy.backoff(self.session.failures, self.session.chance())
        return max(backoff, min(verdict.retry_after or 0.0, self.policy.retry_after_cap))

    def _settle_refused(self, verdict: Verdict, now: "Instant") -> None:
        if self.call.kind == REFRESH:
            self.session.expire(REFRESH_REFUSED, verdict.reason, now)
            self.call.settle(self.session.lack_of_tokens(verdict.status))
        else:
            text = f"could not {self.call.kind}: {verdict.reason}. What was presented is wrong, spent or not enough"
            self.call.settle(errors.RefusedError(text, status=verdict.status))

    def _give_up(self, verdict: Verdict, delay: float, now: "Instant") -> None:
        """Settle without a grant and without ending the session; a refresh may begin again after `delay` seconds."""
        self._record_failure(verdict, delay, now)
        kind: type[TenureError] = errors.EstablishError
        if self.call.kind == REFRESH:
            kind = errors.RefreshError
            self.session.cool_down(delay, now)
        if verdict.kind == verdicts.VIOLATION:
            kind = errors.ProtocolViolationError
        text = f"could not {self.call.kind}: {verdict.reason}"
        unknown = may_have_been_acted_on(verdict)
        self.call.settle(kind(text, retry_after=delay, status=verdict.status, ambiguous=unknown))

    def _record_failure(self, verdict: Verdict, delay: "float | None", now: "Instant") -> None:
        token_id = self.session.token_id
        self.session.record(events.AttemptFailed(token_id, now, verdict.reason, delay, verdict.status))

    def _request_id(self) -> str:
        # Invariant 2: a refresh token has one request id for life; any other call draws one for all its attempts.
        if self.call.kind == REFRESH and self.session.pair is not None:
            return self.session.pair.request_id
        return self.session.new_request_id()

    def _request(self, request_id: str) -> "Request":
        session = self.session
        if self.call.make_request is not None:
            return self.call.make_request(request_id)
        assert session.pair is not None
        refresh_token = session.pair.grant.refresh_token
        return self.dialect.refresh(session.url, session.token_id, session.permissions, refresh_token, request_id)


def may_have_been_acted_on(verdict: Verdict) -> bool:
    """Return True if this outcome leaves it open whether the server has acted on the request.

    A 5xx may come from a gateway that lost its backend, and a body that makes no sense may have been a pair once.
    """
    if verdict.kind == verdicts.TEMPORARY:
        return verdict.status is not None and verdict.status >= 500
    return verdict.kind in (steps.AMBIGUOUS, verdicts.VIOLATION)


def abandoned() -> "TenureError":
    """Return the error of a call whose exchange was cut off by something else than its outcome."""
    text = "the exchange was cut off before its outcome was known: ask again"
    return errors.AttemptError(text, retry_after=0, ambiguous=True)


TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Generator
    from typing import Any, TypeVar

    from . import store_steps as store
    from .calls import Call
    from .dialects.spatium import SpatiumDialect
    from .errors import TenureError
    from .session import Session
    from .steps import Instant, Request, Response
    from .tokens import Grant, TokenPair

    LeaseStep = store.AcquireLease | store.RenewLease | store.ReleaseLease | store.AbandonLease
    StoreStep = store.LoadState | store.SaveState | LeaseStep
    Step = steps.SendRequest | steps.Sleep | StoreStep
    Outcome = TypeVar("Outcome")
    Steps = Generator[Step, tuple[Any, Instant], Outcome]
