# asyncio and trio for tests of what ends first: to run, to take turns, to cancel after so many of them.

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import trio
from tenure import Policy
from tenure.transports import asyncio as asyncio_driver
from tenure.transports import trio as trio_driver

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
