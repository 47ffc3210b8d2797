# Bad input, from the user and from the service: a clear error, and nothing is lost.

import json
from collections.abc import Callable
from typing import Any

import pytest
from tenure import (
    EstablishError,
    ProtocolViolationError,
    RefreshError,
    RefusedError,
    TenureError,
    UsageError,
)
from tenure.transports.emulator import (
    NOT_AN_OBJECT,
    NOT_JSON,
    NOT_UTF8,
    Emulator,
    Fault,
    drop_field,
    garbage,
    not_http,
    oversize,
    redirect,
    set_field,
    status,
    truncate,
    wrong_content_length,
)

from .conftest import NewEmulator, NewSession
from .driver_helpers import (
    PERMISSIONS,
    QUICK,
    TOKEN_ID,
    Clocks,
    outcomes_of,
    resource_status,
    security_token,
)
from .drivers import Driver

URL = "https://example.com/authorization/v1"
SECRET = "s3cr3t"

# --- from the user ---


@pytest.mark.parametrize(
    ("url", "complaint"),
    [
        ("example.com/authorization", "https://"),
        ("//example.com/authorization", "https://"),
        ("ftp://example.com", "https://"),
        ("https://", "host"),
        ("https:///authorization", "host"),
        ("https://:443/authorization", "host"),
        ("https://example.com:port/", "port"),
        ("https://example.com:0/", "port"),
        ("https://example.com:65536/", "port"),
        (f"https://user:{SECRET}@example.com/", "password"),
        (f"https://{SECRET}@example.com/", "password"),
        (f"https://example.com/a?key={SECRET}", "query"),
        (f"https://example.com?key={SECRET}", "query"),
        (f"https://example.com/a#{SECRET}", "fragment"),
        ("http://example.com/", "https"),
        ("http://127.0.0.1.example.com/", "https"),
        ("http://localhost.example.com/", "https"),
        ("http://10.0.0.1/", "https"),
        ("http://[::2]/", "https"),
        ("https://exa mple.com/", "ASCII"),
        ("https://example.com/a\r\nb", "ASCII"),
        ("https://exämple.com/", "ASCII"),
        ("", "empty"),
        (None, "string"),
        (b"https://example.com", "string"),
        (7, "string"),
    ],
    ids=range(26),
)
def test_an_unfit_url(driver: Driver, url: object, complaint: str) -> None:
    """Invariant 9, and plain sense: what is wrong is said when the session is made, without repeating the url."""
    with pytest.raises(UsageError, match=complaint) as caught:
        driver.make(url, TOKEN_ID, PERMISSIONS)
    assert SECRET not in str(caught.value)


@pytest.mark.parametrize(
    "url",
    ["http://localhost:1/a", "http://127.0.0.1/", "http://127.3.2.1:80", "http://[::1]:8080/a", "HTTPS://Example.com/"],
)
def test_a_fit_url(driver: Driver, url: str) -> None:
    """Plain http is for loopback, and a scheme may be written in any case."""
    driver.make(url, TOKEN_ID, PERMISSIONS).close()


def test_plain_http_to_another_machine_on_request(driver: Driver) -> None:
    """Invariant 9: unless the user says allow_http=True."""
    driver.make("http://example.com/", TOKEN_ID, PERMISSIONS, allow_http=True).close()


@pytest.mark.parametrize("token_id", ["", None, 7, b"id", ["id"]], ids=repr)
def test_an_unfit_token_id(driver: Driver, token_id: object) -> None:
    """A token id is a non-empty string."""
    with pytest.raises(UsageError, match="token_id"):
        driver.make(URL, token_id, PERMISSIONS)


UNFIT_LISTS: list[Any] = [
    [],
    (),
    set(),
    None,
    7,
    b"read",
    {"read": True},
    [""],
    ["read", ""],
    [7],
    [None],
    [b"read"],
    [["read"]],
]


@pytest.mark.parametrize("permissions", UNFIT_LISTS, ids=repr)
def test_unfit_permissions(driver: Driver, permissions: object) -> None:
    """Permissions are a list of at least one non-empty string."""
    with pytest.raises(UsageError, match="permissions"):
        driver.make(URL, TOKEN_ID, permissions)


def test_a_bare_string_of_permissions(driver: Driver) -> None:
    """The classic mistake is called by its name, with the remedy."""
    with pytest.raises(UsageError, match=r"permissions must be a list of strings, not a single string"):
        driver.make(URL, TOKEN_ID, "read")


@pytest.mark.parametrize("tokens", UNFIT_LISTS, ids=repr)
def test_unfit_security_tokens(established: NewSession, emulator: Emulator, tokens: object) -> None:
    """Security tokens are a list of at least one non-empty string; nothing is sent, and the session stays."""
    held = established(emulator)
    with pytest.raises(UsageError, match="security_tokens"):
        held.establish(tokens)
    assert len(emulator.journal) == 1
    held.refresh()


def test_a_bare_string_of_security_tokens(established: NewSession, emulator: Emulator, clocks: Clocks) -> None:
    """The classic mistake is called by its name, and the token is not repeated."""
    held = established(emulator)
    token = security_token(emulator, clocks.service)
    with pytest.raises(UsageError, match="security_tokens must be a list of strings, not a single string") as caught:
        held.establish(token)
    assert token not in str(caught.value)
    assert len(emulator.journal) == 1


@pytest.mark.parametrize("key", ["", None, 7, b"key", ["key"]], ids=repr)
def test_an_unfit_merchant_key(new_session: NewSession, emulator: Emulator, key: object) -> None:
    """A merchant's key is a non-empty string."""
    with pytest.raises(UsageError, match="merchant_key"):
        new_session(emulator).establish_by_key(key)
    assert list(emulator.journal) == []


@pytest.mark.parametrize("credentials", [("", "x"), ("x", ""), (None, "x"), ("x", None), (7, "x")], ids=repr)
def test_unfit_credentials(new_session: NewSession, emulator: Emulator, credentials: tuple[Any, Any]) -> None:
    """User name and password are non-empty strings."""
    with pytest.raises(UsageError, match=r"username|password"):
        new_session(emulator).verify_credentials(*credentials)
    assert list(emulator.journal) == []


@pytest.mark.parametrize("token", ["", None, 7, b"token"], ids=repr)
def test_an_unfit_token_to_invalidate(established: NewSession, emulator: Emulator, token: object) -> None:
    """A token that was refused is a non-empty string; whatever else is a mistake worth hearing about."""
    held = established(emulator)
    with pytest.raises(UsageError, match="token"):
        held.invalidate(token)
    assert held.current_token() is not None


@pytest.mark.parametrize("snapshot", [None, "", [], {}, 7, {"format": "tenure session"}], ids=repr)
def test_what_is_no_snapshot(driver: Driver, snapshot: Any) -> None:
    """Whatever is handed in as a snapshot ends as our error."""
    with pytest.raises(UsageError, match="snapshot"):
        driver.restore(snapshot)


@pytest.mark.parametrize(
    "tokens",
    [["no-jwt"], ["a.b.c"], ["\ud800"], ["x" * 100_000], ["line\r\nbreak"], ["ключ"]],
    ids=["opaque", "three parts", "lone surrogate", "long", "line break", "not ASCII"],
)
def test_refused_security_tokens(established: NewSession, emulator: Emulator, tokens: list[str]) -> None:
    """Invariant 6: whatever the security tokens are, a refusal is a RefusedError and costs the session nothing."""
    held = established(emulator)
    before = held.get_permission_token()
    with pytest.raises(RefusedError) as caught:
        held.establish(tokens)
    assert caught.value.status == 401
    assert held.get_permission_token() == before
    held.refresh()


def test_an_expired_security_token(new_session: NewSession, emulator: Emulator, clocks: Clocks) -> None:
    """A security token that was kept too long is refused, and a new one helps."""
    held = new_session(emulator)
    token = security_token(emulator, clocks.service)
    clocks.advance(emulator.service.security_lifetime + 1)
    with pytest.raises(RefusedError):
        held.establish([token])
    held.establish([security_token(emulator, clocks.service)])


# --- from the service ---

PERMISSION = "data.permissionToken"
REFRESH = "data.permissionRefreshToken"

Make = Callable[[], Fault]


def answers_that_make_no_sense() -> dict[str, Make]:
    """Return name -> how to make a fault; the service acts, and then its answer is spoilt."""

    def setting(path: str, value: object) -> Make:
        return lambda: set_field(path, value)

    def dropping(path: str) -> Make:
        return lambda: drop_field(path)

    def body(content: bytes) -> Make:
        return lambda: garbage(content)

    faults: dict[str, Make] = {
        "empty": body(b""),
        "not JSON": body(NOT_JSON),
        "not UTF-8": body(NOT_UTF8),
        "UTF-16": body('{"data": {}}'.encode("utf-16")),
        "not an object": body(NOT_AN_OBJECT),
        "null": body(b"null"),
        "a number": body(b"1e999"),
        "a number of many digits": body(b"1" * 10_000),
        "deeply nested": body(b"[" * 200_000),
        "deeply nested objects": body(b'{"data":' * 100_000),
        "half of it": lambda: wrong_content_length(100),
        "10 MB": oversize,
        "just too long": lambda: oversize(1024 * 1024 + 1),
        "no request id": dropping("requestId"),
        "somebody else's request id": setting("requestId", "11111111-2222-4333-8444-555555555555"),
        "request id a number": setting("requestId", 7),
        "request id null": setting("requestId", None),
        "no data": dropping("data"),
        "data a list": setting("data", []),
        "data a string": setting("data", "{}"),
        "data null": setting("data", None),
    }
    for what, path in (("permission", PERMISSION), ("refresh", REFRESH)):
        text = path + "." + path.rpartition(".")[2]
        faults |= {
            f"no {what} token": dropping(path),
            f"{what} token not wrapped": setting(path, "token"),
            f"{what} token null": setting(path, None),
            f"{what} token in a list": setting(path, []),
            f"{what} token's text missing": dropping(text),
            f"{what} token's text null": setting(text, None),
            f"{what} token's text a number": setting(text, 7),
            f"{what} token's text an object": setting(text, {}),
            f"{what} token empty": setting(text, ""),
            f"{what} token with CR LF": setting(text, "abc\r\nset-cookie: x=y"),
            f"{what} token with LF": setting(text, "abc\n"),
            f"{what} token with a space": setting(text, "abc def"),
            f"{what} token with NUL": setting(text, "abc\0"),
            f"{what} token not ASCII": setting(text, "ключ"),
            f"{what} token a lone surrogate": setting(text, "\ud800"),
            f"{what} token of absurd length": setting(text, "x" * 20_000),
            f"{what} expiry missing": dropping(path + ".expiresAt"),
            f"{what} expiry null": setting(path + ".expiresAt", None),
            f"{what} expiry a string": setting(path + ".expiresAt", "1888453621"),
            f"{what} expiry true": setting(path + ".expiresAt", True),
            f"{what} expiry a list": setting(path + ".expiresAt", [1888453621]),
            f"{what} expiry negative": setting(path + ".expiresAt", -1),
            f"{what} expiry zero": setting(path + ".expiresAt", 0),
            f"{what} expiry NaN": setting(path + ".expiresAt", float("nan")),
            f"{what} expiry infinite": setting(path + ".expiresAt", float("inf")),
            f"{what} expiry in milliseconds": setting(path + ".expiresAt", 1_888_453_621_000),
            f"{what} expiry of many digits": setting(path + ".expiresAt", 10**400),
            f"{what} expiry past": setting(path + ".expiresAt", 1_000_000_000),
        }
    return faults


def answers_of_other_kinds() -> dict[str, Make]:
    """Return name -> how to make a fault with a status that is neither success nor verdict; the service never acts."""

    def answering(code: int, body: bytes | None = None) -> Make:
        return lambda: status(code, body=body)

    statuses: dict[str, Make] = {f"status {code}": answering(code) for code in (300, 304, 305, 402, 405, 418, 451, 600)}
    for code in (301, 302, 303, 307, 308):
        statuses[f"redirect {code}"] = lambda code=code: redirect("http://127.0.0.1:1/", code)  # type: ignore[misc]
    return {**statuses, "no content": answering(204, b""), "an error as 200": answering(200)}


NONSENSE = answers_that_make_no_sense()
OTHER_KINDS = answers_of_other_kinds()


@pytest.mark.once
@pytest.mark.parametrize("name", [*NONSENSE, *OTHER_KINDS])
def test_establish_answered_with_nonsense(
    new_session: NewSession, emulator: Emulator, clocks: Clocks, name: str
) -> None:
    """WIRE.md, Answers: a protocol violation is a clear error at once, and the next establish works."""
    held = new_session(emulator)
    emulator.faults.add((NONSENSE | OTHER_KINDS)[name](), kind="issue")
    with pytest.raises(ProtocolViolationError):
        held.establish([security_token(emulator, clocks.service)])
    assert held.current_token() is None
    assert len(emulator.journal.of("issue")) == 1
    held.establish([security_token(emulator, clocks.service)])
    assert resource_status(emulator, held.get_permission_token()) == 200


@pytest.mark.once
@pytest.mark.parametrize("name", [*NONSENSE, *OTHER_KINDS])
def test_refresh_answered_with_nonsense(established: NewSession, new_emulator: NewEmulator, name: str) -> None:
    """WIRE.md, Answers; invariant 2: the tokens are untouched, and the same question brings the session through."""
    emulator = new_emulator(grace=30)
    held = established(emulator)
    before = held.get_permission_token()
    pair = held.session._held.pair
    emulator.faults.add((NONSENSE | OTHER_KINDS)[name]())
    with pytest.raises(ProtocolViolationError) as caught:
        held.refresh()
    assert caught.value.retry_after is not None
    assert held.get_permission_token() == before
    assert held.session._held.pair is pair
    assert len(emulator.journal.of("refresh")) == 1

    held.refresh()
    first, second = emulator.journal.of("refresh")
    assert first.request_id == second.request_id
    assert first.fingerprint in (None, second.fingerprint)  # None: a fault kept the request from the service
    assert emulator.statistics.reuse_detected == 0
    assert resource_status(emulator, held.get_permission_token()) == 200


@pytest.mark.once
@pytest.mark.parametrize("name", [*OTHER_KINDS, "not acted on: not JSON"])
def test_a_second_establish_answered_with_nonsense(
    established: NewSession, emulator: Emulator, clocks: Clocks, name: str
) -> None:
    """Invariant 6: a session that was established before goes on, refreshes included."""
    held = established(emulator)
    before = held.get_permission_token()
    emulator.faults.add(OTHER_KINDS.get(name, lambda: status(200, body=NOT_JSON))(), kind="issue")
    with pytest.raises(ProtocolViolationError):
        held.establish([security_token(emulator, clocks.service)])
    assert held.get_permission_token() == before
    held.refresh()
    assert outcomes_of(emulator) == ["refreshed"]


BROKEN: dict[str, Make] = {
    "truncated": truncate,
    "truncated by a reset": lambda: truncate(reset=True),
    "truncated to nothing": lambda: truncate(0),
    "longer than it is": lambda: wrong_content_length(100_000),
    "not HTTP": not_http,
    "not HTTP, no line": lambda: not_http(b"\0" * 10),
    "half a status line": lambda: not_http(b"HTTP/1.1 20"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_answer_is_asked_for_again(established: NewSession, new_emulator: NewEmulator, name: str) -> None:
    """DESIGN.md, Failures: an answer cut short is as good as lost, so the same question is asked at once."""
    emulator = new_emulator(grace=30)
    held = established(emulator)
    emulator.faults.add(BROKEN[name]())
    held.refresh()
    assert outcomes_of(emulator) == ["refreshed", "replayed"]
    assert resource_status(emulator, held.get_permission_token()) == 200


@pytest.mark.parametrize("name", BROKEN)
def test_answers_that_stay_broken_lose_nothing(
    established: NewSession, new_emulator: NewEmulator, clocks: Clocks, name: str
) -> None:
    """The error says that the outcome is unknown; when the fault is gone, so is the trouble."""
    emulator = new_emulator(grace=36000, permission_lifetime=36000)
    held = established(emulator)
    fault = emulator.faults.add(BROKEN[name](), times=None)
    with clocks.hurried(), pytest.raises(RefreshError) as caught:
        held.refresh()
    assert caught.value.ambiguous
    emulator.faults.remove(fault)
    clocks.advance(QUICK.backoff_cap)
    held.refresh()
    assert len({entry.request_id for entry in emulator.journal.of("refresh")}) == 1
    assert emulator.statistics.reuse_detected == 0
    assert resource_status(emulator, held.get_permission_token()) == 200


@pytest.mark.parametrize("name", BROKEN)
def test_establish_with_broken_answers(new_session: NewSession, emulator: Emulator, clocks: Clocks, name: str) -> None:
    """The same for establish: one broken answer hurts nobody, and many are an EstablishError that says ambiguous."""
    held = new_session(emulator)
    fault = emulator.faults.add(BROKEN[name](), kind="issue", times=None)
    with clocks.hurried(), pytest.raises(EstablishError) as caught:
        held.establish([security_token(emulator, clocks.service)])
    assert caught.value.ambiguous
    emulator.faults.remove(fault)
    emulator.faults.add(BROKEN[name](), kind="issue")
    held.establish([security_token(emulator, clocks.service)])
    assert resource_status(emulator, held.get_permission_token()) == 200


@pytest.mark.parametrize("name", ["not JSON", "not an object", "10 MB", "no request id", "no data"])
def test_credentials_answered_with_nonsense(new_session: NewSession, emulator: Emulator, name: str) -> None:
    """The same for verifying credentials."""
    held = new_session(emulator)
    emulator.faults.add(NONSENSE[name](), kind="credentials")
    with pytest.raises(ProtocolViolationError):
        held.verify_credentials(*emulator.credentials)
    assert held.verify_credentials(*emulator.credentials)


@pytest.mark.parametrize("token", [None, 7, "", "a b", "a\r\nb", [], {}, {"securityToken": 7}], ids=repr)
def test_an_unfit_security_token_from_the_service(new_session: NewSession, emulator: Emulator, token: object) -> None:
    """Invariant 10 holds for security tokens, too."""
    emulator.faults.add(set_field("data.securityToken", token), kind="credentials")
    with pytest.raises(ProtocolViolationError):
        new_session(emulator).verify_credentials(*emulator.credentials)


@pytest.mark.parametrize("code", [200, 401, 418])
def test_what_a_server_writes_is_in_no_error(established: NewSession, emulator: Emulator, code: int) -> None:
    """Invariant 9: an error text holds nothing that came from the service; it may repeat what was sent to it."""
    held = established(emulator)
    body = json.dumps({"error": SECRET, "message": SECRET, "code": SECRET}).encode()
    emulator.faults.add(status(code, body=body))
    with pytest.raises(TenureError) as caught:
        held.refresh()
    assert SECRET not in str(caught.value) + repr(caught.value)
