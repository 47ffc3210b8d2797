# How exchanges of the async drivers end when something else ends first: close, keep_alive, a run, a loop, a process.
# Cancelling those who merely ask is test_cancellation.py's.

import asyncio
import gc
import subprocess
import sys
import threading
import time
import warnings
from collections.abc import Callable, Coroutine
from typing import Any

import pytest
import trio
from tenure import (
    Event,
    Policy,
    Request,
    Response,
    SendFailure,
    SessionEstablished,
    TenureError,
    TokenRotated,
    UsageError,
)
from tenure.transports import asyncio as asyncio_driver
from tenure.transports import trio as trio_driver
from tenure.transports.emulator import Emulator, hold_answer

from .driver_helpers import QUICK, TOKEN_ID
from .drivers import TIMEOUT
from .memory_service import TURNS, MemoryService

WALK = 2 * TURNS + 6  # turns; more than an exchange takes
ALWAYS_STALE = Policy(fresh_fraction=1e-9, jitter=0, deadline=60, attempt_timeout=30)
BRIEF = Policy(deadline=0.05, attempt_timeout=0.05, backoff_base=0.001)

Main = Callable[[], Coroutine[Any, Any, None]]


class AsyncioWorld:
    """What these tests need of asyncio."""

    driver: Any = asyncio_driver

    @staticmethod
    async def rest() -> None:
        await asyncio.sleep(0)

    def run(self, main: Main) -> None:
        """Run, and bear no task that is left behind and no exception that nobody has looked at."""
        complaints: list[Any] = []

        async def watched() -> None:
            asyncio.get_running_loop().set_exception_handler(lambda loop, context: complaints.append(context))
            await main()
            assert asyncio.all_tasks() == {asyncio.current_task()}

        asyncio.run(watched())
        assert complaints == []

    async def cancel_after(self, turns: int, operation: Main, others: list[Main]) -> list[object]:
        """Start them all, cancel the first after some turns; return what the others came to."""
        first = asyncio.ensure_future(operation())
        rest = [asyncio.ensure_future(other()) for other in others]
        for _ in range(turns):
            await asyncio.sleep(0)
        first.cancel()
        await asyncio.wait({first}, timeout=TIMEOUT)
        assert first.done()
        return list(await asyncio.gather(*rest, return_exceptions=True))


class TrioWorld:
    """The same of trio, whose runs bear no task that is left behind by themselves."""

    driver: Any = trio_driver

    @staticmethod
    async def rest() -> None:
        await trio.lowlevel.checkpoint()

    def run(self, main: Main) -> None:
        trio.run(main)

    async def cancel_after(self, turns: int, operation: Main, others: list[Main]) -> list[object]:
        outcomes: list[object] = []
        scope = trio.CancelScope()

        async def first() -> None:
            with scope:
                await operation()

        async def other(function: Main) -> None:
            try:
                outcomes.append(await function())  # type: ignore[func-returns-value]
            except Exception as problem:
                outcomes.append(problem)

        with trio.fail_after(TIMEOUT):
            async with trio.open_nursery() as nursery:
                nursery.start_soon(first)
                for function in others:
                    nursery.start_soon(other, function)
                for _ in range(turns):
                    await self.rest()
                scope.cancel()
        return outcomes


World = AsyncioWorld | TrioWorld


@pytest.fixture(params=[AsyncioWorld, TrioWorld], ids=["asyncio", "trio"])
def world(request: pytest.FixtureRequest) -> World:
    made: World = request.param()
    return made


def make(world: World, service: MemoryService, **options: Any) -> Any:
    """Return a session of this world with a service in memory."""
    options = {"policy": QUICK, "send": service.send, **options}
    return world.driver.AuthorizationSession(service.url, TOKEN_ID, ["read"], **options)


def generation_of(session: Any) -> object:
    """Return which pair would be saved."""
    return session.snapshot()["pair"]["generation"]


async def idle(world: World, session: Any) -> None:
    """Wait until nothing is under way."""
    while session._held.busy:
        await world.rest()


@pytest.mark.parametrize("name", ["get_permission_token", "refresh"])
@pytest.mark.parametrize("others", [0, 1, 50])
def test_cancelled_while_the_token_is_stale(world: World, name: str, others: int) -> None:
    """The refresh behind the callers' backs belongs to none of them; each gets a token, and none waits for it."""

    async def main() -> None:
        for turns in range(WALK):
            service = MemoryService(world.rest)
            session = make(world, service, policy=ALWAYS_STALE)
            await session.establish([service.security_token])
            answers = await world.cancel_after(turns, getattr(session, name), [session.get_permission_token] * others)
            await idle(world, session)
            assert all(isinstance(answer, str) for answer in answers)
            assert len(answers) == others
            assert service.service.statistics.reuse_detected == 0
            assert session._held.generation == len(service.outcomes)  # each answer was taken in
            await session.close()

    world.run(main)


def test_close_is_cancelled_at_every_turn(world: World) -> None:
    """Invariant 4: whoever closes and leaves, at whatever turn of an exchange, the answer is taken in all the same."""

    async def main() -> None:
        for begun in range(3, WALK):
            for turns in range(begun, begun + WALK):
                service = MemoryService(world.rest)
                session = make(world, service)
                await session.establish([service.security_token])

                async def close(session: Any = session, begun: int = begun) -> None:
                    for _ in range(begun):
                        await world.rest()
                    await session.close()

                (outcome,) = await world.cancel_after(turns, close, [session.refresh])
                await idle(world, session)
                assert outcome is None or isinstance(outcome, TenureError)
                assert session._held.generation == len(service.outcomes)
                assert service.service.statistics.reuse_detected == 0

    world.run(main)


def test_trio_keep_alive_is_cancelled_at_every_turn() -> None:
    """It leaves at once, and what it has begun goes on."""
    world = TrioWorld()

    async def main() -> None:
        for turns in range(WALK):
            service = MemoryService(world.rest)
            session = make(world, service)
            await session.establish([service.security_token])
            session.invalidate(await session.get_permission_token())
            tokens = await world.cancel_after(turns, session.keep_alive, [session.get_permission_token] * 2)
            await idle(world, session)
            assert len(set(tokens)) == 1
            assert service.outcomes == ["issued", "refreshed"]
            await session.close()

    world.run(main)


def test_whatever_a_sender_raises_stays_in_the_pump(world: World) -> None:
    """DESIGN.md, contract: no exception escapes a background task; the callers get an error of ours."""
    problems = [OSError(), AssertionError(), GeneratorExit(), StopAsyncIteration(), RecursionError(), SystemError()]

    async def main() -> None:
        for problem in problems:

            async def send(request: object, timeout: float, problem: BaseException = problem) -> None:
                await world.rest()
                raise problem

            session = make(world, MemoryService(world.rest), send=send, policy=BRIEF)
            with pytest.raises(TenureError) as caught:
                await session.establish_by_key("key")
            assert type(problem).__name__ in str(caught.value)  # the outcome of the exchange, not of a broken pump
            assert not session._held.busy

    world.run(main)


def test_a_sender_that_does_not_end(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Invariant 7: a send= that forgets its time-out is ended, and its callers are told that all is open."""
    for module in ("_asyncio_shield", "_trio_shield"):
        monkeypatch.setattr(f"tenure.transports.{module}.GRACE", 0.01)
    seconds: list[float] = []

    async def send(request: object, timeout: float) -> None:
        seconds.append(timeout)
        await (asyncio.sleep(TIMEOUT) if isinstance(world, AsyncioWorld) else trio.sleep(TIMEOUT))

    async def main() -> None:
        session = make(world, MemoryService(world.rest), send=send, policy=BRIEF)
        with pytest.raises(TenureError) as caught:
            await session.establish_by_key("key")
        assert getattr(caught.value, "ambiguous", False)
        await world.rest()  # the turn in which asyncio ends what was cancelled

    world.run(main)
    assert max(seconds) <= 0.1


def test_a_sender_whose_answer_came_while_the_process_was_stopped(world: World) -> None:
    """It has its answer, but not yet made anything of it, when it is found that all the time and more has passed."""
    service = MemoryService(world.rest)

    async def send(request: Request, timeout: float) -> Response:
        time.sleep(timeout + 1.2)  # nothing of this process runs
        for _ in range(5):
            await world.rest()
        return await service.send(request, timeout)

    async def main() -> None:
        session = make(world, service, send=send, policy=BRIEF)
        await session.establish([service.security_token])
        assert session.current_token()

    world.run(main)


def test_s8_one_session_in_two_runs(world: World) -> None:
    """FIELD.md, S8: 50 callers in each of two runs, over real sockets: one refresh each, and nobody is hurt."""
    with Emulator() as emulator:
        session = world.driver.AuthorizationSession(emulator.url, TOKEN_ID, ["read"])

        async def main() -> None:
            if not session._held.generation:
                await session.establish_by_key(emulator.merchant_key)
            session.invalidate(await session.get_permission_token())
            ask = session.get_permission_token
            assert len(set(await world.cancel_after(WALK, world.rest, [ask] * 50))) == 1

        world.run(main)
        world.run(main)
        assert emulator.statistics.refreshes == 2
        assert emulator.statistics.reuse_detected == 0
    gc.collect()


def test_events_come_before_the_callers_go_on(world: World) -> None:
    """Whoever has waited for something finds that the listener knows of it: one that saves snapshots, for instance."""
    with Emulator() as emulator:
        heard: list[Event] = []
        session = world.driver.AuthorizationSession(emulator.url, TOKEN_ID, ["read"], listener=heard.append)

        async def main() -> None:
            await session.establish_by_key(emulator.merchant_key)
            assert [type(event) for event in heard] == [SessionEstablished]
            await session.refresh()
            assert [type(event) for event in heard] == [SessionEstablished, TokenRotated]
            await world.rest()

        world.run(main)


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


def test_trio_run_ends_during_an_exchange_over_sockets() -> None:
    """The run ends when the answer has been taken in: the snapshot afterwards is of the new generation."""
    with Emulator() as emulator:
        session = trio_driver.AuthorizationSession(emulator.url, TOKEN_ID, ["read"])
        gate = hold_answer()

        async def release_at_the_end() -> None:
            try:
                await trio.sleep_forever()
            finally:
                gate.release()

        async def main() -> None:
            await session.establish_by_key(emulator.merchant_key)
            emulator.faults.add(gate)
            trio.lowlevel.spawn_system_task(release_at_the_end)
            with trio.CancelScope() as scope:
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(session.refresh)
                    assert await trio.to_thread.run_sync(gate.arrived.wait, TIMEOUT)
                    scope.cancel()

        before = len(emulator.journal)
        trio.run(main)
        assert generation_of(session) == 2
        trio.run(session.refresh)
        assert [entry.outcome for entry in emulator.journal[before:]] == ["issued", "refreshed", "refreshed"]


INTERRUPTED = """
import signal, sys, threading, traceback
import {world}
from tenure import Policy
from tenure.transports.{world} import AuthorizationSession
from tenure.transports.emulator import Emulator, hold_answer

def generation_of(session):
    return session.snapshot()["pair"]["generation"]

with Emulator() as emulator:
    token_id, patient = "11111111-1111-4111-8111-111111111111", Policy(deadline=60, attempt_timeout=60)
    heard = []
    session = AuthorizationSession(emulator.url, token_id, ["read"], policy=patient, listener=heard.append)
    gate = hold_answer()

    def interrupt():
        assert gate.arrived.wait(20)
        signal.pthread_kill(threading.main_thread().ident, signal.SIGINT)
        assert left.wait(20)
        gate.release()

    left = threading.Event()

    async def main():
        await session.establish_by_key(emulator.merchant_key)
        emulator.faults.add(gate)
        threading.Thread(target=interrupt, daemon=True).start()
        try:
            await session.refresh()
        finally:
            left.set()

    try:
        {world}.run(main{call})
    except KeyboardInterrupt as stop:
        print("interrupted", generation_of(session), emulator.statistics.refreshes)
        if generation_of(session) != 2:  # why?
            traceback.print_exception(stop)
            print(heard, file=sys.stderr)
    {world}.run(session.refresh{call})
    print(generation_of(session), emulator.statistics.reuse_detected)
"""


@pytest.mark.parametrize(("name", "call"), [("asyncio", "()"), ("trio", "")])
def test_ctrl_c_during_an_exchange(name: str, call: str) -> None:
    """Invariant 4: the program is interrupted, the answer is taken in, and the session can be saved or used again."""
    if name == "asyncio" and sys.version_info < (3, 11):
        pytest.skip("before Python 3.11, asyncio raises KeyboardInterrupt wherever it is")
    program = INTERRUPTED.format(world=name, call=call)
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", program], capture_output=True, text=True, timeout=3 * TIMEOUT, check=False
    )
    assert (done.stdout, done.stderr) == ("interrupted 2 1\n3 0\n", "")
    assert done.returncode == 0


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


def test_not_sent_is_believed(world: World) -> None:
    """What a send= of the user's says is passed on as it is, through the shield as well."""

    async def send(request: object, timeout: float) -> None:
        await world.rest()
        raise SendFailure("not sent", "no network")

    async def main() -> None:
        session = make(world, MemoryService(world.rest), send=send, policy=BRIEF)
        with pytest.raises(TenureError) as caught:
            await session.establish_by_key("key")
        assert not caught.value.ambiguous

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
