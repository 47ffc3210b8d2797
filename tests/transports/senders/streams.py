# The senders of the asyncio and the trio driver as their tests see them, and what those tests send.

import asyncio
import selectors
import ssl
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any

import pytest
import trio
from tenure import Request, Response, SendFailure
from tenure.transports import _asyncio_streams, _trio_streams
from tenure.transports._asyncio_shield import CancelledWithReport
from tenure.transports._http11 import HttpExchange

from ..drivers import TIMEOUT
from ..loopback import Certificate

BODY = b'{"secret": "s3cr3t"}'
SOON = 0.4  # seconds; a time-out that is meant to be reached
HELLO = b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello"
BIG = bytes(16 * 1024 * 1024)  # more than the buffers of a connection hold

Report = Response | SendFailure


class Sender(ABC):
    """A sender as these tests see it."""

    clocks: tuple[str, str]  # what the sender's module reads, to be patched

    def __init__(self, context: ssl.SSLContext | None = None) -> None:
        self.context = context

    @staticmethod
    @abstractmethod
    def when_connected(monkeypatch: pytest.MonkeyPatch, act: Callable[[], object]) -> None:
        """Do something once the connection stands, in the turn of the scheduler in which the sender learns of it."""

    @staticmethod
    @abstractmethod
    def when_sent(monkeypatch: pytest.MonkeyPatch, act: Callable[[], object]) -> None:
        """Do something when the request has left: once the scheduler has seen that nothing has come, before it looks
        at the time."""

    @abstractmethod
    def send(self, request: Request, timeout: float) -> Report:
        """Send in a run of its own."""

    @abstractmethod
    def send_and_cancel(self, request: Request, moment: threading.Event, then: Callable[[], object]) -> Report | None:
        """Send, cancel at the moment, then do something; return what came of it, None for nothing but the end."""


class AsyncioSender(Sender):
    clocks = ("time.monotonic", "tenure.transports._asyncio_streams.wall")

    @staticmethod
    def when_connected(monkeypatch: pytest.MonkeyPatch, act: Callable[[], object]) -> None:
        before = _asyncio_streams._Conversation.connection_made

        def connection_made(self: _asyncio_streams._Conversation, transport: asyncio.BaseTransport) -> None:
            before(self, transport)
            act()

        monkeypatch.setattr(_asyncio_streams._Conversation, "connection_made", connection_made)

    @staticmethod
    def when_sent(monkeypatch: pytest.MonkeyPatch, act: Callable[[], object]) -> None:
        data_to_send, select = HttpExchange.data_to_send, selectors.DefaultSelector.select
        leaving: list[HttpExchange] = []

        def mark(self: HttpExchange) -> bytes:
            leaving.append(self)
            return data_to_send(self)

        def look(self: selectors.DefaultSelector, timeout: float | None = None) -> list[Any]:
            if not leaving:
                return select(self, timeout)
            leaving.clear()
            act()
            return []

        monkeypatch.setattr(HttpExchange, "data_to_send", mark)
        monkeypatch.setattr(selectors.DefaultSelector, "select", look)

    async def _send(self, request: Request, timeout: float) -> Report:
        try:
            return await _asyncio_streams.StreamSender(self.context)(request, timeout)
        except SendFailure as failure:
            return failure
        except CancelledWithReport as cancelled:
            report = cancelled.report
        assert isinstance(report, Response | SendFailure)
        return report

    def send(self, request: Request, timeout: float) -> Report:
        return asyncio.run(self._send(request, timeout))

    def send_and_cancel(self, request: Request, moment: threading.Event, then: Callable[[], object]) -> Report | None:
        async def main() -> Report | None:
            task = asyncio.ensure_future(self._send(request, TIMEOUT))
            assert await asyncio.to_thread(moment.wait, TIMEOUT)
            for _ in range(3):  # insisting
                task.cancel()
                await asyncio.sleep(0)
            then()
            await asyncio.wait({task})
            return None if task.cancelled() else task.result()

        return asyncio.run(main())


class TrioSender(Sender):
    clocks = ("trio.current_time", "tenure.transports._trio_streams.wall")

    @staticmethod
    def when_connected(monkeypatch: pytest.MonkeyPatch, act: Callable[[], object]) -> None:
        before = _trio_streams.StreamSender._secure

        async def secure(*arguments: Any) -> Any:
            stream = await before(*arguments)
            act()
            return stream

        monkeypatch.setattr(_trio_streams.StreamSender, "_secure", secure)

    @staticmethod
    def when_sent(monkeypatch: pytest.MonkeyPatch, act: Callable[[], object]) -> None:
        data_to_send, send_all = HttpExchange.data_to_send, trio.SocketStream.send_all
        leaving: list[HttpExchange] = []

        class Once(trio.abc.Instrument):
            def after_io_wait(self, timeout: float) -> None:
                trio.lowlevel.remove_instrument(self)
                act()

        def mark(self: HttpExchange) -> bytes:
            leaving.append(self)
            return data_to_send(self)

        async def send(self: trio.SocketStream, data: bytes) -> None:
            if leaving:
                trio.lowlevel.add_instrument(Once())  # at the checkpoint behind the sending, which need not wait
            await send_all(self, data)

        monkeypatch.setattr(HttpExchange, "data_to_send", mark)
        monkeypatch.setattr(trio.SocketStream, "send_all", send)

    async def _send(self, request: Request, timeout: float) -> Report:
        try:
            return await _trio_streams.StreamSender(self.context)(request, timeout)
        except SendFailure as failure:
            return failure

    def send(self, request: Request, timeout: float) -> Report:
        return trio.run(self._send, request, timeout)

    def send_and_cancel(self, request: Request, moment: threading.Event, then: Callable[[], object]) -> Report | None:
        reports: list[Report] = []

        async def main() -> None:
            async with trio.open_nursery() as nursery:
                scope = trio.CancelScope()

                async def run() -> None:
                    with scope:
                        reports.append(await self._send(request, TIMEOUT))

                nursery.start_soon(run)
                assert await trio.to_thread.run_sync(moment.wait, TIMEOUT)
                scope.cancel()
                for _ in range(3):
                    await trio.lowlevel.checkpoint()
                then()

        trio.run(main)
        return reports[0] if reports else None


def post(url: str, body: bytes = BODY) -> Request:
    return Request("POST", url, (("content-type", "application/json"), ("request-id", "1")), body)


def answer_to(sender: Sender, url: str, body: bytes = BODY) -> Response:
    report = sender.send(post(url, body), TIMEOUT)
    assert isinstance(report, Response), report
    return report


def failure_of(sender: Sender, url: str, timeout: float = TIMEOUT, body: bytes = BODY) -> SendFailure:
    report = sender.send(post(url, body), timeout)
    assert isinstance(report, SendFailure)
    assert "s3cr3t" not in f"{report!r} {report}"
    return report


def late(sender: Sender, url: str, body: bytes = BODY) -> tuple[str, str]:
    """Return kind and reason of a failure that has to come by time-out, and neither too early nor much too late."""
    begun = time.monotonic()
    failure = failure_of(sender, url, SOON, body)
    assert SOON * 0.9 <= time.monotonic() - begun < TIMEOUT / 2
    return failure.kind, failure.reason


def trusting(certificate: Certificate) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=str(certificate.path))
