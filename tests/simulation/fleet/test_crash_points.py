# Everything that can happen to a process happens at every single point of an exchange; then another process takes over.

from collections.abc import Callable
from itertools import product
from random import Random

import pytest

from . import operations
from .ending import end
from .plan import FILE, REDIS, FleetPlan, Settings
from .process import Process
from .verdicts import AMBIGUOUS, CUT_OFF, PAUSED
from .world import FleetWorld

pytestmark = pytest.mark.once

GRACE = 100_000
MANY = 200  # points; no exchange has as many unless it is waiting for somebody

Strike = Callable[[Process], None]


def kill(process: Process) -> None:
    operations.kill(process.world, process, Random(0))


def stop(process: Process) -> None:
    """SIGSTOP beyond the lease, then SIGCONT."""
    process.stop(40.0)


def suspend(process: Process) -> None:
    process.machine.suspend(40.0)
    process.stop(40.0)


def cut_off(process: Process) -> None:
    process.machine.cut_until = process.world.time.now + 40.0


def lose_the_store(process: Process) -> None:
    process.world.store.away_until = process.world.time.now + 40.0


def set_the_store_back(process: Process) -> None:
    """It is away, and its clock is an hour behind when it is back: what it holds seems younger than what it missed."""
    world, store = process.world, process.world.store
    lose_the_store(process)
    store.age_clock = lambda clock=store.age_clock: clock() - 3600.0  # type: ignore[misc]
    world.at(world.time.now + 50.0, lambda: ask(world, 0, "get_token"))


def lose_the_server(process: Process) -> None:
    process.world.server_away_until = process.world.time.now + 40.0


STRIKES = [
    *product([kill, stop, suspend, cut_off, lose_the_store, lose_the_server], [REDIS, FILE]),
    (set_the_store_back, REDIS),  # a machine's time since boot is set by nobody
]


def begin(store: str, grace: int) -> FleetWorld:
    """Return a fleet of two processes, on machines of their own if the store allows, that share a session."""
    machines = 1 if store == FILE else 2
    settings = Settings(store, 2, machines, 900, 900 * 3000, grace, 0, wall_spread=7200.0)
    world = FleetWorld(FleetPlan(0, settings, ()))
    ask(world, 0, "establish")
    world.run_out()
    ask(world, 1, "get_token")
    world.run_out()
    world.time.now += 1000.0
    return world


def ask(world: FleetWorld, index: int, name: str) -> None:
    operations.OPERATIONS[name](world, world.processes[index], Random(0))


def strike_at(point: int, world: FleetWorld, strike: Strike, name: str) -> bool:
    """Let the first process do what `name` says, strike it at a point; return False if there is no such point.

    The second process asks for a token half a second after the strike, and again a minute later.
    """
    process = world.processes[0]
    struck: list[int] = []

    def struck_now() -> None:
        struck.append(point)
        strike(process)
        for delay in (0.5, 60.0):
            world.at(world.time.now + delay, lambda: ask(world, 1, "get_token"))

    process.faults[process.points + point] = struck_now
    ask(world, 0, name)
    world.run_out()
    return bool(struck)


@pytest.mark.parametrize(("strike", "store"), STRIKES)
def test_with_a_grace_window_nothing_at_any_point_of_a_refresh_loses_the_session(store: str, strike: Strike) -> None:
    """Invariants 4 and 8; and reuse is never seen, at whichever point it happens."""
    for point in range(1, MANY):
        world = begin(store, GRACE)
        if not strike_at(point, world, strike, "get_token"):
            break
        end(world)
        assert not world.losses
        assert world.service.statistics.reuse_detected == 0
    assert 10 < point < MANY


@pytest.mark.parametrize(("strike", "store"), STRIKES)
def test_without_one_only_the_points_around_the_answer_can(store: str, strike: Strike) -> None:
    """The refresh token is spent from when the server has acted until its successor is durable."""
    lost = []
    for point in range(1, MANY):
        world = begin(store, 0)
        if not strike_at(point, world, strike, "get_token"):
            break
        has_presented = len(world.oracle.presented) > 0
        end(world)
        assert set(world.losses) <= ({AMBIGUOUS, PAUSED} if strike in (stop, suspend) else {AMBIGUOUS})
        if world.losses:
            assert has_presented
            lost.append(point)
    assert 10 < point < MANY
    assert lost == list(range(min(lost, default=0), max(lost, default=-1) + 1))
    # A server that is away keeps the token; a lock that the kernel holds outlasts the pause of its process; whoever has
    # kept a pair that the store missed, and asks first when it is back, has lost nothing.
    is_harmless = strike in (lose_the_server, set_the_store_back) or (store == FILE and strike in (stop, suspend))
    assert bool(lost) == (not is_harmless)


@pytest.mark.parametrize(("strike", "store"), STRIKES)
@pytest.mark.parametrize("grace", [0, GRACE])
def test_an_establish_can_be_struck_at_any_point(store: str, strike: Strike, grace: int) -> None:
    """It voids the session before it, which no grace window can give back; then it is established anew."""
    lost = []
    for point in range(1, MANY):
        world = begin(store, grace)
        if not strike_at(point, world, strike, "establish"):
            break
        end(world)
        assert set(world.losses) <= {AMBIGUOUS, CUT_OFF}
        if world.losses:
            lost.append(point)
    assert 10 < point < MANY
    assert lost == list(range(min(lost, default=0), max(lost, default=-1) + 1))
    assert strike is not kill or lost


@pytest.mark.parametrize(("strike", "store"), STRIKES)
def test_the_first_establish_can_be_struck_at_any_point(store: str, strike: Strike) -> None:
    """There is no session to lose: whoever is struck is asked to establish anew."""
    for point in range(1, MANY):
        settings = Settings(store, 2, 1 if store == FILE else 2, 900, 900 * 3000, 0, 0)
        world = FleetWorld(FleetPlan(0, settings, ()))
        if not strike_at(point, world, strike, "establish"):
            break
        end(world)
        assert world.service.statistics.reuse_detected == 0
    assert 10 < point < MANY
