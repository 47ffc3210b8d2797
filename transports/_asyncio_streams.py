# One HTTP exchange on asyncio's streams: a core Request in, a core Response out, or a SendFailure that says whether the
# server can have seen it. What is said and how it is judged is _http11.py's; here is only how asyncio moves bytes.
#
# Cancellation. Before the first byte has left, it simply ends the exchange. After it: see _asyncio_shield.py.

import asyncio
import socket
import ssl
from collections.abc import Awaitable, Callable
from typing import TypeVar

from .. import NOT_SENT, Request, Response, SendFailure
from ._asyncio_shield import CancelledWithReport
from ._http11 import HttpExchange

__all__ = ["StreamSender"]

CHUNK = 64 * 1024  # bytes a read asks for
Connection = tuple[asyncio.StreamReader, asyncio.StreamWriter]
Result = TypeVar("Result")


class StreamSender:
    """Sends each request on a connection of its own. A coroutine function: `await sender(request, timeout)`.

    Args:
        context: for TLS; by default one that trusts what the system trusts, made when it is first needed.
    """

    def __init__(self, context: ssl.SSLContext | None) -> None:
        self._context = context

    async def __call__(self, request: Request, timeout: float) -> Response:
        """Send `request` and return its answer, whatever its status, within `timeout` seconds.

        Raises:
            SendFailure: there is no answer.
            CancelledWithReport: cancelled after the first byte had left.
        """
        exchange = HttpExchange(request)
        ends_at = asyncio.get_running_loop().time() + timeout
        try:
            reader, writer = await self._connect_within(timeout, exchange)
        except (OSError, ValueError) as problem:  # an ssl.SSLError is an OSError, a name that cannot be a ValueError
            failure = exchange.failure(problem)
        else:
            return await _Conversation(exchange, reader, writer).hold(ends_at)
        raise failure  # out here, so that its traceback does not hold the other one

    async def _connect_within(self, timeout: float, exchange: HttpExchange) -> Connection:
        connecting = asyncio.ensure_future(self._connect(exchange))
        try:
            await asyncio.wait({connecting}, timeout=timeout)
        except asyncio.CancelledError:
            await _undo(connecting)
            raise CancelledWithReport(SendFailure(NOT_SENT, f"cancelled while {exchange.place}")) from None
        if not connecting.done():
            await _undo(connecting)
            raise exchange.failure()
        return connecting.result()

    async def _connect(self, exchange: HttpExchange) -> Connection:
        sock = await _open_socket(exchange.host, exchange.port)
        try:
            if not exchange.is_tls:
                return await asyncio.open_connection(sock=sock)
            if self._context is None:
                self._context = ssl.create_default_context()
            exchange.start_handshake()
            return await asyncio.open_connection(sock=sock, ssl=self._context, server_hostname=exchange.host)
        except BaseException:
            sock.close()
            raise


async def _undo(connecting: "asyncio.Future[Connection]") -> None:
    """End the attempt to connect; if it succeeds all the same, close the connection."""
    connecting.cancel()
    await asyncio.wait({connecting})
    if not connecting.cancelled() and connecting.exception() is None:
        connecting.result()[1].transport.abort()


async def _open_socket(host: str, port: int) -> socket.socket:
    """Connect to the first address that answers. A socket of our own, so that TCP and TLS are told apart."""
    loop = asyncio.get_running_loop()
    problem: OSError = OSError("no address")
    try:  # an address needs no look-up, which would take a thread
        addresses = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST)
    except socket.gaierror:
        addresses = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    for family, kind, protocol, _, address in addresses:
        sock = socket.socket(family, kind, protocol)
        try:
            sock.setblocking(False)
            await loop.sock_connect(sock, address)
            return sock
        except OSError as refused:
            sock.close()
            problem = refused
        except BaseException:
            sock.close()
            raise
    raise problem


class _Conversation:
    """The part of an exchange that no cancellation cuts off."""

    def __init__(self, exchange: HttpExchange, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._exchange = exchange
        self._reader = reader
        self._writer = writer
        self._was_cancelled = False
        self._is_late = False

    async def hold(self, ends_at: float) -> Response:
        """Send the request and return the answer, before `ends_at` on the loop's clock."""
        timer = asyncio.get_running_loop().call_at(ends_at, self._end_late)
        report: Response | SendFailure
        try:
            report = await self._talk()
        except SendFailure as failure:
            report = failure
        except OSError as problem:
            report = self._exchange.failure(problem)
        finally:
            timer.cancel()
            self._writer.transport.abort()  # all is read, or nobody wants the rest; a polite close could hang
        if self._is_late and isinstance(report, SendFailure):
            report = self._exchange.failure()
        if self._was_cancelled:
            raise CancelledWithReport(report)
        if isinstance(report, SendFailure):
            raise report
        return report

    async def _talk(self) -> Response:
        self._writer.transport.set_write_buffer_limits(0)  # so that drain() means: all of it has been handed over
        self._writer.write(self._exchange.data_to_send())
        await self._insist(self._writer.drain)
        self._exchange.wait_for_answer()
        while True:
            data = await self._insist(lambda: self._reader.read(CHUNK))
            answer = self._exchange.receive_data(data)
            if answer is not None:
                return answer

    async def _insist(self, operation: Callable[[], Awaitable[Result]]) -> Result:
        """Await `operation`, and again if the task is cancelled meanwhile: reading and draining can be repeated."""
        while True:
            try:
                result = await operation()
            except asyncio.CancelledError:
                self._was_cancelled = True
            else:
                if self._is_late:  # the end that the stream has come to is our own doing
                    raise self._exchange.failure()
                return result

    def _end_late(self) -> None:
        self._is_late = True
        self._writer.transport.abort()
