# What trio promises its users, and so do we: checkpoints, a clock that can be mocked, and no asyncio in the house.

import subprocess
import sys
from typing import Any

import pytest
import trio
import trio.testing
from tenure import TenureError
from tenure.transports.trio import AuthorizationSession

from .driver_helpers import QUICK, TOKEN_ID
from .memory_service import MemoryService

NO_ASYNCIO = """
import sys, trio
from tenure.transports.emulator import Emulator
from tenure.transports.trio import AuthorizationSession
known = "asyncio" in sys.modules

async def main(service):
    async with AuthorizationSession(service.url, "5f0c1cf5-8a2b-4f0e-9c39-2f0f4f9b1a57", ["read"]) as session:
        await session.establish([await session.verify_credentials(*service.credentials)])
        await session.refresh()
        await session.get_permission_token()

with Emulator() as service:
    trio.run(main, service)
print(known, "asyncio" in sys.modules)
"""


def make(service: MemoryService, **options: Any) -> AuthorizationSession:
    """A session with a service in memory."""
    return AuthorizationSession(service.url, TOKEN_ID, ["read"], send=service.send, **options)


def test_no_asyncio_in_the_process() -> None:
    """DESIGN.md, the drivers' contract: a trio program does not load asyncio because of us."""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", NO_ASYNCIO], capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout.split() == ["False", "False"]


def test_every_async_method_is_a_checkpoint() -> None:
    """trio: an async function that is called is a checkpoint, whether it has to wait or not, or raises."""

    async def main() -> None:
        service = MemoryService(trio.lowlevel.checkpoint)
        session = make(service, policy=QUICK)
        for method in (session.get_permission_token, session.refresh):
            with trio.testing.assert_checkpoints(), pytest.raises(TenureError):
                await method()
        with trio.testing.assert_checkpoints():
            await session.verify_credentials(*service.service.credentials)
        with trio.testing.assert_checkpoints():
            await session.establish([service.security_token])
        with trio.testing.assert_checkpoints():
            await session.establish_by_key(service.service.merchant_key)
        with trio.testing.assert_checkpoints():
            token = await session.get_permission_token()  # fresh
        session.invalidate(token)
        with trio.testing.assert_checkpoints():
            await session.get_permission_token()  # dead
        with trio.testing.assert_checkpoints():
            await session.refresh()
        with trio.testing.assert_checkpoints():
            await session.__aenter__()
        with trio.testing.assert_checkpoints():
            await session.close()
        with trio.testing.assert_checkpoints():
            await session.keep_alive()  # closed, and so done at once

    trio.run(main)


def test_tokens_expire_by_the_mocked_clock() -> None:
    """A program that sleeps for hours in its tests gets what it would get in life, at once."""

    async def main() -> None:
        service = MemoryService(trio.lowlevel.checkpoint)
        async with make(service) as session:
            await session.establish([service.security_token])
            first = await session.get_permission_token()
            await trio.sleep(600)
            assert await session.get_permission_token() == first
            await trio.sleep(260)
            assert await session.get_permission_token() == first  # stale: a refresh begins behind it
            await trio.testing.wait_all_tasks_blocked()
            assert await session.get_permission_token() != first
            await trio.sleep(900)
            assert session.current_token() is None
            await session.get_permission_token()
        assert service.outcomes == ["issued", "refreshed", "refreshed"]

    trio.run(main, clock=trio.testing.MockClock(autojump_threshold=0))


def test_keep_alive_for_days() -> None:
    """`nursery.start(session.keep_alive)`: one refresh for each time the token becomes stale, and not one more."""

    async def main() -> None:
        service = MemoryService(trio.lowlevel.checkpoint)
        async with make(service) as session, trio.open_nursery() as nursery:
            await nursery.start(session.keep_alive)
            await trio.sleep(1000)  # nothing to keep alive so far
            assert service.outcomes == []
            await session.establish([service.security_token])
            days = 3
            await trio.sleep(days * 86400)
            refreshes = service.outcomes.count("refreshed")
            assert days * 86400 / (900 * 0.8) - 1 <= refreshes <= days * 86400 / (900 * 0.7) + 1
            nursery.cancel_scope.cancel()
        assert set(service.outcomes) == {"issued", "refreshed"}

    trio.run(main, clock=trio.testing.MockClock(autojump_threshold=0))


def test_one_session_in_two_runs() -> None:
    """Each run has a clock that begins anywhere; the session's goes on."""
    service = MemoryService(trio.lowlevel.checkpoint)
    session = make(service)

    async def begin() -> str:
        await session.establish([service.security_token])
        return await session.get_permission_token()

    first = trio.run(begin)
    assert trio.run(session.get_permission_token) == first
    assert session.current_token() == first  # outside of any run, too

    async def sleep() -> None:
        await trio.sleep(880)

    trio.run(sleep, clock=trio.testing.MockClock(autojump_threshold=0))
    assert trio.run(session.get_permission_token) == first  # that sleep was not this session's


def test_a_run_that_takes_no_more_tasks_leaves_the_session_usable() -> None:
    """An async generator that is finalised at the end of `trio.run` comes too late; the next run does not suffer."""
    service = MemoryService(trio.lowlevel.checkpoint)
    session = make(service, policy=QUICK)
    problems: list[BaseException] = []

    async def generator() -> Any:
        try:
            yield
        finally:
            try:
                await session.refresh()
            except RuntimeError as problem:
                problems.append(problem)

    async def first() -> None:
        await session.establish([service.security_token])
        left_behind.append(generator())
        await left_behind[0].asend(None)

    async def second() -> None:
        with trio.fail_after(5):
            await session.refresh()
            await session.close()

    left_behind: list[Any] = []
    trio.run(first)
    assert len(problems) == 1
    trio.run(second)
    assert service.outcomes == ["issued", "refreshed"]
