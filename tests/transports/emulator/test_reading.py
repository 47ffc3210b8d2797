from uuid import UUID

import pytest
from tenure import Request
from tenure.transports.emulator.reading import Refusal, header_of, path_of, read_body, request_id_of, same_secret

ID = "0123abcd-0123-4123-8123-0123456789ab"


def request(body=b"{}", request_id=ID):
    return Request("POST", "/", (("Request-Id", request_id), ("x", "1"), ("X", "2")), body)


def test_header_of_takes_the_first_in_any_case():
    """Header names have no case (RFC 9110, section 5.1)."""
    assert header_of(request(), "x") == "1"
    assert header_of(request(), "y") == ""


@pytest.mark.parametrize(
    ("url", "path"), [("http://h/a?b#c", "/a"), ("/a", "/a"), ("", ""), ("http://[bad/a", ""), ("//[", "")]
)
def test_path_of(url, path):
    """Of an absolute URL or a relative one; a URL that is none has no path."""
    assert path_of(Request("GET", url, (), b"")) == path


@pytest.mark.parametrize(
    ("text", "known"),
    [(ID, True), (ID.upper(), True), ("", False), ("{" + ID + "}", False), (ID + "\n", False), ("secret", False)],
)
def test_request_id_is_a_uuid_or_nothing(text, known):
    """What is no UUID is neither echoed nor kept."""
    assert request_id_of(request(request_id=text)) == (text if known else None)


def test_read_body_returns_the_fields_in_order():
    """Fields come as they were asked for; further ones are ignored."""
    body = b'{"c": ["x"], "a": "1", "b": "%s", "d": null}' % ID.encode()
    assert read_body(request(body), a=str, b=UUID, c=list) == ["1", ID, ["x"]]


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"", "not JSON"),
        (b"{", "not JSON"),
        (b"\xff", "not JSON"),
        (b"[" * 200_000, "not JSON"),
        (b"[]", "not a JSON object"),
        (b"null", "not a JSON object"),
        (b"{}", "a must be a string"),
        (b'{"a": 1}', "a must be a string"),
        (b'{"a": "1", "b": "2"}', "b must be a UUID"),
        (b'{"a": "1", "b": 2}', "b must be a UUID"),
        (b'{"a": "1", "b": "%s", "c": "x"}' % ID.encode(), "c must be a list of strings"),
        (b'{"a": "1", "b": "%s", "c": [1]}' % ID.encode(), "c must be a list of strings"),
    ],
)
def test_malformed_bodies_are_refused(body, message):
    """WIRE.md, Requests: what is not of that form is answered 400, and the answer repeats nothing of it."""
    with pytest.raises(Refusal, match=message) as refusal:
        read_body(request(body), a=str, b=UUID, c=list)
    assert (refusal.value.status, refusal.value.error) == (400, "malformed_request")


def test_request_without_request_id_is_refused():
    """WIRE.md, Requests: each bears a request id."""
    with pytest.raises(Refusal, match="request-id") as refusal:
        read_body(request(request_id="1"))
    assert refusal.value.status == 400


def test_same_secret():
    """Equal texts only, whatever characters they are of."""
    assert same_secret("\ud800é", "\ud800é")
    assert not same_secret("a", "aa")
