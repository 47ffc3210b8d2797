# How long is it from the last look at the clock to the first byte that is given to the kernel? Nothing is compared: a
# process that is stopped in between, beyond its lease, may present a spent token (transports/stores/README.md).
#
# Measured inside the three senders, over loopback: the reading of the clock that decides, and the moment at which
# `socket.send` or `sendall` is called (in trio: the method of its socket that does nothing else).

import asyncio
import socket
import time
from collections.abc import Callable
from typing import Any

import trio
from _measure import Spread, show_machine
from _service import TOKEN_ID
from tenure import Request, Response, SpatiumDialect
from tenure.transports import _asyncio_streams, _requests, _trio_streams
from tenure.transports.emulator import Emulator

ROUNDS = 300

looked_at = 0.0
windows: list[float] = []


def wall() -> float:
    """Stand in for the senders' wall clock, which they look at last."""
    global looked_at
    now = time.time()
    looked_at = time.perf_counter()
    return now


class WatchedSocket(socket.socket):
    """Notes the first bytes that leave behind a look. (The service's are noted too, but later.)"""

    def send(self, *arguments: Any) -> int:
        note()
        return super().send(*arguments)

    def sendall(self, *arguments: Any) -> None:
        note()
        super().sendall(*arguments)


def watch_trio() -> None:
    """The same for trio, which calls the system's function past our class."""
    with trio.socket.from_stdlib_socket(socket.socket()) as probe:
        kind: Any = type(probe)
    original = kind.send

    def send(self: Any, *arguments: Any) -> Any:
        note()
        return original(self, *arguments)

    kind.send = send


def note() -> None:
    global looked_at
    if looked_at:
        windows.append((time.perf_counter() - looked_at) * 1e6)
        looked_at = 0.0


def in_asyncio(request: Request) -> Response:
    return asyncio.run(_asyncio_streams.StreamSender(None)(request, 10.0))


def in_trio(request: Request) -> Response:
    return trio.run(_trio_streams.StreamSender(None), request, 10.0)


def main() -> None:
    blocking = _requests.RequestsSender()
    senders: dict[str, Callable[[Request], Response]] = {
        "blocking": lambda request: blocking(request, 10.0),
        "asyncio": in_asyncio,
        "trio": in_trio,
    }
    for module in (_requests, _asyncio_streams, _trio_streams):
        module.wall = wall  # type: ignore[attr-defined]
    show_machine()
    with Emulator(rotation=False) as emulator:
        request = SpatiumDialect().verify_credentials(emulator.url, *emulator.credentials, TOKEN_ID)
        watch_trio()
        socket.socket = WatchedSocket  # type: ignore[misc]
        for name, send in senders.items():
            windows.clear()
            for _ in range(ROUNDS):
                assert send(request).status == 200
            assert len(windows) in (ROUNDS, 2 * ROUNDS)  # requests sends headers and body apart, each behind a look
            print(f"{name:24} {Spread(windows).show('us', 0)}, widest {max(windows):.0f} us")


if __name__ == "__main__":
    main()
