# How every life of a fleet ends: the faults end, time passes, somebody asks. The session is there, or it was lost for a
# reason that README.md lists; then it is established anew, and everybody finds that.

from typing import TYPE_CHECKING

from tenure import AttemptError, TenureError

from ..plan import OPERATION, chance

if TYPE_CHECKING:
    from .process import Process
    from .world import FleetWorld

__all__ = ["end"]

LAST = 2**20  # number of the source of chance for the end
PATIENCE = 4  # times that somebody asks again when told to try later


def end(world: "FleetWorld") -> None:
    """End this life, and judge how it stands."""
    world.calm_down()
    _rest(world)
    rng = chance(world.plan.seed, OPERATION, LAST)
    world.time.now += rng.choice([0.0, 20.0, 1.2 * world.settings.permission_lifetime])
    for process in world.processes:
        if not process.is_alive:
            process.start()
            world.note(process.index, "a new process starts")
    in_turn = rng.sample(world.processes, len(world.processes))
    world.note(in_turn[0].index, "-- all faults have ended; who asks now?")
    error = _ask(world, in_turn[0])
    if error is not None:
        reasons = world.verdicts.may_be_lost()
        if not reasons:
            world.oracle.fail(8, f"the session is lost for no good reason: {type(error).__name__}: {error}")
        world.losses.update(reasons)
        _establish(world, in_turn[-1])
    for process in in_turn:
        error = _ask(world, process)
        if error is not None and not world.verdicts.may_be_lost():
            world.oracle.fail(8, f"a process cannot find the session: {type(error).__name__}: {error}")
    _rest(world)


def _ask(world: "FleetWorld", process: "Process") -> TenureError | None:
    """Ask for a token, patiently; return None if it works, else the error."""
    error: TenureError | None = None
    for _ in range(PATIENCE):
        now = process.machine.client()
        token = process.protocol.fresh_token(now)
        if token is None:
            call = process.protocol.request_token(now)
            process.wait_for("get_token", call, wants_token=True)
            world.run_out()
            if call.error is not None:
                error = call.error
                if not isinstance(error, AttemptError):
                    return error
                world.time.now += (error.retry_after or 0.0) + 1
                continue
            token = process.protocol.newest_token()
        if token is not None and world.is_accepted(token):
            return None
        if token is not None and process.protocol.invalidate(token):
            world.oracle.invalidated.add(token)
    return error or AttemptError("the token is refused by resource servers", retry_after=0)


def _establish(world: "FleetWorld", process: "Process") -> None:
    call = process.protocol.establish([world.security_token])
    process.wait_for("establish", call)
    world.run_out()
    if call.error is not None:
        world.oracle.fail(6, f"the session cannot be established anew: {call.error}")


def _rest(world: "FleetWorld") -> None:
    world.run_out()
    for process in world.processes:
        if process.is_alive:
            world.oracle.at_rest(process)
