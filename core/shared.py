# One exchange of a session that is shared through a store: lease, look, send, judge, save, settle.
#
# Between lease and save no other process presents the refresh token (invariant 1), and what another one has already
# obtained is adopted instead of asked for again. What is sent and how an answer is judged is exchange.py's.
#
# - The lease is also the intent: a store remembers durably that it was taken. Whoever finds that its last holder never
#   gave it back knows that a request may have left, and presents the same token under its one request id (invariant 2).
# - A lease lasts a little longer than one attempt. It is renewed before each further one, and no byte leaves when it
#   has ended (`SendRequest.until`): a process that was paused finds out before it sends.
# - The new pair is durable before anybody sees it (invariant 8). What cannot be saved is kept back, and saved first the
#   next time.
# - A store that fails while a token works is an event; at its end an error, unless the policy prefers the other risk.

from . import errors, store_steps
from .calls import ESTABLISH, LOAD, REFRESH, VERIFY
from .exchange import FOREVER, CutShortError, Exchange, abandoned
from .states import ACTIVE
from .steps import LEASE_LOST, NOT_SENT, SendFailure, Sleep
from .verdicts import Verdict

__all__ = ["SharedExchange"]

LEASE_MARGIN = 5.0  # seconds by which a lease outlasts an attempt: for the saving
FIRST_POLL, LAST_POLL = 0.02, 0.5  # seconds between two looks at a lease that somebody else has
SAVE_ATTEMPTS = 3


class LeaseLostError(Exception):
    """Somebody else has the lease now. Never leaves this file."""


class SharedExchange(Exchange):
    """Works off one call of a shared session."""

    def __init__(self, session: "Session", dialect: "SpatiumDialect", call: "Call") -> None:
        super().__init__(session, dialect, call)
        self.key = session.token_id
        self.ttl = session.policy.attempt_timeout + LEASE_MARGIN
        self.lease: Any = None
        self.is_blind = False  # the policy goes on without the store
        self.granted: TokenPair | None = None  # to this call
        self.found: tuple[str, bool] | None = None  # state and doubt of our pair, as they are stored

    def _tell(self, now: "Instant") -> "Steps[None]":
        if self.call.kind == VERIFY:
            yield from super()._tell(now)
        elif self.call.kind == LOAD:
            reply, then = yield store_steps.LoadState(self.key)
            self.call.settle(self._look(reply, now, then))
        else:
            yield from self._share(now.monotonic + self.policy.deadline, now)

    def _share(self, give_up_at: float, now: "Instant") -> "Steps[None]":
        """Do the exchange while no other process can, unless one of them has already done it."""
        try:
            if self.call.kind == REFRESH:
                now = yield from self._look_first(give_up_at, now)
            while not self.call.settled:
                now = yield from self._try_to_share(give_up_at, now)
        except CutShortError:
            self.call.settle(abandoned())
            now = self.session.latest
        if self.lease is not None:
            yield from self._last_word(now)

    def _try_to_share(self, give_up_at: float, now: "Instant") -> "Steps[Instant]":
        try:
            now = yield from self._take_lease(give_up_at, now)
            return (yield from self._use_lease(give_up_at, now))
        except LeaseLostError:
            self.lease, now = None, self.session.latest
            if now.monotonic >= give_up_at + (0 if self.session.unsaved is None else self.ttl):  # worth more looks
                self._fail("another process has taken the lease", now)
            else:
                _, now = yield Sleep(FIRST_POLL)
            return now

    def _use_lease(self, give_up_at: float, now: "Instant") -> "Steps[Instant]":
        """Do what the lease was taken for, unless taking it has settled the call."""
        if self.call.settled or (self.session.unsaved is None and self._needs_no_request(now)):
            return now
        pair = self.session.unsaved if self.call.kind == REFRESH else self.granted
        if pair is not None and not self.is_blind:
            now = yield from self._save(pair, now)
            if self._needs_no_request(now) or self.lease is None:
                return now  # if it has not settled, it takes another lease, and another pair
        yield from self._obtain(give_up_at, now)
        return self.session.latest

    def _fail(self, reason: str, now: "Instant") -> None:
        self.session.failures += 1
        self._give_up(verdict := _not_sent(reason), self._delay(verdict), now)

    def _needs_no_request(self, now: "Instant") -> bool:
        session, granted = self.session, self.granted
        if self.call.settled or self.call.kind == REFRESH:
            return self.call.settled or super()._needs_no_request(now)
        if granted is not None and session.state == ACTIVE and session.generation >= granted.generation:
            self.call.settle()  # it is stored after all, or one that was established later
        return self.call.settled

    def _look_first(self, give_up_at: float, now: "Instant") -> "Steps[Instant]":
        """Do without the lease what can be done: look, where nothing could be sent now, and wait until it can."""
        session = self.session
        is_stuck = session.state != ACTIVE or session.not_before > now.monotonic
        if session.version is None or (is_stuck and session.unsaved is None):
            asked_at = now
            reply, now = yield store_steps.LoadState(self.key)
            if self._look(reply, asked_at, now) is None and session.unsaved is None and self._needs_no_request(now):
                return now
        return (yield from self._cool_off(give_up_at, now))

    def _take_lease(self, give_up_at: float, now: "Instant") -> "Steps[Instant]":
        """Take the lease, or settle the call: with what somebody else has obtained, or with an error."""
        session, call, poll = self.session, self.call, FIRST_POLL
        while True:
            asked_at = now  # the store counts from later on
            version = None if call.kind == ESTABLISH else session.version
            reply, now = yield store_steps.AcquireLease(self.key, self.ttl, version)
            problem = self._look(reply, asked_at, now)
            if isinstance(reply, SendFailure):
                wait = self._put_up_with(f"the store failed: {reply.reason}", give_up_at, now)
            elif reply.lease is None:
                wait = self._wait_for_others(version not in (None, reply.version), poll, give_up_at, now)
            else:
                self._hold(reply.lease, asked_at)
                session.doubt(reply.interrupted)
                if problem is not None and call.kind != ESTABLISH:  # which replaces what cannot be read
                    self._fail(problem.message, now)
                return now
            if call.settled or self.is_blind:
                return now
            poll = min(2 * poll, LAST_POLL)
            _, now = yield Sleep(wait)

    def _hold(self, lease: "Any", asked_at: "Instant") -> None:
        self.lease = lease
        self.until, self.until_wall = asked_at.monotonic + self.ttl, asked_at.wall + int(self.ttl)

    def _put_up_with(self, reason: str, give_up_at: float, now: "Instant") -> float:
        """The store has failed: return the seconds until it is asked again, or settle, or go on without it."""
        self.session.failures += 1
        delay = self._delay(verdict := _not_sent(reason))
        may_be_blind = self.policy.refreshes_blindly and not (self.call.kind == REFRESH and self.session.is_usable(now))
        if may_be_blind:
            give_up_at -= self.policy.attempt_timeout  # leave time for the request
        if self._goes_on(verdict, delay, give_up_at, now):
            self._record_failure(verdict, delay, now)
        elif may_be_blind:
            self._record_failure(verdict, None, now)
            self.is_blind, self.until, self.until_wall = True, FOREVER, FOREVER
            pair = self.session.unsaved if self.call.kind == REFRESH else self.granted
            if pair is not None:
                self._install(pair, now)
                self._needs_no_request(now)
        else:
            self._give_up(verdict, delay, now)
        return delay

    def _wait_for_others(self, is_outdated: bool, poll: float, give_up_at: float, now: "Instant") -> float:
        """Somebody else has, or had, the lease: return the seconds until the next look, or settle."""
        session, call = self.session, self.call
        wait = poll * (0.5 + session.chance() / 2)
        if session.unsaved is None and self._needs_no_request(now):
            return 0.0  # they have done it
        if not call.urgent and session.is_usable(now):
            session.cool_down(LAST_POLL, now)  # they are at it, and nobody here waits
            call.settle()
        elif now.monotonic + wait >= give_up_at:
            self._fail("another process has the lease and does not come to an end", now)
        return 0.0 if is_outdated and poll == FIRST_POLL else wait  # now we know the version, and may be given it

    def _look(self, reply: "Stored | SendFailure", asked_at: "Instant", now: "Instant") -> "TenureError | None":
        """Adopt what the store holds, if it is newer; return what is wrong if it gave nothing usable."""
        session, self.found = self.session, None
        if isinstance(reply, SendFailure):
            return errors.RefreshError(f"the store failed: {reply.reason}", retry_after=0)
        is_first, session.version, before = session.version is None, reply.version, session.pair
        if reply.problem is not None:
            return errors.SnapshotError(reply.problem)
        try:
            if reply.state is not None:
                self.found = session.adopt(reply.state, now, reply.age, asked_at)
        except errors.SnapshotError as damaged:
            return damaged
        if session.pair is not before and session.generation == self.call.generation:
            self.call.generation = -1  # established anew by somebody who knew of none: as high a number, another pair
        if is_first and self.call.by_hand:  # it was asked for before we knew of any
            self.call.generation = session.generation
        return None

    def _prepare_attempt(self, now: "Instant") -> "Steps[Instant]":
        """Make sure that the lease outlasts the attempt; this is the last look at it before the first byte."""
        if self.call.kind == VERIFY or self.is_blind:
            return now
        if self.lease is None:
            raise LeaseLostError  # given back with the last pair, which was of no use
        takes = self.policy.attempt_timeout
        if now.monotonic + takes > self.until or now.wall + int(takes) > self.until_wall:
            asked_at = now
            reply, now = yield store_steps.RenewLease(self.lease, self.ttl)
            if isinstance(reply, SendFailure):  # lost, or not to be had: either way it has to be taken anew
                yield from self._abandon(reply)
                raise LeaseLostError
            self._hold(self.lease, asked_at)
        return now

    def _take_over(self, grant: "Grant", since: "Instant", now: "Instant") -> "Steps[Instant]":
        """Make the granted pair the current one, once it is durable."""
        self.session.unsaved = self.granted = pair = self.session.next_pair(grant, since, now)
        self.session.ambiguous = self.session.pair is not None  # until then: what is stored is spent, or void
        if self.is_blind:
            self._install(pair, now)
        else:
            now = yield from self._save(pair, now)
        return now

    def _save(self, pair: "TokenPair", now: "Instant") -> "Steps[Instant]":
        """Save `pair`, then make it the current one (invariant 8); else settle the call with an error."""
        for attempts_left in range(SAVE_ATTEMPTS - 1, -1, -1):
            reply, now = yield store_steps.SaveState(self.lease, self.session.to_snapshot(now, pair))
            if not isinstance(reply, SendFailure):
                self._take_note_of_saved(pair, reply, now)
                return now
            if reply.kind == LEASE_LOST:
                raise LeaseLostError
            reason = f"the new pair could not be saved: {reply.reason}"
            if attempts_left:
                delay = self.policy.backoff(SAVE_ATTEMPTS - attempts_left, self.session.chance())
                self._record_failure(_not_sent(reason), delay, now)
                try:
                    _, now = yield Sleep(delay)
                except CutShortError:  # there is no time to wait; the pair must not be lost (invariant 4)
                    now = self.session.latest
            elif self.policy.refreshes_blindly:
                self._record_failure(_not_sent(reason), None, now)
                self._install(pair, now)
            else:
                self._fail(reason, now)
        return now

    def _take_note_of_saved(self, pair: "TokenPair | None", version: int, now: "Instant") -> None:
        """`pair`, if there is a new one, is durable, and the lease has been given back with it."""
        self.session.version, self.session.unsaved, self.lease = version, None, None
        if pair is not None:
            self._install(pair, now)

    def _last_word(self, now: "Instant") -> "Steps[None]":
        """Give the lease back, and save what the others have to know: a pair, or that ours is over or in doubt."""
        session, pair = self.session, self.session.unsaved
        is_known = pair is None and self.found == (session.state, session.ambiguous)
        if is_known or (self.found is None and self.granted is None):
            yield store_steps.ReleaseLease(self.lease)
        else:
            reply, now = yield store_steps.SaveState(self.lease, session.to_snapshot(now, pair))
            if isinstance(reply, SendFailure):
                yield from self._abandon(reply)  # which tells them that much
            else:
                self._take_note_of_saved(pair, reply, now)

    def _abandon(self, reply: SendFailure) -> "Steps[None]":
        """Let go of a lease that the store did not answer for: where leases last, we would have to wait for our own."""
        if reply.kind != LEASE_LOST:
            yield store_steps.AbandonLease(self.lease)


def _not_sent(reason: str) -> Verdict:
    return Verdict(NOT_SENT, reason)


TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from .calls import Call
    from .dialects.spatium import SpatiumDialect
    from .errors import TenureError
    from .exchange import Steps
    from .session import Session
    from .steps import Instant
    from .store_steps import Stored
    from .tokens import Grant, TokenPair
