# One HTTP exchange on trio's streams: a core Request in, a core Response out, or a SendFailure that says whether the
# server can have seen it. What is said and how it is judged is _http11.py's; here is only how trio moves bytes.
#
# Cancellation. Before the first byte has left, it simply ends the exchange. From then on the exchange is shielded, at
# most until its time-out, so that the answer is taken in (invariant 4).
#
# From the first byte on the time is kept by _Line, not by a scope around the exchange: a scope whose time is up cancels
# at the next checkpoint, and over TLS there are several of them while what has already come is read.

import selectors
import ssl
from time import time as wall

import trio

from .. import NOT_SENT, Request, Response, SendFailure
from ..steps import latest_start
from ._http11 import HttpExchange
from ._trio_connect import open_stream

__all__ = ["StreamSender"]

CHUNK = 64 * 1024  # bytes a read asks for
MAX_LATE_LOOKS = 100  # that many reads empty all buffers; what goes on behind them has not been there in time

# Unlike others these take no descriptor, of which there may be none left.
_Selector: type[selectors.BaseSelector] = getattr(selectors, "PollSelector", selectors.SelectSelector)


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
        line = _Line(exchange, timeout)
        try:
            with trio.CancelScope(deadline=line.ends_at):
                tcp = line.tcp = await open_stream(exchange.host, exchange.port)
                try:
                    stream = await self._secure(exchange, line)
                    with trio.CancelScope(shield=True):
                        exchange.prepare()
                        line.is_ready = True
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
        except Exception as problem:  # whatever it is: how far the exchange has come says what it means
            failure = exchange.failure(problem.__cause__ or problem)
        # Out here, so that its traceback does not hold the other one; nor frames with what was sent and has come.
        raise failure.with_traceback(None)

    async def _secure(self, exchange: HttpExchange, line: "_Line") -> trio.abc.Stream:
        if not exchange.is_tls:
            return line
        exchange.start_handshake()
        if self._context is None:
            self._context = ssl.create_default_context()
        secured = trio.SSLStream(line, self._context, server_hostname=exchange.host, https_compatible=True)
        await secured.do_handshake()
        return secured


class _Line(trio.abc.Stream):
    """A connection that keeps the time of an exchange where the bytes are: below TLS, which has checkpoints of its own.

    The request leaves only while there is time for its answer. And the connection ends with the time of the exchange,
    but not before all that has come is read: the process may have been stopped, or its loop held up, and an answer
    that is there counts however late it is read. Asking again would be reuse.

    Attributes:
        ends_at: when the time of the exchange is up, on trio's clock.
        tcp: the connection, once it stands.
        is_ready: what is sent next is the request.
    """

    def __init__(self, exchange: HttpExchange, timeout: float) -> None:
        now, starts = trio.current_time(), latest_start(timeout)
        self.ends_at = now + timeout
        self.tcp: trio.SocketStream
        self.is_ready = False
        self._exchange = exchange
        self._starts_by, self._starts_by_wall = now + starts, wall() + starts
        self._late_looks = 0

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        with trio.CancelScope(deadline=self.ends_at) as sending:
            if self.is_ready:
                self.is_ready = False
                self._look_at_the_time()  # as late as can be: nothing yields between here and the first byte
                self._exchange.start_sending()
            await self.tcp.send_all(data)
        if sending.cancelled_caught:  # not if all was handed over by then
            raise self._exchange.failure()

    def _look_at_the_time(self) -> None:
        if trio.current_time() >= self._starts_by or wall() >= self._starts_by_wall:
            # The whole process was stopped or suspended in the meantime: by now this may be somebody else's turn.
            raise self._exchange.failure()

    async def receive_some(self, max_bytes: int | None = None) -> bytes | bytearray:
        with trio.CancelScope(deadline=self.ends_at):
            return await self.tcp.receive_some(max_bytes)
        self._late_looks += 1
        if self._late_looks > MAX_LATE_LOOKS or not self._has_more():
            raise self._exchange.failure()
        return await self.tcp.receive_some(max_bytes)

    def _has_more(self) -> bool:
        """Ask the system: a scope may know that the time is up before it is known what has come."""
        with _Selector() as selector:
            selector.register(self.tcp.socket, selectors.EVENT_READ)
            return bool(selector.select(0))

    async def wait_send_all_might_not_block(self) -> None:
        await self.tcp.wait_send_all_might_not_block()

    async def aclose(self) -> None:
        await self.tcp.aclose()
