# transports/auth/requests.py: the token goes to the chosen origins only, and a refused one is replaced once.

import io
import threading
from collections.abc import Iterator
from typing import Any

import pytest
import requests
from tenure import NotEstablishedError, RefreshError, SessionExpiredError, UsageError
from tenure.transports.auth.requests import BearerAuth
from tenure.transports.blocking import AuthorizationSession
from tenure.transports.emulator import ANY, RESOURCE, UNKNOWN, Emulator, latency, redirect, status

from .driver_helpers import DEAD, QUICK, TOKEN_ID, Clocks, Witness, outcomes_of, security_token
from .drivers import TIMEOUT, BlockingDriver, Driver
from .loopback import Loopback, answer, read_request

OK = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n"


@pytest.fixture
def driver() -> Driver:
    """This file is about the blocking driver alone."""
    return BlockingDriver()


@pytest.fixture
def session(emulator: Emulator, clocks: Clocks) -> Iterator[AuthorizationSession]:
    """An established session of the blocking driver."""
    with AuthorizationSession(emulator.url, TOKEN_ID, ["read"], policy=QUICK) as session:
        session.establish([security_token(emulator, clocks.service)])
        yield session


@pytest.fixture
def witness(emulator: Emulator) -> Witness:
    return emulator.faults.add(Witness(), kind=ANY, times=None)


@pytest.fixture(autouse=True)
def no_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    """Requests of this file go where they say."""
    monkeypatch.setenv("NO_PROXY", "*")


def get(url: str, auth: BearerAuth, **options: Any) -> requests.Response:
    return requests.get(url, auth=auth, timeout=TIMEOUT, **options)


def post(url: str, auth: BearerAuth, **options: Any) -> requests.Response:
    return requests.post(url, auth=auth, timeout=TIMEOUT, **options)


def refuse_current(emulator: Emulator) -> None:
    emulator.service.revoke_permission_tokens()


# --- which requests get the token ---


def test_the_token_is_put_on(session: AuthorizationSession, emulator: Emulator, witness: Witness) -> None:
    """RFC 6750, section 2.1: the header that the resource server wants."""
    assert get(emulator.resource_url, session.auth()).json()["permissions"] == ["read"]
    assert witness.headers("authorization") == [f"Bearer {session.get_permission_token()}"]


@pytest.mark.parametrize("origins", [[], ["{0}"], ["{0}/some/path?and=query"], ["https://example.com", "{0}"]], ids=str)
def test_the_chosen_origins(session: AuthorizationSession, emulator: Emulator, origins: list[str]) -> None:
    """Scheme, host and port are what counts; without a choice it is the service's own origin."""
    auth = session.auth(*[origin.format(emulator.origin) for origin in origins])
    assert get(emulator.resource_url, auth).status_code == 200


@pytest.mark.parametrize(
    "origin",
    ["https://127.0.0.1:{0}", "http://127.0.0.1:1", "http://127.0.0.1", "http://localhost:{0}", "http://127.0.0.2:{0}"],
)
def test_other_origins_get_nothing(
    session: AuthorizationSession, emulator: Emulator, witness: Witness, origin: str
) -> None:
    """Another scheme, port or host is another origin, and the session is not even asked for a token."""
    auth = session.auth(origin.format(emulator.origin.rpartition(":")[2]))
    assert get(emulator.resource_url, auth).status_code == 401
    assert witness.headers("authorization") == []
    assert [entry.kind for entry in emulator.journal] == ["issue", "resource"]


@pytest.mark.parametrize(
    ("chosen", "url", "gets_it"),
    [
        ("https://api.example.com", "https://api.example.com/x", True),
        ("https://api.example.com", "https://API.Example.com:443/x", True),
        ("HTTPS://API.EXAMPLE.COM:443", "https://api.example.com/", True),
        ("http://api.example.com", "http://api.example.com:80/", True),
        ("http://[::1]:8080", "http://[::1]:8080/x", True),
        ("https://api.example.com", "http://api.example.com/", False),
        ("https://api.example.com", "https://example.com/", False),
        ("https://api.example.com", "https://api.example.com.evil.com/", False),
        ("https://api.example.com", "https://api.example.com@evil.com/", False),
        ("https://api.example.com", "https://evil.com/https://api.example.com", False),
        ("https://api.example.com", "https://evil.com/?https://api.example.com", False),
        ("https://api.example.com", "https://evil.com#@api.example.com/", False),
        ("https://api.example.com", "https://api.example.com:8443/", False),
        ("https://api.example.com", "https://api.example.com./", False),
    ],
)
def test_what_the_same_origin_is(session: AuthorizationSession, chosen: str, url: str, gets_it: bool) -> None:
    """RFC 6454, section 4: scheme, host and port, with defaults and without regard to case."""
    prepared = requests.Request("GET", url, auth=session.auth(chosen)).prepare()
    assert ("Authorization" in prepared.headers) is gets_it


@pytest.mark.parametrize("origin", ["", "example.com", "/path", "https://", "https://host:port", "ftp://example.com"])
def test_an_unfit_origin(session: AuthorizationSession, origin: str) -> None:
    """What cannot match any request is a mistake worth hearing about."""
    with pytest.raises(UsageError, match="origin"):
        session.auth("https://example.com", origin)


def test_auth_objects_compare(session: AuthorizationSession, emulator: Emulator) -> None:
    """requests compares and hashes auth objects; two for the same session and origins are the same."""
    assert session.auth() == session.auth(emulator.origin)
    assert hash(session.auth()) == hash(session.auth(emulator.origin))
    assert session.auth() != session.auth("https://example.com")
    assert session.auth() != "something else"


def test_auth_on_a_requests_session(session: AuthorizationSession, emulator: Emulator) -> None:
    """One auth object serves all requests of a `requests.Session`, before and after a refresh."""
    with requests.Session() as client:
        client.auth = session.auth()
        for _ in range(2):
            assert client.get(emulator.resource_url, timeout=TIMEOUT).status_code == 200
            session.refresh()


def test_the_errors_of_the_session_reach_the_caller(
    session: AuthorizationSession, emulator: Emulator, clocks: Clocks
) -> None:
    """Sending raises what `get_permission_token` raises, as it is."""
    with AuthorizationSession(emulator.url, TOKEN_ID, ["read"]) as fresh, pytest.raises(NotEstablishedError):
        get(emulator.resource_url, fresh.auth())
    emulator.service.revoke()
    with pytest.raises(SessionExpiredError):
        get(emulator.resource_url, session.auth())


# --- 401 ---


def test_a_refused_token_is_replaced_and_the_request_replayed(
    session: AuthorizationSession, emulator: Emulator, witness: Witness
) -> None:
    """401 means that this very token was refused: invalidated, refreshed, sent once more; the caller sees the 200."""
    refused = session.get_permission_token()
    refuse_current(emulator)
    response = get(emulator.resource_url, session.auth(), headers={"x-mine": "7"})
    assert response.status_code == 200
    assert [earlier.status_code for earlier in response.history] == [401]
    new = session.get_permission_token()
    assert witness.headers("authorization") == [f"Bearer {refused}", f"Bearer {new}"]
    assert witness.headers("x-mine") == ["7", "7"]
    assert outcomes_of(emulator) == ["refreshed"]
    assert response.request.headers["Authorization"] == f"Bearer {new}"


def test_the_replay_happens_once(session: AuthorizationSession, emulator: Emulator) -> None:
    """A server that refuses every token gets two requests and causes one refresh; the caller sees the 401."""
    emulator.faults.add(status(401), kind=RESOURCE, times=None)
    response = get(emulator.resource_url, session.auth())
    assert response.status_code == 401
    assert len(emulator.journal.of("resource")) == 2
    assert outcomes_of(emulator) == ["refreshed"]


@pytest.mark.parametrize("code", [200, 400, 403, 404, 407, 500, 503])
def test_no_other_status_says_anything_of_the_token(
    session: AuthorizationSession, emulator: Emulator, code: int
) -> None:
    """403 in particular means that the token is good and does not permit this."""
    emulator.faults.add(status(code), kind=RESOURCE)
    assert get(emulator.resource_url, session.auth()).status_code == code
    assert len(emulator.journal.of("resource")) == 1
    assert outcomes_of(emulator) == []


def test_a_late_401_does_not_invalidate_the_successor(
    session: AuthorizationSession, emulator: Emulator, clocks: Clocks
) -> None:
    """The token that was refused has been replaced in the meantime: no further refresh, the replay bears it."""
    auth = session.auth()
    prepared = requests.Request("GET", emulator.resource_url, auth=auth).prepare()
    refuse_current(emulator)
    session.refresh()
    with requests.Session() as client:
        assert client.send(prepared, timeout=TIMEOUT).status_code == 200
    assert outcomes_of(emulator) == ["refreshed"]


def test_a_401_to_somebody_elses_token_is_not_ours(session: AuthorizationSession, emulator: Emulator) -> None:
    """A program that sets its own header over ours is answered as it asked."""
    prepared = requests.Request("GET", emulator.resource_url, auth=session.auth()).prepare()
    prepared.headers["Authorization"] = "Bearer of-somebody-else"
    with requests.Session() as client:
        assert client.send(prepared, timeout=TIMEOUT).status_code == 401
    assert session.current_token() is not None
    assert len(emulator.journal.of("resource")) == 1


def test_no_new_token_is_the_callers_to_know(emulator: Emulator, clocks: Clocks) -> None:
    """If no successor can be had, the request raises what `get_permission_token` raises."""
    with AuthorizationSession(emulator.url, TOKEN_ID, ["read"], policy=QUICK) as session:
        session.establish([security_token(emulator, clocks.service)])
        refuse_current(emulator)
        emulator.faults.add(status(503), times=None)
        with clocks.hurried(), pytest.raises(RefreshError):
            get(emulator.resource_url, session.auth())


def test_options_of_the_request_hold_for_the_replay(session: AuthorizationSession, emulator: Emulator) -> None:
    """A streamed answer is streamed the second time, too; and the first one has been given back."""
    refuse_current(emulator)
    with get(emulator.resource_url, session.auth(), stream=True) as response:
        assert response.status_code == 200
        assert not response._content_consumed  # type: ignore[attr-defined]
        assert response.json()["permissions"] == ["read"]


# --- bodies ---


class Bodies:
    """A resource server that keeps what it is sent, and refuses the first request."""

    def __init__(self) -> None:
        self.requests: list[bytes] = []

    def __call__(self, connection: Any) -> None:
        self.requests.append(read_request(connection))
        refusal = b"HTTP/1.1 401 Unauthorized\r\nconnection: close\r\ncontent-length: 7\r\n\r\nrefused"
        connection.sendall(refusal if len(self.requests) == 1 else OK)

    @property
    def bodies(self) -> list[bytes]:
        return [request.partition(b"\r\n\r\n")[2] for request in self.requests]


@pytest.mark.parametrize(
    "body",
    [
        {"data": b"bytes"},
        {"data": "text"},
        {"data": {"form": "fields"}},
        {"json": {"some": "thing"}},
        {"files": {"file": b"content"}},
        {"data": b""},
        {},
    ],
    ids=["bytes", "text", "form", "json", "files", "empty", "none"],
)
def test_a_body_in_memory_is_sent_again(session: AuthorizationSession, body: dict[str, Any]) -> None:
    """The replay has the very same body."""
    server = Bodies()
    with Loopback(server) as loopback:
        assert post(loopback.origin, session.auth(loopback.origin), **body).status_code == 200
    first, second = server.bodies
    assert first == second


def test_a_file_is_sent_again_from_where_it_was(session: AuthorizationSession) -> None:
    """A file is rewound to where the first sending began, which need not be its beginning."""
    server = Bodies()
    file = io.BytesIO(b"header and content")
    file.seek(len(b"header and "))
    with Loopback(server) as loopback:
        assert post(loopback.origin, session.auth(loopback.origin), data=file).status_code == 200
    assert server.bodies == [b"content", b"content"]


def test_a_generator_is_not_sent_again(session: AuthorizationSession) -> None:
    """What has been consumed cannot be sent twice: the caller gets the 401, and the next request the new token."""
    refused = session.get_permission_token()
    seen: list[bytes] = []

    def refuse(connection: Any) -> None:
        seen.append(connection.recv(65536))
        while not seen[-1].endswith(b"0\r\n\r\n"):
            seen[-1] += connection.recv(65536)
        connection.sendall(b"HTTP/1.1 401 Unauthorized\r\ncontent-length: 7\r\n\r\nrefused")

    with Loopback(refuse) as loopback:
        response = post(loopback.origin, session.auth(loopback.origin), data=iter([b"some", b"thing"]))
    assert (response.status_code, response.text) == (401, "refused")
    assert len(seen) == 1
    assert session.get_permission_token() != refused


# --- redirects ---


def test_a_redirect_to_another_origin_does_not_carry_the_token(
    session: AuthorizationSession, emulator: Emulator
) -> None:
    """Invariant 9's spirit: whoever redirects does not get to choose who sees the token."""
    seen: list[bytes] = []

    def serve(connection: Any) -> None:
        seen.append(read_request(connection))
        connection.sendall(OK)

    with Loopback(serve) as elsewhere:
        emulator.faults.add(redirect(elsewhere.origin + "/there"), kind=RESOURCE)
        assert get(emulator.resource_url, session.auth()).status_code == 200
    assert b"authorization" not in seen[0].lower()


def test_a_401_after_such_a_redirect_is_not_ours(session: AuthorizationSession, emulator: Emulator) -> None:
    """The other origin has not seen the token, so it cannot have refused it."""
    refusal = b"HTTP/1.1 401 Unauthorized\r\ncontent-length: 0\r\n\r\n"
    with Loopback(answer(refusal)) as elsewhere:
        emulator.faults.add(redirect(elsewhere.origin), kind=RESOURCE)
        assert get(emulator.resource_url, session.auth()).status_code == 401
        assert elsewhere.connections == 1
    assert session.current_token() is not None
    assert outcomes_of(emulator) == []


def test_a_redirect_within_the_origin_keeps_the_token(session: AuthorizationSession, emulator: Emulator) -> None:
    """The same origin may be told; a 401 there is handled as anywhere."""
    refuse_current(emulator)
    emulator.faults.add(redirect(emulator.resource_url), kind=UNKNOWN)
    assert get(emulator.origin + "/elsewhere", session.auth()).status_code == 200
    assert outcomes_of(emulator) == ["refreshed"]


def test_a_redirect_after_the_replay_does_not_carry_the_token(
    session: AuthorizationSession, emulator: Emulator
) -> None:
    """The replayed request is no exception."""
    seen: list[bytes] = []

    def serve(connection: Any) -> None:
        seen.append(read_request(connection))
        connection.sendall(OK)

    with Loopback(serve) as elsewhere:
        emulator.faults.add(status(401), kind=RESOURCE)
        emulator.faults.add(redirect(elsewhere.origin), kind=RESOURCE)
        assert get(emulator.resource_url, session.auth()).status_code == 200
    assert len(seen) == 1
    assert b"authorization" not in seen[0].lower()


# --- many at once ---


def test_s9_64_threads_with_a_refused_token(session: AuthorizationSession, emulator: Emulator) -> None:
    """FIELD.md S9: one refresh for all of them, and all of them are served."""
    session.get_permission_token()
    refuse_current(emulator)
    emulator.faults.add(latency(0.05, answer=True))
    results: list[object] = []
    auth = session.auth()

    def run() -> None:
        try:
            results.append(get(emulator.resource_url, auth).status_code)
        except Exception as problem:
            results.append(problem)

    threads = [threading.Thread(target=run) for _ in range(64)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(TIMEOUT)
    assert results == [200] * 64
    assert outcomes_of(emulator) == ["refreshed"]
    assert emulator.statistics.reuse_detected == 0


def test_a_dead_token_is_replaced_before_it_is_sent(
    session: AuthorizationSession, emulator: Emulator, clocks: Clocks
) -> None:
    """A token that is known to be dead costs no 401."""
    clocks.advance(DEAD)
    assert get(emulator.resource_url, session.auth()).status_code == 200
    assert emulator.statistics.resource_refused == 0
    assert outcomes_of(emulator) == ["refreshed"]
