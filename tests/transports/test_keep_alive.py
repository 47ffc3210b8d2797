# keep_alive in each world, for a simulated day: as seldom as possible, as often as needed. And how it ends. That a
# time-out or a cancellation ends it at every turn is test_timeouts.py's, that outages do not end it
# test_driver_closing.py's.

import asyncio
import selectors
import threading
from collections.abc import Callable
from itertools import pairwise
from random import Random
from typing import Any
from unittest import mock

import pytest
import trio
import trio.testing
from tenure import Policy, Request, Response
from tenure.transports import asyncio as asyncio_driver
from tenure.transports import blocking as blocking_driver
from tenure.transports import trio as trio_driver
from tenure.transports.emulator import AuthorizationService

from .driver_helpers import QUICK, TOKEN_ID
from .drivers import TIMEOUT
from .memory_service import TURNS, MemoryService
from .turns import AsyncioTurns, TrioTurns, Turns, silence, walk

DAY = 86400.0 + 60  # seconds, and a little more, so that it does not end with a refresh
BEGIN = 1_700_000_000  # Unix time at which the simulated days begin
DUE = 720  # seconds: a token lives 900, and is stale after 80 % of that
SLACK = 2  # seconds: lifetimes are counted in whole ones

PUNCTUAL = Policy(jitter=0)
Clock = Callable[[], float]


class Diary:
    """An authorization service in memory that notes when it was asked for a refresh, by the clock of the day."""

    url = MemoryService.url

    def __init__(self, clock: Clock) -> None:
        self.service = AuthorizationService(random=Random(1))
        self.refreshes: list[float] = []
        self._clock = clock

    def handle(self, request: Request) -> Response:
        if request.url.endswith("/refresh"):
            self.refreshes.append(self._clock())
        return self.service.handle(request, BEGIN + self._clock())

    def send(self, request: Request, timeout: float) -> Response:
        return self.handle(request)

    async def send_async(self, request: Request, timeout: float) -> Response:
        return self.handle(request)


def set_clocks(patch: pytest.MonkeyPatch, clock: Clock, *modules: str) -> None:
    """Let the driver read the clock of the day."""
    for module in modules:
        patch.setattr(f"tenure.transports.{module}.monotonic", clock)
        patch.setattr(f"tenure.transports.{module}.wall", lambda: BEGIN + clock())


class JumpingSelector(selectors.DefaultSelector):
    """Waits for no time-out: its clock jumps there."""

    now = 0.0

    def select(self, timeout: float | None = None) -> Any:
        ready = super().select(0)
        if timeout and not ready:
            self.now += timeout
        return ready


class JumpingLoop(asyncio.SelectorEventLoop):
    """A loop in which days take no time."""

    def __init__(self, selector: JumpingSelector) -> None:
        self._jumping = selector
        super().__init__(selector)

    def time(self) -> float:
        return self._jumping.now


def asyncio_day(patch: pytest.MonkeyPatch) -> list[float]:
    """Keep a session alive for a day; return when it was refreshed."""
    selector = JumpingSelector()
    diary = Diary(lambda: selector.now)
    set_clocks(patch, lambda: selector.now, "_session", "asyncio")
    patch.setattr(asyncio.events, "new_event_loop", lambda: JumpingLoop(selector))

    async def main() -> None:
        async with asyncio_driver.AuthorizationSession(
            diary.url, TOKEN_ID, ["read"], send=diary.send_async, policy=PUNCTUAL
        ) as session:
            keeper = asyncio.ensure_future(session.keep_alive())
            await session.establish_by_key(diary.service.merchant_key)
            await asyncio.sleep(DAY)
            assert session.current_token() is not None
            assert not keeper.done()
        await keeper

    asyncio.run(main())
    return diary.refreshes


def trio_day(patch: pytest.MonkeyPatch) -> list[float]:
    """The same in trio, by `nursery.start`."""
    clock = trio.testing.MockClock(autojump_threshold=0)
    diary = Diary(trio.current_time)
    patch.setattr("tenure.transports._trio_runs.wall", lambda: BEGIN + trio.current_time())

    async def main() -> None:
        async with (
            trio.open_nursery() as nursery,
            trio_driver.AuthorizationSession(
                diary.url, TOKEN_ID, ["read"], send=diary.send_async, policy=PUNCTUAL
            ) as session,
        ):
            await nursery.start(session.keep_alive)
            await session.establish_by_key(diary.service.merchant_key)
            await trio.sleep(DAY)
            assert session.current_token() is not None
            assert len(nursery.child_tasks) == 1

    trio.run(main, clock=clock)
    return diary.refreshes


def blocking_day(patch: pytest.MonkeyPatch) -> list[float]:
    """The same with a thread; where it waits for time to pass, time passes."""
    now = [0.0]
    diary = Diary(lambda: now[0])
    set_clocks(patch, lambda: now[0], "_session", "blocking")
    session = blocking_driver.AuthorizationSession(diary.url, TOKEN_ID, ["read"], send=diary.send, policy=PUNCTUAL)
    session.establish_by_key(diary.service.merchant_key)
    is_over = threading.Event()
    wait = session._changed.wait

    def pass_the_time(seconds: float | None = None) -> bool:
        if threading.current_thread().name != "tenure keep_alive" or session._pump_thread is not None:
            return wait(seconds)
        if now[0] >= DAY:
            is_over.set()
            return wait(TIMEOUT)
        now[0] += seconds or 0
        return False

    with mock.patch.object(session._changed, "wait", pass_the_time):
        keeper = session.keep_alive()
        assert is_over.wait(TIMEOUT)
        assert session.current_token() is not None
        session.close()
        keeper.join(TIMEOUT)
    assert not keeper.is_alive()
    return diary.refreshes


@pytest.mark.parametrize("live_a_day", [blocking_day, asyncio_day, trio_day])
def test_a_day(live_a_day: Callable[[pytest.MonkeyPatch], list[float]], monkeypatch: pytest.MonkeyPatch) -> None:
    """One refresh each time the token becomes stale: none sooner, none missing, and no end but by close()."""
    refreshes = live_a_day(monkeypatch)
    gaps = [later - earlier for earlier, later in pairwise([0.0, *refreshes])]
    assert DUE - 0.001 <= min(gaps) <= max(gaps) <= DUE + SLACK
    assert DAY // (DUE + SLACK) <= len(refreshes) <= DAY // DUE


@pytest.fixture(params=[AsyncioTurns, TrioTurns], ids=["asyncio", "trio"])
def world(request: pytest.FixtureRequest) -> Turns:
    made: Turns = request.param()
    return made


def due(world: Turns, service: MemoryService) -> Any:
    """Return a session of which a refresh will be due as soon as it is established."""
    policy = Policy(fresh_fraction=1e-9, jitter=0, deadline=60, attempt_timeout=30)
    return world.driver.AuthorizationSession(service.url, TOKEN_ID, ["read"], send=service.send, policy=policy)


def test_close_ends_it_at_every_turn(world: Turns) -> None:
    """Whether it waits, has just begun an exchange or is about to be woken: it returns, and raises nothing."""

    async def main(turns: int) -> bool:
        service = MemoryService(world.rest)
        session = world.driver.AuthorizationSession(service.url, TOKEN_ID, ["read"], send=service.send, policy=QUICK)
        await session.establish([service.security_token])
        session.invalidate(await session.get_permission_token())

        async def close() -> None:
            for _ in range(turns):
                await world.rest()
            await session.close()

        (outcome,) = await world.together(close, [session.keep_alive])
        assert outcome is None
        assert session._held.generation == len(service.outcomes)
        return turns < 3 * TURNS

    with silence(world):
        walk(lambda turns: world.run(lambda: main(turns)))


def test_the_end_of_a_run_ends_it_at_every_turn(world: Turns) -> None:
    """The run ends all the same, and the session is kept alive in the next one."""

    def visit(turns: int) -> bool:
        service = MemoryService(world.rest, grace=60)
        session = due(world, service)

        async def main() -> None:
            if not session._held.generation:
                await session.establish([service.security_token])
            world.begin(session.keep_alive)
            for _ in range(turns):
                await world.rest()

        world.run(main, leftovers=True)
        world.run(main, leftovers=True)
        world.run(session.refresh)
        assert service.service.statistics.reuse_detected == 0
        return turns < 5 * TURNS

    with silence(world):
        walk(visit)
