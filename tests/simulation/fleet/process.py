# One process of a fleet: a real protocol, its callers, and a driver that does one primitive at a time.
#
# Between two primitives anything may happen: the process is killed or stopped, its machine suspended or cut off. The
# driver is a generator; each `yield` is such a point, and says for how many seconds nothing happens by itself.

from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from tenure import (
    ESTABLISH,
    AuthorizationProtocol,
    Call,
    Instant,
    Response,
    SendFailure,
    SendRequest,
    SessionExpired,
    Sleep,
)

from ..plan import PROTOCOL, chance
from .machines import Machine
from .plan import DRIVER

if TYPE_CHECKING:
    from .world import FleetWorld

__all__ = ["TOKEN_ID", "URL", "Caller", "Process"]

URL = "https://service.example/authorization/v1"
TOKEN_ID = "0b9f3c52-6f0e-4a57-9a53-0d2f3f6f1c11"


@dataclass
class Caller:
    """Somebody in a process who waits for a call."""

    name: str
    call: Call
    asked_at: Instant
    running_at: float  # for how long the process had run when it asked
    wants_token: bool
    ahead: int  # calls that were waiting before this one
    before: tuple[str, int]  # state and generation when it asked


class Process:
    """A place in the fleet where processes live, one after the other."""

    def __init__(self, world: "FleetWorld", index: int, machine: Machine) -> None:
        self.world = world
        self.index = index
        self.machine = machine
        self.rng = chance(world.plan.seed, DRIVER, index)
        self.life = 0  # counts the processes that have lived here
        self.start()

    def start(self) -> None:
        """A new process begins; it knows nothing but its configuration."""
        self.life += 1
        self.is_alive = True
        self.is_ending = False
        self.stopped_until = 0.0  # true time
        self.stopped_for = 0.0  # seconds, in all
        self.callers: list[Caller] = []
        self.left: list[Caller] = []  # who has stopped waiting
        self.step_at = 0.0  # true time at which the core made the step that is under way
        self.points = 0  # that the driver has passed
        self.faults: dict[int, Callable[[], None]] = {}  # by the point at which they strike
        self.pump: Iterator[float] | None = None
        source = chance(self.world.plan.seed, PROTOCOL, 1000 * self.index + self.life)
        self.protocol = AuthorizationProtocol(
            URL, TOKEN_ID, ["read"], random_bytes=source.randbytes, policy=self.world.policy, stored=True
        )
        self._settled_state = (self.protocol.state, self.protocol.generation)

    # Life and death

    @property
    def who(self) -> tuple[int, int]:
        """Which process it is: another one after each start."""
        return self.index, self.life

    @property
    def is_stopped(self) -> bool:
        """Whether it is stopped, or its machine is suspended."""
        return self.world.time.now < self.stopped_until

    @property
    def ran_for(self) -> float:
        """True seconds from the beginning that it was not stopped."""
        return self.world.time.now - self.stopped_for

    def stop(self, seconds: float) -> None:
        """Let it do nothing for so long, whoever stops it."""
        now = self.world.time.now
        began = max(now, self.stopped_until)
        self.stopped_until = max(self.stopped_until, now + seconds)
        self.stopped_for += self.stopped_until - began

    def kill(self) -> None:
        """Let it be no more. What it has handed to the network goes on."""
        self.is_alive = False
        self.pump = None
        self.callers, self.left = [], []
        self.world.store.drop(self.who)
        self.world.oracle.died(self)

    def end(self) -> None:
        """Let it end by itself, as a program does that closes its session: it begins nothing more."""
        self.is_ending = True
        self.protocol.wind_up()
        self.look_around()
        if self.pump is None:
            self.kill()

    # Callers

    def wait_for(self, name: str, call: Call, wants_token: bool = False) -> None:
        """Let somebody wait for `call`."""
        who = f"{name} {next(self.world.names)}"
        self.world.note(self.index, who)
        before = (self.protocol.state, self.protocol.generation)
        ahead = len(self.protocol._calls)
        now = self.machine.client()
        self.callers.append(Caller(who, call, now, self.ran_for, wants_token, ahead, before))
        self.look_around()
        if self.pump is None and self.protocol.held.busy:
            self.pump = self._pump()
            self._advance_in(0.0)

    def look_around(self) -> None:
        """Deliver events, and let the callers go whose calls have settled."""
        oracle = self.world.oracle
        for event in self.protocol.take_events():
            self.world.note(self.index, f"* {str(event).partition(TOKEN_ID + ': ')[2]}")
            oracle.happened(self, event)
            if isinstance(event, SessionExpired) and "lifetime" in event.reason:
                oracle.expired_unasked(self.protocol.newest_token())
        oracle.held(self)
        for caller in [caller for caller in self.callers if caller.call.settled]:
            self.callers.remove(caller)
            outcome = "done" if caller.call.error is None else type(caller.call.error).__name__
            self.world.note(self.index, f"{caller.name}: {outcome}")
            before = self._settled_state if caller.call.kind == ESTABLISH else caller.before
            oracle.settled(self, caller.call, before)
            oracle.overdue(caller.name, self.ran_for - caller.running_at, caller.ahead)
            if caller.wants_token and caller.call.error is None:
                oracle.handed_out(self, self.protocol.newest_token(), caller.asked_at)
        if not self.protocol.held.busy:
            self._settled_state = (self.protocol.state, self.protocol.generation)

    # The driver

    def _advance_in(self, seconds: float) -> None:
        self.world.at(self.world.time.now + seconds, partial(self._advance, self.life))

    def _advance(self, life: int) -> None:
        """Go on to the next point, unless the process is gone or stopped."""
        if self._lies_still(life):
            return
        self.points += 1
        self.faults.pop(self.points, lambda: None)()
        if self._lies_still(life):
            return
        assert self.pump is not None
        wait = next(self.pump, None)
        if wait is not None:
            self._advance_in(wait)
        else:
            self.pump = None
            self.world.oracle.exchange_over(self)
            if self.is_ending:
                self.world.oracle.ended(self)
                self.kill()

    def _lies_still(self, life: int) -> bool:
        """Return True if the process is gone, or stopped; then it goes on later."""
        if life != self.life or not self.is_alive:
            return True
        if self.is_stopped:
            self.world.at(self.stopped_until, partial(self._advance, life))
        return self.is_stopped

    def _moment(self) -> float:
        """The time between two primitives: short, but sometimes the process has to wait for its turn."""
        return self.rng.choice([0.0001, 0.0001, 0.001, self.rng.uniform(0, 0.05)])

    def _pump(self) -> Iterator[float]:
        """Do what the core asks, until it asks for nothing."""
        self.step_at = self.world.time.now
        while True:
            step = self.protocol.next_step(self.machine.client())
            self.look_around()
            if step is None:
                return
            if isinstance(step, Sleep):
                yield from self._sleep(step.seconds)
                self.step_at = self.world.time.now
                continue
            yield self._moment()
            report = yield from (self._send(step) if isinstance(step, SendRequest) else self._ask_store(step))
            yield self._moment()
            self.world.oracle.shown_to_people(f"{step!r} {report!r}")
            self._tell(step, report)
            self.look_around()
            yield self._moment()

    def _sleep(self, seconds: float) -> Iterator[float]:
        until = self.machine.client().monotonic + seconds
        while (left := until - self.machine.client().monotonic) > 0:
            yield max(left, 1e-6)

    def _send(self, step: SendRequest) -> Generator[float, None, Any]:
        """Send a request: a last look at the lease, the first byte, and the answer."""
        world = self.world
        world.oracle.shown_to_people(repr(step.request))
        try:
            seconds = step.seconds_left(self.machine.client())
        except SendFailure as too_late:
            world.note(self.index, f"x {too_late.reason}")
            return too_late
        looked_at, stopped_for = world.time.now, self.stopped_for
        yield 0.0001  # the window that no driver can close
        lied_to = self.machine.is_lied_to(world.oracle.leased_at.get(self.who, 0.0))
        is_excused = lied_to or self.stopped_for != stopped_for
        journey = world.send(self, step.request, seconds, looked_at, is_excused)
        yield from self._travel(journey.milestones)
        return journey.report()

    def _ask_store(self, step: Any) -> Generator[float, None, Any]:
        journey = self.world.ask_store(self, step)
        yield from self._travel(journey.milestones)
        return journey.report()

    def _travel(self, milestones: list[float]) -> Iterator[float]:
        """Wait until each of these true times has passed: something has become of what was sent."""
        yield 0.0
        for milestone in milestones:
            yield max(0.0, milestone - self.world.time.now)

    def _tell(self, step: Any, report: Any) -> None:
        """Report to the core."""
        now = self.machine.client()
        self.step_at = self.world.time.now  # the next step is made now, whenever the driver asks for it
        if isinstance(report, SendFailure):
            self.protocol.receive_failure(report, now)
        elif isinstance(report, Response):
            self.protocol.receive_response(report, now)
        elif "state" in step.reports:
            self.protocol.receive_state(report, now)
        else:
            self.protocol.receive_done(now, report)
