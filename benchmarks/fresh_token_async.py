# What does a token cost while it is fresh, in the asyncio and the trio driver? Target: at most 1.5 x the peer.
#
# The peer is the least that a correct program can do by hand: a coroutine method of a plain class that looks at both
# clocks and returns the token. In trio it does a checkpoint first, which every trio call owes its caller; nearly all of
# the time goes into that, so what it takes alone is shown as well.

import asyncio
import time
from collections.abc import Awaitable, Callable
from itertools import repeat
from time import monotonic
from time import time as wall
from typing import Any

import trio
from _measure import Spread, interleave_async, ratio, show_machine
from _service import async_session_in_memory
from tenure.transports import asyncio as asyncio_driver
from tenure.transports import trio as trio_driver

CALLS = 2_000  # in each round
ROUNDS = 300
LIFETIME = 900  # seconds


class ByHand:
    """The peer."""

    def __init__(self, now: float) -> None:
        self.token = "a token"
        self.until_monotonic = now + LIFETIME
        self.until_wall = wall() + LIFETIME

    async def get_in_asyncio(self) -> str:
        if monotonic() < self.until_monotonic and wall() < self.until_wall:
            return self.token
        raise LookupError("a program would refresh here")

    async def get_in_trio(self) -> str:
        await trio.lowlevel.checkpoint()
        if trio.current_time() < self.until_monotonic and wall() < self.until_wall:
            return self.token
        raise LookupError("a program would refresh here")


def measured(get: Callable[[], Awaitable[object]]) -> Callable[[], Awaitable[float]]:
    """Return a function that measures the nanoseconds of a call."""

    async def measure() -> float:
        begin = time.perf_counter()
        for _ in repeat(None, CALLS):
            await get()
        return (time.perf_counter() - begin) / CALLS * 1e9

    return measure


async def established(driver: Any) -> Any:
    session, service = async_session_in_memory(driver)
    await session.establish_by_key(service.merchant_key)
    return session


async def in_asyncio() -> dict[str, list[float]]:
    session = await established(asyncio_driver)
    by_hand = ByHand(monotonic())
    subjects = {"by hand": by_hand.get_in_asyncio, "get_permission_token": session.get_permission_token}
    return await interleave_async({name: measured(get) for name, get in subjects.items()}, ROUNDS)


async def in_trio() -> dict[str, list[float]]:
    session = await established(trio_driver)
    by_hand = ByHand(trio.current_time())
    subjects: dict[str, Callable[[], Awaitable[object]]] = {
        "by hand": by_hand.get_in_trio,
        "get_permission_token": session.get_permission_token,
        "a checkpoint alone": trio.lowlevel.checkpoint,
    }
    return await interleave_async({name: measured(get) for name, get in subjects.items()}, ROUNDS)


def main() -> None:
    show_machine()
    for world, figures in (("asyncio", asyncio.run(in_asyncio())), ("trio", trio.run(in_trio))):
        for name, figure in figures.items():
            print(f"{world:8} {name:22} {Spread(figure).show('ns')}")
        compared = ratio(figures["get_permission_token"], figures["by hand"])
        print(f"{world:8} {'ratio to by hand':22} {compared.show('x', 2)}")


if __name__ == "__main__":
    main()
