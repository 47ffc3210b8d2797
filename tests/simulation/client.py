# The client's side of a simulated world: the real core, a driver for it, and the callers that wait.

import json
from collections import Counter
from collections.abc import Callable
from functools import partial
from typing import Any, Protocol

from tenure import (
    ESTABLISH,
    IDLE,
    AuthorizationProtocol,
    Call,
    Policy,
    Response,
    SendFailure,
    SendRequest,
    SessionExpired,
    Sleep,
)
from tenure.dialects.spatium import SpatiumDialect
from tenure.verdicts import Verdict

from .clocks import Clocks, Moment
from .far_end import FarEnd, describe, pair_in
from .history import CALLERS, CLIENT, NETWORK, History
from .ledger import Ledger
from .network import ANSWERED, Fate, Letter, Report, draw_name, make_fate
from .plan import PROTOCOL, REQUEST, Fated, Plan, chance
from .secrets import Secrets
from .watch_callers import Caller, CallerWatch, held_by
from .watch_wire import Pair, WireWatch

__all__ = ["SLACK", "URL", "Client", "Stage"]

URL = "https://service.example/authorization/v1"
TOKEN_ID = "0b9f3c52-6f0e-4a57-9a53-0d2f3f6f1c11"
MOMENT = 1.0  # seconds that an answer is waited for at least
LONGEST_UPTIME = 1e6  # seconds that a monotonic clock reads at most when a process begins
SLACK = 2.0  # seconds beyond the policy's deadline: an attempt that begins just before it still gets a moment, twice


class Stage(Protocol):
    """What a client needs of its world."""

    plan: Plan
    clocks: Clocks
    history: History
    ledger: Ledger
    secrets: Secrets
    far_end: FarEnd
    seen: Counter[tuple[str, str]]

    def at(self, when: float, happen: Callable[[], None]) -> None:
        """Let something happen at true time `when`."""


class WatchedDialect(SpatiumDialect):
    """Reads answers as the core's own does, and looks at each verdict: its repr may be shown by a debugger, too."""

    def __init__(self, secrets: Secrets) -> None:
        super().__init__()
        self.secrets = secrets

    def read_security_token(self, response: Response, request_id: str, wall: int) -> Verdict:
        """Judge the answer to a verification."""
        return self._look_at(super().read_security_token(response, request_id, wall))

    def read_grant(self, response: Response, request_id: str, wall: int, replayed: bool = False) -> Verdict:
        """Judge the answer to an issue or a refresh."""
        return self._look_at(super().read_grant(response, request_id, wall, replayed))

    def _look_at(self, verdict: Verdict) -> Verdict:
        self.secrets.look_at(repr(verdict))
        return verdict


class Client:
    """One process after another that hold one session."""

    def __init__(self, stage: Stage) -> None:
        self.stage = stage
        self.clocks, self.history, self.seen = stage.clocks, stage.history, stage.seen
        self.rng = chance(stage.plan.seed, PROTOCOL)
        self.wire = WireWatch(stage.ledger, stage.secrets, stage.plan.settings.grace)
        self.watch = CallerWatch(stage.ledger, stage.secrets)
        self.policy = Policy()
        self.dialect = WatchedDialect(stage.secrets)
        self.protocol = AuthorizationProtocol(
            URL, TOKEN_ID, ["read"], random_bytes=self.rng.randbytes, policy=self.policy, dialect=self.dialect
        )
        self.saved = self.protocol.snapshot()
        self.waiting: dict[Call, list[Caller]] = {}  # in the order in which they asked, with those who have left
        self.names: Counter[str] = Counter()
        self.requests = 0
        self.fated: list[Fated] = []  # what became of them
        self.exchange_began: int | None = None  # how many good answers there had been
        self.life = 1  # counts the ends of processes and loops; what belongs to an earlier one reaches nobody
        self._saved_mark: object = None

    def later(self, seconds: float, happen: Callable[[], None]) -> None:
        """Let something happen `seconds` from now, unless the process ends before."""
        life = self.life
        self.stage.at(self.clocks.true + seconds, lambda: happen() if self.life == life else None)

    # Callers

    def get_token(self) -> Caller | None:
        """A caller asks for a token; return it if it has to wait."""
        asked, now = self.clocks.moment(), self.clocks.process()
        token = self.protocol.fresh_token(now)
        call = None if token is not None else self.protocol.request_token(now)
        if call is None or (call.settled and call.error is None):
            self.hand_out_at_once(asked, token or self.protocol.newest_token())
            if call is not None:
                self.pump()
            return None
        return self.wait("get token", call, wants_token=True)

    def hand_out_at_once(self, asked: Moment, token: str | None) -> None:
        """A caller gets a token without waiting."""
        name = self._name("get token")
        self.seen["callers", "got a token at once"] += 1
        self.history.note(CLIENT, f"{name}: {self.history.name(token)} at once", CALLERS)
        self.watch.handed_out(token, asked)

    def wait(self, name: str, call: Call, *, wants_token: bool = False, by_hand: bool = False) -> Caller:
        """Somebody waits for a call from now on."""
        who = self._name(name)
        calls = self.protocol._calls
        ahead = calls.index(call) if call in calls else 0
        bound = (ahead + 1) * (self.policy.deadline + SLACK)
        caller = Caller(who, call, self.clocks.moment(), bound, wants_token, by_hand)
        self.history.note(CALLERS, who, CLIENT)
        self.waiting.setdefault(call, []).append(caller)
        self.seen["callers", "waited"] += 1
        if wants_token:
            self.watch.has_to_wait(caller.asked.read)
        self.pump()
        return caller

    def leave(self, caller: Caller) -> None:
        """A caller does not want to wait any longer: it was cancelled, or its own time is up. Its call goes on."""
        if caller.has_left or caller not in self.waiting.get(caller.call, ()):
            return
        caller.has_left = True
        self.seen["callers", f"left while {self._activity()}"] += 1
        self.history.note(CALLERS, f"{caller.name}: leaves", CLIENT)
        self.stop_waiting(caller)
        if caller.call.settled:
            self.stage.ledger.fail("4", "a caller has left, and that has settled the call for the others")

    def patient(self) -> list[Caller]:
        """Return those who wait and have not left."""
        return [caller for callers in self.waiting.values() for caller in callers if not caller.has_left]

    def stop_waiting(self, caller: Caller) -> None:
        """What a driver does about a caller that leaves: nothing, the call belongs to the others as well."""

    def _name(self, name: str) -> str:
        self.names[name] += 1
        return f"{name} {self.names[name]}"

    def _activity(self) -> str:
        if self.wire.in_flight is not None:
            return "a request was in flight"
        return "idle" if self.protocol.activity == IDLE else "waiting for the next attempt"

    # Ends

    def crash(self, off_for: float = 0.0) -> None:
        """The process dies, with its machine if that is off for some time, and a new one begins from what was saved."""
        self._end(f"CRASH while {self._activity()}; a new process restores what was saved", "crashes")
        self.waiting.clear()
        saved = json.loads(json.dumps(self.saved))
        if off_for:
            self.clocks.restart_machine(off_for, self.rng.uniform(0, LONGEST_UPTIME))
            self.seen["clock jumps", "monotonic, begins anew (restart)"] += 1
            self.history.note(CLIENT, f"its machine was off for {off_for:.1f} s")
        self.protocol = AuthorizationProtocol.from_snapshot(
            saved, self.clocks.process(), random_bytes=self.rng.randbytes, policy=self.policy, dialect=self.dialect
        )
        self.stage.ledger.note_restored(self.protocol.newest_token())

    def loop_dies(self) -> None:
        """The event loop that did the sending ends, as after fork(): the core is told to forget the exchange."""
        self._end(f"the event loop ends while {self._activity()}", "event loops that ended")
        self.watch.is_cut_off = True
        self.protocol.disown_exchange()
        self._look_around()
        self.watch.is_cut_off = False

    def _end(self, text: str, what: str) -> None:
        self.seen["callers", f"{what}, {self._activity()}"] += 1
        self.history.note(CLIENT, text)
        self.life += 1
        self.exchange_began = None  # what comes next is another exchange, over other connections
        self.wire.cut_off()

    # The driver

    def pump(self) -> None:
        """Do what the core asks, as a driver does."""
        step = self.protocol.next_step(self.clocks.process())
        if step is not None and self.wire.in_flight is not None:
            self.history.note(CLIENT, f"asks for a {type(step).__name__}")
            self.stage.ledger.fail("1", "the core asks for something while a request is in flight")
        self._look_around()
        if isinstance(step, Sleep):
            # Rounding may wake us a breath too early; the core then asks for the rest.
            self.later(max(step.seconds, 1e-6), self.pump)
        elif isinstance(step, SendRequest):
            self.send(step)

    def send(self, step: SendRequest) -> None:
        """Hand a request to the network."""
        letter = Letter.read(self.requests, step.request)
        fate = self._draw_fate(letter.number, step.timeout)
        self.requests += 1
        self.seen["network", fate.name] += 1
        self.history.note(CLIENT, describe(letter, self.history), NETWORK)
        self._judge_sent(letter, step)
        if fate.name != ANSWERED:  # a line of its own says what goes wrong
            self.history.note(NETWORK, f"x {fate.name}")
        self._travel(letter, fate)

    def _draw_fate(self, number: int, timeout: float) -> Fate:
        plan = self.stage.plan
        fated = None if plan.fates is None else plan.fates.get(number, Fated(ANSWERED, number))
        rng = chance(plan.seed, REQUEST, number if fated is None else fated.chance)
        drawn = draw_name(rng, plan.settings.trouble)
        name = drawn if fated is None else fated.name
        self.fated.append(fated or Fated(name, number))
        return make_fate(name, rng, timeout, plan.is_prompt, self.clocks.client().wall)

    def _judge_sent(self, letter: Letter, step: SendRequest) -> None:
        if letter.kind.startswith(ESTABLISH) and letter.request_id not in self.stage.ledger.first_sent:
            self.watch.before_establish = held_by(self.protocol)
        self.wire.sent(letter, self.waiting)
        if step.timeout < min(self.policy.attempt_timeout, MOMENT):
            self.stage.ledger.fail("4", f"{step.timeout:.3f} s after a request leaves, its answer is not waited for")
        if self.exchange_began is None:
            self.exchange_began = len(self.stage.far_end.good_answers)
        self.stage.secrets.look_at(f"{step!r} {step.request!r}")

    def _judge_looks(self) -> None:
        """Everything that has a repr may be shown by a debugger, a log or a careless print."""
        held = self.protocol.held
        self.stage.secrets.look_at(f"{self.protocol!r} {held!r} {held.pair!r} {held.ready!r} {self.policy!r}")

    def _travel(self, letter: Letter, fate: Fate) -> None:
        answers: list[Response] = []
        sent_at = self.clocks.true
        for arrival in fate.arrivals:
            self.stage.at(sent_at + arrival, lambda: answers.append(self.stage.far_end.arrive(letter)))
        self.later(fate.told_after, partial(self.report, letter, fate, answers))

    def report(self, letter: Letter, fate: Fate, answers: list[Response]) -> None:
        """Tell the core what came of its request."""
        far_end = self.stage.far_end
        # An answer to this very request from before the exchange would be a replay whose age nobody can know.
        told = fate.tell(answers[0] if answers else None, far_end.earlier_answers(letter, self.exchange_began or 0))
        is_clear = far_end.is_own_answer(told, letter)
        data = data_in(told) if is_clear else {}
        text = told.reason if isinstance(told, SendFailure) else f"{told.status}{pair_in(data, self.history)}"
        self.history.note(NETWORK, text, CLIENT)
        token = data["permissionToken"]["permissionToken"] if "permissionToken" in data else None
        self.wire.reported(told, is_clear, token)
        self.stage.secrets.look_at(repr(told))
        before = self._held()
        self.deliver(told)
        self.wire.consumed(self._held(), before)
        self._look_around()
        self.wire.saved(self.saved)
        self.pump()

    def _held(self) -> Pair:
        pair = self.protocol.held.pair
        return None if pair is None else (pair.grant.permission_token, pair.grant.refresh_token)

    def deliver(self, told: Report) -> None:
        """Hand the core what came, whether or not anybody still waits for it."""
        if isinstance(told, SendFailure):
            self.protocol.receive_failure(told, self.clocks.process())
        else:
            self.protocol.receive_response(told, self.clocks.process())

    def _look_around(self) -> None:
        """Deliver events, save the session, and let the callers go whose calls have settled."""
        for event in self.protocol.take_events():
            self.history.note(CLIENT, f"* {str(event).partition(': ')[2]}")
            self.watch.happened(event)
            if isinstance(event, SessionExpired):
                self.watch.expired(event, self.wire.was_refused)
        self._save()
        if self.protocol.activity == IDLE:
            self.exchange_began = None
        self.watch.in_turn(self.waiting)
        for call in [call for call in self.waiting if call.settled]:
            self._let_go(call, self.waiting.pop(call))
        self.watch.still_waiting(self.waiting)

    def _save(self) -> None:
        """Save what there is to save, if it has changed."""
        held = self.protocol.held
        mark = (held.pair, held.state, held.ambiguous, held.was_presented, held.invalidated)
        if mark != self._saved_mark:
            self._saved_mark, self.saved = mark, self.protocol.snapshot()
            self._judge_looks()

    def _let_go(self, call: Call, callers: list[Caller]) -> None:
        error = type(call.error).__name__ if call.error else ""
        token = self.history.name(self.protocol.newest_token())
        for caller in callers:
            if not caller.has_left:
                outcome = "!" + error.removesuffix("Error") if error else token if caller.wants_token else "done"
                self.history.note(CLIENT, f"{caller.name}: {outcome}", CALLERS)
                self.seen["callers", f"got {error or 'what they waited for'}"] += 1
        self.watch.settled(call, callers, self.protocol)


def data_in(told: Report) -> dict[str, Any]:
    """Return the data of a whole answer; nothing if it is an error."""
    if isinstance(told, SendFailure) or told.status != 200:
        return {}
    data: dict[str, Any] = json.loads(told.body)["data"]
    return data
