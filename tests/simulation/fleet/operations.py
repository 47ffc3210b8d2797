# What may befall a fleet: what callers ask of its processes, and what goes wrong around them.

from collections.abc import Callable
from functools import partial
from random import Random
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .process import Process
    from .world import FleetWorld

__all__ = ["OPERATIONS", "happen"]

LEASE = 15.0  # seconds that a lease lasts with the policy of the simulation
POINTS = 24  # of an exchange, about


def happen(name: str, process: "Process", rng: Random) -> None:
    """Let the operation `name` happen to `process`, or where it is."""
    OPERATIONS[name](process.world, process, rng)


# What callers ask

Operation = Callable[["FleetWorld", "Process", Random], None]


def of_callers(ask: Operation) -> Operation:
    """Callers live in a process: they ask nothing while it does not run."""

    def asked(world: "FleetWorld", process: "Process", rng: Random) -> None:
        if process.is_alive and not process.is_stopped and not process.is_ending:
            ask(world, process, rng)

    return asked


@of_callers
def get_token(world: "FleetWorld", process: "Process", rng: Random) -> None:
    now = process.machine.client()
    token = process.protocol.fresh_token(now)
    if token is not None:
        world.oracle.handed_out(process, token, now)
    else:
        process.wait_for("get_token", process.protocol.request_token(now), wants_token=True)


def rush(world: "FleetWorld", process: "Process", rng: Random) -> None:
    """Callers in all processes ask at once, or nearly so."""
    for each in world.processes:
        for _ in range(rng.randrange(1, 4)):
            delay = rng.choice([0.0, rng.uniform(0, 0.05)])
            world.at(world.time.now + delay, partial(get_token, world, each, rng))


def burst(world: "FleetWorld", process: "Process", rng: Random) -> None:
    for _ in range(rng.randrange(2, 20)):
        get_token(world, process, rng)


@of_callers
def keep_alive(world: "FleetWorld", process: "Process", rng: Random) -> None:
    """A program that refreshes while idle: it asks when the core says that a refresh is due."""
    wait = process.protocol.seconds_until_due(process.machine.client())
    if wait is not None:
        world.note(process.index, f"keep-alive: due in {wait:.1f} s")
        world.at(world.time.now + wait, partial(get_token, world, process, rng))


@of_callers
def refresh(world: "FleetWorld", process: "Process", rng: Random) -> None:
    process.wait_for("refresh", process.protocol.refresh())


@of_callers
def invalidate(world: "FleetWorld", process: "Process", rng: Random) -> None:
    """A resource server refused a token: the newest of this process, or any."""
    newest = process.protocol.newest_token() or "none"
    token = rng.choice([newest, newest, *world.oracle.issued])
    if process.protocol.invalidate(token):
        world.oracle.invalidated.add(token)
        world.note(process.index, f"invalidate {world.history.name(token)}")


@of_callers
def establish(world: "FleetWorld", process: "Process", rng: Random) -> None:
    process.wait_for("establish", process.protocol.establish([world.security_token]))


@of_callers
def establish_badly(world: "FleetWorld", process: "Process", rng: Random) -> None:
    process.wait_for("establish badly", process.protocol.establish(["not-a-security-token"]))


@of_callers
def leave(world: "FleetWorld", process: "Process", rng: Random) -> None:
    """Some callers, or all, do not want to wait any longer; their calls go on."""
    for caller in process.callers[: rng.randrange(1, 9)]:
        process.callers.remove(caller)
        process.left.append(caller)
        world.note(process.index, f"{caller.name}: leaves")


# What befalls processes and machines


def kill(world: "FleetWorld", process: "Process", rng: Random) -> None:
    if process.is_alive:
        world.note(process.index, "KILLED")
        process.kill()


@of_callers
def end(world: "FleetWorld", process: "Process", rng: Random) -> None:
    """It closes its session and ends."""
    world.note(process.index, "ends")
    process.end()


def start(world: "FleetWorld", process: "Process", rng: Random) -> None:
    """A process that has died is started anew: this one, or else any."""
    for each in [process, *world.processes]:
        if not each.is_alive and not each.machine.is_asleep:
            each.start()
            world.note(each.index, "a new process starts")
            return


def pause(world: "FleetWorld", process: "Process", rng: Random) -> None:
    """SIGSTOP, and SIGCONT later: in a moment, or when its lease is over, or the token is."""
    if process.is_alive:
        seconds = rng.choice([rng.uniform(0, 3), rng.uniform(0, 3 * LEASE), world.settings.permission_lifetime])
        world.note(process.index, f"STOPPED for {seconds:.1f} s")
        process.stop(seconds)


def suspend(world: "FleetWorld", process: "Process", rng: Random) -> None:
    """The machine is suspended: nothing runs on it, and its monotonic clock stands still."""
    seconds = rng.choice([rng.uniform(0, 3 * LEASE), rng.uniform(0, 2 * world.settings.permission_lifetime)])
    world.note(process.index, f"its machine is SUSPENDED for {seconds:.1f} s")
    process.machine.suspend(seconds)
    for each in world.processes:
        if each.machine is process.machine:
            each.stop(seconds)


def set_wall_clock(world: "FleetWorld", process: "Process", rng: Random) -> None:
    far = 3 * world.settings.permission_lifetime + 7200
    process.machine.set_wall(rng.uniform(-far, far))
    world.note(process.index, "somebody sets the wall clock")


def cut_off(world: "FleetWorld", process: "Process", rng: Random) -> None:
    """The machine cannot reach the store for a while."""
    seconds = rng.choice([rng.uniform(0, 3), rng.uniform(0, 2 * LEASE), world.settings.permission_lifetime * 1.5])
    world.note(process.index, f"its machine is CUT OFF from the store for {seconds:.1f} s")
    process.machine.cut_until = max(process.machine.cut_until, world.time.now + seconds)


def at_a_point(strike: Operation) -> Operation:
    """Let it happen at one of the next points that the process passes."""

    def later(world: "FleetWorld", process: "Process", rng: Random) -> None:
        if process.is_alive:
            point = process.points + rng.randrange(1, POINTS)
            process.faults[point] = partial(strike, world, process, rng)

    return later


# What befalls the store and the server


def store_away(world: "FleetWorld", process: "Process", rng: Random) -> None:
    seconds = rng.choice([rng.uniform(0, 3), rng.uniform(0, 2 * LEASE), world.settings.permission_lifetime * 1.5])
    world.note(world.history.store, f"AWAY for {seconds:.1f} s")
    world.store.away_until = max(world.store.away_until, world.time.now + seconds)


def store_emptied(world: "FleetWorld", process: "Process", rng: Random) -> None:
    world.note(world.history.store, "EMPTIED")
    world.store.empty()
    world.verdicts.lost_trust()


def store_rolled_back(world: "FleetWorld", process: "Process", rng: Random) -> None:
    writes = rng.randrange(1, 4)
    world.note(world.history.store, f"A REPLICA is promoted, {writes} writes behind")
    world.store.roll_back(writes)
    world.verdicts.lost_trust()


def store_damaged(world: "FleetWorld", process: "Process", rng: Random) -> None:
    if world.store.record.state is not None:
        world.note(world.history.store, "DAMAGED")
        world.store.damage(is_garbage=rng.random() < 0.5)
        world.verdicts.damaged()


def server_away(world: "FleetWorld", process: "Process", rng: Random) -> None:
    seconds = rng.uniform(0, world.settings.permission_lifetime)
    world.note(world.history.server, f"away for {seconds:.1f} s")
    world.server_away_until = max(world.server_away_until, world.time.now + seconds)


OPERATIONS: dict[str, Operation] = {
    "get_token": get_token,
    "rush": rush,
    "burst": burst,
    "keep_alive": keep_alive,
    "refresh": refresh,
    "invalidate": invalidate,
    "establish": establish,
    "establish_badly": establish_badly,
    "leave": leave,
    "kill": kill,
    "kill_at_a_point": at_a_point(kill),
    "end": end,
    "end_at_a_point": at_a_point(end),
    "start": start,
    "pause": pause,
    "pause_at_a_point": at_a_point(pause),
    "suspend": suspend,
    "suspend_at_a_point": at_a_point(suspend),
    "set_wall_clock": set_wall_clock,
    "cut_off": cut_off,
    "cut_off_at_a_point": at_a_point(cut_off),
    "store_away": store_away,
    "store_emptied": store_emptied,
    "store_rolled_back": store_rolled_back,
    "store_damaged": store_damaged,
    "server_away": server_away,
}
