# transports/_requests.py: a Request in, a Response out, or the truth about why there is none.
#
# What matters most is the line between "not sent" and "ambiguous": whoever calls a request that was sent not sent makes
# the core present a used refresh token under no protection at all.

import contextlib
import gzip
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from tenure import AMBIGUOUS, MAX_BODY, NOT_SENT, Request, Response, SendFailure
from tenure.transports import _requests, _watchdog
from tenure.transports._requests import RequestsSender
from tenure.transports.emulator import (
    ANY,
    Emulator,
    Fault,
    chunked,
    hold,
    latency,
    lose_answer,
    not_http,
    oversize,
    redirect,
    reset_after,
    reset_before,
    set_header,
    slow_drip,
    truncate,
    wrong_content_length,
)
from tenure.transports.emulator import status as answer_status

from .driver_helpers import Witness
from .drivers import TIMEOUT
from .loopback import Certificate, Loopback, answer, answer_in_pieces, read_request, reset

BODY = b'{"secret": "s3cr3t"}'
NEVER = 15.0  # seconds, of a fault that outlasts every time-out of this file
SOON = 0.6  # seconds; a time-out that is meant to be reached


def post(url: str) -> Request:
    return Request("POST", url, (("content-type", "application/json"), ("request-id", "1")), BODY)


def failure_of(send: RequestsSender, url: str, timeout: float = TIMEOUT) -> SendFailure:
    with pytest.raises(SendFailure) as caught:
        send(post(url), timeout)
    return caught.value


@pytest.fixture
def send(monkeypatch: pytest.MonkeyPatch) -> RequestsSender:
    """A sender in an environment without proxies."""
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy", "requests_ca_bundle", "curl_ca_bundle"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    return RequestsSender()


@pytest.fixture
def emulator() -> Iterator[Emulator]:
    with Emulator() as emulator:
        yield emulator


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    """A certificate for 127.0.0.1."""
    if shutil.which("openssl") is None:
        pytest.skip("the openssl program makes the certificates for this test, and is not installed")
    return Certificate(tmp_path_factory.mktemp("right"), "IP:127.0.0.1")


@pytest.fixture(scope="module")
def foreign_certificate(tmp_path_factory: pytest.TempPathFactory, certificate: Certificate) -> Certificate:
    """A certificate for some other host."""
    return Certificate(tmp_path_factory.mktemp("foreign"), "DNS:example.com")


# --- answers ---


def test_a_request_arrives_as_it_is(send: RequestsSender, emulator: Emulator) -> None:
    """The method, the headers and the body are the core's; what is added is what HTTP needs, and names nobody."""
    witness = emulator.faults.add(Witness(), kind=ANY, times=None)
    response = send(post(emulator.url + "/api/nothing?"), TIMEOUT)
    (request,) = witness.requests
    assert (request.method, request.body) == ("POST", BODY)
    assert {name for name, _ in request.headers} == {
        "host",
        "user-agent",
        "connection",
        "accept-encoding",
        "content-type",
        "request-id",
        "content-length",
    }
    assert dict(request.headers)["connection"] == "close"
    assert response.status == 404


@pytest.mark.parametrize("code", [200, 204, 301, 304, 307, 400, 401, 418, 429, 500, 503, 599])
def test_every_status_is_an_answer(send: RequestsSender, emulator: Emulator, code: int) -> None:
    """Whatever its status, an answer is an answer: what it means is the core's business."""
    emulator.faults.add(answer_status(code, retry_after=7, body=b"" if code in (204, 304) else b"text"), kind=ANY)
    response = send(post(emulator.url), TIMEOUT)
    assert response.status == code
    assert response.header("retry-after") == "7"
    assert response.body == (b"" if code in (204, 304) else b"text")


def test_a_chunked_answer(send: RequestsSender, emulator: Emulator) -> None:
    """RFC 9112, section 7.1: chunks are put together."""
    emulator.faults.add(chunked(3), kind=ANY)
    assert b"not_found" in send(post(emulator.url), TIMEOUT).body


def test_an_answer_that_ends_with_the_connection(send: RequestsSender) -> None:
    """RFC 9112, section 6.3: without a length the body is what comes until the end."""
    with Loopback(answer(b"HTTP/1.1 200 OK\r\n\r\nhello")) as server:
        assert send(post(server.origin), TIMEOUT).body == b"hello"


@pytest.mark.parametrize("coding", ["gzip", "deflate"])
def test_a_compressed_answer(send: RequestsSender, coding: str) -> None:
    """No compression is asked for; a gateway that compresses all the same is understood."""
    body = gzip.compress(b"hello") if coding == "gzip" else zlib.compress(b"hello")
    head = f"HTTP/1.1 200 OK\r\ncontent-encoding: {coding}\r\ncontent-length: {len(body)}\r\n\r\n".encode()
    with Loopback(answer(head + body)) as server:
        assert send(post(server.origin), TIMEOUT).body == b"hello"


def test_an_answer_of_10_megabytes_is_not_read_to_the_end(send: RequestsSender, emulator: Emulator) -> None:
    """DESIGN.md, contract: answers are bounded; one byte too many is enough to see that it is too long."""
    emulator.faults.add(oversize(), kind=ANY)
    assert len(send(post(emulator.url), TIMEOUT).body) == MAX_BODY + 1


@pytest.mark.once
def test_a_bomb_is_not_unpacked(send: RequestsSender) -> None:
    """The bound is on what is unpacked: 200 kB that would become 200 MB do not."""
    body = gzip.compress(bytes(200_000_000), 9)
    head = f"HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: {len(body)}\r\n\r\n".encode()
    with Loopback(answer(head + body)) as server:
        assert len(send(post(server.origin), TIMEOUT).body) == MAX_BODY + 1


@pytest.mark.parametrize("size", [MAX_BODY - 1, MAX_BODY, MAX_BODY + 1, MAX_BODY + 2])
def test_the_bound_is_exact(send: RequestsSender, emulator: Emulator, size: int) -> None:
    """An answer of just the permitted length arrives whole."""
    emulator.faults.add(oversize(size), kind=ANY)
    assert len(send(post(emulator.url), TIMEOUT).body) == min(size, MAX_BODY + 1)


def test_https(send: RequestsSender, certificate: Certificate, monkeypatch: pytest.MonkeyPatch) -> None:
    """A certificate that the machine trusts is trusted."""
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(certificate.path))
    with Loopback(answer(b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello"), certificate) as server:
        assert send(post(server.origin), TIMEOUT).body == b"hello"


# --- not sent ---


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


# --- ambiguous ---

AMBIGUOUS_FAULTS: dict[str, Callable[[], Fault]] = {
    "reset before": reset_before,
    "reset after": reset_after,
    "lost answer": lose_answer,
    "truncated": truncate,
    "truncated by a reset": lambda: truncate(reset=True),
    "truncated to nothing": lambda: truncate(0),
    "longer than it is": lambda: wrong_content_length(1_000_000),
    "not HTTP": not_http,
    "half a status line": lambda: not_http(b"HTTP/1.1 20"),
    "a broken chunk": lambda: not_http(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n"),
    "a missing chunk": lambda: not_http(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n"),
    "broken gzip": lambda: not_http(b"HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: 5\r\n\r\nhello"),
    "a header line without end": lambda: not_http(b"HTTP/1.1 200 OK\r\nx: " + b"y" * 200_000),
    "headers without end": lambda: not_http(b"HTTP/1.1 200 OK\r\n" + b"x: y\r\n" * 1_000),
    "end within the headers": lambda: not_http(b"HTTP/1.1 200 OK\r\nDate: Mon, 01 Jan 2024 00:00:00 GMT\r\nCont"),
    "end within a length": lambda: not_http(b"HTTP/1.1 200 OK\r\nContent-Length: "),
    "end within the name of an encoding": lambda: not_http(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chu"),
}


@pytest.mark.parametrize(
    "name",
    AMBIGUOUS_FAULTS,
)
def test_whatever_happens_after_the_connection_stands_is_ambiguous(
    send: RequestsSender, emulator: Emulator, name: str
) -> None:
    """DESIGN.md, Failures: the server may have acted, and nobody can tell from here."""
    emulator.faults.add(AMBIGUOUS_FAULTS[name](), kind=ANY)
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


# --- in time ---

TOO_SLOW: dict[str, Callable[[], Fault]] = {
    "silence": lambda: latency(NEVER),
    "a drip of headers": lambda: slow_drip(0.05, "headers"),
    "a drip of the body": lambda: slow_drip(0.05, "body"),
    "a drip of chunks": lambda: drip_of(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n" + b"1\r\nx\r\n" * 500),
    "a drip without a length": lambda: drip_of(b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * 1000),
}


def drip_of(content: bytes) -> Fault:
    def drip(exchange: Any) -> None:
        exchange.raw, exchange.drip_interval = content, 0.01

    return Fault("drip", after=drip)


@pytest.mark.parametrize(
    "name",
    TOO_SLOW,
)
def test_the_timeout_bounds_the_whole_exchange(send: RequestsSender, emulator: Emulator, name: str) -> None:
    """DESIGN.md, contract: time-outs are per exchange; what is not whole by then is ambiguous."""
    emulator.faults.add(TOO_SLOW[name](), kind=ANY)
    begun = time.monotonic()
    failure = failure_of(send, emulator.url, SOON)
    assert failure.kind == AMBIGUOUS
    assert time.monotonic() - begun < 7  # a bound against hanging: the fault alone lasts longer


def test_a_drip_over_tls(send: RequestsSender, certificate: Certificate, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same over TLS, where the socket that is shut down lies below the one that is read."""
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(certificate.path))
    pause = threading.Event()

    def drip(connection: socket.socket) -> None:
        read_request(connection)
        connection.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n")
        for _ in range(1000):
            connection.sendall(b"x")
            pause.wait(0.02)

    with Loopback(drip, certificate) as server:
        assert failure_of(send, server.origin, SOON).kind == AMBIGUOUS


def test_a_server_that_does_not_read(send: RequestsSender) -> None:
    """A request that does not fit the buffers of a server that reads nothing: ambiguous, in time."""
    done = threading.Event()
    with Loopback(lambda connection: done.wait(TIMEOUT)) as server:
        request = Request("POST", server.origin, (), bytes(30_000_000))
        with pytest.raises(SendFailure) as caught:
            send(request, SOON)
        done.set()
    assert caught.value.kind == AMBIGUOUS


def test_a_name_server_that_takes_too_long(
    send: RequestsSender, emulator: Emulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The time was up before a connection stood: the request is not sent any more, and nothing hangs afterwards."""
    resolve = socket.getaddrinfo

    def resolve_late(*arguments: Any, **options: Any) -> Any:
        threading.Event().wait(3 * SOON)  # what a resolver does that waits for its name server
        return resolve(*arguments, **options)

    monkeypatch.setattr(socket, "getaddrinfo", resolve_late)
    failure = failure_of(send, emulator.url, SOON)
    assert failure.kind == NOT_SENT
    assert list(emulator.journal) == []


@pytest.mark.parametrize("late", [9.6, 10.0])
@pytest.mark.parametrize("clock", ["monotonic", "wall"])
def test_a_process_that_was_paused_while_it_connected_sends_nothing(
    send: RequestsSender, emulator: Emulator, monkeypatch: pytest.MonkeyPatch, clock: str, late: float
) -> None:
    """The last look at the time is right before the first byte: by then it may be another process' turn. And what is
    sent so late that it is cut off at once is as good as lost."""
    readings = iter([0.0, late])
    monkeypatch.setattr(f"tenure.transports._requests.{clock}", lambda: next(readings))
    failure = failure_of(send, emulator.url, 10)
    assert failure.kind == NOT_SENT
    assert list(emulator.journal) == []


@pytest.mark.parametrize("clock", ["monotonic", "wall"])
def test_a_process_that_was_paused_behind_the_headers_sends_no_secret(
    send: RequestsSender, monkeypatch: pytest.MonkeyPatch, clock: str
) -> None:
    """They leave apart from the body, in which the tokens are; and the server can do nothing with them alone."""
    readings, received, heard = iter([0.0, 0.0, 10.0]), bytearray(), threading.Event()
    monkeypatch.setattr(f"tenure.transports._requests.{clock}", lambda: next(readings))

    def listen(connection: socket.socket) -> None:
        while part := connection.recv(65536):
            received.extend(part)
        heard.set()

    with Loopback(listen) as server:
        assert failure_of(send, server.origin, 10).kind == AMBIGUOUS
        assert heard.wait(TIMEOUT)
    assert b"POST" in received
    assert b"s3cr3t" not in received


def test_a_watchdog_that_cannot_be_had(
    send: RequestsSender, emulator: Emulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No thread to be had, in a container that is full, say: nothing is sent, and the next exchange tries again."""
    monkeypatch.setattr(_watchdog, "_dogs", [_watchdog.Watchdog()])
    before, refusals = threading.Thread.start, [1]

    def start(self: threading.Thread) -> None:
        if self.name == "tenure watchdog" and refusals:
            refusals.pop()
            raise RuntimeError("can't start new thread")
        before(self)

    monkeypatch.setattr(threading.Thread, "start", start)
    assert failure_of(send, emulator.url).kind == NOT_SENT
    assert list(emulator.journal) == []
    emulator.faults.add(latency(NEVER), kind=ANY)
    assert failure_of(send, emulator.url, SOON).reason == f"timed out after {SOON:g} s"


def test_a_watchdog_looks_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    """One look alone may be due to a pause of the whole process: whoever is watched gets the time to end."""
    clock, dog, bitten = [0.0], _watchdog.Watchdog(), threading.Event()
    waits: list[float] = []
    before = dog._changed.wait

    def wait(seconds: float | None) -> None:
        if seconds is None:
            before()
        else:
            waits.append(seconds)
            clock[0] += 100.0 if len(waits) == 1 else seconds  # it stands still for long

    monkeypatch.setattr(_watchdog, "monotonic", lambda: clock[0])
    monkeypatch.setattr(dog._changed, "wait", wait)
    dog.watch(10.0, bitten.set, grace=2.0)
    assert bitten.wait(TIMEOUT)
    assert (waits, clock[0]) == ([10.0, 2.0], 102.0)


HEAD = b"HTTP/1.1 200 OK\r\n"
WHOLE = {
    "of a length": (HEAD + b"content-length: 5\r\n\r\n", b"hel", b"lo"),
    "of a length and a blank": (HEAD + b"content-length: 5 \r\n\r\n", b"hel", b"lo"),
    "in chunks": (HEAD + b"transfer-encoding: chunked\r\n\r\n", b"3\r\nhel\r\n2\r\nlo\r\n", b"0\r\n\r\n"),
}
PARTIAL = {
    "too short": WHOLE["of a length"][:2],
    "without its last chunk": WHOLE["in chunks"][:2],
    "without a body": WHOLE["of a length"][:1],
    "without a length": (HEAD + b"\r\n", b"hello"),  # nobody knows whether that is all
    "within the headers": (HEAD + b"content-len",),
    "within the header that says how long it is": (HEAD + b"content-length: ",),
    "within the header that says how it is divided": (HEAD + b"transfer-encoding: chu",),
}


@pytest.mark.parametrize("scheme", ["http", "https"])
@pytest.mark.parametrize("pieces", [*WHOLE.values(), *PARTIAL.values()], ids=[*WHOLE, *PARTIAL])
def test_an_answer_that_came_while_the_process_was_stopped(
    send: RequestsSender,
    scheme: str,
    pieces: tuple[bytes, ...],
    certificate: Certificate,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It is there, so it counts, though the time is up when it is read: asking again would be reuse. If it is whole."""
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(certificate.path))
    sent = threading.Event()
    before, watch = _requests._Connection.send, _watchdog.watch
    bites: list[Callable[[], None]] = []

    def stop(self: _requests._Connection, data: Any) -> None:
        before(self, data)
        if data == BODY:
            assert sent.wait(TIMEOUT)
            bites[0]()  # the watchdog is quicker than this thread

    def watch_and_tell(seconds: float, act: Callable[[], None], grace: float) -> object:
        bites.append(act)
        return watch(seconds, act, grace)

    monkeypatch.setattr(_requests._Connection, "send", stop)
    monkeypatch.setattr(_requests, "watch", watch_and_tell)
    with Loopback(answer_in_pieces(sent, *pieces), certificate if scheme == "https" else None) as server:
        if pieces in WHOLE.values():
            response = send(post(server.origin), TIMEOUT)
            assert (response.status, response.body) == (200, b"hello")
        else:
            failure = failure_of(send, server.origin)
            assert (failure.kind, failure.reason) == (AMBIGUOUS, f"timed out after {TIMEOUT:g} s")


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_an_answer_that_came_while_a_signal_handler_ran(
    send: RequestsSender, scheme: str, certificate: Certificate, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that puts the terminal in order and stops the process (Ctrl-Z), say: the time goes by within a read."""
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(certificate.path))
    handling, sent, main = threading.Event(), threading.Event(), threading.main_thread().ident
    assert main == threading.get_ident()

    def behave(connection: socket.socket) -> None:
        read_request(connection)
        threading.Event().wait(0.1)  # for the client to wait; else the signal comes earlier, and this proves nothing
        signal.pthread_kill(main, signal.SIGUSR1)
        assert handling.wait(TIMEOUT)
        connection.sendall(HEAD + b"content-length: 5\r\n\r\nhello")
        sent.set()
        connection.recv(1)

    def handle(number: int, frame: object) -> None:
        handling.set()
        assert sent.wait(TIMEOUT)
        while time.monotonic() < begun + 5 * SOON:
            time.sleep(0.01)

    before = signal.signal(signal.SIGUSR1, handle)
    try:
        with Loopback(behave, certificate if scheme == "https" else None) as server:
            begun = time.monotonic()
            assert send(post(server.origin), 4 * SOON).body == b"hello"
            assert time.monotonic() > begun + 5 * SOON
    finally:
        signal.signal(signal.SIGUSR1, before)


def test_the_watchdog_bites_nobody_else(send: RequestsSender, emulator: Emulator) -> None:
    """An exchange that has ended is no more cut: its descriptor may be somebody else's by now."""
    for _ in range(20):
        with contextlib.suppress(SendFailure):  # on a machine that is busy elsewhere
            send(post(emulator.url), 0.2)
    gate = emulator.faults.add(hold(), kind=ANY)
    responses: list[Response] = []
    thread = threading.Thread(target=lambda: responses.append(send(post(emulator.url), TIMEOUT)))
    thread.start()
    assert gate.arrived.wait(TIMEOUT)
    threading.Event().wait(0.25)  # the time-outs of the twenty exchanges pass by
    gate.release()
    thread.join(TIMEOUT)
    assert [response.status for response in responses] == [404]


# --- one connection, one origin, nothing from the environment ---


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


# --- shared, described ---


def test_threads_may_share_a_sender(send: RequestsSender, emulator: Emulator) -> None:
    """Each exchange is its own, also when one of them fails."""
    results: list[object] = []

    def run(number: int) -> None:
        try:
            results.append(send(post(f"{emulator.url}/{number}"), TIMEOUT).status)
        except SendFailure as failure:
            results.append(failure.kind)

    emulator.faults.add(reset_after(), kind=ANY, times=5)
    threads = [threading.Thread(target=run, args=(number,)) for number in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(TIMEOUT)
    assert sorted(map(str, results)) == ["404"] * 15 + [AMBIGUOUS] * 5


def test_a_failure_keeps_no_frames_of_the_http_library(send: RequestsSender, emulator: Emulator) -> None:
    """Invariant 9: its frames hold the body, so neither traceback, cause nor context may lead there."""
    emulator.faults.add(lose_answer(), kind=ANY)
    failure = failure_of(send, emulator.url)
    assert failure.__cause__ is None
    assert failure.__context__ is None
    assert BODY.decode() not in repr(failure) + str(failure)


def test_an_interrupt_is_passed_on(send: RequestsSender, emulator: Emulator, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is no failure of the network is not disguised as one."""

    def interrupt(*arguments: object, **options: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(requests.Session, "request", interrupt)
    with pytest.raises(KeyboardInterrupt):
        send(post(emulator.url), TIMEOUT)


@pytest.mark.parametrize("module", ["_requests", "auth.requests"])
def test_without_requests_the_remedy_is_named(module: str) -> None:
    """DESIGN.md, Packaging: an import without its extra says which extra to install."""
    program = f"import sys; sys.modules['requests'] = None; import tenure.transports.{module}"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "pip install 'tenure[requests]'" in done.stderr
