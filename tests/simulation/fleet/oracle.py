# Who watches a fleet and complains when an invariant of the design is broken. As for a single process it works from
# what went over the wire, what callers got, what the clocks said and what the store wrote; it does not ask the core how
# it reckons. What the server did, and why a session may be lost, is judged in verdicts.py.

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from tenure import (
    EXPIRED,
    LEASE_LOST,
    REFRESH,
    STORE_FAILED,
    AbandonLease,
    Call,
    Event,
    Instant,
    RefusedError,
    RenewLease,
    Request,
    Response,
    SaveState,
    SendFailure,
    SessionExpired,
    SessionExpiredError,
)
from tenure.dialects.spatium import REFUSED_STATUSES

from ..oracle import InvariantBroken, _refresh_token, _request_id
from .machines import Machine, TrueTime

if TYPE_CHECKING:
    from .process import Process

__all__ = ["FleetOracle", "Issued", "Presented"]

Who = tuple[int, int]  # a process: its place, and which of those that lived there
SLACK = 40.0  # seconds beyond the deadline: a last attempt, a dozen questions to a slow store, backoff between saves


@dataclass
class Flight:
    """A request of a process that is waiting for its answer."""

    request: Request
    until: float  # true time at which its process gives it up, if nothing stops it
    doubt: float  # seconds by which that may be wrong: after a suspend there is only the wall clock, which is coarse
    is_excused: bool  # its process was stopped between its last look at the lease and the first byte; see verdicts.py


@dataclass
class Presented:
    """A refresh token that was presented to the server."""

    request_ids: set[str] = field(default_factory=set)
    answered: set[Who] = field(default_factory=set)  # to whom the server's own yes or no has come
    rotated_at: float | None = None  # by the server's clock


@dataclass
class Issued:
    """A pair that the server issued."""

    order: int
    refresh_token: str
    born_at: list[Instant]  # what each machine's clocks read when the server issued it
    lifetime: int
    refresh_lifetime: int
    true_born_at: float
    true_asked_at: float  # when the request that brought it was made
    is_first: bool  # of a session; else it was refreshed
    saved_late: float = 0.0  # seconds that a save took, by which others take it for younger than it is


SAVES = 3  # that a process tries at least before it gives up on a pair


class FleetOracle:
    """Checks invariants 1 to 9 (DESIGN.md) over all processes. Each method is told a fact when it happens."""

    def __init__(self, time: TrueTime, machines: list[Machine], deadline: float, needs_are_judged: bool) -> None:
        self.time = time
        self.machines = machines
        self.deadline = deadline
        self.needs_are_judged = needs_are_judged
        self.secrets: list[str] = []
        self.is_trusted = True  # the store has kept its promises, and nobody has gone on without it
        self.flights: dict[Who, Flight] = {}
        self.presented: dict[str, Presented] = {}
        self.issued: dict[str, Issued] = {}  # by permission token
        self.by_refresh_token: dict[str, Issued] = {}
        self.first_sent: dict[str, float] = {}  # true time at which a request was first made, by request id
        self.saved: set[str] = set()  # permission tokens that are, or were once, durable
        self.spent: set[str] = set()  # refresh tokens of which the store knows that they are of no use
        self.leased_at: dict[Who, float] = {}  # when a process asked for the lease that it has, or to renew it
        self.asked_at: dict[Who, float] = {}  # when the process asked for that
        self.leases: dict[Who, Any] = {}  # the one a process got last
        self.newest_saved = -1
        self.has_expired = False  # as far as the store knows
        self.newest_held: dict[Who, int] = {}
        self.to_save: dict[Who, set[str]] = {}  # permission tokens that came, and must be saved
        self.to_tell: dict[Who, set[str]] = {}  # refresh tokens that were refused, which the store must know
        self.newest_come: dict[Who, str] = {}  # permission token of the pair that came last
        self.failed_saves: Counter[Who] = Counter()  # since then
        self.store_failed: set[Who] = set()  # since its last answer from the server
        self.lost_lease: set[Who] = set()  # likewise
        self.reused: list[Request] = []  # requests that the server took for reuse, after an ambiguous outcome
        self.in_doubt: set[Who] = set()  # processes that have just been told of one of those
        self.overaged: set[tuple[Who, str]] = set()  # refresh tokens beside which a process may take the other for dead
        self.invalidated: set[str] = set()
        self.replayed: set[str] = set()  # pairs that came again: they may have died while nobody received them
        self.kept_on_the_way: set[str] = set()  # pairs that came in place of another answer
        self.checked: Counter[int] = Counter()

    def fail(self, invariant: int, text: str) -> None:
        raise InvariantBroken(invariant, text)

    # The wire

    def sent(self, process: "Process", request: Request, flight: Flight) -> None:
        """A process sends a request: the first byte leaves."""
        self.checked.update([1])
        others = [each for each in self.flights.values() if each.until > self.time.now + each.doubt]
        if process.who in self.flights:
            self.fail(1, "a request is sent while this process waits for the answer to another one")
        if self.is_trusted and not flight.is_excused and not all(each.is_excused for each in others):
            self.fail(1, "a request is sent while another process waits for the answer to one")
        self.flights[process.who] = flight
        self.first_sent.setdefault(_request_id(request), process.step_at)
        token = _refresh_token(request)
        if token is not None:
            self._judge_presenting(process, token, _request_id(request), flight)

    def _judge_presenting(self, process: "Process", token: str, request_id: str, flight: Flight) -> None:
        self.checked.update([2])
        if token not in self.presented:
            self._judge_need(process, token)
        seen = self.presented.setdefault(token, Presented())
        if self.is_trusted and process.who in seen.answered:
            self.fail(2, "a refresh token is presented by a process that has received an answer for it")
        if self.is_trusted and seen.request_ids - {request_id}:
            self.fail(2, "a refresh token is presented again with another request id")
        seen.request_ids.add(request_id)
        # Its process has the lease, by a clock of its own that it has just read: nobody else can have told the store.
        if self.is_trusted and not flight.is_excused and token in self.spent:
            self.fail(2, "a refresh token is presented although the store knows that it is spent")

    def _judge_need(self, process: "Process", token: str) -> None:
        """A refresh nobody needs is one too many: all callers of all processes at an expiry share one."""
        pair = self.by_refresh_token.get(token)
        if pair is None:
            self.fail(10, "a refresh token is presented that the server did not issue")
            return
        by_hand = any(call.by_hand and not call.settled for call in process.protocol._calls)
        known = token in {self.issued[each].refresh_token for each in self.invalidated | self.replayed}
        is_overaged = (process.who, token) in self.overaged
        if by_hand or known or is_overaged or not self.is_trusted or not self.needs_are_judged:
            return
        self.checked.update([5])
        if self.time.now - pair.true_asked_at < 0.6 * pair.lifetime:
            self.fail(5, "a token is refreshed that has just been obtained")

    def reported(self, process: "Process", report: object, is_clear: bool, permission_token: str | None) -> None:
        """A process has learnt what came of its request; `permission_token` came with it, if any."""
        flight = self.flights.pop(process.who)
        self.in_doubt.discard(process.who)
        token = _refresh_token(flight.request)
        if not is_clear and permission_token is not None:
            self.kept_on_the_way.add(permission_token)
        if not is_clear or not isinstance(report, Response):
            return
        self.store_failed.discard(process.who)
        self.lost_lease.discard(process.who)
        if token is not None and report.status in (200, *REFUSED_STATUSES):
            self.presented[token].answered.add(process.who)
        if permission_token is not None:
            self.newest_come[process.who], self.failed_saves[process.who] = permission_token, 0
        if permission_token is not None and not flight.is_excused:
            self.to_save.setdefault(process.who, set()).add(permission_token)
        elif token is not None and report.status in REFUSED_STATUSES:
            if flight.request in self.reused:
                self.in_doubt.add(process.who)
            self.to_tell.setdefault(process.who, set()).add(token)

    def died(self, process: "Process") -> None:
        """A process is no more."""
        kept: tuple[dict[Who, Any], ...] = (
            self.flights,
            self.leased_at,
            self.newest_held,
            self.to_save,
            self.to_tell,
            self.newest_come,
        )
        for facts in kept:
            facts.pop(process.who, None)

    # The store

    def asked_store(self, process: "Process", step: Any, report: Any) -> None:
        """A process has learnt what the store says."""
        if isinstance(report, SendFailure):
            (self.lost_lease if report.kind == LEASE_LOST else self.store_failed).add(process.who)
            if report.kind == STORE_FAILED and isinstance(step, SaveState):
                self.failed_saves[process.who] += 1
                self.to_save.pop(process.who, None)  # its process keeps it, and saves it when it is asked for a token
            return
        if isinstance(step, AbandonLease):
            self.store_failed.add(process.who)  # or its disk would not let the lease be given back
        if "state" in step.reports:
            self.asked_at[process.who] = process.step_at
            if report.lease is not None:
                self.leases[process.who] = report.lease
        if isinstance(step, RenewLease) or ("state" in step.reports and report.lease is not None):
            self.leased_at[process.who] = process.step_at

    def was_saved(self, state: dict[str, Any], delay: float) -> None:
        """The store has written a state durably, `delay` seconds after its process said how old it was."""
        self.checked.update([6])
        if state["pair"] is None:
            self.fail(6, "a session without a pair is saved")
        issued = self.issued[state["pair"]["permission_token"]]
        if self.is_trusted and issued.order < self.newest_saved:
            self.fail(6, "an older pair is saved over a newer one")
        issued.saved_late = max(issued.saved_late, delay)
        self.has_expired = state["state"] == EXPIRED
        self.newest_saved = max(self.newest_saved, issued.order)
        for token, pair in self.issued.items():
            if pair.order <= issued.order:
                self.saved.add(token)
            if pair.order < issued.order or (pair is issued and state["state"] == EXPIRED):
                self.spent.add(pair.refresh_token)

    def exchange_over(self, process: "Process") -> None:
        """A process has nothing to do any more: what has come to it is durable, unless the store failed it."""
        if process.who in self.store_failed or not self.is_trusted:
            return
        self.checked.update([4])
        lease = self.leases.get(process.who)
        if lease is not None and lease.number == process.world.store.record.lease:
            self.fail(7, "a lease is not given back")
        unsaved = {token for token in self.to_save.pop(process.who, ()) if token not in self.saved}
        if unsaved and process.who in self.lost_lease:
            self.to_save[process.who] = unsaved  # it was stopped, and others were too quick: saved when asked again
        elif unsaved and not self.has_expired:
            self.fail(4, "a pair has come, and is not saved although the store is there")
        refused = self.to_tell.pop(process.who, set())
        if process.who not in self.lost_lease and any(token not in self.spent for token in refused):
            self.fail(4, "a refusal has come, and the store is not told although it is there")

    def ended(self, process: "Process") -> None:
        """A process has closed its session: what has come is not lost for one failure of the store."""
        token = self.newest_come.get(process.who)
        if token is None or token in self.saved or self.has_expired or not self.is_trusted:
            return
        if process.who in self.lost_lease or process.world.settings.blind:
            return
        self.checked.update([4])
        if self.failed_saves[process.who] < SAVES:
            self.fail(4, "a pair has come, and its process ends without having tried to save it as often as it should")

    # The callers

    def held(self, process: "Process") -> None:
        """A process may have adopted or installed another pair."""
        token = process.protocol.newest_token()
        if token is None:
            return
        order = self.issued[token].order
        # Who was stopped while it asked the store takes what it learns for older than it is.
        if process.stopped_until > self.asked_at.get(process.who, 0.0):
            self.overaged.add((process.who, self.issued[token].refresh_token))
        if self.is_trusted and order < self.newest_held.get(process.who, -1):
            self.fail(6, "a process takes an older pair for the current one than it has had")
        self.newest_held[process.who] = order

    def handed_out(self, process: "Process", token: str | None, asked_at: Instant) -> None:
        """A caller that asked at `asked_at` gets `token` now."""
        self.checked.update([3, 8])
        issued = self.issued.get(token or "")
        if issued is None or token is None:
            self.fail(10, "a token is handed out that the server did not issue")
            return
        born_at = issued.born_at[process.machine.number]
        until = issued.lifetime + issued.saved_late
        by_monotonic = asked_at.monotonic - born_at.monotonic >= until
        by_wall = asked_at.wall - born_at.wall > until
        # Who finds an emptied store cannot know that what it presents was presented before; nor can anybody know the
        # age of an answer that somebody on the way has kept.
        is_fooled = token in self.kept_on_the_way or (token in self.replayed and not self.is_trusted)
        if by_monotonic and by_wall and not is_fooled:
            self.fail(3, "a token is handed out that was dead by both clocks when it was asked for")
        if token not in self.saved and not process.world.settings.blind:
            self.fail(8, "a token is handed out whose pair is not durable")

    def settled(self, process: "Process", call: Call, before: tuple[str, int]) -> None:
        """`call` has settled; `before` is (state, generation) as it was when it began to be worked off."""
        if call.error is None:
            return
        protocol = process.protocol
        # A store that was emptied may hold a session that was established anew, whose generations begin anew.
        least = before[1] if self.is_trusted else min(before[1], 1)
        if isinstance(call.error, RefusedError) and protocol.generation < least:
            self.fail(6, "a refused establish has lost the session")
        if isinstance(call.error, SessionExpiredError) and call.kind == REFRESH and protocol.state != EXPIRED:
            self.fail(7, "a caller is told that the session is over while it is not")
        self.shown_to_people(f"{call!r} {call.error!r} {call.error}")

    def overdue(self, who: str, waited: float, ahead: int) -> None:
        """A call settled after its process had run for `waited` seconds; so many were ahead of it."""
        self.checked.update([7])
        bound = (ahead + 1) * (self.deadline + SLACK)
        if waited > bound:
            self.fail(7, f"{who} waited {waited:.1f} s, more than the {bound:.1f} s that are promised")

    def expired_unasked(self, token: str | None) -> None:
        """A process declared the session over without asking the server."""
        issued = self.issued[token or ""]
        if self.time.now - issued.true_born_at < issued.refresh_lifetime - 1:
            self.fail(7, "a session is declared over although its refresh token lives")

    def happened(self, process: "Process", event: Event) -> None:
        """An event was delivered."""
        self.shown_to_people(f"{event!r} {event}")
        if not isinstance(event, SessionExpired):
            return
        if process.who in self.in_doubt and not event.ambiguous:
            self.fail(2, "nobody is told that the session was lost to an earlier outcome that was ambiguous")
        self.in_doubt.discard(process.who)

    def at_rest(self, process: "Process") -> None:
        """Nothing is under way any more."""
        if any(not caller.call.settled for caller in process.callers + process.left):
            self.fail(7, "somebody waits for ever")
        if process.protocol.next_step(process.machine.client()) is not None:
            self.fail(7, "there is something to do although nobody asked")
        self.shown_to_people(f"{process.protocol!r} {process.protocol.held.pair!r} {process.protocol.held.ready!r}")

    def shown_to_people(self, text: str) -> None:
        """Some text that may end in a log."""
        self.checked.update([9])
        if any(secret in text for secret in self.secrets):
            self.fail(9, "a secret is shown")
