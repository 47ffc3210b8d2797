# _requests.py: failures after which nobody knows whether the server has acted.
#
# Whoever calls a request that was sent not sent makes the core present a used refresh token under no protection at all.

import socket
from collections.abc import Callable

import pytest
from tenure import AMBIGUOUS
from tenure.transports._requests import RequestsSender
from tenure.transports._session import MAX_INTERIM
from tenure.transports.emulator import (
    ANY,
    Emulator,
    Fault,
    not_http,
)

from ..loopback import Certificate, Loopback, read_request, reset
from .by_requests import failure_of
from .faults import AMBIGUOUS_FAULTS

FAULTS: dict[str, Callable[[], Fault]] = {
    **AMBIGUOUS_FAULTS,
    "half a status line": lambda: not_http(b"HTTP/1.1 20"),
    "nothing behind an interim answer": lambda: not_http(b"HTTP/1.1 103 Early Hints\r\n\r\n"),
    "too many interim answers": lambda: not_http(
        b"HTTP/1.1 103 Early Hints\r\n\r\n" * (MAX_INTERIM + 1) + b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n"
    ),
    "a missing chunk": lambda: not_http(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n"),
    "broken gzip": lambda: not_http(b"HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: 5\r\n\r\nhello"),
    "headers without end": lambda: not_http(b"HTTP/1.1 200 OK\r\n" + b"x: y\r\n" * 1_000),
    "end within the headers": lambda: not_http(b"HTTP/1.1 200 OK\r\nDate: Mon, 01 Jan 2024 00:00:00 GMT\r\nCont"),
    "end within a length": lambda: not_http(b"HTTP/1.1 200 OK\r\nContent-Length: "),
    "end within the name of an encoding": lambda: not_http(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chu"),
}


@pytest.mark.parametrize(
    "name",
    FAULTS,
)
def test_whatever_happens_after_the_connection_stands_is_ambiguous(
    send: RequestsSender, emulator: Emulator, name: str
) -> None:
    """DESIGN.md, Failures: the server may have acted, and nobody can tell from here."""
    emulator.faults.add(FAULTS[name](), kind=ANY)
    assert failure_of(send, emulator.url).kind == AMBIGUOUS


def test_a_reset_in_the_middle_of_the_request(send: RequestsSender) -> None:
    """A server that resets after the first byte may have read the rest: the client cannot know."""

    def refuse(connection: socket.socket) -> None:
        connection.recv(1)
        reset(connection)

    with Loopback(refuse) as server:
        assert failure_of(send, server.origin).kind == AMBIGUOUS


def test_lost_over_tls(send: RequestsSender, certificate: Certificate, monkeypatch: pytest.MonkeyPatch) -> None:
    """An SSLError after the handshake is ambiguous, whatever its name."""
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(certificate.path))

    def cut_off(connection: socket.socket) -> None:
        read_request(connection)
        reset(connection)

    with Loopback(cut_off, certificate) as server:
        assert failure_of(send, server.origin).kind == AMBIGUOUS
