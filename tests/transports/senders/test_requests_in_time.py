# _requests.py: the time-out, who keeps it, and what comes just before and behind it.

import contextlib
import signal
import socket
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest
from tenure import AMBIGUOUS, NOT_SENT, Request, Response, SendFailure
from tenure.transports import _requests, _watchdog
from tenure.transports._requests import RequestsSender
from tenure.transports.emulator import ANY, Emulator, Fault, hold, latency, slow_drip

from ..drivers import TIMEOUT
from ..loopback import Certificate, Loopback, answer_in_pieces, read_request
from .by_requests import BODY, NEVER, SOON, failure_of, post

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
