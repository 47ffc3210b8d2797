# One simulated life of a session: callers, a driver, a network, clocks and a server, in virtual time, from one seed.
#
# The core is the real one, the server is the emulator's pure service, and everything between them is here. Nothing
# waits: the next thing that happens is the earliest in a heap. This file holds the stage and the operations; client.py
# and far_end.py are the two that talk.

import heapq
from collections import Counter
from collections.abc import Callable
from functools import partial
from itertools import count

from .client import Client
from .clocks import Clocks
from .far_end import PASSWORD, USER, FarEnd
from .history import CLIENT, History
from .ledger import Ledger
from .plan import OPERATION, SERVICE, Operation, Plan, chance
from .secrets import Secrets

__all__ = ["World"]

WRONG_PROOF = "nonsense-that-proves-nothing"  # neither password nor token of anybody
TOO_MANY = 100_000  # things that happen in one life: then it runs in circles


class World:
    """A life of one session; `run()` lives it and raises `InvariantBroken` if a rule does not hold.

    Attributes:
        seen: what has happened how often, by group and name.
        happenings: how many things have happened.
    """

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.seen: Counter[tuple[str, str]] = Counter()
        self.clocks = Clocks(plan.settings.server_offset)
        self.history = History(self.clocks)
        self.ledger = Ledger(self.clocks, plan.settings.answers)
        self.far_end = FarEnd(plan.settings, chance(plan.seed, SERVICE), self.clocks, self.history, self.seen)
        service = self.far_end.service
        self.security_tokens = [service.security_token(USER, "credentials", self.clocks.server())]
        self.secrets = Secrets([PASSWORD, WRONG_PROOF, service.merchant_key, *self.security_tokens])
        self.client = Client(self)
        self.far_end.watch = self.client.wire
        self.happenings = 0
        self.crash_after = plan.crash_after
        self.off_for = 0.0  # seconds that the client's machine is off then, if it is started again
        self._agenda: list[tuple[float, int, Callable[[], None]]] = []
        self._order = count()

    # Time

    def run(self) -> None:
        """Live until nothing is left to happen."""
        for operation in self.plan.operations:
            self.at(operation.at, partial(self._operate, operation))
        while self._agenda:
            when, _, happen = heapq.heappop(self._agenda)
            if when > self.clocks.true:
                self.clocks.true = when
            happen()
            self.happenings += 1
            if self.happenings == self.crash_after:
                self.client.crash(self.off_for)
            if self.happenings > TOO_MANY:
                self.ledger.fail("7", "the client runs in circles")
        self.client.watch.at_rest(self.client.protocol, self.client.waiting)

    def at(self, when: float, happen: Callable[[], None]) -> None:
        """Let something happen at true time `when`."""
        heapq.heappush(self._agenda, (when, next(self._order), happen))

    def note(self, text: str) -> None:
        """Write down something that concerns the client alone."""
        self.history.note(CLIENT, text)

    def _operate(self, operation: Operation) -> None:
        self.rng = chance(self.plan.seed, OPERATION, operation.index)
        self.size = operation.size
        self.seen["operations", operation.name.replace("_", " ")] += 1
        getattr(self, operation.name)()

    # What callers do

    def get_token(self) -> None:
        """A caller asks for a token."""
        self.client.get_token()

    def burst(self) -> None:
        """Many callers ask at once."""
        self.seen["callers", "asked in bursts"] += self.size
        for _ in range(self.size):
            self.client.get_token()

    def get_token_in_a_hurry(self) -> None:
        """A caller asks for a token, and has little time."""
        patience = self.rng.choice([0.0, self.rng.uniform(0, 1), self.rng.uniform(0, 30)])
        caller = self.client.get_token()
        if caller is not None:
            self.client.later(patience, lambda: self.client.leave(caller))

    def refresh(self) -> None:
        """A caller refreshes by hand."""
        self.ledger.has_reason = True
        self.client.wait("refresh", self.client.protocol.refresh(), by_hand=True)

    def invalidate(self) -> None:
        """A resource server refused a token: the newest, or some older one."""
        protocol = self.client.protocol
        token = self.rng.choice([*self.ledger.issued, protocol.newest_token() or "none"])
        is_current = token == protocol.newest_token()
        changed = protocol.invalidate(token)
        self.ledger.is_invalidated |= is_current
        self.ledger.has_reason |= is_current
        self.note(f"{self.history.name(token)} was refused somewhere: invalidate it")
        if changed and not is_current:
            self.ledger.fail("5", "invalidating a token that has been replaced has an effect")

    def establish(self) -> None:
        """Somebody establishes the session, or establishes it anew."""
        proof = self.rng.choice(self.security_tokens)
        self.client.wait("establish", self.client.protocol.establish([proof]))

    def establish_badly(self) -> None:
        """Somebody tries to establish it with a security token that is none."""
        self.client.wait("establish badly", self.client.protocol.establish([WRONG_PROOF]))

    def establish_by_key(self) -> None:
        """A merchant establishes it."""
        key = self.far_end.service.merchant_key
        self.client.wait("establish by key", self.client.protocol.establish_by_key(key))

    def verify(self) -> None:
        """Somebody proves to know the password."""
        self.client.wait("verify", self.client.protocol.verify_credentials(USER, PASSWORD))

    def verify_badly(self) -> None:
        """Somebody does not know the password."""
        self.client.wait("verify badly", self.client.protocol.verify_credentials(USER, WRONG_PROOF))

    def keep_alive(self) -> None:
        """A program that refreshes while idle, some times over: it asks when the core says that a refresh is due."""
        self._keep_alive(self.size)

    def _keep_alive(self, times: int) -> None:
        wait = self.client.protocol.seconds_until_due(self.clocks.process())
        if wait is None or times == 0:
            return
        self.note(f"keep-alive: due in {wait:.1f} s")

        def ask() -> None:
            self.client.get_token()
            self.client.later(0.0, lambda: self._keep_alive(times - 1))

        self.client.later(wait, ask)

    def leave(self) -> None:
        """A caller does not want to wait any longer."""
        if self.client.patient():
            self.client.leave(self.rng.choice(self.client.patient()))

    def leave_all(self) -> None:
        """All callers leave."""
        for caller in self.client.patient():
            self.client.leave(caller)

    # What befalls the machines

    def crash(self) -> None:
        """The process crashes, alone or with its machine, now or some moments later, whatever is under way then."""
        self.crash_after = self.happenings + self.rng.randrange(1, 8)
        if self.plan.settings.restarts:
            self.off_for = self.rng.choice([0.0, self.rng.uniform(0, 2 * self.plan.settings.permission_lifetime)])

    def loop_dies(self) -> None:
        """The driver's event loop ends, and a new one begins with the same session."""
        self.client.loop_dies()

    def set_wall_clock(self) -> None:
        """Somebody sets the client's wall clock."""
        far = 3 * self.plan.settings.permission_lifetime + 7200
        jump = self.rng.uniform(-far, far)
        self.clocks.wall_offset += jump
        self._clock_jumped(f"wall, {'ahead' if jump > 0 else 'back'}", f"the wall clock is set by {jump:+.0f} s")

    def suspend(self) -> None:
        """The client's machine sleeps: its monotonic clock stands still."""
        asleep = self.rng.uniform(0, 2 * self.plan.settings.permission_lifetime)
        self.clocks.true += asleep
        self.clocks.suspended += asleep
        self._clock_jumped("monotonic, stands still (suspend)", f"wakes after a suspend of {asleep:.1f} s")

    def monotonic_jump(self) -> None:
        """The client's monotonic clock jumps ahead."""
        jump = self.rng.uniform(0, 2 * self.plan.settings.permission_lifetime)
        self.clocks.ahead += jump
        self._clock_jumped("monotonic, ahead", f"the monotonic clock jumps {jump:.1f} s ahead")

    def _clock_jumped(self, which: str, text: str) -> None:
        self.seen["clock jumps", which] += 1
        self.ledger.note_jump()
        self.note(text)

    def restart_server(self) -> None:
        """The server is away for a while; it may come back without what it remembered for its grace window."""
        forgets = self.rng.random() < 0.5
        self.far_end.restart(self.rng.uniform(0, self.plan.settings.permission_lifetime), forgets)
        if forgets:
            self.client.wire.grace_lost_at = self.clocks.server()

    def set_server_clock(self) -> None:
        """Somebody sets the server's clock."""
        self.far_end.set_clock(self.rng.uniform(-1, 1) * self.plan.settings.permission_lifetime)
