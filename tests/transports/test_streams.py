# _asyncio_streams.py and _trio_streams.py: a Request in, a Response out, or the truth about why there is none.
#
# The same questions as in test_requests_sender.py, and one more: what a cancellation leaves behind.

import asyncio
import gc
import selectors
import shutil
import socket
import ssl
import sys
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import trio
from tenure import AMBIGUOUS, MAX_BODY, NOT_SENT, Request, Response, SendFailure
from tenure.transports import _asyncio_streams, _trio_streams
from tenure.transports._asyncio_shield import CancelledWithReport
from tenure.transports._http11 import HttpExchange
from tenure.transports.emulator import (
    ANY,
    Emulator,
    Fault,
    chunked,
    hold,
    hold_answer,
    lose_answer,
    not_http,
    oversize,
    redirect,
    reset_after,
    reset_before,
    slow_drip,
    truncate,
    wrong_content_length,
)
from tenure.transports.emulator import status as answer_status

from .driver_helpers import Witness
from .drivers import TIMEOUT
from .loopback import Certificate, Loopback, answer, answer_in_pieces, read_request, reset

BODY = b'{"secret": "s3cr3t"}'
SOON = 0.4  # seconds; a time-out that is meant to be reached
HELLO = b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello"
BIG = bytes(16 * 1024 * 1024)  # more than the buffers of a connection hold

Report = Response | SendFailure


class Sender(ABC):
    """A sender as these tests see it."""

    clocks: tuple[str, str]  # what the sender's module reads, to be patched

    def __init__(self, context: ssl.SSLContext | None = None) -> None:
        self.context = context

    @staticmethod
    @abstractmethod
    def when_connected(monkeypatch: pytest.MonkeyPatch, act: Callable[[], object]) -> None:
        """Do something once the connection stands, in the turn of the scheduler in which the sender learns of it."""

    @staticmethod
    @abstractmethod
    def when_sent(monkeypatch: pytest.MonkeyPatch, act: Callable[[], object]) -> None:
        """Do something when the request has left: once the scheduler has seen that nothing has come, before it looks
        at the time."""

    @abstractmethod
    def send(self, request: Request, timeout: float) -> Report:
        """Send in a run of its own."""

    @abstractmethod
    def send_and_cancel(self, request: Request, moment: threading.Event, then: Callable[[], object]) -> Report | None:
        """Send, cancel at the moment, then do something; return what came of it, None for nothing but the end."""


class AsyncioSender(Sender):
    clocks = ("time.monotonic", "tenure.transports._asyncio_streams.wall")

    @staticmethod
    def when_connected(monkeypatch: pytest.MonkeyPatch, act: Callable[[], object]) -> None:
        before = _asyncio_streams._Conversation.connection_made

        def connection_made(self: _asyncio_streams._Conversation, transport: asyncio.BaseTransport) -> None:
            before(self, transport)
            act()

        monkeypatch.setattr(_asyncio_streams._Conversation, "connection_made", connection_made)

    @staticmethod
    def when_sent(monkeypatch: pytest.MonkeyPatch, act: Callable[[], object]) -> None:
        data_to_send, select = HttpExchange.data_to_send, selectors.DefaultSelector.select
        leaving: list[HttpExchange] = []

        def mark(self: HttpExchange) -> bytes:
            leaving.append(self)
            return data_to_send(self)

        def look(self: selectors.DefaultSelector, timeout: float | None = None) -> list[Any]:
            if not leaving:
                return select(self, timeout)
            leaving.clear()
            act()
            return []

        monkeypatch.setattr(HttpExchange, "data_to_send", mark)
        monkeypatch.setattr(selectors.DefaultSelector, "select", look)

    async def _send(self, request: Request, timeout: float) -> Report:
        try:
            return await _asyncio_streams.StreamSender(self.context)(request, timeout)
        except SendFailure as failure:
            return failure
        except CancelledWithReport as cancelled:
            report = cancelled.report
        assert isinstance(report, Response | SendFailure)
        return report

    def send(self, request: Request, timeout: float) -> Report:
        return asyncio.run(self._send(request, timeout))

    def send_and_cancel(self, request: Request, moment: threading.Event, then: Callable[[], object]) -> Report | None:
        async def main() -> Report | None:
            task = asyncio.ensure_future(self._send(request, TIMEOUT))
            assert await asyncio.to_thread(moment.wait, TIMEOUT)
            for _ in range(3):  # insisting
                task.cancel()
                await asyncio.sleep(0)
            then()
            await asyncio.wait({task})
            return None if task.cancelled() else task.result()

        return asyncio.run(main())


class TrioSender(Sender):
    clocks = ("trio.current_time", "tenure.transports._trio_streams.wall")

    @staticmethod
    def when_connected(monkeypatch: pytest.MonkeyPatch, act: Callable[[], object]) -> None:
        before = _trio_streams.StreamSender._secure

        async def secure(*arguments: Any) -> Any:
            stream = await before(*arguments)
            act()
            return stream

        monkeypatch.setattr(_trio_streams.StreamSender, "_secure", secure)

    @staticmethod
    def when_sent(monkeypatch: pytest.MonkeyPatch, act: Callable[[], object]) -> None:
        data_to_send, send_all = HttpExchange.data_to_send, trio.SocketStream.send_all
        leaving: list[HttpExchange] = []

        class Once(trio.abc.Instrument):
            def after_io_wait(self, timeout: float) -> None:
                trio.lowlevel.remove_instrument(self)
                act()

        def mark(self: HttpExchange) -> bytes:
            leaving.append(self)
            return data_to_send(self)

        async def send(self: trio.SocketStream, data: bytes) -> None:
            if leaving:
                trio.lowlevel.add_instrument(Once())  # at the checkpoint behind the sending, which need not wait
            await send_all(self, data)

        monkeypatch.setattr(HttpExchange, "data_to_send", mark)
        monkeypatch.setattr(trio.SocketStream, "send_all", send)

    async def _send(self, request: Request, timeout: float) -> Report:
        try:
            return await _trio_streams.StreamSender(self.context)(request, timeout)
        except SendFailure as failure:
            return failure

    def send(self, request: Request, timeout: float) -> Report:
        return trio.run(self._send, request, timeout)

    def send_and_cancel(self, request: Request, moment: threading.Event, then: Callable[[], object]) -> Report | None:
        reports: list[Report] = []

        async def main() -> None:
            async with trio.open_nursery() as nursery:
                scope = trio.CancelScope()

                async def run() -> None:
                    with scope:
                        reports.append(await self._send(request, TIMEOUT))

                nursery.start_soon(run)
                assert await trio.to_thread.run_sync(moment.wait, TIMEOUT)
                scope.cancel()
                for _ in range(3):
                    await trio.lowlevel.checkpoint()
                then()

        trio.run(main)
        return reports[0] if reports else None


@pytest.fixture(params=[AsyncioSender, TrioSender], ids=["asyncio", "trio"])
def kind(request: pytest.FixtureRequest) -> Any:
    return request.param


@pytest.fixture
def sender(kind: type[Sender]) -> Iterator[Sender]:
    """Each sender in turn; a connection that it leaves open is an error."""
    yield kind()
    gc.collect()  # says ResourceWarning


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


def post(url: str, body: bytes = BODY) -> Request:
    return Request("POST", url, (("content-type", "application/json"), ("request-id", "1")), body)


def answer_to(sender: Sender, url: str, body: bytes = BODY) -> Response:
    report = sender.send(post(url, body), TIMEOUT)
    assert isinstance(report, Response), report
    return report


def failure_of(sender: Sender, url: str, timeout: float = TIMEOUT, body: bytes = BODY) -> SendFailure:
    report = sender.send(post(url, body), timeout)
    assert isinstance(report, SendFailure)
    assert "s3cr3t" not in f"{report!r} {report}"
    return report


def late(sender: Sender, url: str, body: bytes = BODY) -> tuple[str, str]:
    """Return kind and reason of a failure that has to come by time-out, and neither too early nor much too late."""
    begun = time.monotonic()
    failure = failure_of(sender, url, SOON, body)
    assert SOON * 0.9 <= time.monotonic() - begun < TIMEOUT / 2
    return failure.kind, failure.reason


def trusting(certificate: Certificate) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=str(certificate.path))


@contextmanager
def full_backlog() -> Iterator[str]:
    """A server that does not even accept: its queue is full, so the kernel answers nobody any more."""
    with socket.create_server(("127.0.0.1", 0), backlog=0) as server:
        waiting: list[socket.socket] = []
        try:
            for _ in range(8):
                client = socket.socket()
                waiting.append(client)
                client.settimeout(0.05)
                client.connect(server.getsockname())
            pytest.skip("this system has no bound on the queue")
        except TimeoutError:
            yield f"http://127.0.0.1:{server.getsockname()[1]}/"
        finally:
            for client in waiting:
                client.close()


# --- answers ---


def test_a_request_arrives_as_it_is(sender: Sender, emulator: Emulator) -> None:
    """DESIGN.md, contract: one connection an exchange, and the request is the core's."""
    witness = emulator.faults.add(Witness(), kind=ANY, times=None)
    assert answer_to(sender, emulator.url + "/api/nothing").status == 404
    (request,) = witness.requests
    assert (request.method, request.body) == ("POST", BODY)
    assert dict(request.headers)["connection"] == "close"


def test_a_redirect_is_not_followed(sender: Sender, emulator: Emulator) -> None:
    """Invariant 9: a refresh token goes to the configured origin only."""
    emulator.faults.add(redirect(emulator.url + "/elsewhere"), kind=ANY)
    assert answer_to(sender, emulator.url).status == 307
    assert emulator.statistics.requests == 1


@pytest.mark.parametrize("code", [200, 204, 304, 401, 503])
def test_every_status_is_an_answer(sender: Sender, emulator: Emulator, code: int) -> None:
    """What a status means is the core's business."""
    emulator.faults.add(answer_status(code, body=b"" if code in (204, 304) else b"text"), kind=ANY)
    assert answer_to(sender, emulator.url).status == code


def test_chunks_and_drips(sender: Sender, emulator: Emulator) -> None:
    """However the bytes come, the answer is the same."""
    emulator.faults.add(chunked(3), kind=ANY)
    emulator.faults.add(slow_drip(0.0001), kind=ANY)
    assert (
        answer_to(sender, emulator.url).body.split(b'"error"')[1]
        == (answer_to(sender, emulator.url).body.split(b'"error"')[1])
    )


def test_an_answer_that_ends_with_the_connection(sender: Sender) -> None:
    """RFC 9112, section 6.3: without a length the body is what comes until the end."""
    with Loopback(answer(b"HTTP/1.1 200 OK\r\n\r\nhello")) as server:
        assert answer_to(sender, server.origin).body == b"hello"


def test_an_answer_of_10_megabytes_is_not_read_to_the_end(sender: Sender, emulator: Emulator) -> None:
    """DESIGN.md, contract: answers are bounded; one byte too many shows that it was too long."""
    emulator.faults.add(oversize(), kind=ANY)
    assert len(answer_to(sender, emulator.url).body) == MAX_BODY + 1


def test_an_answer_need_not_be_followed_by_an_end(sender: Sender) -> None:
    """A server that keeps the connection open, or says more, holds nobody up."""
    done = threading.Event()

    def go_on(connection: socket.socket) -> None:
        read_request(connection)
        connection.sendall(HELLO + b"and more")
        done.wait(TIMEOUT)

    with Loopback(go_on) as server:
        assert answer_to(sender, server.origin).body == b"hello"
        done.set()


def test_ipv6(sender: Sender) -> None:
    """An address in brackets is an address like any other."""
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        pytest.skip("this machine has no IPv6")
    with Emulator(host="::1") as emulator:
        assert answer_to(sender, emulator.url).status == 404


@pytest.mark.parametrize("scheme", ["http", "https"])
@pytest.mark.parametrize(
    ("moment", "is_whole"), [("sending", True), ("waiting", True), ("reading", True), ("waiting", False)]
)
def test_an_answer_that_came_while_the_process_was_stopped(
    kind: type[Sender],
    scheme: str,
    is_whole: bool,
    moment: str,
    certificate: Certificate,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It is there, so it counts, though the time is up when it is read: asking again would be reuse. If it is whole."""
    sent = threading.Event()
    pieces = (HELLO[:20], HELLO[20:-5], HELLO[-5:] if is_whole else b"hell")
    wait_for_answer, receive_data = HttpExchange.wait_for_answer, HttpExchange.receive_data

    def stop() -> None:
        assert sent.wait(TIMEOUT)
        while time.monotonic() < begun + 5 * SOON:  # nothing of this process runs, and time goes by
            time.sleep(0.01)

    def wait_and_stop(self: HttpExchange) -> None:
        wait_for_answer(self)
        stop()

    def receive_and_stop(self: HttpExchange, data: bytes) -> Response | None:
        answer = receive_data(self, data)
        time.sleep(SOON)
        return answer

    if moment == "sending":
        kind.when_sent(monkeypatch, stop)
    else:
        monkeypatch.setattr(HttpExchange, "wait_for_answer", wait_and_stop)
    if moment == "reading":  # it stands still again, whenever something has been read
        monkeypatch.setattr(HttpExchange, "receive_data", receive_and_stop)
    with Loopback(answer_in_pieces(sent, *pieces), certificate if scheme == "https" else None) as server:
        begun = time.monotonic()
        report = kind(trusting(certificate)).send(post(server.origin), 4 * SOON)
        assert time.monotonic() > begun + 5 * SOON
        if is_whole:
            assert isinstance(report, Response), report
            assert report.body == b"hello"
        else:
            assert isinstance(report, SendFailure)
            assert report.kind == AMBIGUOUS


def test_requests_are_not_held_back(sender: Sender, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without TCP_NODELAY a request waits behind a TLS handshake for an acknowledgement that is delayed: 40 ms."""
    before, unheld = socket.socket.setsockopt, []

    def setsockopt(self: socket.socket, level: int, option: int, *value: Any) -> None:
        if self.family == socket.AF_INET and (level, option) == (socket.IPPROTO_TCP, socket.TCP_NODELAY):
            unheld.append(f"http://127.0.0.1:{self.getpeername()[1]}")
        before(self, level, option, *value)

    monkeypatch.setattr(socket.socket, "setsockopt", setsockopt)
    with Loopback(answer(HELLO)) as server:
        assert answer_to(sender, server.origin).body == b"hello"
        assert server.origin in unheld


def test_https(kind: type[Sender], certificate: Certificate) -> None:
    """`ssl_context=` says what is trusted."""
    with Loopback(answer(HELLO), certificate) as server:
        assert answer_to(kind(trusting(certificate)), server.origin).body == b"hello"
    gc.collect()


# --- not sent ---


def test_connection_refused(sender: Sender, emulator: Emulator) -> None:
    """Nobody listens: not sent, and the reason says so."""
    with emulator.connections_refused():
        failure = failure_of(sender, emulator.url)
    assert (failure.kind, failure.reason) == (NOT_SENT, "Connection refused while connecting")


def test_a_name_that_does_not_resolve(sender: Sender, monkeypatch: pytest.MonkeyPatch) -> None:
    """DNS is down or the name is wrong: not sent."""

    def fail(*arguments: object, **options: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", fail)
    assert failure_of(sender, "https://example.invalid/").kind == NOT_SENT


def test_a_name_that_cannot_be_one(sender: Sender) -> None:
    """A label that is too long for DNS fails in Python itself, with a UnicodeError: not sent."""
    assert failure_of(sender, f"https://{'x' * 70}.example/").kind == NOT_SENT


def test_a_connection_that_is_not_accepted_in_time(sender: Sender) -> None:
    """The network swallows packets: not sent, in time."""
    with full_backlog() as url:
        assert late(sender, url) == (NOT_SENT, "timed out while connecting")


@pytest.mark.parametrize("trusted", [False, True])
def test_a_certificate_that_does_not_fit(
    kind: type[Sender], certificate: Certificate, foreign_certificate: Certificate, trusted: bool
) -> None:
    """Nobody's, or a trusted one for another host: nothing was said in TLS, so not sent."""
    context = trusting(foreign_certificate) if trusted else None
    with Loopback(read_request, foreign_certificate if trusted else certificate) as server:
        assert failure_of(kind(context), server.origin).kind == NOT_SENT
    gc.collect()


def test_a_server_that_does_not_speak_tls(sender: Sender, emulator: Emulator) -> None:
    """https to a plain server: not sent, and above all not in the clear."""
    assert failure_of(sender, emulator.url.replace("http:", "https:")).kind == NOT_SENT
    assert [entry.kind for entry in emulator.journal if entry.kind != "unknown"] == []


def test_a_reset_within_the_handshake(sender: Sender) -> None:
    """The connection ends before TLS stands: not sent."""

    def refuse(connection: socket.socket) -> None:
        connection.recv(65536)
        reset(connection)

    with Loopback(refuse) as server:
        assert failure_of(sender, server.origin.replace("http:", "https:")).kind == NOT_SENT


def test_a_handshake_that_does_not_end(sender: Sender) -> None:
    """A server that accepts and says nothing: not sent, in time."""
    with Loopback(lambda connection: connection.recv(65536) and connection.recv(1)) as server:
        assert late(sender, server.origin.replace("http:", "https:")) == (
            NOT_SENT,
            "timed out while shaking hands (TLS)",
        )


@pytest.mark.parametrize("is_tls", [False, True], ids=["plain", "tls"])
@pytest.mark.parametrize("clock", [0, 1], ids=["stopped", "suspended"])
@pytest.mark.parametrize("passed", [TIMEOUT - 0.4, TIMEOUT], ids=["nearly too late", "too late"])
def test_nothing_is_sent_late(
    kind: type[Sender], certificate: Certificate, monkeypatch: pytest.MonkeyPatch, clock: int, passed: float,
    is_tls: bool,
) -> None:  # fmt: skip
    """DESIGN.md, stores: an exchange's deadline is shorter than its lease. A process that was stopped (both clocks go
    on) or suspended (only the wall clock does) between connecting and the first byte may have lost the lease."""
    received: list[bytes] = []

    def jump() -> None:
        name = kind.clocks[clock]
        module, _, function = name.rpartition(".")
        now: float = getattr(sys.modules[module], function)()
        monkeypatch.setattr(name, lambda: now + passed)

    kind.when_connected(monkeypatch, jump)
    with Loopback(
        lambda connection: received.append(read_request(connection)), certificate if is_tls else None
    ) as server:
        failure = failure_of(kind(trusting(certificate)), server.origin)
    monkeypatch.undo()
    assert (failure.kind, failure.reason) == (
        NOT_SENT,
        f"timed out while {'shaking hands (TLS)' if is_tls else 'connecting'}",
    )
    assert not any(received)
    gc.collect()


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
    "a broken chunk": lambda: not_http(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n"),
    "a header line without end": lambda: not_http(b"HTTP/1.1 200 OK\r\nx: " + b"y" * 200_000),
}


@pytest.mark.parametrize("name", AMBIGUOUS_FAULTS)
def test_whatever_happens_after_the_connection_stands_is_ambiguous(
    sender: Sender, emulator: Emulator, name: str
) -> None:
    """DESIGN.md, Failures: the server may have acted, and nobody can tell from here."""
    emulator.faults.add(AMBIGUOUS_FAULTS[name](), kind=ANY)
    assert failure_of(sender, emulator.url).kind == AMBIGUOUS


@pytest.mark.parametrize("body", [BODY, BIG], ids=["small", "big"])
def test_a_reset_in_the_middle_of_the_request(sender: Sender, body: bytes) -> None:
    """A server that resets after the first byte may have read the rest: the client cannot know."""

    def refuse(connection: socket.socket) -> None:
        connection.recv(1)
        reset(connection)

    with Loopback(refuse) as server:
        assert failure_of(sender, server.origin, body=body).kind == AMBIGUOUS


def test_lost_over_tls(kind: type[Sender], certificate: Certificate) -> None:
    """An SSLError after the handshake is ambiguous, whatever its name."""

    def cut_off(connection: socket.socket) -> None:
        read_request(connection)
        reset(connection)

    with Loopback(cut_off, certificate) as server:
        assert failure_of(kind(trusting(certificate)), server.origin).kind == AMBIGUOUS
    gc.collect()


def test_a_server_that_does_not_read(sender: Sender) -> None:
    """The time-out bounds sending, too; part of the request has left, so it is ambiguous."""
    done = threading.Event()
    with Loopback(lambda connection: done.wait(TIMEOUT)) as server:
        outcome = late(sender, server.origin, BIG)
        done.set()
    assert outcome == (AMBIGUOUS, "timed out while sending")


def test_a_server_that_does_not_answer(sender: Sender, emulator: Emulator) -> None:
    """The commonest of all ambiguous outcomes."""
    gate = emulator.faults.add(hold(), kind=ANY)
    assert late(sender, emulator.url) == (AMBIGUOUS, "timed out while waiting for the answer")
    gate.release()


def test_a_server_that_reads_at_leisure_and_does_not_answer(sender: Sender) -> None:
    """A request that took several turns to hand over has been handed over once the last byte is."""
    done = threading.Event()

    def read_all(connection: socket.socket) -> None:
        read = 0
        while read < len(BIG):
            read += len(connection.recv(1024 * 1024))
        done.wait(TIMEOUT)

    with Loopback(read_all) as server:
        failure = failure_of(sender, server.origin, 7 * SOON, BIG)
        done.set()
    assert (failure.kind, failure.reason) == (AMBIGUOUS, "timed out while waiting for the answer")


def test_a_server_that_drips(sender: Sender, emulator: Emulator) -> None:
    """The time-out is for the whole exchange, not for each byte of it."""
    emulator.faults.add(slow_drip(SOON / 5), kind=ANY)
    assert late(sender, emulator.url) == (AMBIGUOUS, "timed out while waiting for the answer")


def test_a_silent_server_over_tls(kind: type[Sender], certificate: Certificate) -> None:
    """TLS stands and the request has left; ending it at the time-out waits for no goodbye of the server's."""
    done = threading.Event()

    def be_silent(connection: socket.socket) -> None:
        read_request(connection)
        done.wait(TIMEOUT)

    with Loopback(be_silent, certificate) as server:
        late_one = late(kind(trusting(certificate)), server.origin)
        done.set()
    assert late_one == (AMBIGUOUS, "timed out while waiting for the answer")
    gc.collect()


def test_an_answer_cut_off_by_the_time_out_is_not_complete(sender: Sender) -> None:
    """Without a length the END of the stream is the end of the body, and our own time-out is no such end."""
    done = threading.Event()

    def stall(connection: socket.socket) -> None:
        read_request(connection)
        connection.sendall(b"HTTP/1.1 200 OK\r\n\r\nhalf an answ")
        done.wait(TIMEOUT)

    with Loopback(stall) as server:
        outcome = sender.send(post(server.origin), SOON)
        done.set()
    assert isinstance(outcome, SendFailure)
    assert (outcome.kind, outcome.reason) == (AMBIGUOUS, "timed out while waiting for the answer")


# --- cancelled ---


def test_cancelled_before_the_first_byte(sender: Sender) -> None:
    """Nothing has left, so nothing is waited for."""
    begun = threading.Event()

    def shake_no_hands(connection: socket.socket) -> None:
        connection.recv(1)
        begun.set()
        connection.recv(65536)
        connection.recv(1)

    with Loopback(shake_no_hands) as server:
        url = server.origin.replace("http:", "https:")
        report = sender.send_and_cancel(post(url), begun, lambda: None)
    assert isinstance(report, SendFailure)
    assert (report.kind, report.reason) == (NOT_SENT, "cancelled while shaking hands (TLS)")


def test_cancelled_while_the_answer_is_awaited(sender: Sender, emulator: Emulator) -> None:
    """Invariant 4: the answer to what was sent is taken in, however often the task is cancelled."""
    gate = emulator.faults.add(hold_answer(), kind=ANY)
    report = sender.send_and_cancel(post(emulator.url), gate.arrived, gate.release)
    assert isinstance(report, Response)
    assert report.status == 404


def test_cancelled_while_the_request_is_being_sent(sender: Sender) -> None:
    """The same once a part of the request has left: the rest follows, and the answer is taken in."""
    begun, go_on = threading.Event(), threading.Event()
    received: list[int] = []

    def read_late(connection: socket.socket) -> None:
        received.append(len(connection.recv(1)))
        begun.set()
        go_on.wait(TIMEOUT)
        while sum(received) < len(BIG):
            received.append(len(connection.recv(1024 * 1024)))
        connection.sendall(HELLO)

    with Loopback(read_late) as server:
        report = sender.send_and_cancel(post(server.origin, BIG), begun, go_on.set)
    assert isinstance(report, Response)


def test_a_failure_keeps_no_traceback_of_another(sender: Sender, emulator: Emulator) -> None:
    """Invariant 9: a chained traceback that shows variables would show the request."""
    with emulator.connections_refused():
        failure = failure_of(sender, emulator.url)
    assert (failure.__cause__, failure.__context__) == (None, None)
    assert sys.exc_info() == (None, None, None)


@pytest.mark.parametrize("is_tls", [False, True], ids=["plain", "tls"])
@pytest.mark.parametrize("moment", ["while sending", "while reading"])
def test_a_failure_keeps_no_variables_with_secrets(
    kind: type[Sender], certificate: Certificate, is_tls: bool, moment: str
) -> None:
    """Invariant 9: neither what was being sent, nor what had come, is in a frame that it holds, or in a text."""
    done = threading.Event()

    def behave(connection: socket.socket) -> None:
        if moment == "while sending":
            done.wait(TIMEOUT)
        else:
            read_request(connection)
            connection.sendall(b"s3cr3t s3cr3t s3cr3t\r\n\r\n")

    with Loopback(behave, certificate if is_tls else None) as server:
        body, timeout = (BODY + BIG, 3.0) if moment == "while sending" else (BODY, TIMEOUT)
        failure = failure_of(kind(trusting(certificate)), server.origin, timeout, body=body)
        done.set()
    assert failure.kind == AMBIGUOUS
    assert (failure.__cause__, failure.__context__) == (None, None)
    where = failure.__traceback__
    while where is not None:
        shown = {name: repr(value) for name, value in where.tb_frame.f_locals.items()}
        assert not [name for name, text in shown.items() if "s3cr3t" in text and name not in ("body", "self")], shown
        where = where.tb_next


def test_a_context_that_cannot_be_made_is_not_sent(
    kind: type[Sender], certificate: Certificate, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SSLKEYLOGFILE may name a file that cannot be written."""

    def fail() -> ssl.SSLContext:
        raise PermissionError(13, "Permission denied", "keys")

    monkeypatch.setattr(ssl, "create_default_context", fail)
    with Loopback(read_request, certificate) as server:
        failure = failure_of(kind(), server.origin)
    assert (failure.kind, failure.reason) == (NOT_SENT, "Permission denied while shaking hands (TLS)")


# --- trio alone ---


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


# --- asyncio alone ---


@pytest.mark.parametrize("how", ["by a reset", "by an end", "by words of its own"])
def test_asyncio_connection_that_ends_before_the_first_byte(how: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """asyncio tells of what arrives at any time: what arrives before the request was sent is no answer to it."""
    before = _asyncio_streams._Conversation.connection_made

    def connection_made(self: _asyncio_streams._Conversation, transport: asyncio.BaseTransport) -> None:
        before(self, transport)
        if how == "by a reset":
            self.connection_lost(ConnectionResetError(104, "Connection reset by peer"))
        else:
            self.data_received(HELLO if how == "by words of its own" else b"")

    monkeypatch.setattr(_asyncio_streams._Conversation, "connection_made", connection_made)
    received: list[bytes] = []
    with Loopback(lambda connection: received.append(read_request(connection))) as server:
        assert failure_of(AsyncioSender(), server.origin).kind == NOT_SENT
    assert not any(received)
    gc.collect()


def test_asyncio_time_out_takes_its_own_cancellation_back(monkeypatch: pytest.MonkeyPatch) -> None:
    """A task that was cancelled by its own timer is not cancelled; one that somebody else cancels as well is."""
    before = _asyncio_streams._Conversation._end_late

    def end_late_and_cancelled(self: _asyncio_streams._Conversation) -> None:
        before(self)
        assert self._connecting is not None
        self._connecting.cancel()

    async def main(url: str, outcome: type[BaseException]) -> int:
        task = asyncio.current_task()
        assert task is not None
        with pytest.raises(outcome):
            await _asyncio_streams.StreamSender(None)(post(url), SOON)
        return task.cancelling() if sys.version_info >= (3, 11) else 0

    with full_backlog() as url:
        assert asyncio.run(main(url, SendFailure)) == 0
        monkeypatch.setattr(_asyncio_streams._Conversation, "_end_late", end_late_and_cancelled)
        if sys.version_info >= (3, 11):  # before, nobody can tell
            assert asyncio.run(main(url, CancelledWithReport)) == 1
    gc.collect()
