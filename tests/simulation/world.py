# One simulated life of a session: callers, a driver, a network, clocks and a server, in virtual time, from one seed.
#
# The core is the real one, the server is the emulator's pure service, and everything between them is here. Nothing
# waits: the next thing that happens is the earliest in a heap.

import heapq
import json
from collections.abc import Callable
from dataclasses import dataclass
from itertools import count
from random import Random

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
from .network import Fate, draw_fate
from .oracle import Oracle

__all__ = ["Settings", "World"]

URL = "https://service.example/authorization/v1"
TOKEN_ID = "0b9f3c52-6f0e-4a57-9a53-0d2f3f6f1c11"
PASSWORD = "correct-horse-battery"  # of an account that exists in this file only


@dataclass(frozen=True)
class Settings:
    """What kind of world it is."""

    permission_lifetime: int
    refresh_lifetime: int
    grace: int
    trouble: float  # probability that a request goes wrong
    clock_trouble: bool
    crashes: bool
    server_offset: float
    operations: int

    @classmethod
    def draw(cls, rng: Random) -> "Settings":
        """Return settings by chance, with the calm and the extreme ones among them."""
        lifetime = rng.choice([2, 5, 60, 900])
        return cls(
            permission_lifetime=lifetime,
            refresh_lifetime=lifetime * rng.choice([2, 10, 3000]),
            grace=rng.choice([0, 0, 5, 60, 100_000]),
            trouble=rng.choice([0.0, 0.1, 0.3, 0.7]),
            clock_trouble=rng.random() < 0.4,
            crashes=rng.random() < 0.3,
            server_offset=rng.choice([0.0, 0.0, 7200.0, -7200.0, 86400.0 * 400]),
            operations=rng.randrange(10, 80),
        )


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

    def __init__(self, seed: int, settings: Settings | None = None) -> None:
        self.rng = Random(seed)
        self.settings = settings or Settings.draw(self.rng)
        self.clocks = Clocks(self.settings.server_offset)
        self.history: list[str] = [f"{self.settings}"]
        self.service = AuthorizationService(
            {"ada": PASSWORD},
            permission_lifetime=self.settings.permission_lifetime,
            refresh_lifetime=self.settings.refresh_lifetime,
            security_lifetime=10**9,
            grace=self.settings.grace,
            random=Random(seed + 1),
        )
        self.oracle = Oracle(self.clocks, [PASSWORD], self.settings.clock_trouble)
        self.policy = Policy()
        self.protocol = self._new_protocol()
        self.process = 1  # counts the crashes; what belongs to an earlier process reaches nobody
        self.saved = self.protocol.snapshot()
        self.callers: list[Caller] = []
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
        self._plan()
        while self._agenda:
            when, _, happen = heapq.heappop(self._agenda)
            self.clocks.true = max(self.clocks.true, when)
            happen()
        self.oracle.rest(self.protocol, [(caller.call, caller.name) for caller in self.callers])

    def at(self, when: float, happen: Callable[[], None]) -> None:
        """Let something happen at true time `when`."""
        heapq.heappush(self._agenda, (when, next(self._order), happen))

    def later(self, seconds: float, happen: Callable[[], None]) -> None:
        """Let something happen `seconds` from now, unless the process crashes before."""
        process = self.process
        self.at(self.clocks.true + seconds, lambda: happen() if self.process == process else None)

    def note(self, text: str) -> None:
        """Write a line into the history."""
        now = self.clocks.client()
        self.history.append(f"{self.clocks.true:12.3f}  mono {now.monotonic:10.3f} wall {now.wall}  {text}")

    def _plan(self) -> None:
        """Decide which operations begin when: bursts around the token's expiry, and times of quiet."""
        self.at(0.0, self.establish)
        when = 0.0
        for _ in range(self.settings.operations):
            when += self.rng.choice([0.0, 0.0, 0.01, 1.0, self.rng.uniform(0, 1.3 * self.settings.permission_lifetime)])
            self.at(when, self._draw_operation())

    def _draw_operation(self) -> Callable[[], None]:
        draw = self.rng.random()
        if draw < 0.6:
            return self.get_token
        if draw < 0.7:
            return self.refresh
        if draw < 0.78:
            return self.invalidate
        if draw < 0.84:
            return self.establish
        if draw < 0.87:
            return self.establish_badly
        if draw < 0.92 and self.settings.crashes:
            return self.crash
        return self.disturb_clocks if self.settings.clock_trouble else self.get_token

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
        token = self.rng.choice([*self.oracle.issued, self.protocol.newest_token() or "none"])
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
        self.callers = []
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
        if self.rng.random() < 0.5:
            self.clocks.wall_offset += self.rng.uniform(-far, far)
            self.note("somebody sets the wall clock")
        else:
            asleep = self.rng.uniform(0, 2 * self.settings.permission_lifetime)
            self.clocks.true += asleep
            self.clocks.suspended += asleep
            self.note(f"suspended for {asleep:.1f} s")

    def _wait(self, name: str, call: Call, wants_token: bool = False) -> None:
        who = f"{name} {next(self.names)}"
        now = self.clocks.client()
        ahead = len(self.protocol._calls)
        before = (self.protocol.state, self.protocol.generation)
        self.note(f"{who}: asks")
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
        fate = draw_fate(self.rng, self.settings.trouble, step.timeout)
        self.note(f"send {step.request.url.rsplit('/', 1)[-1]}: {fate.name}")
        answers: list[Response] = []
        sent_at = self.clocks.true
        for arrival in fate.arrivals:
            self.at(sent_at + arrival, lambda: answers.append(self.arrive(step.request)))
        self.later(fate.told_after, lambda: self.report(fate, answers))

    def arrive(self, request: Request) -> Response:
        """The server gets a request; clients may be long gone."""
        response = self.service.handle(request, self.clocks.server())
        outcome = self.service.journal[-1].outcome
        self.note(f"server: {outcome}, {response.status}")
        self.oracle.acted(request, response, outcome, self.settings.grace)
        return response

    def report(self, fate: Fate, answers: list[Response]) -> None:
        """Tell the core what came of its request."""
        told = fate.tell(answers[0] if answers else None)
        is_clear = fate.is_clear and isinstance(told, Response)
        self.oracle.reported(told, is_clear)
        self.note(f"report {told!r}")
        if isinstance(told, SendFailure):
            self.protocol.receive_failure(told, self.clocks.client())
        else:
            self.protocol.receive_response(told, self.clocks.client())
        self._look_around()
        self.pump()

    def _look_around(self) -> None:
        """Deliver events, save the session, and let the callers go whose calls have settled."""
        for event in self.protocol.take_events():
            self.note(f"event: {event}")
            self.oracle.happened(event)
            if isinstance(event, SessionExpired) and "lifetime" in event.reason:
                self.oracle.expired_unasked(self.protocol.newest_token())
        self.saved = self.protocol.snapshot()
        now = self.clocks.client()
        for caller in [caller for caller in self.callers if caller.call.settled]:
            self.callers.remove(caller)
            outcome = "done" if caller.call.error is None else type(caller.call.error).__name__
            self.note(f"{caller.name}: {outcome}")
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
