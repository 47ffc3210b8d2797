# _requests.py: one connection, one origin, and nothing from the environment.

import socket
import threading
from pathlib import Path
from typing import Any

import pytest
import requests
from tenure import AMBIGUOUS, MAX_BODY
from tenure.transports._requests import RequestsSender
from tenure.transports.emulator import ANY, Emulator, redirect, set_header

from ..driver_helpers import Witness
from ..drivers import TIMEOUT
from ..loopback import Certificate, Loopback, answer, read_request
from .by_requests import BODY, failure_of, post


def test_each_exchange_has_a_connection_of_its_own(send: RequestsSender) -> None:
    """DESIGN.md, contract: also with a server that ignores `connection: close` and would keep it open."""

    def serve(connection: socket.socket) -> None:
        while read_request(connection):
            connection.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}")

    with Loopback(serve) as server:
        for _ in range(3):
            assert send(post(server.origin), TIMEOUT).status == 200
        assert server.connections == 3


def test_a_kept_connection_that_dies_is_ambiguous(send: RequestsSender) -> None:
    """DESIGN.md, contract: reused connections are the commonest source of ambiguity, and must never look not sent."""
    seen: list[bytes] = []

    def serve(connection: socket.socket) -> None:
        seen.append(read_request(connection))
        if len(seen) > 1:
            return  # has read the second request, and loses its answer
        connection.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}")
        seen.append(read_request(connection))

    with Loopback(serve) as server:
        assert send(post(server.origin), TIMEOUT).status == 200
        failure = failure_of(send, server.origin)
    assert any(BODY in request for request in seen[1:])
    assert failure.kind == AMBIGUOUS


@pytest.mark.parametrize("code", [301, 302, 303, 307, 308])
def test_redirects_are_not_followed(send: RequestsSender, emulator: Emulator, code: int) -> None:
    """Invariant 9: the request goes to the configured origin and nowhere else, nor a second time there."""
    with Loopback(answer(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")) as elsewhere:
        for target in (elsewhere.origin, emulator.url + "/api/resource"):
            emulator.faults.add(redirect(target, code), kind=ANY)
            assert send(post(emulator.url), TIMEOUT).status == code
    assert elsewhere.connections == 0
    assert len(emulator.journal) == 2


REDIRECT = b"HTTP/1.1 307 Temporary Redirect\r\n"


@pytest.mark.parametrize("location", [b"/elsewhere", b"http://[", b"http://\xff"])
def test_a_redirect_is_an_answer_like_any_other(send: RequestsSender, location: bytes) -> None:
    """requests would look at its target and read its body by itself."""
    with Loopback(answer(REDIRECT + b"location: " + location + b"\r\n\r\nmoved")) as server:
        response = send(post(server.origin), TIMEOUT)
    assert (response.status, response.body) == (307, b"moved")


def test_half_a_redirect_is_ambiguous(send: RequestsSender) -> None:
    """As half of any other answer is."""
    with Loopback(answer(REDIRECT + b"location: /\r\ncontent-length: 10\r\n\r\nmoved")) as server:
        assert failure_of(send, server.origin).kind == AMBIGUOUS


def test_a_long_redirect_is_not_read_to_the_end(send: RequestsSender) -> None:
    """Answers are bounded, whatever they are."""
    content = REDIRECT + b"location: /\r\ncontent-length: 3000000\r\n\r\n" + bytes(3_000_000)
    with Loopback(answer(content)) as server:
        assert len(send(post(server.origin), TIMEOUT).body) == MAX_BODY + 1


def test_cookies_are_not_kept(send: RequestsSender, emulator: Emulator) -> None:
    """A token service has no business with cookies; they would tie sessions of one process together."""
    witness = emulator.faults.add(Witness(), set_header("set-cookie", "a=b; Path=/"), kind=ANY, times=None)
    for _ in range(2):
        send(post(emulator.url), TIMEOUT)
    assert len(witness.requests) == 2
    assert witness.headers("cookie") == []


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_netrc_is_not_read(
    send: RequestsSender,
    certificate: Certificate,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    scheme: str,
) -> None:
    """Somebody's password for this host is not ours to send."""
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login somebody password something\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(certificate.path))
    seen: list[bytes] = []

    def serve(connection: socket.socket) -> None:
        seen.append(read_request(connection))
        connection.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")

    with Loopback(serve, certificate if scheme == "https" else None) as server:
        assert send(post(server.origin), TIMEOUT).status == 200
    assert b"authorization" not in seen[0].lower()


@pytest.mark.parametrize("variable", ["HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"])
def test_plain_http_goes_through_no_proxy(
    send: RequestsSender, emulator: Emulator, monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    """Invariant 9: plain http is for loopback; a proxy is another machine."""
    with Loopback(answer(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")) as proxy:
        monkeypatch.setenv(variable, proxy.origin)
        assert send(post(emulator.url), TIMEOUT).status == 404
    assert proxy.connections == 0


def test_plain_http_goes_through_no_proxy_either_way(
    send: RequestsSender, emulator: Emulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Invariant 9: nor if another thread sends over https, which may use a proxy, with the same sender just then."""
    prepare = requests.Session.prepare_request
    others: list[threading.Thread] = []

    def prepare_slowly(session: requests.Session, request: Any) -> Any:
        if request.url.startswith("http:"):
            others.append(threading.Thread(target=failure_of, args=(send, "https://127.0.0.1:9/")))
            others[0].start()
            others[0].join(TIMEOUT)
        return prepare(session, request)

    monkeypatch.setattr(requests.Session, "prepare_request", prepare_slowly)
    with Loopback(answer(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")) as proxy:
        monkeypatch.setenv("HTTP_PROXY", proxy.origin)
        assert send(post(emulator.url), TIMEOUT).status == 404
    assert proxy.connections == 0
