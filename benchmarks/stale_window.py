# Do callers notice that a refresh is under way behind their backs? Target: with a server that takes 300 ms, the 99th
# percentile of `get_permission_token()` in the stale window is that of the fresh path within noise, in each driver.
#
# A caller asks ten times in a row, pauses for a millisecond, and so on. A stale window begins with the call that begins
# the refresh and ends when the new token is there; a fresh one lasts as long. Fresh ones are measured twice: what lies
# between the two is the noise. The slowest call is shown as well: in a stale window it is the one that begins the
# refresh, one in some 3 000.

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any

import trio
from _measure import Spread, interleave, interleave_async, ratio, show_machine
from _service import server_process
from tenure import Policy, TokenRotated
from tenure.transports import asyncio as asyncio_driver
from tenure.transports import blocking as blocking_driver
from tenure.transports import trio as trio_driver

LATENCY = 0.3  # seconds that the server takes for a refresh
WINDOW = 0.303  # seconds; a fresh window lasts about as long as a stale one
LONGEST = 10  # seconds after which a stale window has failed
BURST = 10  # calls in a row
PAUSE = 0.001  # seconds
ROUNDS = 12
STALE_AT_ONCE = Policy(fresh_fraction=1e-6, jitter=0)

Snapshots = dict[bool, dict[str, object]]  # of a stale session, of a fresh one
Figures = dict[str, list[float]]


class Window:
    """The calls of one window, on a session of its own."""

    def __init__(self, driver: Any, snapshots: Snapshots, is_stale: bool) -> None:
        self._is_stale, self._is_over = is_stale, False
        self.session = driver.AuthorizationSession.from_snapshot(snapshots[is_stale], listener=self._hear)
        self._ends_at = time.perf_counter() + (LONGEST if is_stale else WINDOW)
        self._figures: list[float] = []

    def _hear(self, event: object) -> None:
        self._is_over = self._is_over or isinstance(event, TokenRotated)

    def goes_on(self) -> bool:
        return not self._is_over and time.perf_counter() < self._ends_at

    def add(self, begin: float) -> None:
        self._figures.append((time.perf_counter() - begin) * 1e6)

    def percentile(self, slowest: list[float]) -> float:
        """Return the 99th percentile in microseconds, and keep the slowest for later."""
        assert self._is_over == self._is_stale, "a refresh in a fresh window, or none in a stale one"
        figures = sorted(self._figures)
        slowest.append(figures[-1])
        return figures[int(len(figures) * 0.99)]


def ask_blocking(snapshots: Snapshots, is_stale: bool, slowest: list[float]) -> Callable[[], float]:
    def measure() -> float:
        window = Window(blocking_driver, snapshots, is_stale)
        with window.session as session:
            while window.goes_on():
                for _ in range(BURST):
                    begin = time.perf_counter()
                    session.get_permission_token()
                    window.add(begin)
                time.sleep(PAUSE)
        return window.percentile(slowest)

    return measure


def ask_async(
    driver: Any,
    snapshots: Snapshots,
    is_stale: bool,
    slowest: list[float],
    sleep: Callable[[float], Awaitable[object]],
) -> Callable[[], Awaitable[float]]:
    async def measure() -> float:
        window = Window(driver, snapshots, is_stale)
        async with window.session as session:
            while window.goes_on():
                for _ in range(BURST):
                    begin = time.perf_counter()
                    await session.get_permission_token()
                    window.add(begin)
                await sleep(PAUSE)
        return window.percentile(slowest)

    return measure


SUBJECTS = {"fresh": False, "fresh again": False, "stale": True}


def in_threads(snapshots: Snapshots, slowest: Figures) -> Figures:
    asks = {name: ask_blocking(snapshots, is_stale, slowest[name]) for name, is_stale in SUBJECTS.items()}
    return interleave(asks, ROUNDS)


async def in_tasks(driver: Any, sleep: Callable[[float], Any], snapshots: Snapshots, slowest: Figures) -> Figures:
    asks = {name: ask_async(driver, snapshots, is_stale, slowest[name], sleep) for name, is_stale in SUBJECTS.items()}
    return await interleave_async(asks, ROUNDS)


def show(world: str, figures: Figures, slowest: Figures) -> None:
    for name, figure in figures.items():
        calls = f"p99 {Spread(figure).show('us')}, slowest {Spread(slowest[name][1:]).show('us', 0)}"
        print(f"{world:8} {name:12} {calls}")
    noise = ratio(figures["fresh again"], figures["fresh"])
    stale = ratio(figures["stale"], figures["fresh"])
    verdict = "within noise" if stale.median <= max(noise.high, 1 / noise.low) else "NOT within noise"
    print(f"{world:8} stale to fresh {stale.show('x', 2)}; fresh to fresh {noise.show('x', 2)}: {verdict}")


def main() -> None:
    show_machine()
    with server_process(rotation=False, latency=LATENCY) as server:
        # Restored again and again, since the server does not rotate; a pair's time to become stale is restored with it.
        snapshots = {}
        for is_stale, policy in ((False, None), (True, STALE_AT_ONCE)):
            with server.session(policy) as session:
                snapshots[is_stale] = session.snapshot()
        runs: dict[str, Callable[[Figures], Figures]] = {
            "blocking": lambda slowest: in_threads(snapshots, slowest),
            "asyncio": lambda slowest: asyncio.run(in_tasks(asyncio_driver, asyncio.sleep, snapshots, slowest)),
            "trio": lambda slowest: trio.run(in_tasks, trio_driver, trio.sleep, snapshots, slowest),
        }
        for world, run in runs.items():
            slowest: Figures = {name: [] for name in SUBJECTS}
            show(world, run(slowest), slowest)


if __name__ == "__main__":
    main()
