# Invariant 4 once more, for time-outs: `asyncio.timeout`, `asyncio.wait_for`, `trio.move_on_after`, `trio.fail_after`
# expire after 0, 1, 2, … turns of the scheduler, in every operation, alone and among others. Nothing is sampled: on the
# clocks of turns.py each turn takes one tick. What cancels without a clock is test_cancellation.py's.

from typing import Any

import pytest
from tenure import Policy, TenureError

from .driver_helpers import QUICK, TOKEN_ID
from .memory_service import TURNS, MemoryService
from .turns import TICK, AsyncioTurns, Operation, TrioTurns, Turns, silence, walk

PROMPT = 4  # turns within which a caller whose time is up has left
EXCHANGE = 2 * TURNS + 6  # turns; more than one takes
ALWAYS_STALE = Policy(fresh_fraction=1e-9, jitter=0, deadline=60, attempt_timeout=30)

WAYS = [(world, way) for world in (AsyncioTurns, TrioTurns) for way in world.ways]
OPERATIONS = ("verify_credentials", "establish", "establish_by_key", "get_permission_token", "refresh")

ways = pytest.mark.parametrize(("kind", "way"), WAYS, ids=[f"{world.name} {way}" for world, way in WAYS])
others_waiting = pytest.mark.parametrize("others", [0, 1, 8])


def make(world: Turns, service: MemoryService, policy: Policy = QUICK) -> Any:
    """Return a session of this world with a service in memory."""
    return world.driver.AuthorizationSession(service.url, TOKEN_ID, ["read"], send=service.send, policy=policy)


def operation_of(session: Any, service: MemoryService, name: str) -> Operation:
    """Return the operation of that name as a function without arguments."""
    arguments: dict[str, tuple[Any, ...]] = {
        "verify_credentials": tuple(service.service.credentials),
        "establish": ([service.security_token],),
        "establish_by_key": (service.service.merchant_key,),
    }
    method = getattr(session, name)
    return lambda: method(*arguments.get(name, ()))


async def idle(world: Turns, session: Any) -> None:
    """Wait until nothing is under way."""
    for _ in range(50 * EXCHANGE):
        if not session._held.busy:
            return
        await world.rest()
    raise AssertionError("the exchange does not end")


class Departure:
    """A caller that has only so many turns, and what becomes of it."""

    def __init__(self, world: Turns, way: str, turns: int, operation: Operation, patience: int = PROMPT) -> None:
        self._world, self._way, self._turns, self._operation = world, way, turns, operation
        self._patience = patience
        self.was_late = False

    async def __call__(self) -> None:
        begun = self._world.agenda.turns
        self.was_late = await self._world.leave(self._way, self._turns, self._operation)
        if self.was_late:
            assert self._world.agenda.turns - begun <= self._turns + self._patience


@ways
@others_waiting
@pytest.mark.parametrize("name", OPERATIONS)
def test_a_time_out_at_every_turn(kind: type[Turns], way: str, name: str, others: int) -> None:
    """The caller leaves at once; the exchange goes on; nobody else notices; nothing is sent twice or left behind."""
    world = kind()

    async def main(turns: int) -> bool:
        service = MemoryService(world.rest)
        session = make(world, service)
        await session.establish([service.security_token])
        refused = await session.get_permission_token()
        session.invalidate(refused)
        ask = operation_of(session, service, name)
        departure = Departure(world, way, turns, ask)
        answers = await world.together(departure, [ask] * others)
        await idle(world, session)
        await check(service, name, others, answers)
        assert await session.get_permission_token() != refused
        await session.close()
        return departure.was_late

    with silence(world):
        turns = walk(lambda turns: world.run(lambda: world.restlessly(lambda: main(turns))))
    assert turns > 2 * TURNS  # the whole exchange was walked through


async def check(service: MemoryService, name: str, others: int, answers: list[Any]) -> None:
    """See that the others got what they asked for, and that the service was asked no more often than needed."""
    done = service.outcomes[1:]
    assert len(answers) == others
    assert not any(isinstance(answer, BaseException) for answer in answers)
    if name in ("get_permission_token", "refresh"):
        assert done in ([["refreshed"]] if others else [["refreshed"], []])  # one for all; none if nobody had asked yet
        assert len(set(answers)) == min(others, 1)
    else:
        assert set(done) <= {"verified", "issued"}
        assert others <= len(done) <= others + 1
    assert service.service.statistics.reuse_detected == 0


@ways
@others_waiting
def test_a_time_out_while_the_token_is_stale(kind: type[Turns], way: str, others: int) -> None:
    """The refresh behind the callers' backs belongs to none of them, and none waits for it."""
    world = kind()

    async def main(turns: int) -> bool:
        service = MemoryService(world.rest)
        session = make(world, service, ALWAYS_STALE)
        await session.establish([service.security_token])
        departure = Departure(world, way, turns, session.get_permission_token)
        answers = await world.together(departure, [session.get_permission_token] * others)
        await idle(world, session)
        assert [type(answer) for answer in answers] == [str] * others
        assert session._held.generation == len(service.outcomes)  # each answer was taken in
        assert set(service.outcomes) <= {"issued", "refreshed"}
        await session.close()
        return departure.was_late

    with silence(world):
        assert (
            walk(lambda turns: world.run(lambda: world.restlessly(lambda: main(turns)))) <= PROMPT
        )  # nobody waits for the exchange


@ways
@others_waiting
def test_a_time_out_of_close_at_every_turn(kind: type[Turns], way: str, others: int) -> None:
    """Whoever closes and has no more time, at whatever turn of an exchange: the answer to what was sent is taken in."""
    world = kind()
    patience = PROMPT if world.name == "asyncio" else EXCHANGE  # trio's is shielded, as long as the exchange takes

    async def main(begun: int, turns: int) -> bool:
        service = MemoryService(world.rest)
        session = make(world, service)
        await session.establish([service.security_token])
        departure = Departure(world, way, turns, session.close, patience)

        async def close() -> None:
            for _ in range(begun):
                await world.rest()
            await departure()
            assert world.name == "asyncio" or not session._held.busy  # trio's has waited for what had left

        answers = await world.together(close, [session.refresh] * others)
        await idle(world, session)
        assert all(answer is None or isinstance(answer, TenureError) for answer in answers)
        assert session._held.generation == len(service.outcomes)
        await session.close()  # again, for good
        await live_on(world, service, session)
        return departure.was_late

    with silence(world):
        for begun in range(EXCHANGE if others else 1):
            walk(lambda turns, begun=begun: world.run(lambda: world.restlessly(lambda: main(begun, turns))))  # type: ignore[misc]


async def live_on(world: Turns, service: MemoryService, closed: Any) -> None:
    """See that a closed session's snapshot is good for another life."""
    heir = world.driver.AuthorizationSession.from_snapshot(closed.snapshot(), send=service.send, policy=QUICK)
    await heir.refresh()
    assert service.service.statistics.reuse_detected == 0
    await heir.close()


@ways
@others_waiting
def test_a_time_out_of_keep_alive_at_every_turn(kind: type[Turns], way: str, others: int) -> None:
    """It leaves at once, whether it waits or is being woken, and the refresh that it began goes on."""
    world = kind()

    async def main(turns: int) -> None:
        service = MemoryService(world.rest)
        session = make(world, service)
        await session.establish([service.security_token])
        session.invalidate(await session.get_permission_token())
        departure = Departure(world, way, turns, session.keep_alive)
        answers = await world.together(departure, [session.get_permission_token] * others)
        await idle(world, session)
        assert departure.was_late  # it never ends by itself
        assert len(set(answers)) == min(others, 1)
        assert service.outcomes == ["issued", "refreshed"] or (turns < 2 and not others)
        await session.close()

    with silence(world):
        for turns in range(2 * EXCHANGE):
            world.run(lambda turns=turns: world.restlessly(lambda: main(turns)))  # type: ignore[misc]


@pytest.mark.parametrize("kind", [AsyncioTurns, TrioTurns], ids=["asyncio", "trio"])
def test_each_turn_takes_one_tick(kind: type[Turns]) -> None:
    """The helper is tested, too: a caller that has n turns is gone after n turns, neither sooner nor later."""
    world = kind()
    rests = 0

    async def rest_for_ever() -> None:
        nonlocal rests
        while True:
            await world.rest()
            rests += 1

    async def main(way: str, turns: int) -> None:
        nonlocal rests
        rests = 0
        assert await world.leave(way, turns, rest_for_ever)
        assert turns - 2 <= rests <= turns + 1
        assert TICK < 1e-6

    for way in world.ways:
        for turns in range(10):
            world.run(lambda way=way, turns=turns: main(way, turns))  # type: ignore[misc]
