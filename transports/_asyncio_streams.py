# One HTTP exchange on asyncio's transports: a core Request in, a core Response out, or a SendFailure that says whether
# the server can have seen it. What is said and how it is judged is _http11.py's; here is only how asyncio moves bytes.
#
# A protocol of our own, not asyncio's reader and writer: what arrives is judged in the very turn of the loop in which
# it arrives, and there is one thing to wait for instead of one for each read and drain.
#
# Cancellation. Before the first byte has left, it simply ends the exchange. After it: see _asyncio_shield.py.

import asyncio
import ssl
from collections.abc import Callable
from contextlib import suppress
from time import time as wall
from typing import cast

from .. import NOT_SENT, Request, Response, SendFailure
from ..steps import latest_start
from ._asyncio_connect import open_socket
from ._asyncio_shield import CancelledWithReport, Take, cancellations_of, take_back_one
from ._http11 import HttpExchange

__all__ = ["StreamSender"]

LAST_LOOK = 0.001  # seconds beyond the time-out, so that the loop sees what came while it, or the process, stood still

Report = Response | SendFailure


def _unheeded(answer: Response) -> None:
    """Take in an answer for somebody who waits for it to be returned."""


class StreamSender:
    """Sends each request on a connection of its own. A coroutine function: `await sender(request, timeout, take)`.

    Args:
        context: for TLS; by default one that trusts what the system trusts, made when it is first needed.
    """

    def __init__(self, context: ssl.SSLContext | None) -> None:
        self._context = context

    async def __call__(self, request: Request, timeout: float, take: Take = _unheeded) -> Response:
        """Send `request` and return its answer, whatever its status, within `timeout` seconds.

        Args:
            request, timeout: what to send, and how long that may take, in seconds.
            take: is given the answer as well, in the very turn of the loop in which it arrives.

        Raises:
            SendFailure: there is no answer.
            CancelledWithReport: cancelled. What had been sent by then was waited for, and this is what came of it.
        """
        conversation = _Conversation(HttpExchange(request), timeout, take)
        try:
            report = await conversation.connect(self._tls) or await conversation.hold()
        finally:
            conversation.end()
        if conversation.was_cancelled:
            raise CancelledWithReport(report)
        if isinstance(report, SendFailure):
            raise report  # out here, so that its traceback holds no other one
        return report

    def _tls(self) -> ssl.SSLContext:
        if self._context is None:
            self._context = ssl.create_default_context()
        return self._context


class _Conversation(asyncio.Protocol):
    """One exchange, from connecting to the answer. From the first byte of the request on, no cancellation cuts it off.

    Attributes:
        was_cancelled: somebody cancelled the task meanwhile, and has to be obeyed when the exchange is over.
    """

    def __init__(self, exchange: HttpExchange, timeout: float, take: Take) -> None:
        self.was_cancelled = False
        self._exchange = exchange
        self._take = take
        self._loop = asyncio.get_running_loop()
        starts = latest_start(timeout)
        self._starts_by, self._starts_by_wall = self._loop.time() + starts, wall() + starts
        self._timer = self._loop.call_later(timeout, self._end_late)
        self._connecting: asyncio.Task[object] | None = None
        self._transport: asyncio.Transport | None = None
        self._report: Report | None = None
        self._changed: asyncio.Future[None] | None = None
        self._is_late = self._is_paused = False

    # Until the first byte

    async def connect(self, tls: Callable[[], ssl.SSLContext]) -> SendFailure | None:
        """Connect, and return what has come in between, if anything has. `tls` makes the context, which may fail."""
        task = self._connecting = asyncio.current_task()
        assert task is not None
        before = cancellations_of(task)
        try:
            await self._open(tls)
            return None
        except asyncio.CancelledError:
            self.was_cancelled = not self._is_late or take_back_one(task) > before
        except Exception as problem:  # whatever it is, nothing has left
            return self._exchange.failure(problem)
        finally:
            self._connecting = None
        if self._is_late:
            return self._exchange.failure()
        return SendFailure(NOT_SENT, f"cancelled while {self._exchange.place}")

    async def _open(self, tls: Callable[[], ssl.SSLContext]) -> None:
        sock = await open_socket(self._loop, self._exchange.host, self._exchange.port)
        try:
            if not self._exchange.is_tls:
                await self._loop.create_connection(lambda: self, sock=sock)
                return
            self._exchange.start_handshake()
            name = self._exchange.host
            await self._loop.create_connection(lambda: self, sock=sock, ssl=tls(), server_hostname=name)
        except BaseException:
            sock.close()
            raise

    # From the first byte on

    async def hold(self) -> Report:
        """Send the request, and wait for what comes of it."""
        self._send()
        while self._report is None:
            self._changed = self._loop.create_future()
            try:
                await self._changed
            except asyncio.CancelledError:
                self.was_cancelled = True
        return self._report

    def _send(self) -> None:
        transport = self._transport
        assert transport is not None
        if self._report is not None:  # the connection has ended already
            return
        try:
            self._exchange.prepare()
        except Exception as problem:  # such as a header that h11 does not let pass
            self._settle(self._exchange.failure(problem))
            return
        transport.set_write_buffer_limits(high=1, low=0)  # so that "paused" means: not all was handed on
        if self._loop.time() >= self._starts_by or wall() >= self._starts_by_wall:
            # The whole process was stopped or suspended in the meantime: by now this may be somebody else's turn.
            self._settle(self._exchange.failure())
            return
        self._exchange.start_sending()
        transport.write(self._exchange.data_to_send())
        if not self._is_paused:
            self._exchange.wait_for_answer()

    def _settle(self, report: Report) -> None:
        if self._report is None:
            self._report = report
            if self._changed is not None and not self._changed.done():
                self._changed.set_result(None)

    def end(self) -> None:
        """Leave nothing behind. All is read, or nobody wants the rest; a polite close could hang."""
        self._timer.cancel()
        if self._transport is not None:
            self._transport.abort()

    # What the loop calls

    def _end_late(self) -> None:
        self._is_late = True
        if self._connecting is not None:
            self._connecting.cancel()
        else:  # in the next turn: other loops look at timers before they look at what has come meanwhile
            self._timer = self._loop.call_later(LAST_LOOK, lambda: self._settle(self._exchange.failure()))

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # in what it does; uvloop's do not derive from it

    def data_received(self, data: bytes) -> None:
        if self._report is None:
            try:
                answer = self._exchange.receive_data(data)
            except SendFailure as failure:
                self._settle(failure.with_traceback(None))
            else:
                if answer is not None:
                    self._pass_on(answer)

    def _pass_on(self, answer: Response) -> None:
        """Wake the callers, and behind them the sender."""
        try:
            with suppress(Exception):  # a bug, but none of the loop's: the sender's task meets it, too, and has to do
                self._take(answer)
        finally:
            self._settle(answer)

    def eof_received(self) -> None:
        self.data_received(b"")

    def connection_lost(self, problem: Exception | None) -> None:
        if problem is not None:
            self._settle(self._exchange.failure(problem))
        self.data_received(b"")

    def pause_writing(self) -> None:
        self._is_paused = True

    def resume_writing(self) -> None:
        self._exchange.wait_for_answer()
