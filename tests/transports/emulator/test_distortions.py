# Each distorted answer, seen from the client's side of a real socket.

import http.client
import json
import math

import pytest
from tenure.transports.emulator import (
    NOT_AN_OBJECT,
    NOT_JSON,
    NOT_UTF8,
    chunked,
    drop_field,
    garbage,
    lose_answer,
    mutate,
    no_date_header,
    not_http,
    oversize,
    set_field,
    set_header,
    truncate,
    wrong_content_length,
)

from .helpers import Pair, raw_refresh, send_raw


@pytest.fixture
def pair(client):
    return client.establish()


def split(content):
    """Return head and body of an answer's bytes."""
    head, _, body = content.partition(b"\r\n\r\n")
    return head.decode(), body


def length_in(head):
    """Return what the Content-Length says."""
    return next(line.split(": ")[1] for line in head.split("\r\n") if line.startswith("content-length"))


@pytest.mark.parametrize("keep", [0, 1, 100])
def test_truncate(emulator, pair, keep):
    """The Content-Length is right, but only so many bytes of the body come; then the connection ends."""
    emulator.faults.add(truncate(keep))
    head, body = split(send_raw(emulator, raw_refresh(emulator, pair.refresh)))
    assert len(body) == keep < int(length_in(head))


def test_truncate_by_default_sends_half(emulator, client, pair):
    """A client sees an incomplete body, while the service has rotated."""
    emulator.faults.add(truncate())
    with pytest.raises(http.client.IncompleteRead):
        client.refresh(pair.refresh)
    assert emulator.statistics.refreshes == 1


def test_truncate_with_reset(emulator, client, pair):
    """The connection breaks within the body."""
    emulator.faults.add(truncate(reset=True))
    with pytest.raises(ConnectionResetError):
        client.refresh(pair.refresh)


@pytest.mark.parametrize("value", [3, 100_000, "-1", "many"])
def test_wrong_content_length(emulator, pair, value):
    """The body is whole, what is said about it is not."""
    emulator.faults.add(wrong_content_length(value))
    head, body = split(send_raw(emulator, raw_refresh(emulator, pair.refresh)))
    assert length_in(head) == str(value)
    assert json.loads(body)["data"]


@pytest.mark.parametrize("size", [1, 16, 100_000])
def test_chunked(emulator, client, pair, size):
    """RFC 9112, section 7.1: every client must read it."""
    emulator.faults.add(chunked(size))
    answer = client.refresh(pair.refresh)
    assert (answer.header("transfer-encoding"), answer.header("content-length")) == ("chunked", None)
    assert Pair(answer).refresh


def test_not_http(emulator, client, pair):
    """Bytes of another protocol."""
    emulator.faults.add(not_http(), times=2)
    assert send_raw(emulator, raw_refresh(emulator, pair.refresh)).startswith(b"SSH-2.0")
    with pytest.raises(http.client.BadStatusLine):
        client.refresh(pair.refresh)


def test_no_date_header(emulator, client):
    """Servers without a clock send no Date (RFC 9110, section 6.6.1)."""
    assert client.refresh("x").header("date") is not None
    emulator.faults.add(no_date_header())
    assert client.refresh("x").header("date") is None


def test_set_header(emulator, client):
    """Any header can be set, in place of the one there is."""
    emulator.faults.add(set_header("Date", "yesterday"))
    answer = client.refresh("x")
    assert [value for name, value in answer.headers if name == "date"] == ["yesterday"]


def test_oversize(emulator, client, pair):
    """10 MB by default; it stays valid JSON, so only the size is wrong."""
    emulator.faults.add(oversize())
    answer = client.refresh(pair.refresh)
    assert len(answer.body) == 10_000_000
    assert Pair(answer).refresh


@pytest.mark.parametrize("content", [NOT_JSON, NOT_UTF8, NOT_AN_OBJECT, b"", b"null"])
def test_garbage(emulator, client, pair, content):
    """A success by its status, and nonsense by its body; the service has rotated."""
    emulator.faults.add(garbage(content))
    answer = client.refresh(pair.refresh)
    assert (answer.status, answer.body) == (200, content)
    assert emulator.statistics.refreshes == 1


def test_garbage_of_another_type(emulator, client):
    """The content type can be that of the nonsense."""
    emulator.faults.add(garbage(content_type="text/html"))
    assert client.refresh("x").header("content-type") == "text/html"


def test_prepared_garbage_is_what_it_says():
    """The three bodies are wrong in exactly the way their names say."""
    with pytest.raises(ValueError, match="Expecting value"):
        json.loads(NOT_JSON)
    with pytest.raises(UnicodeDecodeError):
        NOT_UTF8.decode()
    assert isinstance(json.loads(NOT_AN_OBJECT), list)


@pytest.mark.parametrize(
    "value", ["1700000000", -1, math.nan, 1.7e12, 0, None, [], True], ids=lambda value: repr(value)
)
def test_set_field(emulator, client, pair, value):
    """One field is wrong, the rest as it was."""
    emulator.faults.add(set_field("data.permissionToken.expiresAt", value))
    data = json.loads(client.refresh(pair.refresh).body)["data"]
    assert repr(data["permissionToken"].pop("expiresAt")) == repr(value)
    assert set(data["permissionToken"]) == {"permissionToken", "issuer"}
    assert set(data) == {"permissionToken", "permissionRefreshToken"}


@pytest.mark.parametrize("token", ["a\r\nb: c", "a b", "x" * 100_000, "\x00", "é"])
def test_set_field_of_a_token(emulator, client, pair, token):
    """DESIGN.md, invariant 10: tokens that are not fit for a header."""
    emulator.faults.add(set_field("data.permissionToken.permissionToken", token))
    assert Pair(client.refresh(pair.refresh)).permission == token


def test_drop_field(emulator, client, pair):
    """One field is missing."""
    emulator.faults.add(drop_field("requestId"), times=1)
    emulator.faults.add(drop_field("data.permissionRefreshToken"))
    answer = client.refresh(pair.refresh)
    assert set(json.loads(answer.body)) == {"data"}
    answer = client.refresh(Pair(answer).refresh)
    assert set(json.loads(answer.body)["data"]) == {"permissionToken"}


def test_mutate_in_place_or_by_another_object(emulator, client):
    """The function changes the JSON, or returns what takes its place."""
    emulator.faults.add(mutate(lambda content: content.update(requestId="foreign")))
    emulator.faults.add(mutate(lambda content: {"only": "this"}))
    assert json.loads(client.refresh("x").body)["requestId"] == "foreign"
    assert json.loads(client.refresh("x").body) == {"only": "this"}


@pytest.mark.parametrize("fault", [truncate(), oversize(), garbage(), mutate(dict), no_date_header()], ids=repr)
def test_without_an_answer_there_is_nothing_to_distort(emulator, client, fault):
    """After a lost answer, a distortion does nothing."""
    emulator.faults.add(lose_answer(), fault)
    assert send_raw(emulator, raw_refresh(emulator, "x")) == b""
