# transports/_http11.py: one HTTP exchange as a pure object. Whatever comes ends as a Response or a SendFailure.

import gzip
import zlib
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tenure import AMBIGUOUS, MAX_BODY, NOT_SENT, Request, Response, SendFailure
from tenure.transports._http11 import HttpExchange
from tenure.transports._session import MAX_INTERIM

HEADERS = (("content-type", "application/json"), ("request-id", "an id"))
BODY = b'{"password": "hunter2"}'

WHOLE = {
    "by length": b"HTTP/1.1 200 OK\r\nDate: now\r\nContent-Length: 5\r\n\r\nhello",
    "chunked": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n",
    "after interim answers": b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\n\r\n"
    b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello",
}
UNTIL_CLOSE = b"HTTP/1.0 200 OK\r\n\r\nhello"


def exchange(url: str = "http://127.0.0.1:8080/authorization/v1/x") -> HttpExchange:
    """An exchange whose request has been sent."""
    made = HttpExchange(Request("POST", url, HEADERS, BODY))
    made.prepare()
    made.data_to_send()
    made.wait_for_answer()
    return made


def feed(pieces: list[bytes], end: bool = True) -> Response | SendFailure | None:
    """Return what becomes of an answer that comes in pieces, and of the end of the stream behind it."""
    made = exchange()
    try:
        for piece in [*pieces, b""] if end else pieces:
            answer = made.receive_data(piece)
            if answer is not None:
                return answer
    except SendFailure as failure:
        return failure
    return None


def test_the_request_is_sent_as_it_is() -> None:
    """Method, path, headers and body are the core's; the rest is what HTTP needs on a connection of its own."""
    made = HttpExchange(Request("POST", "http://127.0.0.1:8080/a/b", HEADERS, BODY))
    made.prepare()
    sent = made.data_to_send()
    head, _, body = sent.partition(b"\r\n\r\n")
    lines = head.decode().split("\r\n")
    assert lines[0] == "POST /a/b HTTP/1.1"
    assert {line.split(":")[0] for line in lines[1:]} == {
        *("host", "user-agent", "content-type", "request-id", "accept-encoding", "content-length", "connection")
    }
    assert "host: 127.0.0.1:8080" in lines
    assert "connection: close" in lines
    assert body == BODY


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("http://localhost/x", ("localhost", 80, False)),
        ("https://host.example/x", ("host.example", 443, True)),
        ("https://host.example:8443", ("host.example", 8443, True)),
        ("http://[::1]:81/x", ("::1", 81, False)),
    ],
)
def test_where_to_connect(url: str, expected: tuple[str, int, bool]) -> None:
    """Scheme, host and port come from the url; an empty path is a slash."""
    made = HttpExchange(Request("POST", url, (), b""))
    assert (made.host, made.port, made.is_tls) == expected
    made.prepare()
    assert made.data_to_send().startswith((b"POST /x ", b"POST / "))


@pytest.mark.parametrize("name", WHOLE)
def test_an_answer_arrives_whole_or_byte_by_byte(name: str) -> None:
    """How the bytes are cut means nothing; what comes behind an answer means nothing either."""
    data = WHOLE[name]
    for pieces in ([data], [data[i : i + 1] for i in range(len(data))], [data + b"HTTP/1.1 500 no\r\n\r\n"]):
        answer = feed(pieces, end=False)
        assert isinstance(answer, Response)
        assert (answer.status, answer.body) == (200, b"hello")


@pytest.mark.parametrize("name", WHOLE)
def test_an_answer_cut_anywhere_is_ambiguous(name: str) -> None:
    """An end of the stream before the end of the answer: the server has acted, for all we know."""
    data = WHOLE[name]
    for end in range(len(data)):
        failure = feed([data[:end]])
        assert isinstance(failure, SendFailure)
        assert failure.kind == AMBIGUOUS


def test_an_answer_may_end_with_the_stream() -> None:
    """RFC 9112, section 6.3: without a length, the end of the stream is the end of the body."""
    assert feed([UNTIL_CLOSE], end=False) is None
    answer = feed([UNTIL_CLOSE])
    assert isinstance(answer, Response)
    assert answer.body == b"hello"


@pytest.mark.parametrize("status", [204, 304, 401, 503])
def test_every_status_is_an_answer(status: int) -> None:
    """What a status means is the core's business."""
    answer = feed([b"HTTP/1.1 %d x\r\nContent-Length: 0\r\n\r\n" % status])
    assert isinstance(answer, Response)
    assert answer.status == status


def test_a_body_that_is_too_long_is_cut_one_byte_behind_the_bound() -> None:
    """The core can see that it was too long, and nobody reads ten megabytes."""
    head = b"HTTP/1.1 200 OK\r\nContent-Length: 10000000\r\n\r\n"
    answer = feed([head, *[b"x" * 100_000] * 12], end=False)
    assert isinstance(answer, Response)
    assert len(answer.body) == MAX_BODY + 1


@pytest.mark.parametrize(
    "data",
    [
        b"SSH-2.0-OpenSSH\r\n\r\n",
        b"HTTP/1.1 banana\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nx y: z\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nx: " + b"y" * 100_000,
        b"HTTP/1.1 100 Continue\r\n\r\n" * (MAX_INTERIM + 1),
    ],
    ids=["another protocol", "no status", "two lengths", "a space in a name", "an endless head", "endless interim"],
)
def test_what_is_not_http_is_ambiguous(data: bytes) -> None:
    """Bytes have left, so the server may have acted, whatever it is that answers."""
    failure = feed([data])
    assert isinstance(failure, SendFailure)
    assert failure.kind == AMBIGUOUS
    assert "hunter2" not in str(failure)


def packed(body: bytes, coding: str, pack: Callable[[bytes], bytes]) -> bytes:
    data = pack(body)
    return b"HTTP/1.1 200 OK\r\nContent-Encoding: %b\r\nContent-Length: %d\r\n\r\n%b" % (
        coding.encode(),
        len(data),
        data,
    )


CODINGS = [("gzip", gzip.compress), ("X-GZip", gzip.compress), ("deflate", zlib.compress), ("identity", bytes)]


@pytest.mark.parametrize(("coding", "pack"), CODINGS, ids=[name for name, _ in CODINGS])
def test_a_compressed_answer(coding: str, pack: Callable[[bytes], bytes]) -> None:
    """No compression is asked for; a gateway that compresses all the same is understood: the pair must not be lost."""
    response = feed([packed(b"hello", coding, pack)])
    assert isinstance(response, Response)
    assert response.body == b"hello"


def test_a_bomb_is_not_unpacked() -> None:
    """The bound is on what is unpacked; one byte too many is enough to see that it is too long."""
    response = feed([packed(bytes(50 * MAX_BODY), "gzip", gzip.compress)])
    assert isinstance(response, Response)
    assert len(response.body) == MAX_BODY + 1


@pytest.mark.parametrize("pack", [lambda body: gzip.compress(body)[:-1], lambda body: body], ids=["cut off", "none"])
def test_what_cannot_be_unpacked_is_ambiguous(pack: Callable[[bytes], bytes]) -> None:
    """It may have been a pair."""
    failure = feed([packed(b"hunter2 hunter2", "gzip", pack)])
    assert isinstance(failure, SendFailure)
    assert failure.kind == AMBIGUOUS
    assert "hunter2" not in str(failure)


def test_nothing_need_not_be_unpacked() -> None:
    """A status without a body is an answer, whatever its headers say of the body: a 401 ends the session."""
    response = feed([b"HTTP/1.1 401 Unauthorized\r\nContent-Encoding: gzip\r\nContent-Length: 0\r\n\r\n"])
    assert isinstance(response, Response)
    assert (response.status, response.body) == (401, b"")


def test_an_unknown_coding_is_left_to_the_core() -> None:
    """Which says that the body makes no sense."""
    response = feed([packed(b"hello", "br", bytes)])
    assert isinstance(response, Response)
    assert response.body == b"hello"


@pytest.mark.parametrize(
    "data", [WHOLE["by length"], b"", b"SSH-2.0-OpenSSH\r\n"], ids=["an answer", "the end", "anything"]
)
def test_what_comes_before_the_request_is_no_answer_to_it(data: bytes) -> None:
    """DESIGN.md, Failures: nothing has left, so not sent; a 401 to no question ends no session."""
    with pytest.raises(SendFailure) as caught:
        HttpExchange(Request("POST", "http://127.0.0.1/x", HEADERS, BODY)).receive_data(data)
    assert caught.value.kind == NOT_SENT


@given(st.lists(st.binary(max_size=60), max_size=6), st.booleans())
def test_any_bytes_end_as_an_answer_or_a_failure(pieces: list[bytes], with_head: bool) -> None:
    """The invariant hunted here: no other exception, whatever arrives."""
    start = [b"HTTP/1.1 200 OK\r\n"] if with_head else []
    assert isinstance(feed([*start, *[piece for piece in pieces if piece]]), (Response, SendFailure))


def test_a_failure_means_what_its_place_says() -> None:
    """DESIGN.md, Failures: not sent until the first byte is handed over; from then on ambiguous, whatever its name."""
    made = HttpExchange(Request("POST", "https://127.0.0.1/x", (), BODY))
    texts = []
    for step in (made.prepare, made.start_handshake, made.start_sending, made.wait_for_answer):
        step()
        late, refused = made.failure(), made.failure(ConnectionRefusedError(111, "Connection refused"))
        assert late.kind == refused.kind
        texts.append(late.reason)
        assert refused.reason.startswith("Connection refused while ")
    assert [made.failure().kind, made.failure(ValueError("hunter2")).kind] == [AMBIGUOUS, AMBIGUOUS]
    assert "hunter2" not in made.failure(ValueError("hunter2")).reason
    assert texts == [
        "timed out while connecting",
        "timed out while shaking hands (TLS)",
        "timed out while sending",
        "timed out while waiting for the answer",
    ]
    assert HttpExchange(Request("POST", "https://127.0.0.1/x", (), b"")).failure().kind == NOT_SENT
