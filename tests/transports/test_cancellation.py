# Invariant 4, at every point: a caller is cancelled after 0, 1, 2, … turns of the scheduler, until it has returned, in
# every operation, alone and among others. Nothing is sampled, and nothing waits: the service is in memory.

import asyncio
import gc
import sys
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
import trio
from tenure import TenureError
from tenure.transports import asyncio as asyncio_driver
from tenure.transports import trio as trio_driver
from tenure.transports.emulator import Emulator, hold_answer

from .driver_helpers import QUICK, TOKEN_ID
from .drivers import TIMEOUT
from .memory_service import TURNS, MemoryService

OPERATIONS = ("verify_credentials", "establish", "establish_by_key", "get_permission_token", "refresh")
PROMPT = 4  # turns within which a cancelled caller has left
LAST = 60  # turns; no operation takes as many

Operation = Callable[[], Awaitable[Any]]
Life = Callable[[Operation, int, int], Awaitable[tuple[bool, list[Any]]]]


def operation_of(session: Any, service: MemoryService, name: str) -> Operation:
    """Return the operation of that name as a function without arguments."""
    arguments: dict[str, tuple[Any, ...]] = {
        "verify_credentials": tuple(service.service.credentials),
        "establish": ([service.security_token],),
        "establish_by_key": (service.service.merchant_key,),
    }
    method = getattr(session, name)
    return lambda: method(*arguments.get(name, ()))


async def live(driver: Any, rest: Operation, act: Life, name: str, others: int, turns: int) -> bool:
    """Let `others` + 1 callers ask, cancel one of them after some turns, and look at what became of everybody."""
    service = MemoryService(rest)
    session = driver.AuthorizationSession(service.url, TOKEN_ID, ["read"], send=service.send, policy=QUICK)
    await session.establish([service.security_token])
    refused = await session.get_permission_token()
    session.invalidate(refused)
    before = len(service.outcomes)
    was_cancelled, answers = await act(operation_of(session, service, name), others, turns)
    while session._held.busy:
        await rest()
    done = service.outcomes[before:]
    assert len(answers) == others
    if name in ("get_permission_token", "refresh"):
        assert done in ([["refreshed"]] if others else [["refreshed"], []])  # one for all; none if nobody had asked yet
        assert len(set(answers)) == min(others, 1)
    else:
        assert set(done) <= {"verified", "issued"}
        assert others <= len(done) <= others + 1
    assert await session.get_permission_token() != refused
    assert service.service.statistics.reuse_detected == 0
    await session.close()
    return was_cancelled


async def act_in_asyncio(operation: Operation, others: int, turns: int) -> tuple[bool, list[Any]]:
    """Cancel one of many tasks."""
    caller = asyncio.ensure_future(operation())
    rest = [asyncio.ensure_future(operation()) for _ in range(others)]
    for _ in range(turns):
        await asyncio.sleep(0)
    caller.cancel()
    for _ in range(PROMPT):
        await asyncio.sleep(0)
    assert caller.done()
    answers = await asyncio.gather(*rest)
    return caller.cancelled(), answers


async def act_in_trio(operation: Operation, others: int, turns: int) -> tuple[bool, list[Any]]:
    """Cancel the scope around one of many tasks."""
    answers: list[Any] = []
    scope = trio.CancelScope()
    left = trio.Event()

    async def leave() -> None:
        with scope:
            await operation()
        left.set()

    async def stay() -> None:
        answers.append(await operation())

    async with trio.open_nursery() as nursery:
        nursery.start_soon(leave)
        for _ in range(others):
            nursery.start_soon(stay)
        for _ in range(turns):
            await trio.lowlevel.checkpoint()
        scope.cancel()
        for _ in range(PROMPT):
            await trio.lowlevel.checkpoint()
        assert left.is_set()
    return scope.cancelled_caught, answers


@pytest.mark.parametrize("others", [0, 1, 20])
@pytest.mark.parametrize("name", OPERATIONS)
def test_asyncio_caller_cancelled_at_every_turn(name: str, others: int) -> None:
    """The caller leaves at once; the exchange goes on; nobody else notices; no task and no exception is left behind."""
    complaints: list[Any] = []

    async def main(turns: int) -> bool:
        asyncio.get_running_loop().set_exception_handler(lambda loop, context: complaints.append(context))
        was_cancelled = await live(asyncio_driver, lambda: asyncio.sleep(0), act_in_asyncio, name, others, turns)
        assert asyncio.all_tasks() == {asyncio.current_task()}
        return was_cancelled

    turns = 0
    while asyncio.run(main(turns)):
        turns += 1
        assert turns < LAST
    gc.collect()
    assert turns > 2 * TURNS  # the whole exchange was walked through
    assert complaints == []


@pytest.mark.parametrize("others", [0, 1, 20])
@pytest.mark.parametrize("name", OPERATIONS)
def test_trio_caller_cancelled_at_every_turn(name: str, others: int) -> None:
    """The same in trio: what is cancelled is the caller's scope, and nothing else."""
    turns = 0
    while trio.run(live, trio_driver, trio.lowlevel.checkpoint, act_in_trio, name, others, turns):
        turns += 1
        assert turns < LAST
    assert turns > 2 * TURNS


# The end of a loop or of a run while an exchange is under way


def test_asyncio_run_ends_during_an_exchange() -> None:
    """`asyncio.run` cancels every task, also ours: what has been sent is waited for all the same."""
    with Emulator() as emulator:
        session = asyncio_driver.AuthorizationSession(emulator.url, TOKEN_ID, ["read"])
        gate = hold_answer()

        async def release_when_cancelled() -> None:
            try:
                await asyncio.sleep(TIMEOUT)
            finally:
                gate.release()

        async def begin() -> None:
            await session.establish_by_key(emulator.merchant_key)
            emulator.faults.add(gate)
            tasks.append(asyncio.ensure_future(session.refresh()))
            tasks.append(asyncio.ensure_future(release_when_cancelled()))
            assert await asyncio.to_thread(gate.arrived.wait, TIMEOUT)

        tasks: list[asyncio.Future[None]] = []
        asyncio.run(begin())
        assert [task.cancelled() for task in tasks] == [True, True]
        assert session._held.generation == 2  # it was taken in before the run ended
        assert asyncio.run(session.get_permission_token())
        assert emulator.statistics.reuse_detected == 0
        assert emulator.statistics.refreshes == 1


def test_asyncio_run_ends_during_an_exchange_of_the_users() -> None:
    """A send= of the user's is cancelled with everything else; the outcome is ambiguous, and grace gives it back."""
    service = MemoryService(lambda: asyncio.sleep(0), grace=60)
    session = asyncio_driver.AuthorizationSession(service.url, TOKEN_ID, ["read"], send=service.send, policy=QUICK)
    tasks: list[asyncio.Future[None]] = []

    async def begin(turns: int) -> None:
        if not session._held.generation:
            await session.establish([service.security_token])
        tasks.append(asyncio.ensure_future(session.refresh()))
        for _ in range(turns):
            await asyncio.sleep(0)

    for turns in range(2 * TURNS + 4):
        asyncio.run(begin(turns))
        assert asyncio.run(session.get_permission_token())
    asyncio.run(session.refresh())
    assert service.service.statistics.reuse_detected == 0
    assert session._held.generation == len([each for each in service.outcomes if each != "replayed"])


def test_a_loop_that_died_leaves_no_wedged_session() -> None:
    """FIELD.md S8 and worse: the loop is gone in mid-exchange, and the next one asks with the same request id."""
    service = MemoryService(lambda: asyncio.sleep(0), grace=60)
    session = asyncio_driver.AuthorizationSession(service.url, TOKEN_ID, ["read"], send=service.send, policy=QUICK)

    async def begin() -> None:
        await session.establish([service.security_token])
        tasks.append(asyncio.ensure_future(session.refresh()))
        while service.outcomes[-1] != "refreshed":
            await asyncio.sleep(0)

    tasks: list[asyncio.Future[None]] = []
    loop = asyncio.new_event_loop()
    loop.run_until_complete(begin())
    dead = asyncio.all_tasks(loop)

    async def go_on() -> set[str]:
        session.invalidate(await session.get_permission_token())
        return set(await asyncio.gather(*[session.get_permission_token() for _ in range(50)]))

    assert len(asyncio.run(go_on())) == 1
    assert service.outcomes == ["issued", "refreshed", "replayed"]
    for task in dead:
        task.cancel()
    loop.run_until_complete(asyncio.wait(dead))
    loop.close()
    assert len(asyncio.run(go_on())) == 1


def test_trio_run_ends_during_an_exchange() -> None:
    """The main task returns; the run ends when the answer has been taken in."""
    service = MemoryService(trio.lowlevel.checkpoint)
    session = trio_driver.AuthorizationSession(service.url, TOKEN_ID, ["read"], send=service.send, policy=QUICK)

    async def begin(turns: int) -> None:
        if not session._held.generation:
            await session.establish([service.security_token])
        with trio.CancelScope() as scope:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(session.refresh)
                for _ in range(turns):
                    await trio.lowlevel.checkpoint()
                scope.cancel()

    for turns in range(2 * TURNS + 4):
        trio.run(begin, turns)
        assert trio.run(session.get_permission_token)
    assert service.service.statistics.reuse_detected == 0
    assert session._held.generation == len(service.outcomes)


def test_trio_crashing_sibling_takes_only_the_caller_along() -> None:
    """A nursery cancels our caller because somebody else failed; the exchange is not its child."""
    service = MemoryService(trio.lowlevel.checkpoint)

    async def crash() -> None:
        await trio.lowlevel.checkpoint()
        raise ZeroDivisionError

    async def main() -> None:
        async with trio_driver.AuthorizationSession(
            service.url, TOKEN_ID, ["read"], send=service.send, policy=QUICK
        ) as session:
            await session.establish([service.security_token])
            crashed = False
            try:
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(session.refresh)
                    nursery.start_soon(crash)
            except Exception as group:
                crashed = "ZeroDivisionError" in repr(group)
            assert crashed
            await session.refresh()
        assert service.outcomes == ["issued", "refreshed"]

    trio.run(main)


def test_asyncio_time_outs() -> None:
    """A caller whose time is up leaves; the next one gets what the exchange has brought."""
    service = MemoryService(lambda: asyncio.sleep(0.01))

    async def main() -> None:
        async with asyncio_driver.AuthorizationSession(
            service.url, TOKEN_ID, ["read"], send=service.send, policy=QUICK
        ) as session:
            await session.establish([service.security_token])
            with pytest.raises(asyncio.TimeoutError):
                await asyncio.wait_for(session.refresh(), 0.001)
            if sys.version_info >= (3, 11):
                with pytest.raises(TimeoutError):
                    async with asyncio.timeout(0.001):
                        await session.refresh()
            await session.refresh()
        assert service.outcomes == ["issued", "refreshed"]

    asyncio.run(main())


def test_trio_time_outs() -> None:
    """The same with trio's scopes."""
    service = MemoryService(trio.lowlevel.checkpoint)

    async def main() -> None:
        async with trio_driver.AuthorizationSession(
            service.url, TOKEN_ID, ["read"], send=service.send, policy=QUICK
        ) as session:
            await session.establish([service.security_token])
            with trio.move_on_after(0) as scope:
                await session.refresh()
            assert scope.cancelled_caught
            await session.refresh()
        assert service.outcomes == ["issued", "refreshed"]

    trio.run(main)


def test_asyncio_close_in_the_turn_in_which_somebody_asked() -> None:
    """A pump that is cancelled before its first turn leaves nobody waiting (invariant 7)."""
    service = MemoryService(lambda: asyncio.sleep(0))

    async def main() -> None:
        session = asyncio_driver.AuthorizationSession(service.url, TOKEN_ID, ["read"], send=service.send, policy=QUICK)
        await session.establish([service.security_token])
        asked = asyncio.ensure_future(session.refresh())
        closed = asyncio.ensure_future(session.close())
        await asyncio.wait({asked, closed}, timeout=TIMEOUT)
        assert closed.done()
        assert isinstance(asked.exception(), TenureError)
        assert not session._held.busy

    asyncio.run(main())


def test_two_loops_by_turns() -> None:
    """A loop that is stopped in mid-exchange and goes on later: its callers leave, the other loop is not disturbed."""
    service = MemoryService(lambda: asyncio.sleep(0), grace=60)
    session = asyncio_driver.AuthorizationSession(service.url, TOKEN_ID, ["read"], send=service.send, policy=QUICK)
    first, second = asyncio.new_event_loop(), asyncio.new_event_loop()

    async def begin() -> "asyncio.Future[None]":
        await session.establish([service.security_token])
        asked = asyncio.ensure_future(session.refresh())
        while service.outcomes[-1] != "refreshed":
            await asyncio.sleep(0)
        return asked

    asked = first.run_until_complete(begin())
    other = second.create_task(session.refresh())
    second.run_until_complete(asyncio.sleep(0))  # the second one has begun
    first.run_until_complete(asyncio.wait({asked}, timeout=TIMEOUT))
    assert isinstance(asked.exception(), TenureError)
    second.run_until_complete(other)
    assert service.outcomes == ["issued", "refreshed", "replayed"]
    for loop in (first, second):
        loop.run_until_complete(asyncio.sleep(0.01))
        loop.close()
