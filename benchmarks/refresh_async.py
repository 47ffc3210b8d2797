# What does one refresh over loopback cost in the asyncio and the trio driver? Target: at most 1.25 x bare h11, and less
# than httpx2 and aiohttp.
#
# The peer is a program by hand on the framework's own streams: connect, speak h11, read to the end of the answer, parse
# the JSON, close. It judges and keeps nothing. httpx2 and aiohttp do the same request with a client made beforehand.
# The server is in another process and does not rotate, so that all may present the same refresh token again and again;
# each request of each goes over a connection of its own. "its sender alone" shows what the rest of a driver costs.

import asyncio
import json
import time
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from typing import Any
from urllib.parse import urlsplit

import h11
import trio
from _measure import Spread, interleave_async, optional, ratio, show_machine
from _service import TOKEN_ID, ServerProcess, server_process
from tenure.transports import asyncio as asyncio_driver
from tenure.transports import trio as trio_driver

ROUNDS = 1500
REST = 5  # turns of the scheduler between two exchanges, so that nobody pays for what another one leaves behind
CHUNK = 64 * 1024

Subject = Callable[[], Awaitable[object]]


class Job:
    """The request that everybody sends."""

    def __init__(self, server: ServerProcess) -> None:
        with server.session() as session:
            self.snapshot = session.snapshot()
            pair = self.snapshot["pair"]
            assert isinstance(pair, dict)
            self.body = json.dumps({"permissionRefreshToken": pair["refresh_token"]}).encode()
            self.request = session._protocol._dialect.refresh(
                server.url, TOKEN_ID, ("read",), pair["refresh_token"], TOKEN_ID
            )
        self.url = server.url + "/api/permission/refresh"
        self.headers = {"content-type": "application/json", "accept": "application/json", "request-id": TOKEN_ID}


class BareExchange:
    """What is the same in both peers: HTTP."""

    def __init__(self, job: Job) -> None:
        self.job = job
        parts = urlsplit(job.url)
        self.host, self.port, self.path = parts.hostname or "", parts.port or 80, parts.path
        self.http = h11.Connection(h11.CLIENT)
        self.body = b""

    def data_to_send(self) -> bytes:
        headers = [
            ("host", f"{self.host}:{self.port}"),
            *self.job.headers.items(),
            ("content-length", str(len(self.job.body))),
            ("connection", "close"),
        ]
        head = h11.Request(method="POST", target=self.path, headers=headers)
        events = (head, h11.Data(self.job.body), h11.EndOfMessage())
        return b"".join([self.http.send(event) or b"" for event in events])

    def is_complete(self) -> bool:
        """Take in what has arrived; return True at the end of the answer."""
        while (event := self.http.next_event()) is not h11.NEED_DATA:
            if isinstance(event, h11.Response):
                assert event.status_code == 200
            elif isinstance(event, h11.Data):
                self.body += event.data
            elif isinstance(event, h11.EndOfMessage):
                return True
        return False


async def bare_in_asyncio(job: Job) -> object:
    exchange = BareExchange(job)
    reader, writer = await asyncio.open_connection(exchange.host, exchange.port)
    writer.write(exchange.data_to_send())
    await writer.drain()
    while not exchange.is_complete():
        exchange.http.receive_data(await reader.read(CHUNK))
    writer.close()
    return json.loads(exchange.body)


async def bare_in_trio(job: Job) -> object:
    exchange = BareExchange(job)
    async with await trio.open_tcp_stream(exchange.host, exchange.port) as stream:
        await stream.send_all(exchange.data_to_send())
        while not exchange.is_complete():
            exchange.http.receive_data(bytes(await stream.receive_some(CHUNK)))
    return json.loads(exchange.body)


async def with_aiohttp(stack: AsyncExitStack, job: Job) -> dict[str, Subject]:
    aiohttp = optional("aiohttp")
    if aiohttp is None:
        return {}
    client = await stack.enter_async_context(aiohttp.ClientSession(connector=aiohttp.TCPConnector(force_close=True)))

    async def post() -> object:
        async with client.post(job.url, data=job.body, headers=job.headers) as answer:
            assert answer.status == 200
            return await answer.json()

    return {"aiohttp": post}


async def with_httpx2(stack: AsyncExitStack, job: Job) -> dict[str, Subject]:
    httpx2 = optional("httpx2")
    if httpx2 is None:
        return {}
    client = await stack.enter_async_context(httpx2.AsyncClient(headers={"connection": "close"}))

    async def post() -> object:
        answer = await client.post(job.url, content=job.body, headers=job.headers)
        assert answer.status_code == 200
        return answer.json()

    return {"httpx2": post}


def ours(driver: Any, job: Job) -> dict[str, Subject]:
    session = driver.AuthorizationSession.from_snapshot(job.snapshot)
    return {"session.refresh": session.refresh, "its sender alone": lambda: session._send(job.request, 10.0)}


def measured(subject: Subject, rest: Subject) -> Callable[[], Awaitable[float]]:
    """Return a function that measures the microseconds until the subject is back."""

    async def measure() -> float:
        for _ in range(REST):
            await rest()
        begin = time.perf_counter()
        await subject()
        return (time.perf_counter() - begin) * 1e6

    return measure


async def in_asyncio(job: Job) -> dict[str, list[float]]:
    async with AsyncExitStack() as stack:
        subjects: dict[str, Subject] = {"bare h11": lambda: bare_in_asyncio(job), **ours(asyncio_driver, job)}
        subjects |= await with_aiohttp(stack, job)
        subjects |= await with_httpx2(stack, job)
        turn: dict[str, Callable[[], Awaitable[float]]] = {
            name: measured(subject, lambda: asyncio.sleep(0)) for name, subject in subjects.items()
        }
        return await interleave_async(turn, ROUNDS)


async def in_trio(job: Job) -> dict[str, list[float]]:
    async with AsyncExitStack() as stack:
        subjects: dict[str, Subject] = {"bare h11": lambda: bare_in_trio(job), **ours(trio_driver, job)}
        subjects |= await with_httpx2(stack, job)
        turn = {name: measured(subject, trio.lowlevel.checkpoint) for name, subject in subjects.items()}
        return await interleave_async(turn, ROUNDS)


def main() -> None:
    show_machine()
    with server_process(rotation=False) as server:
        job = Job(server)
        both = {"asyncio": asyncio.run(in_asyncio(job)), "trio": trio.run(in_trio, job)}
    for world, figures in both.items():
        for name, figure in figures.items():
            compared = ratio(figure, figures["bare h11"]).show("x", 2)
            print(f"{world:8} {name:18} {Spread(figure).show('us', 0):26} to bare h11 {compared}")


if __name__ == "__main__":
    main()
