# spatium.py: the service's words, in requests and answers.

import json
import re
from email.utils import formatdate

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tenure import MAX_BODY, Request, Response, SpatiumDialect, UsageError
from tenure.dialects.spatium import MAX_LIFETIME, MAX_TOKEN_LENGTH
from tenure.tokens import Grant
from tenure.verdicts import GRANTED, REFUSED, TEMPORARY, VIOLATION, Verdict

from ..partner import WALL_START, envelope, jwt, token_data

URL = "https://host/authorization/v1"
ID = "11111111-aaaa-4111-8111-111111111111"
DIALECT = SpatiumDialect()
SECRET = "hunter2-is-a-secret"


def http_date(wall: int) -> str:
    """Return a `Date` header."""
    return formatdate(wall, usegmt=True)


def judge(
    data: object,
    *,
    date: "int | None" = None,
    wall: int = WALL_START,
    replayed: bool = False,
    request_id: object = ID,
) -> Verdict:
    """Judge a 200 with that `data`."""
    headers = {} if date is None else {"Date": http_date(date)}
    return DIALECT.read_grant(Response(200, headers, envelope(request_id, data)), ID, wall, replayed)


def granted(verdict: Verdict) -> Grant:
    """Return the grant, which has to be there."""
    assert verdict.kind == GRANTED, verdict
    grant = verdict.granted
    assert isinstance(grant, Grant)
    return grant


# Requests


def parts(request: Request) -> "tuple[str, str, dict[str, str], object]":
    """Return method, path, headers and JSON body."""
    assert request.url.startswith(URL)
    return request.method, request.url[len(URL) :], dict(request.headers), json.loads(request.body)


HEADERS = {"content-type": "application/json", "accept": "application/json", "request-id": ID}


def test_verify_credentials_request() -> None:
    """WIRE.md, Requests: verify credentials."""
    request = DIALECT.verify_credentials(URL, "user", "pass", ID)
    assert parts(request) == (
        "POST",
        "/api/security-factor/credentials",
        HEADERS,
        {"username": "user", "password": "pass"},
    )


def test_issue_by_factors_request() -> None:
    """WIRE.md, Requests: issue for an account."""
    request = DIALECT.issue_by_factors(URL, "T", ("read", "secret"), ("s1", "s2"), ID)
    body = {"tokenId": "T", "permissions": ["read", "secret"], "securityTokens": ["s1", "s2"]}
    assert parts(request) == ("POST", "/api/permission/issue-by-factors", HEADERS, body)


def test_issue_by_key_request() -> None:
    """WIRE.md, Requests: issue for a merchant."""
    request = DIALECT.issue_by_key(URL, "T", ("read",), "key", ID)
    body = {"tokenId": "T", "permissions": ["read"], "merchantKey": "key"}
    assert parts(request) == ("POST", "/api/permission/issue-by-key", HEADERS, body)


def test_refresh_request() -> None:
    """WIRE.md, Requests: refresh, its path and body inferred."""
    request = SpatiumDialect().refresh(URL, "T", ("read",), "r", ID)
    assert parts(request) == ("POST", "/api/permission/refresh", HEADERS, {"permissionRefreshToken": "r"})


def test_refresh_path_and_body_are_settable() -> None:
    """WIRE.md, Requests: because they are inferred, both can be set where the dialect is made."""
    dialect = SpatiumDialect(
        refresh_path="/renew", refresh_body=lambda token, token_id, permissions: {"r": [token, token_id, permissions]}
    )
    request = dialect.refresh(URL, "T", ("read",), "r", ID)
    assert parts(request) == ("POST", "/renew", HEADERS, {"r": ["r", "T", ["read"]]})


@pytest.mark.parametrize("path", ["", "api", "/a b", "/ü", None, 5, "//\n"])
def test_unfit_refresh_path(path: object) -> None:
    """Refused where the dialect is made, not at the first refresh an hour later."""
    with pytest.raises(UsageError, match=r"^refresh_path must "):
        SpatiumDialect(refresh_path=path)  # type: ignore[arg-type]


def test_unfit_refresh_body() -> None:
    """A dict is no function."""
    with pytest.raises(UsageError, match="refresh_body must be a function"):
        SpatiumDialect(refresh_body={"a": 1})  # type: ignore[arg-type]


@pytest.mark.parametrize("text", ["пароль", "\U0001f600", "\ud800", 'quo"te', "\x00\n"])
def test_any_password_can_be_sent(text: str) -> None:
    """JSON escapes what has to be; a lone surrogate is no reason to fall over."""
    assert json.loads(DIALECT.verify_credentials(URL, "user", text, ID).body)["password"] == text


# The status is the verdict


@pytest.mark.parametrize("status", [400, 401, 403, 404, 410])
@pytest.mark.parametrize("body", [b"", b"{}", b"\xff", b'{"message": "hunter2-is-a-secret"}', b'{"message": 5}'])
def test_refusals(status: int, body: bytes) -> None:
    """WIRE.md, Answers: these mean no; the body changes nothing and is not repeated."""
    verdict = DIALECT.read_grant(Response(status, {}, body), ID, WALL_START)
    assert (verdict.kind, verdict.status, verdict.reason) == (REFUSED, status, f"the service answered {status}")
    assert DIALECT.read_security_token(Response(status, {}, body), ID, WALL_START).kind == REFUSED


@pytest.mark.parametrize("status", [408, 425, 429, 500, 501, 502, 503, 504, 599])
def test_temporary_statuses(status: int) -> None:
    """WIRE.md, Answers: 408, 425, 429 and every 5xx are temporary."""
    verdict = DIALECT.read_grant(Response(status, {}, b""), ID, WALL_START)
    assert (verdict.kind, verdict.status, verdict.retry_after) == (TEMPORARY, status, None)
    assert f"the service answered {status}" == verdict.reason


@pytest.mark.parametrize(
    "status",
    [0, 99, 100, 101, 199, 300, 301, 302, 307, 308, 304, 399, 402, 405, 409, 411, 418, 426, 428, 499, 600, 999, -1],
)
def test_other_statuses_are_violations(status: int) -> None:
    """WIRE.md, Answers: anything else is a protocol violation, and a redirect is named as one (invariant 9)."""
    verdict = DIALECT.read_grant(Response(status, {"location": "https://evil"}, b""), ID, WALL_START)
    assert (verdict.kind, verdict.status) == (VIOLATION, status)
    assert ("redirect" in verdict.reason) == (300 <= status < 400)
    assert str(status) in verdict.reason


@pytest.mark.parametrize("status", [200, 201, 202, 206, 299])
def test_any_2xx_with_the_envelope_is_granted(status: int) -> None:
    """A success is a 2xx whose body is the envelope."""
    verdict = DIALECT.read_grant(Response(status, {}, envelope(ID, token_data())), ID, WALL_START)
    assert (verdict.kind, verdict.status, verdict.reason) == (GRANTED, status, "granted")


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("0", 0),
        ("7", 7),
        (" 120 ", 120),
        ("0005", 5),
        ("999999999", 999999999),
        ("9" * 5000, 999999999),
        ("", None),
        ("-1", None),
        ("1.5", None),
        ("1e3", None),
        ("²", None),
        ("٣", None),
        ("soon", None),
        ("0x10", None),
        ("1,2", None),
        ("X", None),
    ],
)
def test_retry_after_in_seconds(header: str, seconds: "float | None") -> None:
    """RFC 9110, section 10.2.3: digits only; nonsense is as if it were not there."""
    verdict = DIALECT.read_grant(Response(503, {"Retry-After": header}, b""), ID, WALL_START)
    assert verdict.retry_after == seconds


@pytest.mark.parametrize(
    ("until", "date", "seconds"), [(60, None, 60), (-60, None, 0), (60, 50, 10), (60, 7200, 0), (7260, 7200, 60)]
)
def test_retry_after_as_a_date(until: int, date: "int | None", seconds: float) -> None:
    """Reckoned on the server's own clock if it tells the time, else on ours; never negative."""
    headers = {"retry-after": http_date(WALL_START + until)}
    if date is not None:
        headers["date"] = http_date(WALL_START + date)
    response = Response(429, headers, b"")
    assert DIALECT.read_grant(response, ID, WALL_START).retry_after == seconds
    assert DIALECT.read_security_token(response, ID, WALL_START).retry_after == seconds


# Lifetimes


def test_lifetime_from_the_token_itself() -> None:
    """DESIGN.md, Lifetimes: exp - iat if the token is a JWT, whatever the clocks say."""
    data = token_data(jwt(iat=5000, exp=5900), jwt(iat=5000, exp=95000), 5900, 95000)
    for wall in (5000, 1_000_000_000, 0):
        grant = granted(judge(data, wall=wall))
        assert (grant.permission_lifetime, grant.refresh_lifetime) == (900, 90000)


def test_lifetime_from_the_answers_date() -> None:
    """DESIGN.md, Lifetimes: else expiresAt minus Date: our clock may be off by years."""
    data = token_data("opaque-p", "opaque-r", WALL_START + 900, WALL_START + 5000)
    for wall in (WALL_START, 0, 2 * WALL_START):
        grant = granted(judge(data, date=WALL_START + 100, wall=wall))
        assert (grant.permission_lifetime, grant.refresh_lifetime) == (800, 4900)
    assert (grant.permission_token, grant.refresh_token) == ("opaque-p", "opaque-r")


def test_lifetime_from_our_own_clock_at_last() -> None:
    """DESIGN.md, Lifetimes: else expiresAt minus wall."""
    grant = granted(judge(token_data("opaque-p", "opaque-r"), wall=WALL_START + 10))
    assert (grant.permission_lifetime, grant.refresh_lifetime) == (990, 86390)


@pytest.mark.parametrize("claims", [{"iat": WALL_START - 500}, {"exp": WALL_START + 400}, {"iat": 900, "exp": 900}])
def test_token_that_tells_no_lifetime_is_as_good_as_opaque(claims: "dict[str, object]") -> None:
    """DESIGN.md, Lifetimes: exp - iat, not one of the two: a lone iat does not make the lifetime longer."""
    data = token_data(jwt(**claims), "r", WALL_START + 900)
    assert granted(judge(data, date=WALL_START + 100)).permission_lifetime == 800


def test_unreadable_date_is_no_date() -> None:
    """A header that is no date is passed over."""
    answer = Response(200, {"Date": "yesterday"}, envelope(ID, token_data()))
    assert granted(DIALECT.read_grant(answer, ID, WALL_START)).permission_lifetime == 1000


@pytest.mark.parametrize("lifetime", [1, 2, 3])
def test_short_lifetimes(lifetime: int) -> None:
    """Tokens of one to three seconds are tokens."""
    data = token_data("p", "r", WALL_START + lifetime)
    assert granted(judge(data, date=WALL_START)).permission_lifetime == lifetime


def test_fraction_of_a_second_is_cut_off() -> None:
    """DESIGN.md, Time: whole wall seconds; cut down, never up."""
    data = token_data("p", "r", WALL_START + 5.9, WALL_START + 50.5)
    grant = granted(judge(data))
    assert (grant.permission_lifetime, grant.refresh_lifetime) == (5, 50)


@pytest.mark.parametrize("left", [0, -1, -1000])
@pytest.mark.parametrize("name", ["permission_expires", "refresh_expires"])
def test_expired_on_arrival_is_a_violation(name: str, left: int) -> None:
    """A pair that was never good is not an answer."""
    verdict = judge(token_data("p", "r", **{name: WALL_START + left}))
    assert verdict.kind == VIOLATION
    assert "already past" in verdict.reason


def test_answer_is_not_taken_for_a_replay_unless_said_so() -> None:
    """Only whoever has sent the request before may shrug at an expired permission token."""
    answer = Response(200, {}, envelope(ID, token_data("p", "r", WALL_START - 5)))
    assert DIALECT.read_grant(answer, ID, WALL_START).kind == VIOLATION
    assert DIALECT.read_grant(answer, ID, WALL_START, True).kind == GRANTED


@pytest.mark.parametrize("permission", ["opaque", jwt(iat=WALL_START - 905, exp=WALL_START - 5)])
def test_replayed_answer_may_bring_a_dead_permission_token(permission: str) -> None:
    """Its refresh token is good all the same, so the pair is taken, the permission token with nothing left."""
    data = token_data(permission, "r", WALL_START - 5)
    grant = granted(judge(data, date=WALL_START, replayed=True))
    assert (grant.permission_lifetime, grant.refresh_lifetime) == (0, 86400)


def test_replayed_answer_must_bring_a_living_refresh_token() -> None:
    """Without it there is nothing to go on with."""
    assert judge(token_data("p", "r", refresh_expires=WALL_START), replayed=True).kind == VIOLATION


def test_replayed_answer_counts_what_is_left_by_the_servers_clock() -> None:
    """A token that was issued some time ago does not begin to live anew."""
    data = token_data(jwt(iat=WALL_START, exp=WALL_START + 900), "r", WALL_START + 900)
    # A date hides up to a second.
    assert granted(judge(data, date=WALL_START + 300, replayed=True)).permission_lifetime == 599
    assert granted(judge(data, date=WALL_START + 300)).permission_lifetime == 900


def test_wrong_date_of_a_proxy_does_not_cost_the_pair() -> None:
    """DESIGN.md, Lifetimes: exp - iat comes first, so a proxy's wrong Date must not make a fresh JWT unusable."""
    data = token_data(jwt(iat=WALL_START, exp=WALL_START + 900), jwt(iat=WALL_START, exp=WALL_START + 9000))
    assert granted(judge(data, date=WALL_START + 3600)).permission_lifetime == 900


def test_bounds_are_what_their_comments_say() -> None:
    """A hundred years, 16 Ki characters."""
    assert (MAX_LIFETIME, MAX_TOKEN_LENGTH) == (3_153_600_000, 16_384)


@pytest.mark.parametrize(("lifetime", "kind"), [(MAX_LIFETIME, GRANTED), (MAX_LIFETIME + 1, VIOLATION)])
def test_a_hundred_years_is_the_longest(lifetime: int, kind: str) -> None:
    """Beyond it one of the clocks does not count from 1970 (a board's epoch), and nothing reckoned from it is true."""
    for data in (token_data("p", "r", WALL_START + lifetime), token_data("p", jwt(iat=5, exp=5 + lifetime))):
        verdict = judge(data)
        assert verdict.kind == kind
        assert ("more than a hundred years" in verdict.reason) == (kind == VIOLATION)


# The envelope


@pytest.mark.parametrize("echo", [ID, ID.upper()])
def test_request_id_comes_back_in_either_case(echo: str) -> None:
    """A UUID is the same in either case (RFC 9562, section 4)."""
    assert judge(token_data(), request_id=echo).kind == GRANTED


BAD_ANSWERS = {
    "empty": (b"", "not JSON"),
    "not UTF-8": (b"\xff\xfe{}", "not UTF-8"),
    "not JSON": (b"<html>captive portal</html>", "not JSON"),
    "byte order mark": (b"\xef\xbb\xbf" + envelope(ID, token_data()), "not JSON"),
    "null": (b"null", "JSON, but not an object"),
    "number": (b"5", "JSON, but not an object"),
    "list": (b"[]", "JSON, but not an object"),
    "tail": (envelope(ID, token_data()) + b"x", "not JSON"),
    "too long": (envelope(ID, token_data()) + b" " * MAX_BODY, f"longer than {MAX_BODY} bytes"),
    "deep list": (b"[" * 200_000, "not JSON"),
    "deep object": (b'{"requestId":' * 50_000, "not JSON"),
    "deep data": (
        b'{"requestId": "' + ID.encode() + b'", "data": ' + b"[" * 100_000 + b"]" * 100_000 + b"}",
        "not JSON|no object named data",  # as deep as the parser goes
    ),
    "no requestId": (json.dumps({"data": token_data()}).encode(), "has no requestId"),
    "requestId null": (envelope(None, token_data()), "has no requestId"),
    "requestId number": (envelope(5, token_data()), "has no requestId"),
    "requestId list": (envelope([ID], token_data()), "has no requestId"),
    "requestId empty": (envelope("", token_data()), "requestId is not ours"),
    "requestId of somebody else": (
        envelope("22222222-aaaa-4111-8111-111111111111", token_data()),
        "requestId is not ours",
    ),
    "requestId lone surrogate": (b'{"requestId": "\\ud800", "data": {}}', "requestId is not ours"),
    "requestId with a space": (envelope(ID + " ", token_data()), "requestId is not ours"),
    "data missing": (json.dumps({"requestId": ID}).encode(), "no object named data"),
    "data null": (envelope(ID, None), "no object named data"),
    "data list": (envelope(ID, [token_data()]), "no object named data"),
    "data text": (envelope(ID, "x"), "no object named data"),
    "data empty": (envelope(ID, {}), "no object named permissionToken|securityToken is missing"),
    "huge number": (
        b'{"requestId": "' + ID.encode() + b'", "data": ' + b"1" * 5000 + b"}",
        "not JSON|no object named data",  # Pythons differ in how long a number may be
    ),
}

BAD_TOKENS = {
    "missing": (None, "missing or not a string"),
    "number": (5, "missing or not a string"),
    "true": (True, "missing or not a string"),
    "list": (["x"], "missing or not a string"),
    "empty": ("", "missing or not a string"),
    "space": ("a b", "unfit for a header"),
    "space behind": ("ab ", "unfit for a header"),
    "newline": ("a\nb", "unfit for a header"),
    "carriage return": ("a\r\nx: y", "unfit for a header"),
    "nul": ("a\x00", "unfit for a header"),
    "delete": ("a\x7f", "unfit for a header"),
    "umlaut": ("ä", "unfit for a header"),
    "lone surrogate": ("\ud800", "unfit for a header"),
    "too long": ("x" * (MAX_TOKEN_LENGTH + 1), f"longer than {MAX_TOKEN_LENGTH} characters"),
}

BAD_TIMES = {
    "missing": (None, "missing or not a number"),
    "text": (str(WALL_START + 900), "missing or not a number"),
    "true": (True, "missing or not a number"),
    "list": ([WALL_START + 900], "missing or not a number"),
    "zero": (0, "not a positive number"),
    "negative": (-WALL_START, "not a positive number"),
    "milliseconds": ((WALL_START + 900) * 1000, "milliseconds"),
    "first millisecond": (100_000_000_000, "milliseconds"),
    "huge": (10**400, "milliseconds"),
    "huge float": (1e308, "milliseconds"),
    "infinity": (float("inf"), "milliseconds"),
    "minus infinity": (float("-inf"), "not a positive number"),
    "NaN": (float("nan"), "not a positive number"),
    "half a second": (0.5, "already past"),
}


def assert_is_quiet_violation(verdict: Verdict, why: str = "") -> None:
    """It is a violation that says why, and nothing of the answer is in its texts (invariant 9)."""
    assert verdict.kind == VIOLATION
    assert re.search(why, verdict.reason), verdict.reason
    assert verdict.granted is None
    assert verdict.status == 200
    assert SECRET not in verdict.reason
    assert SECRET not in repr(verdict)
    assert verdict.reason.isascii()


@pytest.mark.parametrize(("body", "why"), BAD_ANSWERS.values(), ids=BAD_ANSWERS)
def test_bad_answers(body: bytes, why: str) -> None:
    """WIRE.md, Answers: a 2xx whose body is not the envelope is a protocol violation."""
    assert_is_quiet_violation(DIALECT.read_grant(Response(200, {}, body), ID, WALL_START), why)
    assert_is_quiet_violation(DIALECT.read_security_token(Response(200, {}, body), ID, WALL_START), why)


@pytest.mark.parametrize(("token", "why"), BAD_TOKENS.values(), ids=BAD_TOKENS)
def test_bad_tokens(token: object, why: str) -> None:
    """Invariant 10: fit for a header, or refused by name; both tokens, and the security token in either form."""
    assert_is_quiet_violation(judge(token_data(token, SECRET)), f"^permissionToken .*{why}")
    assert_is_quiet_violation(judge(token_data(SECRET, token)), f"^permissionRefreshToken .*{why}")
    for form in (token, {"securityToken": token}):
        answer = Response(200, {}, envelope(ID, {"securityToken": form}))
        verdict = DIALECT.read_security_token(answer, ID, WALL_START)
        assert_is_quiet_violation(verdict, f"^securityToken .*{why}")


@pytest.mark.parametrize(("time", "why"), BAD_TIMES.values(), ids=BAD_TIMES)
@pytest.mark.parametrize("replayed", [False, True])
def test_bad_times(time: object, why: str, replayed: bool) -> None:
    """`expiresAt` is seconds since 1970, a positive number and no bool."""
    verdict = judge(token_data(SECRET, "r", time), replayed=replayed and time != 0.5)
    assert_is_quiet_violation(verdict, f"expiresAt of permissionToken .*{why}")
    verdict = judge(token_data("p", SECRET, refresh_expires=time), replayed=replayed)
    assert_is_quiet_violation(verdict, f"expiresAt of permissionRefreshToken .*{why}")


def test_infinity_spelled_as_a_number() -> None:
    """1e400 is valid JSON and becomes infinity."""
    body = envelope(ID, token_data()).replace(str(WALL_START + 1000).encode(), b"1e400")
    assert b"1e400" in body
    assert_is_quiet_violation(DIALECT.read_grant(Response(200, {}, body), ID, WALL_START))


@pytest.mark.parametrize("name", ["permissionToken", "permissionRefreshToken"])
@pytest.mark.parametrize("wrapped", [None, "text", 5, [], {}])
def test_tokens_that_are_not_wrapped(name: str, wrapped: object) -> None:
    """Both tokens are objects in the envelope."""
    why = "is missing" if wrapped == {} else "no object named"
    assert_is_quiet_violation(judge({**token_data(SECRET, SECRET), name: wrapped}), f"{name} {why}|{why} {name}")


def test_longest_token_is_taken() -> None:
    """The bound itself is fine, and so is the longest body."""
    data = token_data("x" * MAX_TOKEN_LENGTH)
    assert granted(judge(data)).permission_token == "x" * MAX_TOKEN_LENGTH
    body = envelope(ID, token_data())
    body += b" " * (MAX_BODY - len(body))
    assert DIALECT.read_grant(Response(200, {}, body), ID, WALL_START).kind == GRANTED


def test_unknown_fields_are_passed_over() -> None:
    """A service may say more one day."""
    assert judge({**token_data(), "new": {"a": 1}}).kind == GRANTED


@pytest.mark.parametrize("token", [SECRET, {"securityToken": SECRET, "expiresAt": 5}])
def test_security_token_in_either_form(token: object) -> None:
    """WIRE.md, Answers: as a string, or wrapped the way the other tokens are."""
    verdict = DIALECT.read_security_token(Response(200, {}, envelope(ID, {"securityToken": token})), ID, WALL_START)
    assert (verdict.kind, verdict.granted, verdict.status, verdict.reason) == (GRANTED, SECRET, 200, "verified")
    assert SECRET not in repr(verdict)


# Fuzz: whatever comes is a verdict, never an exception, and no secret is in its texts

GOOD = envelope(ID, token_data(SECRET, SECRET))


def test_answer_truncated_at_every_byte() -> None:
    """STYLE, Tests: parsers are fed truncated at every point."""
    for end in range(len(GOOD)):
        assert_is_quiet_violation(DIALECT.read_grant(Response(200, {}, GOOD[:end]), ID, WALL_START))


@given(st.integers(0, len(GOOD) - 1), st.integers(0, 255))
def test_answer_with_one_byte_changed(place: int, byte: int) -> None:
    """One wrong byte makes another verdict at worst."""
    body = GOOD[:place] + bytes([byte]) + GOOD[place + 1 :]
    verdict = DIALECT.read_grant(Response(200, {}, body), ID, WALL_START)
    assert verdict.kind in (GRANTED, VIOLATION)
    assert SECRET not in verdict.reason


@pytest.mark.once
@given(st.integers(), st.dictionaries(st.text(), st.text(), max_size=3), st.binary(max_size=300))
def test_any_response_is_a_verdict(status: int, headers: "dict[str, str]", body: bytes) -> None:
    """Random bytes under random statuses and headers."""
    response = Response(status, headers, body)
    assert DIALECT.read_grant(response, ID, WALL_START).kind in (REFUSED, TEMPORARY, VIOLATION)
    assert DIALECT.read_security_token(response, ID, WALL_START).kind in (REFUSED, TEMPORARY, VIOLATION)


@given(st.text(), st.text(), st.sampled_from([200, 429, 503]))
def test_any_header_is_survived(date: str, retry_after: str, status: int) -> None:
    """`Date` and `Retry-After` may hold anything."""
    response = Response(status, {"Date": date, "Retry-After": retry_after}, GOOD)
    assert DIALECT.read_grant(response, ID, WALL_START).kind in (GRANTED, TEMPORARY, VIOLATION)


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


@pytest.mark.once
@given(JSON_VALUES, JSON_VALUES, JSON_VALUES, JSON_VALUES, st.booleans())
def test_any_json_in_the_envelope(
    token: object, refresh: object, first: object, second: object, replayed: bool
) -> None:
    """Any JSON value in any place that counts; a grant has sane lifetimes."""
    verdict = judge(token_data(token, refresh, first, second), replayed=replayed)
    assert verdict.kind in (GRANTED, VIOLATION)
    if verdict.kind == GRANTED:
        assert 0 <= granted(verdict).permission_lifetime <= MAX_LIFETIME
        assert 0 < granted(verdict).refresh_lifetime <= MAX_LIFETIME


@given(st.floats(1, 1e11), st.floats(1, 1e11), st.integers(1, 10**11), st.booleans())
def test_any_times_make_sane_lifetimes(iat: float, exp: float, expires_at: int, replayed: bool) -> None:
    """Whatever a token and its wrapping say, a lifetime is not negative and under a hundred years."""
    verdict = judge(token_data(jwt(iat=iat, exp=exp), "r", expires_at), date=WALL_START, replayed=replayed)
    if verdict.kind == GRANTED:
        assert 0 <= granted(verdict).permission_lifetime <= MAX_LIFETIME
