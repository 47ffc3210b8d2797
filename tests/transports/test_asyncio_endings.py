# How exchanges of the asyncio driver end with its loops, which may be stopped, closed, and followed by others; with a
# task group; and in turns that only asyncio has.

import asyncio
import gc
import sys
import threading
import warnings
from typing import Any

import pytest
from tenure import TenureError, UsageError
from tenure.transports import asyncio as asyncio_driver
from tenure.transports.emulator import Emulator

from .driver_helpers import TOKEN_ID
from .drivers import TIMEOUT
from .memory_service import TURNS, MemoryService
from .worlds import WALK, AsyncioWorld, Main, generation_of, idle, make


def test_asyncio_loop_that_ends_with_its_caller() -> None:
    """`run_until_complete` and `close`, with nothing in between, leave no socket behind: it would be a warning."""
    with Emulator() as emulator:
        session = asyncio_driver.AuthorizationSession(emulator.url, TOKEN_ID, ["read"])
        asyncio.run(session.establish_by_key(emulator.merchant_key))
        with warnings.catch_warnings(record=True) as complaints:
            warnings.simplefilter("always")
            for _ in range(20):
                loop = asyncio.new_event_loop()
                loop.run_until_complete(session.refresh())
                loop.close()
            gc.collect()
        assert [str(complaint.message) for complaint in complaints] == []


def test_asyncio_keep_alive_of_a_loop_that_was_closed() -> None:
    """Nobody waits there any more; the next loop is not disturbed by it."""
    with Emulator() as emulator:
        session = asyncio_driver.AuthorizationSession(emulator.url, TOKEN_ID, ["read"])
        first = asyncio.new_event_loop()
        first.run_until_complete(session.establish_by_key(emulator.merchant_key))
        kept_alive = first.create_task(session.keep_alive())
        first.run_until_complete(asyncio.sleep(0))
        first.close()
        asyncio.run(session.refresh())
        assert generation_of(session) == 2
        assert not kept_alive.done()
        kept_alive._log_destroy_pending = False  # type: ignore[attr-defined]


def test_asyncio_caller_is_cancelled_while_it_is_woken() -> None:
    """asyncio's handler for Ctrl-C cancels between any two instructions: whoever else waits is woken all the same."""
    world = AsyncioWorld()
    service = MemoryService(world.rest)

    async def main() -> None:
        session, loop = make(world, service), asyncio.get_running_loop()
        await session.establish([service.security_token])
        callers = [asyncio.ensure_future(session.refresh()) for _ in range(3)]
        is_closed, woken = loop.is_closed, []

        def look() -> bool:
            caller = sys._getframe(1)
            if caller.f_code.co_name == "_wake_one":
                woken.append(caller.f_locals["future"])
                if len(woken) == 1:
                    woken[0].cancel()  # as cancelling the task that waits for it does
            return is_closed()

        loop.is_closed = look  # type: ignore[method-assign]
        _, waiting = await asyncio.wait(callers, timeout=TIMEOUT)
        assert not waiting
        assert sorted(caller.cancelled() for caller in callers) == [False, False, True]

    world.run(main)


def test_asyncio_second_thread_is_told() -> None:
    """One loop at a time: whoever asks from another one in mid-exchange is told so, and nothing breaks."""
    world = AsyncioWorld()
    service = MemoryService(world.rest)
    session = make(world, service)
    heard: list[BaseException | None] = []

    def ask_in_another_loop() -> None:
        async def ask() -> None:
            for name in ("refresh", "get_permission_token"):
                with pytest.raises(UsageError, match="another thread"):
                    await getattr(session, name)()
            heard.append(None)

        asyncio.run(ask())

    async def main() -> None:
        await session.establish([service.security_token])
        session.invalidate(await session.get_permission_token())
        asked = asyncio.ensure_future(session.refresh())
        for _ in range(TURNS):
            await asyncio.sleep(0)
        thread = threading.Thread(target=ask_in_another_loop)
        thread.start()
        thread.join(TIMEOUT)
        await asked

    world.run(main)
    assert heard == [None]
    assert service.outcomes == ["issued", "refreshed"]


def test_asyncio_task_group_whose_sibling_crashes() -> None:
    """The group cancels our caller; the exchange is not its child, and the next one who asks joins it."""
    if sys.version_info < (3, 11):
        pytest.skip("asyncio.TaskGroup is new in Python 3.11")
    world = AsyncioWorld()

    async def main() -> None:
        for turns in range(WALK):
            service = MemoryService(world.rest)
            session = make(world, service)
            await session.establish([service.security_token])

            async def crash(turns: int = turns) -> None:
                for _ in range(turns):
                    await asyncio.sleep(0)
                raise ZeroDivisionError

            async def crash_together(session: Any = session, crash: Main = crash) -> None:
                async with asyncio.TaskGroup() as group:
                    group.create_task(session.refresh())
                    group.create_task(crash())

            with pytest.raises(Exception) as caught:  # noqa: PT011  # a group, which Python 3.10 does not know
                await crash_together()
            assert "ZeroDivisionError" in repr(caught.value)
            await idle(world, session)
            assert session._held.generation == len(service.outcomes)
            await session.refresh()
            await session.close()

    world.run(main)


def test_asyncio_time_out_at_every_turn() -> None:
    """`wait_for` is a cancellation like any other: whichever turn it comes in, the exchange is one and goes on."""
    world = AsyncioWorld()

    async def main() -> None:
        for turns in range(WALK):
            service = MemoryService(world.rest)
            session = make(world, service)
            await session.establish([service.security_token])

            async def ask(session: Any = session) -> None:
                await asyncio.wait_for(session.refresh(), TIMEOUT)

            await world.cancel_after(turns, ask, [session.refresh])
            assert service.outcomes == ["issued", "refreshed"]
            await session.close()

    world.run(main)


def test_asyncio_close_in_the_tick_of_a_caller() -> None:
    """Invariant 7: closed before the pump had its first turn, the caller is told all the same."""
    world = AsyncioWorld()

    async def main() -> None:
        service = MemoryService(world.rest)
        session = make(world, service)
        await session.establish([service.security_token])
        asked, closed = asyncio.ensure_future(session.refresh()), asyncio.ensure_future(session.close())
        done, _ = await asyncio.wait({asked, closed}, timeout=TIMEOUT)
        assert done == {asked, closed}
        assert isinstance(asked.exception(), TenureError)
        assert not session._held.busy

    world.run(main)


def begin_and_die(session: Any, service: MemoryService) -> None:
    """Leave an exchange under way in a loop that is closed."""

    async def begin() -> None:
        await session.establish([service.security_token])
        tasks.append(asyncio.ensure_future(session.refresh()))
        for _ in range(TURNS + 1):
            await asyncio.sleep(0)

    tasks: list[Any] = []
    loop = asyncio.new_event_loop()
    loop.set_exception_handler(lambda loop, context: None)  # "Task was destroyed but it is pending": that is so
    loop.run_until_complete(begin())
    loop.close()


def test_asyncio_a_dead_pump_stays_out_of_the_next_loop() -> None:
    """Collected as garbage in the midst of the next loop's exchange, it neither reports nor cleans up."""
    world = AsyncioWorld()
    for turns in range(WALK):
        service = MemoryService(world.rest, grace=60)
        session = make(world, service)
        gc.disable()
        try:
            begin_and_die(session, service)

            async def main(session: Any = session, turns: int = turns) -> None:
                session.invalidate(session._protocol.newest_token())
                asked = asyncio.ensure_future(session.get_permission_token())
                for _ in range(turns):
                    await asyncio.sleep(0)
                gc.collect()
                assert await asked

            world.run(main)
        finally:
            gc.enable()


@pytest.mark.parametrize("how", ["close", "keep_alive"])
def test_asyncio_close_and_keep_alive_after_a_dead_loop(how: str) -> None:
    """Both know a dead loop's exchange for what it is."""
    world = AsyncioWorld()
    service = MemoryService(world.rest, grace=60)
    session = make(world, service)
    begin_and_die(session, service)

    async def main() -> None:
        if how == "keep_alive":
            session.invalidate(session._protocol.newest_token())
            task = asyncio.ensure_future(session.keep_alive())
            for _ in range(2 * WALK):
                await asyncio.sleep(0)
            assert session.current_token() is not None
            task.cancel()
            await asyncio.wait({task}, timeout=TIMEOUT)
        await session.close()

    world.run(main)


def test_asyncio_keep_alive_is_cancelled_at_every_turn() -> None:
    """It leaves at once, also in the very turn in which it is woken."""
    world = AsyncioWorld()

    async def main() -> None:
        for turns in range(2 * WALK):
            service = MemoryService(world.rest)
            session = make(world, service)
            await session.establish([service.security_token])
            session.invalidate(await session.get_permission_token())
            task = asyncio.ensure_future(session.keep_alive())
            for _ in range(turns):
                await asyncio.sleep(0)
            task.cancel()
            for _ in range(4):
                await asyncio.sleep(0)
            assert task.cancelled(), turns
            await session.close()

    world.run(main)


def test_asyncio_keep_alive_ends_with_close_at_every_turn() -> None:
    """No change is missed between looking and waiting."""
    world = AsyncioWorld()

    async def main() -> None:
        for turns in range(2, 2 * WALK):
            service = MemoryService(world.rest)
            session = make(world, service)
            await session.establish([service.security_token])
            alive, asked = asyncio.ensure_future(session.keep_alive()), asyncio.ensure_future(session.refresh())
            for _ in range(turns):
                await asyncio.sleep(0)
            await session.close()
            await asyncio.wait({alive}, timeout=TIMEOUT)
            assert alive.done(), turns
            await asyncio.wait({asked}, timeout=TIMEOUT)
            assert asked.exception() is None or isinstance(asked.exception(), TenureError)

    world.run(main)
