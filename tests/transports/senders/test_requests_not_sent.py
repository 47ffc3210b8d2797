# _requests.py: failures of which it is certain that the server has seen nothing.

import socket
import threading
import time
from collections.abc import Callable
from urllib.parse import urlsplit

import pytest
from tenure import AMBIGUOUS, NOT_SENT
from tenure.transports._requests import RequestsSender
from tenure.transports.emulator import Emulator

from ..drivers import TIMEOUT
from ..loopback import Certificate, Loopback, answer, full_backlog, names, read_request, reset
from .by_requests import BODY, NEVER, SOON, failure_of, post


def test_connection_refused(send: RequestsSender, emulator: Emulator) -> None:
    """Nobody listens: not sent, and the reason says so."""
    with emulator.connections_refused():
        failure = failure_of(send, emulator.url)
    assert (failure.kind, failure.reason) == (NOT_SENT, "Connection refused")


def test_a_name_that_does_not_resolve(send: RequestsSender, monkeypatch: pytest.MonkeyPatch) -> None:
    """DNS is down or the name is wrong: not sent."""

    def fail(*arguments: object, **options: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", fail)
    assert failure_of(send, "https://example.invalid/").kind == NOT_SENT


@pytest.mark.parametrize("first", ["refuses", "is silent"])
def test_a_name_of_several_addresses(
    send: RequestsSender, emulator: Emulator, monkeypatch: pytest.MonkeyPatch, first: str
) -> None:
    """An address that does not answer costs no more than half of an attempt."""
    port = urlsplit(emulator.url).port or 0
    with full_backlog() as silent:
        where = ("127.0.0.9", port) if first == "refuses" else ("127.0.0.1", urlsplit(silent).port or 0)
        names(monkeypatch, where, ("127.0.0.1", port))
        assert send(post(emulator.url.replace("127.0.0.1", "localhost")), 4 * SOON).status == 404
        names(monkeypatch, where)
        assert failure_of(send, "http://localhost/", SOON).kind == NOT_SENT


def test_an_untrusted_certificate(send: RequestsSender, certificate: Certificate) -> None:
    """TLS was not established, so nothing was said in it: not sent."""
    with Loopback(read_request, certificate) as server:
        assert failure_of(send, server.origin).kind == NOT_SENT


def test_a_certificate_for_another_host(
    send: RequestsSender, foreign_certificate: Certificate, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same for a trusted certificate that is not this host's."""
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(foreign_certificate.path))
    with Loopback(read_request, foreign_certificate) as server:
        assert failure_of(send, server.origin).kind == NOT_SENT


def test_a_server_that_does_not_speak_tls(send: RequestsSender, emulator: Emulator) -> None:
    """https to a plain server: not sent, and above all not in the clear."""
    assert failure_of(send, emulator.url.replace("http:", "https:")).kind == NOT_SENT
    assert [entry.kind for entry in emulator.journal if entry.kind != "unknown"] == []


def test_a_reset_within_the_handshake(send: RequestsSender) -> None:
    """The connection ends before TLS stands: not sent."""

    def refuse(connection: socket.socket) -> None:
        connection.recv(65536)
        reset(connection)

    with Loopback(refuse) as server:
        assert failure_of(send, server.origin.replace("http:", "https:")).kind == NOT_SENT


def test_a_handshake_that_does_not_end(send: RequestsSender) -> None:
    """A server that accepts and says nothing: not sent, in time."""
    with Loopback(lambda connection: connection.recv(1) and connection.recv(65536) and connection.recv(1)) as server:
        begun = time.monotonic()
        failure = failure_of(send, server.origin.replace("http:", "https:"), SOON)
        assert time.monotonic() - begun < NEVER
    assert failure.kind == NOT_SENT


def test_a_proxy_that_refuses(send: RequestsSender, monkeypatch: pytest.MonkeyPatch) -> None:
    """For https a proxy only passes bytes on; one that will not do that has not seen the request: not sent."""
    with Loopback(answer(b"HTTP/1.1 403 Forbidden\r\ncontent-length: 0\r\n\r\n")) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", proxy.origin)
        assert failure_of(send, "https://127.0.0.1:9/").kind == NOT_SENT
    assert proxy.connections == 1


def test_https_through_a_proxy(send: RequestsSender, certificate: Certificate, monkeypatch: pytest.MonkeyPatch) -> None:
    """Through a proxy, too, the line is drawn where TLS with the service stands: lost after it is ambiguous."""
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(certificate.path))
    answers: list[Callable[[socket.socket], object]] = [
        answer(b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello"),
        answer(b""),
    ]
    with Loopback(lambda connection: answers.pop(0)(connection), certificate) as server:
        heads: list[bytes] = []

        def tunnel(connection: socket.socket) -> None:
            heads.append(read_request(connection))
            connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
            with socket.create_connection(("127.0.0.1", server.port), timeout=TIMEOUT) as onwards:
                back = threading.Thread(target=pass_on, args=(onwards, connection))
                back.start()
                pass_on(connection, onwards)
                back.join()

        with Loopback(tunnel) as proxy:
            monkeypatch.setenv("HTTPS_PROXY", proxy.origin)
            assert send(post(server.origin), TIMEOUT).body == b"hello"
            assert failure_of(send, server.origin).kind == AMBIGUOUS
    assert all(head.startswith(b"CONNECT ") and BODY not in head for head in heads)


def pass_on(source: socket.socket, target: socket.socket) -> None:
    try:
        while part := source.recv(65536):
            target.sendall(part)
        target.shutdown(socket.SHUT_WR)
    except OSError:
        pass
