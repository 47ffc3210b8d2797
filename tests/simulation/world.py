# One simulated life of a session: callers, a driver, a network, clocks and a server, in virtual time, from one seed.
#
# The core is the real one, the server is the emulator's pure service, and everything between them is here. Nothing
# waits: the next thing that happens is the earliest in a heap.

import heapq
import json
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from itertools import count

from tenure import (
    ESTABLISH,
    EXPIRED,
    AuthorizationProtocol,
    Call,
    Instant,
    Policy,
    Request,
    Response,
    SendFailure,
    SendRequest,
    SessionExpired,
    Sleep,
)
from tenure.transports.emulator import AuthorizationService

from .clocks import Clocks
from .disguise import Disguise
from .history import CALLERS, CLIENT, NETWORK, SERVER, History
from .network import Fate, answered, draw_fate
from .oracle import Oracle
from .plan import OPERATION, PROTOCOL, REQUEST, SERVICE, Operation, Plan, chance

__all__ = ["World"]

URL = "https://service.example/authorization/v1"
TOKEN_ID = "0b9f3c52-6f0e-4a57-9a53-0d2f3f6f1c11"
PASSWORD = "correct-horse-battery"  # of an account that exists in this file only


@dataclass
class Caller:
    """Somebody who waits for a call."""

    name: str
    call: Call
    asked_at: Instant
    wants_token: bool
    ahead: int  # calls that were waiting before this one
    before: tuple[str, int]  # state and generation when it asked


class World:
    """A life of one session; `run()` lives it and raises `InvariantBroken` if an invariant does not hold."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.settings = plan.settings
        self.rng = chance(plan.seed, PROTOCOL)
        self.clocks = Clocks(self.settings.server_offset)
        self.history = History(self.clocks)
        self.disguise = Disguise(self.settings.answers)
        self.server_down_until = 0.0
        self.requests = 0
        self.fates: Counter[str] = Counter()
        self.service = AuthorizationService(
            {"ada": PASSWORD},
            permission_lifetime=self.settings.permission_lifetime,
            refresh_lifetime=self.settings.refresh_lifetime,
            security_lifetime=10**9,
            grace=self.settings.grace,
            random=chance(plan.seed, SERVICE),
        )
        self.oracle = Oracle(self.clocks, [PASSWORD], self.settings.clock_trouble)
        self.policy = Policy()
        self.protocol = self._new_protocol()
        self.process = 1  # counts the crashes; what belongs to an earlier process reaches nobody
        self.saved = self.protocol.snapshot()
        self.callers: list[Caller] = []
        self.left: list[Caller] = []  # who has stopped waiting
        self.security_token = self._security_token()
        self.names = count(1)
        self._agenda: list[tuple[float, int, Callable[[], None]]] = []
        self._order = count()
        self._settled_state = (self.protocol.state, self.protocol.generation)

    def _new_protocol(self) -> AuthorizationProtocol:
        return AuthorizationProtocol(URL, TOKEN_ID, ["read"], random_bytes=self.rng.randbytes, policy=self.policy)

    def _security_token(self) -> str:
        request = self.protocol._dialect.verify_credentials(URL, "ada", PASSWORD, self.protocol.held.new_request_id())
        token: str = json.loads(self.service.handle(request, self.clocks.server()).body)["data"]["securityToken"]
        self.oracle.secrets.append(token)
        return token

    # Time

    def run(self) -> None:
        """Live until nothing is left to happen."""
        for operation in self.plan.operations:
            self.at(operation.at, partial(self._operate, operation))
        while self._agenda:
            when, _, happen = heapq.heappop(self._agenda)
            self.clocks.true = max(self.clocks.true, when)
            happen()
        self.oracle.rest(self.protocol, [(caller.call, caller.name) for caller in self.callers + self.left])

    def at(self, when: float, happen: Callable[[], None]) -> None:
        """Let something happen at true time `when`."""
        heapq.heappush(self._agenda, (when, next(self._order), happen))

    def later(self, seconds: float, happen: Callable[[], None]) -> None:
        """Let something happen `seconds` from now, unless the process crashes before."""
        process = self.process
        self.at(self.clocks.true + seconds, lambda: happen() if self.process == process else None)

    def note(self, text: str) -> None:
        """Write down something that concerns the client alone."""
        self.history.note(CLIENT, text)

    def _operate(self, operation: Operation) -> None:
        self.rng_now = chance(self.plan.seed, OPERATION, operation.index)
        getattr(self, operation.name)()

    # Operations

    def get_token(self) -> None:
        """A caller asks for a token."""
        now = self.clocks.client()
        token = self.protocol.fresh_token(now)
        if token is not None:
            self.oracle.handed_out(token, now)
            return
        self._wait("get_token", self.protocol.request_token(now), wants_token=True)

    def refresh(self) -> None:
        """A caller refreshes by hand."""
        self.oracle.has_reason = True
        self._wait("refresh", self.protocol.refresh())

    def invalidate(self) -> None:
        """A resource server refused a token: the newest, or some older one."""
        token = self.rng_now.choice([*self.oracle.issued, self.protocol.newest_token() or "none"])
        before = self.protocol.newest_token()
        changed = self.protocol.invalidate(token)
        self.oracle.has_reason |= changed
        self.note(f"invalidate {'the current' if token == before else 'an old'} token")
        if changed and token != before:
            self.oracle.fail(5, "invalidating a token that has been replaced had an effect")

    def establish(self) -> None:
        """Somebody establishes the session, or establishes it anew."""
        self._wait("establish", self.protocol.establish([self.security_token]))

    def establish_badly(self) -> None:
        """Somebody tries to establish it with a security token that is none."""
        self._wait("establish badly", self.protocol.establish(["not-a-security-token"]))

    def crash(self) -> None:
        """The process dies, and a new one begins from what was saved last."""
        self.process += 1
        self.oracle.has_reason = True
        self.oracle.was_replayed = True  # for all the new process knows
        self.callers, self.left = [], []
        self.oracle.told = self.protocol.newest_token()
        self.oracle.in_flight = None
        self.note("CRASH, restored from the snapshot")
        self.protocol = AuthorizationProtocol.from_snapshot(
            json.loads(json.dumps(self.saved)),
            self.clocks.client(),
            random_bytes=self.rng.randbytes,
            policy=self.policy,
        )
        self._settled_state = (self.protocol.state, self.protocol.generation)

    def disturb_clocks(self) -> None:
        """Somebody sets the wall clock, or the machine is suspended for a while."""
        far = 3 * self.settings.permission_lifetime + 7200
        if self.rng_now.random() < 0.5:
            self.clocks.wall_offset += self.rng_now.uniform(-far, far)
            self.note("somebody sets the wall clock")
        else:
            asleep = self.rng_now.uniform(0, 2 * self.settings.permission_lifetime)
            self.clocks.true += asleep
            self.clocks.suspended += asleep
            self.note(f"suspended for {asleep:.1f} s")

    def burst(self) -> None:
        """Many callers ask at once."""
        for _ in range(self.rng_now.randrange(2, self.settings.burst + 1)):
            self.get_token()

    def keep_alive(self) -> None:
        """A program that refreshes while idle: it asks when the core says that a refresh is due."""
        wait = self.protocol.seconds_until_due(self.clocks.client())
        if wait is not None:
            self.note(f"keep-alive: due in {wait:.1f} s")
            self.later(wait, self.get_token)

    def leave(self) -> None:
        """A caller does not want to wait any longer; its call goes on."""
        if self.callers:
            caller = self.rng_now.choice(self.callers)
            self.callers.remove(caller)
            self.history.note(CALLERS, f"{caller.name}: leaves", CLIENT)
            self.left.append(caller)
            self.stop_waiting(caller)
            if caller.call.settled:
                self.oracle.fail(4, "a caller's leaving has settled the call for the others")

    def stop_waiting(self, caller: Caller) -> None:
        """What a driver does about a caller that leaves: nothing, the call belongs to the others as well."""

    def leave_all(self) -> None:
        """All callers leave."""
        while self.callers:
            self.leave()

    def restart_server(self) -> None:
        """The server is away for a while; it may come back without what it remembered for its grace window."""
        away = self.rng_now.uniform(0, self.settings.permission_lifetime)
        self.server_down_until = max(self.server_down_until, self.clocks.true + away)
        forgets = self.rng_now.random() < 0.5
        self.history.note(SERVER, f"restarts, away for {away:.1f} s{', forgets its grace window' * forgets}")
        if forgets:
            self.oracle.grace_lost_at = self.clocks.server()
            for family in self.service._families.select(None):
                family._rotations.clear()

    def disturb_server_clock(self) -> None:
        """Somebody sets the server's clock."""
        jump = self.rng_now.uniform(-1, 1) * self.settings.permission_lifetime
        self.clocks.server_offset += jump
        self.history.note(SERVER, f"its clock is set by {jump:+.1f} s")

    def _wait(self, name: str, call: Call, wants_token: bool = False) -> None:
        who = f"{name} {next(self.names)}"
        now = self.clocks.client()
        ahead = len(self.protocol._calls)
        before = (self.protocol.state, self.protocol.generation)
        self.history.note(CALLERS, who, CLIENT)
        self.callers.append(Caller(who, call, now, wants_token, ahead, before))
        self.pump()

    # The driver

    def pump(self) -> None:
        """Do what the core asks, as a driver does."""
        step = self.protocol.next_step(self.clocks.client())
        self._look_around()
        if isinstance(step, Sleep):
            # Rounding may wake us a breath too early; the core then asks for the rest.
            self.later(max(step.seconds, 1e-6), self.pump)
        elif isinstance(step, SendRequest):
            self.send(step)

    def send(self, step: SendRequest) -> None:
        """Hand a request to the network."""
        self.oracle.sent(step.request, self.protocol.newest_token())
        self.oracle.shown_to_people(f"{step.request!r} {step!r} {step.request.url}")
        rng = chance(self.plan.seed, REQUEST, self.requests)
        fate = draw_fate(rng, self.settings.trouble, step.timeout)
        if self.requests in self.plan.calm:
            fate = answered(rng, step.timeout)
        self.requests += 1
        self.fates[fate.name] += 1
        self.history.note(CLIENT, self._describe(step.request), NETWORK)
        if fate.name != "answered":
            self.history.note(NETWORK, f"x {fate.name}")
        answers: list[Response] = []
        sent_at = self.clocks.true
        for arrival in fate.arrivals:
            self.at(sent_at + arrival, lambda: answers.append(self.arrive(step.request)))
        self.later(fate.told_after, lambda: self.report(fate, answers))

    def _describe(self, request: Request) -> str:
        request_id = dict(request.headers)["request-id"]
        token = json.loads(request.body).get("permissionRefreshToken")
        what = "establish" if token is None else f"refresh {self.history.name(token)}"
        return f"{what} (id {request_id[:4]}…)"

    def arrive(self, request: Request) -> Response:
        """The server gets a request; clients may be long gone."""
        self.history.note(NETWORK, self._describe(request), SERVER)
        if self.clocks.true < self.server_down_until:
            self.history.note(NETWORK, "x the server is away: 503")
            return Response(503, (), b"away")
        response = self.service.handle(self.disguise.undo(request), self.clocks.server())
        response = self.disguise.put_on(response)
        outcome = self.service.journal[-1].outcome
        data = json.loads(response.body).get("data", {}) if response.status == 200 else {}
        if "permissionToken" in data:
            self.history.name_pair(
                data["permissionToken"]["permissionToken"],
                data["permissionRefreshToken"]["permissionRefreshToken"],
            )
        self.oracle.acted(request, response, outcome, self.settings.grace)
        self.history.note(SERVER, f"{response.status} {outcome}{self._pair_in(response)}", NETWORK)
        return response

    def _pair_in(self, told: Response | SendFailure) -> str:
        try:
            assert isinstance(told, Response)
            token = json.loads(told.body)["data"]["permissionToken"]["permissionToken"]
        except (AssertionError, ValueError, LookupError, TypeError):
            return ""
        return f": {self.history.name(token)}"

    def report(self, fate: Fate, answers: list[Response]) -> None:
        """Tell the core what came of its request."""
        told = fate.tell(answers[0] if answers else None)
        is_clear = fate.is_clear and isinstance(told, Response)
        self.oracle.reported(told, is_clear)
        text = told.reason if isinstance(told, SendFailure) else f"{told.status}{self._pair_in(told)}"
        self.history.note(NETWORK, text, CLIENT)
        self.deliver(told)
        self._look_around()
        pair = self.protocol.held.pair
        self.oracle.consumed(None if pair is None else pair.grant.permission_token)
        self.pump()

    def deliver(self, told: Response | SendFailure) -> None:
        """Hand the core what came, whether or not anybody still waits for it."""
        if isinstance(told, SendFailure):
            self.protocol.receive_failure(told, self.clocks.client())
        else:
            self.protocol.receive_response(told, self.clocks.client())

    def _look_around(self) -> None:
        """Deliver events, save the session, and let the callers go whose calls have settled."""
        for event in self.protocol.take_events():
            self.note(f"* {event}")
            self.oracle.happened(event)
            if isinstance(event, SessionExpired) and "lifetime" in event.reason:
                self.oracle.expired_unasked(self.protocol.newest_token())
        self.saved = self.protocol.snapshot()
        now = self.clocks.client()
        for caller in [caller for caller in self.callers if caller.call.settled]:
            self.callers.remove(caller)
            outcome = "done" if caller.call.error is None else type(caller.call.error).__name__
            self.history.note(CLIENT, f"{caller.name}: {outcome}", CALLERS)
            before = self._settled_state if caller.call.kind == ESTABLISH else caller.before
            self.oracle.settled(caller.call, self.protocol, before)
            bound = (caller.ahead + 1) * (self.policy.deadline + 1)
            self.oracle.overdue(caller.name, now.monotonic - caller.asked_at.monotonic, bound)
            if caller.wants_token and caller.call.error is None:
                self.oracle.handed_out(self.protocol.newest_token(), caller.asked_at)
        self._settled_state = (self.protocol.state, self.protocol.generation)

    @property
    def is_over(self) -> bool:
        """Whether the session has ended."""
        return self.protocol.state == EXPIRED
