# _asyncio_streams.py and _trio_streams.py: a Request in, a Response out.

import gc
import gzip
import socket
import threading
import time
from typing import Any
from urllib.parse import urlsplit

import pytest
from tenure import AMBIGUOUS, MAX_BODY, NOT_SENT, Response, SendFailure
from tenure.transports._http11 import HttpExchange
from tenure.transports.emulator import ANY, Emulator, chunked, oversize, redirect, slow_drip
from tenure.transports.emulator import status as answer_status

from ..driver_helpers import Witness
from ..drivers import TIMEOUT
from ..loopback import Certificate, Loopback, answer, answer_in_pieces, full_backlog, names, read_request
from .streams import BODY, HELLO, SOON, Sender, answer_to, failure_of, post, trusting


def test_a_request_arrives_as_it_is(sender: Sender, emulator: Emulator) -> None:
    """DESIGN.md, contract: one connection an exchange, and the request is the core's."""
    witness = emulator.faults.add(Witness(), kind=ANY, times=None)
    assert answer_to(sender, emulator.url + "/api/nothing").status == 404
    (request,) = witness.requests
    assert (request.method, request.body) == ("POST", BODY)
    assert dict(request.headers)["connection"] == "close"


def test_a_query_is_part_of_what_is_asked_for(sender: Sender, emulator: Emulator) -> None:
    """A dialect may refresh at a path with one."""
    witness = emulator.faults.add(Witness(), kind=ANY, times=None)
    for end in ("/refresh?tenant=5&x=%2F", "?tenant=5"):
        answer_to(sender, emulator.origin + end)
    targets = [request.url.removeprefix(emulator.origin) for request in witness.requests]
    assert targets == ["/refresh?tenant=5&x=%2F", "/?tenant=5"]


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


PACKED = {
    "two members": gzip.compress(b"hel") + gzip.compress(b"lo"),
    "one that is empty": gzip.compress(b"") + gzip.compress(b"hello"),
    "what is no member behind it": gzip.compress(b"hello") + bytes(10),
}


@pytest.mark.parametrize("coding", [b"gzip", b"gzip, identity", b"Identity,GZip"])
@pytest.mark.parametrize("packed", PACKED.values(), ids=PACKED)
def test_an_answer_that_a_gateway_has_packed(sender: Sender, packed: bytes, coding: bytes) -> None:
    """RFC 1952: gzip is made of members, one behind the other. It may be a pair, of which nothing must be missing."""
    with Loopback(answer(b"HTTP/1.1 200 OK\r\ncontent-encoding: " + coding + b"\r\n\r\n" + packed)) as server:
        assert answer_to(sender, server.origin).body == b"hello"


@pytest.mark.parametrize("half", [1, 2])
def test_an_answer_of_too_many_members(sender: Sender, half: int) -> None:
    """The bound is on what is unpacked, from however many members, and reaching it is enough to see that."""
    member = gzip.compress(bytes(MAX_BODY // half))
    with Loopback(answer(b"HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\n\r\n" + member * 3)) as server:
        assert len(answer_to(sender, server.origin).body) == MAX_BODY + 1


@pytest.mark.parametrize(
    "packed",
    [
        gzip.compress(b"hello") + gzip.compress(b"hello")[:-1],
        gzip.compress(b"hello") + b"\x1f\x8bhello",
        gzip.compress(b"") * 50_000,
    ],
    ids=["cut off", "broken", "members for ever"],
)
def test_an_answer_that_goes_on_with_a_member_that_is_none(sender: Sender, packed: bytes) -> None:
    """Something was answered, and nobody knows what. Nor does anybody spend minutes on finding out."""
    with Loopback(answer(b"HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\n\r\n" + packed)) as server:
        assert failure_of(sender, server.origin).kind == AMBIGUOUS


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


@pytest.mark.parametrize("first", ["refuses", "is silent"])
@pytest.mark.parametrize("others", [1, 3])
def test_a_name_of_several_addresses(
    sender: Sender, emulator: Emulator, monkeypatch: pytest.MonkeyPatch, first: str, others: int
) -> None:
    """RFC 8305: the first address that answers is taken, and one that does not costs a moment and not the attempt."""
    port = urlsplit(emulator.url).port or 0
    with full_backlog() as silent:
        where = ("127.0.0.9", port) if first == "refuses" else ("127.0.0.1", urlsplit(silent).port or 0)
        names(monkeypatch, *[where] * others, ("127.0.0.1", port))
        assert answer_to(sender, emulator.url.replace("127.0.0.1", "localhost")).status == 404
        names(monkeypatch, *[where] * others)
        failure = failure_of(sender, "http://localhost/", SOON)
    said = "timed out" if first == "is silent" else "Connection refused"
    assert (failure.kind, failure.reason) == (NOT_SENT, f"{said} while connecting")


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
