# One HTTP exchange on trio's streams: a core Request in, a core Response out, or a SendFailure that says whether the
# server can have seen it. What is said and how it is judged is _http11.py's; here is only how trio moves bytes.
#
# Cancellation. Before the first byte has left, it simply ends the exchange. From then on the exchange is shielded, at
# most until its time-out, so that the answer is taken in (invariant 4).

import ssl

import trio

from .. import Request, Response, SendFailure
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
            SendFailure: there is no answer.
        """
        exchange = HttpExchange(request)
        failure = exchange.failure()
        ends_at = trio.current_time() + timeout
        try:
            with trio.CancelScope(deadline=ends_at) as scope:
                stream = await self._connect(exchange)
                try:
                    scope.shield = True
                    return await _converse(exchange, stream)
                finally:
                    await trio.aclose_forcefully(stream)
            failure = exchange.failure()
        except SendFailure as malformed:
            failure = malformed
        except (OSError, ValueError, trio.BrokenResourceError) as problem:
            failure = exchange.failure(problem.__cause__ or problem)
        raise failure  # out here, so that its traceback does not hold the other one

    async def _connect(self, exchange: HttpExchange) -> trio.abc.Stream:
        stream = await trio.open_tcp_stream(exchange.host, exchange.port)
        if not exchange.is_tls:
            return stream
        if self._context is None:
            self._context = ssl.create_default_context()
        exchange.start_handshake()
        secured = trio.SSLStream(stream, self._context, server_hostname=exchange.host, https_compatible=True)
        try:
            await secured.do_handshake()
        except BaseException:
            await trio.aclose_forcefully(stream)
            raise
        return secured


async def _converse(exchange: HttpExchange, stream: trio.abc.Stream) -> Response:
    await stream.send_all(exchange.data_to_send())
    exchange.wait_for_answer()
    while True:
        answer = exchange.receive_data(bytes(await stream.receive_some(CHUNK)))
        if answer is not None:
            return answer
