# _requests.py: a Request in, a Response out.

import gzip
import zlib

import pytest
from tenure import MAX_BODY
from tenure.transports._requests import RequestsSender
from tenure.transports._session import MAX_INTERIM
from tenure.transports.emulator import ANY, Emulator, chunked, oversize
from tenure.transports.emulator import status as answer_status

from ..driver_helpers import Witness
from ..drivers import TIMEOUT
from ..loopback import Certificate, Loopback, answer
from .by_requests import BODY, post


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


def test_a_query_is_part_of_what_is_asked_for(send: RequestsSender, emulator: Emulator) -> None:
    """A dialect may refresh at a path with one."""
    witness = emulator.faults.add(Witness(), kind=ANY, times=None)
    for end in ("/refresh?tenant=5&x=%2F", "?tenant=5"):
        send(post(emulator.origin + end), TIMEOUT)
    targets = [request.url.removeprefix(emulator.origin) for request in witness.requests]
    assert targets == ["/refresh?tenant=5&x=%2F", "/?tenant=5"]


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


@pytest.mark.parametrize(("interim", "count"), [(100, 2), (102, 1), (103, 2), (103, MAX_INTERIM), (199, 2)])
def test_interim_answers_are_passed_over(send: RequestsSender, interim: int, count: int) -> None:
    """RFC 9110, section 15.2: whatever they are, the answer comes behind them."""
    early = f"HTTP/1.1 {interim} Early\r\nlink: </style.css>\r\n\r\n".encode()
    late = b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello"
    with Loopback(answer(count * early + late)) as server:
        response = send(post(server.origin), TIMEOUT)
    assert (response.status, response.body) == (200, b"hello")
    assert "link" not in dict(response.headers)


@pytest.mark.parametrize("coding", ["gzip", "deflate"])
def test_a_compressed_answer(send: RequestsSender, coding: str) -> None:
    """No compression is asked for; a gateway that compresses all the same is understood."""
    body = gzip.compress(b"hello") if coding == "gzip" else zlib.compress(b"hello")
    head = f"HTTP/1.1 200 OK\r\ncontent-encoding: {coding}\r\ncontent-length: {len(body)}\r\n\r\n".encode()
    with Loopback(answer(head + body)) as server:
        assert send(post(server.origin), TIMEOUT).body == b"hello"


@pytest.mark.parametrize("coding", ["gzip", "deflate"])
def test_nothing_need_not_be_unpacked(send: RequestsSender, coding: str) -> None:
    """A status without a body is an answer, whatever its headers say of the body: a 401 ends the session."""
    head = f"HTTP/1.1 401 Unauthorized\r\ncontent-encoding: {coding}\r\ncontent-length: 0\r\n\r\n".encode()
    with Loopback(answer(head)) as server:
        response = send(post(server.origin), TIMEOUT)
    assert (response.status, response.body) == (401, b"")


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
