# One HTTP exchange on trio's streams: a core Request in, a core Response out, or a SendFailure that says whether the
# server can have seen it. What is said and how it is judged is _http11.py's; here is only how trio moves bytes.
#
# Cancellation. Before the first byte has left, it simply ends the exchange. From then on the exchange is shielded, at
# most until its time-out, so that the answer is taken in (invariant 4).
#
# From the first byte on the time is kept by _Line, not by a scope around the exchange: a scope whose time is up cancels
# at the next checkpoint, and over TLS there are several of them while what has already come is read.

import selectors
import socket
import ssl
from time import time as wall

import trio

from .. import NOT_SENT, Request, Response, SendFailure
from ..steps import latest_start
from ._http11 import HttpExchange

__all__ = ["StreamSender"]

CHUNK = 64 * 1024  # bytes a read asks for


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
            SendFailure: there is no answer, or the task was cancelled in time (the next checkpoint says so again).
        """
        exchange = HttpExchange(request)
        ends_at, starts = trio.current_time() + timeout, latest_start(timeout)
        starts_by, starts_by_wall = trio.current_time() + starts, wall() + starts
        try:
            with trio.CancelScope(deadline=ends_at):
                tcp = await _open(exchange.host, exchange.port)
                try:
                    stream = await self._secure(exchange, _Line(tcp, exchange, ends_at))
                    with trio.CancelScope(shield=True):
                        exchange.prepare()
                        if trio.current_time() >= starts_by or wall() >= starts_by_wall:
                            # The whole process was stopped or suspended: by now this may be somebody else's turn.
                            raise exchange.failure()
                        await stream.send_all(exchange.data_to_send())
                        exchange.wait_for_answer()
                        while (answer := exchange.receive_data(bytes(await stream.receive_some(CHUNK)))) is None:
                            pass
                        return answer
                finally:
                    tcp.socket.close()  # all is read, or nobody wants the rest; a polite close could hang
            failure = exchange.failure()
        except SendFailure as known:
            failure = known
        except trio.Cancelled:
            failure = SendFailure(NOT_SENT, f"cancelled while {exchange.place}")
        except (OSError, ValueError, trio.BrokenResourceError) as problem:
            failure = exchange.failure(problem.__cause__ or problem)
        raise failure  # out here, so that its traceback does not hold the other one

    async def _secure(self, exchange: HttpExchange, line: "_Line") -> trio.abc.Stream:
        if not exchange.is_tls:
            return line
        if self._context is None:
            self._context = ssl.create_default_context()
        exchange.start_handshake()
        secured = trio.SSLStream(line, self._context, server_hostname=exchange.host, https_compatible=True)
        await secured.do_handshake()
        return secured


async def _open(host: str, port: int) -> trio.SocketStream:
    """Connect to the first address that answers."""
    try:  # an address needs no look-up, and no race between several
        addresses = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST)
    except socket.gaierror:
        try:
            return await trio.open_tcp_stream(host, port)
        except BaseException:
            await trio.lowlevel.checkpoint_if_cancelled()  # a plain Cancelled, where older trios raise a group of them
            raise
    family, kind, number, _, address = addresses[0]
    sock = trio.socket.socket(family, kind, number)
    try:
        await sock.connect(address)
        return trio.SocketStream(sock)
    except BaseException:
        sock.close()
        raise


class _Line(trio.abc.Stream):
    """A connection that ends with the exchange's time, but not before all that has come is read.

    The process may have been stopped, or its loop held up, and an answer that is there counts however late it is read:
    asking again would be reuse.
    """

    def __init__(self, tcp: trio.SocketStream, exchange: HttpExchange, ends_at: float) -> None:
        self._tcp = tcp
        self._exchange = exchange
        self._ends_at = ends_at

    async def receive_some(self, max_bytes: int | None = None) -> bytes | bytearray:
        with trio.CancelScope(deadline=self._ends_at) as waiting:
            await trio.lowlevel.wait_readable(self._tcp.socket)
        if waiting.cancelled_caught and not self._has_more():
            raise self._exchange.failure()
        return await self._tcp.receive_some(max_bytes)

    def _has_more(self) -> bool:
        """Ask the system: a scope may know that the time is up before it is known what has come."""
        with selectors.DefaultSelector() as selector:
            selector.register(self._tcp.socket, selectors.EVENT_READ)
            return bool(selector.select(0))

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        with trio.CancelScope(deadline=self._ends_at) as sending:
            await self._tcp.send_all(data)
        if sending.cancelled_caught:  # not if all was handed over by then
            raise self._exchange.failure()

    async def wait_send_all_might_not_block(self) -> None:
        await self._tcp.wait_send_all_might_not_block()

    async def aclose(self) -> None:
        await self._tcp.aclose()
