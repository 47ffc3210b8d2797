from functools import partial
from io import BytesIO

import pytest
from tenure import MAX_BODY
from tenure.transports.emulator.wire import BadRequest, read_request

REQUEST = b"POST /a?b HTTP/1.1\r\nHost: x\r\nRequest-Id:  1 \r\nContent-Length: 4\r\n\r\nbody"


def read(content):
    return read_request(BytesIO(content), "http://host", lambda: None)


def test_a_request_is_read():
    """Method, absolute URL, headers in lower case without spaces around, and as much body as was said."""
    request = read(REQUEST + b"tail")
    assert request is not None
    assert (request.method, request.url, request.body) == ("POST", "http://host/a?b", b"body")
    assert request.headers == (("host", "x"), ("request-id", "1"), ("content-length", "4"))


def test_the_absolute_form_is_read():
    """RFC 9112, section 3.2.2: a server must accept it."""
    request = read(b"GET http://other/path HTTP/1.0\r\n\r\n")
    assert request is not None
    assert request.url == "http://other/path"


def test_the_end_of_the_stream_is_no_request():
    """A client that says nothing has not asked anything."""
    assert read(b"") is None


@pytest.mark.parametrize("end", range(1, len(REQUEST)))
def test_a_truncated_request_is_never_taken_for_a_whole_one(end):
    """Whatever is cut off ends in an error, at every point: half a request must not be acted on."""
    with pytest.raises((BadRequest, ConnectionError)):
        read(REQUEST[:end])


@pytest.mark.parametrize(
    ("content", "status"),
    [
        (b"\r\n\r\n", 400),
        (b"GET /\r\n\r\n", 400),
        (b"GET / HTTP/2\r\n\r\n", 400),
        (b"GET / x HTTP/1.1\r\n\r\n", 400),
        (b"\x16\x03\x01\x02\x00\x01\x00\n", 400),
        (b"GET / HTTP/1.1\r\nno colon\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\n: x\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\na b: x\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\n folded: x\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\ncontent-length: -1\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\ncontent-length: \xb2\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n", 411),
        (b"POST / HTTP/1.1\r\ncontent-length: %d\r\n\r\n" % (MAX_BODY + 1), 413),
        (b"POST / HTTP/1.1\r\ncontent-length: " + b"9" * 5000 + b"\r\n\r\n", 413),
        (b"GET /" + b"x" * 70_000 + b" HTTP/1.1\r\n\r\n", 431),
        (b"GET / HTTP/1.1\r\n" + b"a: b\r\n" * 20_000 + b"\r\n", 431),
    ],
)
def test_bad_requests_say_which_status(content, status):
    """What cannot be read is answered with the status that says why, and within bounded memory."""
    with pytest.raises(BadRequest) as reason:
        read(content)
    assert reason.value.status == status


def test_the_client_is_told_to_continue():
    """RFC 9110, section 10.1.1: some clients wait for leave before they send a body."""
    for expect, times in ((b"expect: 100-Continue\r\n", 1), (b"", 0)):
        asked: list[bool] = []
        request = read_request(
            BytesIO(REQUEST.replace(b"Host: x\r\n", expect)), "http://host", partial(asked.append, True)
        )
        assert request is not None
        assert len(asked) == times
