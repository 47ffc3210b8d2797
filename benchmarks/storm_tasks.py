# 1 000, 10 000 and 100 000 tasks want a token, and the one that is held was invalidated: how many refreshes, and when
# does the last task have the new token, counted from the server's answer? Target: one refresh, 10 000 done within
# 100 ms, a flat cost per task.
#
# The service is in memory and keeps its answer until all tasks wait. The peer is the same number of tasks that wait on
# one bare asyncio.Event or trio.Event: no program that wakes tasks can be much faster. What a task costs there grows
# with their number too, since more of them fit no cache; flat is therefore what grows no faster than the peer.

import asyncio
import gc
import time
from collections.abc import Awaitable, Callable
from typing import Any

import trio
import trio.testing
from _measure import Spread, interleave, ratio, show_machine
from _service import TOKEN_ID
from tenure import Request, Response
from tenure.transports import asyncio as asyncio_driver
from tenure.transports import trio as trio_driver
from tenure.transports.emulator import AuthorizationService

ROUNDS = {1_000: 30, 10_000: 8, 100_000: 2}  # by the number of tasks


class Storm:
    """What the tasks of one storm do and see.

    Attributes:
        begin: when the answer was there, or the event set. end: when the last task so far had been woken.
    """

    def __init__(self) -> None:
        self.begin = self.end = 0.0
        self.begun = 0
        self.got: set[object] = set()

    async def wait(self, wait: Callable[[], Awaitable[object]]) -> None:
        self.begun += 1
        self.got.add(await wait())
        self.end = time.perf_counter()

    def milliseconds(self, count: int) -> float:
        assert self.begun == count
        assert len(self.got) == 1, "not everybody got the same token"
        return (self.end - self.begin) * 1000


class InvalidatedSession:
    """A session whose token has been invalidated, and whose next refresh is answered when `gate` is set."""

    def __init__(self, driver: Any, storm: Storm, gate: Any) -> None:
        self.service = AuthorizationService()
        self._storm = storm
        self._gate = gate
        self._keeps_answers = False
        url = "http://localhost" + self.service.base_path
        self.session = driver.AuthorizationSession(url, TOKEN_ID, ["read"], send=self._send)

    async def _send(self, request: Request, timeout: float) -> Response:
        answer = self.service.handle(request, time.time())
        if self._keeps_answers:
            await self._gate.wait()
            self._storm.begin = time.perf_counter()
        return answer

    async def prepare(self) -> None:
        await self.session.establish_by_key(self.service.merchant_key)
        self.session.invalidate(await self.session.get_permission_token())
        self._keeps_answers = True

    async def close(self) -> None:
        assert self.service.statistics.refreshes == 1, "more than one refresh"
        await self.session.close()


async def run_in_asyncio(storm: Storm, count: int, wait: Callable[[], Awaitable[object]], gate: asyncio.Event) -> None:
    tasks = [asyncio.ensure_future(storm.wait(wait)) for _ in range(count)]
    while storm.begun < count:
        await asyncio.sleep(0)
    for _ in range(5):  # what the first of them has begun gets as far as the gate
        await asyncio.sleep(0)
    storm.begin = time.perf_counter()
    gate.set()
    await asyncio.gather(*tasks)


async def run_in_trio(storm: Storm, count: int, wait: Callable[[], Awaitable[object]], gate: trio.Event) -> None:
    async with trio.open_nursery() as nursery:
        for _ in range(count):
            nursery.start_soon(storm.wait, wait)
        await trio.testing.wait_all_tasks_blocked()
        storm.begin = time.perf_counter()
        gate.set()


async def session_in_asyncio(storm: Storm, count: int) -> None:
    gate = asyncio.Event()
    invalidated = InvalidatedSession(asyncio_driver, storm, gate)
    await invalidated.prepare()
    await run_in_asyncio(storm, count, invalidated.session.get_permission_token, gate)
    await invalidated.close()


async def event_in_asyncio(storm: Storm, count: int) -> None:
    event = asyncio.Event()
    await run_in_asyncio(storm, count, event.wait, event)


async def session_in_trio(storm: Storm, count: int) -> None:
    gate = trio.Event()
    invalidated = InvalidatedSession(trio_driver, storm, gate)
    await invalidated.prepare()
    await run_in_trio(storm, count, invalidated.session.get_permission_token, gate)
    await invalidated.close()


async def event_in_trio(storm: Storm, count: int) -> None:
    event = trio.Event()
    await run_in_trio(storm, count, event.wait, event)


def measured(
    run: Callable[..., Any], subject: Callable[[Storm, int], Awaitable[None]], count: int
) -> Callable[[], float]:
    """Return a function that measures the milliseconds of a storm of so many tasks."""

    def measure() -> float:
        gc.collect()  # nobody pays for another one's garbage
        storm = Storm()

        async def main() -> None:
            await subject(storm, count)

        run(main() if run is asyncio.run else main)
        return storm.milliseconds(count)

    return measure


def main() -> None:
    show_machine()
    for count, rounds in ROUNDS.items():
        figures = interleave(
            {
                "asyncio session": measured(asyncio.run, session_in_asyncio, count),
                "asyncio.Event": measured(asyncio.run, event_in_asyncio, count),
                "trio session": measured(trio.run, session_in_trio, count),
                "trio.Event": measured(trio.run, event_in_trio, count),
            },
            rounds,
        )
        for name, figure in figures.items():
            each = Spread([milliseconds * 1000 / count for milliseconds in figure])
            print(f"{count:7} tasks, {name:16} {Spread(figure).show('ms'):32} {each.show('us', 2)} each")
        for world in ("asyncio", "trio"):
            compared = ratio(figures[f"{world} session"], figures[f"{world}.Event"])
            print(f"{count:7} tasks, {world} session to {world}.Event: {compared.show('x', 2)}")


if __name__ == "__main__":
    main()
