# How exchanges of the async drivers end when something else ends first: close, keep_alive, a run, a process. Cancelling
# those who merely ask is test_cancellation.py's, what asyncio's loops do alone test_asyncio_endings.py's.

import asyncio
import gc
import subprocess
import sys
import time
from typing import Any

import pytest
import trio
from tenure import Event, Request, Response, SendFailure, SessionEstablished, TenureError, TokenRotated
from tenure.transports import trio as trio_driver
from tenure.transports.emulator import Emulator, hold_answer

from .driver_helpers import TOKEN_ID
from .drivers import TIMEOUT
from .memory_service import TURNS, MemoryService
from .worlds import ALWAYS_STALE, BRIEF, WALK, AsyncioWorld, Main, TrioWorld, World, generation_of, idle, make


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


def test_close_begins_nothing_more(world: World) -> None:
    """Of calls that wait behind the exchange under way nothing is sent, through a send= of the user's either."""

    async def main() -> None:
        service = MemoryService(world.rest)
        session = make(world, service)
        key = service.service.merchant_key

        async def close() -> None:
            for _ in range(TURNS):
                await world.rest()
            await session.close()

        calls: list[Main] = [lambda: session.establish_by_key(key)] * 3
        await world.cancel_after(1, world.rest, [*calls, close])
        assert service.outcomes == ["issued"]
        assert generation_of(session) == 1

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
        {heed_signals}
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


# asyncio's loop sleeps through a signal that comes just before it falls asleep, unless it has a handler for any signal.
HEED_SIGNALS = "asyncio.get_running_loop().add_signal_handler(signal.SIGUSR1, int)"


@pytest.mark.parametrize(
    ("name", "call", "heed_signals"), [("asyncio", "()", HEED_SIGNALS), ("trio", "", "pass")], ids=["asyncio", "trio"]
)
def test_ctrl_c_during_an_exchange(name: str, call: str, heed_signals: str) -> None:
    """Invariant 4: the program is interrupted, the answer is taken in, and the session can be saved or used again."""
    if name == "asyncio" and sys.version_info < (3, 11):
        pytest.skip("before Python 3.11, asyncio raises KeyboardInterrupt wherever it is")
    program = INTERRUPTED.format(world=name, call=call, heed_signals=heed_signals)
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", program], capture_output=True, text=True, timeout=3 * TIMEOUT, check=False
    )
    assert (done.stdout, done.stderr) == ("interrupted 2 1\n3 0\n", "")
    assert done.returncode == 0


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
