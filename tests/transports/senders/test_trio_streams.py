# _trio_streams.py: what only trio can get wrong.

import gc
import socket
import sys
import threading

import pytest
from tenure import AMBIGUOUS, NOT_SENT
from tenure.transports import _trio_streams
from tenure.transports._http11 import HttpExchange

from ..drivers import TIMEOUT
from ..loopback import Certificate, Loopback, read_request
from .streams import SOON, TrioSender, failure_of, trusting


@pytest.mark.parametrize("is_tls", [False, True], ids=["plain", "tls"])
@pytest.mark.parametrize("clock", [0, 1], ids=["stopped", "suspended"])
@pytest.mark.parametrize("passed", [TIMEOUT - 0.4, TIMEOUT], ids=["nearly too late", "too late"])
def test_trio_looks_at_the_time_right_before_the_first_byte(
    certificate: Certificate, monkeypatch: pytest.MonkeyPatch, clock: int, passed: float, is_tls: bool
) -> None:
    """Behind the last checkpoint, which over TLS is within the sending."""
    data_to_send, send_all = HttpExchange.data_to_send, _trio_streams._Line.send_all
    leaving: list[HttpExchange] = []
    received: list[bytes] = []

    def mark(self: HttpExchange) -> bytes:
        leaving.append(self)
        return data_to_send(self)

    async def jump(self: _trio_streams._Line, data: bytes) -> None:
        if leaving:
            name = TrioSender.clocks[clock]
            module, _, function = name.rpartition(".")
            now: float = getattr(sys.modules[module], function)()
            monkeypatch.setattr(name, lambda: now + passed)
        await send_all(self, data)

    monkeypatch.setattr(HttpExchange, "data_to_send", mark)
    monkeypatch.setattr(_trio_streams._Line, "send_all", jump)
    with Loopback(
        lambda connection: received.append(read_request(connection)), certificate if is_tls else None
    ) as server:
        failure = failure_of(TrioSender(trusting(certificate)), server.origin)
    monkeypatch.undo()
    assert failure.kind == NOT_SENT
    assert not any(received)
    gc.collect()


def test_trio_last_look_needs_no_descriptor() -> None:
    """There may be none left, while the answer is there."""
    with _trio_streams._Selector() as selector:
        assert not hasattr(selector, "fileno")


def test_trio_reads_no_longer_than_there_was_something_to_read(monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that always has something more to say keeps nobody for ever, though an answer that is there counts."""
    late = threading.Event()
    chunk = b"1;" + b"x" * 65000 + b"\r\nx\r\n"  # few bytes of a body, so that it never is too long

    def has_more(self: _trio_streams._Line) -> bool:
        late.set()
        return True

    def flood(connection: socket.socket) -> None:
        read_request(connection)
        assert late.wait(TIMEOUT)
        connection.sendall(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n" + 1000 * chunk)

    monkeypatch.setattr(_trio_streams._Line, "_has_more", has_more)
    with Loopback(flood) as server:
        failure = failure_of(TrioSender(), server.origin, SOON)
    assert (failure.kind, failure.reason) == (AMBIGUOUS, "timed out while waiting for the answer")
