# Runs under MicroPython (and anywhere else): does the core do there what it does here? It prints "ok" and a name for
# each check, and ends with the first one that fails. Names of checks as arguments run these only.
#
# No pytest and no random module here: plain functions, plain asserts, time as a value, chance from a counter.

import binascii
import gc
import json
import sys

import tenure

URL = "https://host/authorization/v1"
TOKEN_ID = "11111111-1111-4111-8111-111111111111"
MONOTONIC = 50.0  # seconds since boot
WALL = 1_700_000_000  # Tue, 14 Nov 2023 22:13:20 GMT
LIFETIME = 900  # seconds; with the policy below fresh until 720, dead from 890
REFRESH_LIFETIME = 30 * 86400
POLICY = tenure.Policy(jitter=0)


class Chance:
    """Bytes that differ each time and are the same in each run; about 0.5 as a number."""

    def __init__(self) -> None:
        self.count = 0

    def __call__(self, length: int) -> bytes:
        self.count += 1
        return b"\x80" * (length - 1) + bytes([self.count & 255])


def at(seconds: float) -> tenure.Instant:
    return tenure.Instant(MONOTONIC + seconds, WALL + seconds)


def encode(claims: "dict[str, object]") -> str:
    text = binascii.b2a_base64(json.dumps(claims).encode()).decode()
    return text.replace("\n", "").replace("=", "").replace("+", "-").replace("/", "_")


def jwt(kind: str, serial: int, issued_at: int, lifetime: int) -> str:
    claims: dict[str, object] = {
        "magic": "permissionTokenSchema",
        "accountId": "22222222-2222-4222-8222-222222222222",
        "merchantId": "33333333-3333-4333-8333-333333333333",
        "permissions": ["read", "sécret"],
        "iss": "authorization-service",
        "iat": issued_at,
        "exp": issued_at + lifetime,
    }
    return ".".join([encode({"alg": "HS256"}), encode(claims), "sealed-" + kind + str(serial)])


def pair_answer(step: tenure.SendRequest, serial: int, seconds: float) -> tenure.Response:
    """Answer with the pair `serial`, issued `seconds` after the beginning."""
    issued_at = WALL + int(seconds)
    data: dict[str, object] = {}
    for name, lifetime in (("permissionToken", LIFETIME), ("permissionRefreshToken", REFRESH_LIFETIME)):
        token = jwt(name, serial, issued_at, lifetime)
        data[name] = {name: token, "issuer": "authorization-service", "expiresAt": issued_at + lifetime}
    return enveloped(step, data)


def enveloped(step: tenure.SendRequest, data: "dict[str, object]") -> tenure.Response:
    body = json.dumps({"requestId": dict(step.request.headers)["request-id"], "data": data}).encode()
    return tenure.Response(200, [("Content-Type", "application/json")], body)


def new_protocol(stored: bool = False) -> tenure.AuthorizationProtocol:
    return tenure.AuthorizationProtocol(
        URL, TOKEN_ID, ["read", "secret"], random_bytes=Chance(), policy=POLICY, stored=stored
    )


def next_send(protocol: tenure.AuthorizationProtocol, seconds: float) -> tenure.SendRequest:
    step = protocol.next_step(at(seconds))
    assert isinstance(step, tenure.SendRequest), step
    return step


def answer_next(protocol: tenure.AuthorizationProtocol, serial: int, seconds: float) -> tenure.SendRequest:
    """Take the next request and answer it at once with the pair `serial`."""
    step = next_send(protocol, seconds)
    protocol.receive_response(pair_answer(step, serial, seconds), at(seconds))
    return step


def established() -> tenure.AuthorizationProtocol:
    protocol = new_protocol()
    call = protocol.establish(["security-token"])
    answer_next(protocol, 1, 0)
    assert call.settled
    assert call.error is None
    return protocol


def token(serial: int, seconds: float) -> str:
    return jwt("permissionToken", serial, WALL + int(seconds), LIFETIME)


def is_settled(call: tenure.Call) -> bool:
    return call.settled  # a function, because a type checker believes that an attribute once seen as False stays so


def raised(error: "type[Exception]", function: "Callable[..., object]", *arguments: object, **named: object) -> str:
    """Return the text of the exception that the call must raise: this class or one below it."""
    try:
        function(*arguments, **named)
    except error as problem:
        return str(problem)
    raise AssertionError("nothing was raised")


def check_before_establish_there_is_nothing() -> None:
    protocol = new_protocol()
    assert protocol.state == tenure.UNESTABLISHED
    assert protocol.activity == tenure.IDLE
    assert protocol.fresh_token(at(0)) is None
    assert protocol.newest_token() is None
    assert protocol.unverified_claims() is None
    assert protocol.seconds_until_due(at(0)) is None
    call = protocol.request_token(at(0))
    assert call.settled
    assert isinstance(call.error, tenure.NotEstablishedError)
    raised(tenure.NotEstablishedError, call.result)
    assert protocol.next_step(at(0)) is None


def check_verify_credentials() -> None:
    protocol = new_protocol()
    call = protocol.verify_credentials("user@example.com", "pässword")
    step = next_send(protocol, 0)
    assert step.request.url == URL + "/api/security-factor/credentials"
    assert json.loads(step.request.body) == {"username": "user@example.com", "password": "pässword"}
    protocol.receive_response(enveloped(step, {"securityToken": "the-security-token"}), at(1))
    assert call.result() == "the-security-token"


def check_establish() -> None:
    protocol = new_protocol()
    call = protocol.establish(["security-token"])
    step = next_send(protocol, 0)
    assert protocol.next_step(at(0)) is None  # invariant 1
    assert protocol.activity == tenure.EXCHANGING
    request = step.request
    assert (request.method, request.url) == ("POST", URL + "/api/permission/issue-by-factors")
    body = json.loads(request.body)
    assert body == {"tokenId": TOKEN_ID, "permissions": ["read", "secret"], "securityTokens": ["security-token"]}
    request_id = dict(request.headers)["request-id"]
    assert [len(part) for part in request_id.split("-")] == [8, 4, 4, 4, 12]
    assert request_id[14] == "4"
    protocol.receive_response(pair_answer(step, 1, 0), at(1))
    assert call.settled
    assert call.error is None
    assert protocol.state == tenure.ACTIVE
    assert protocol.generation == 1
    assert protocol.fresh_token(at(1)) == token(1, 0)
    assert [str(event) for event in protocol.take_events()] == ["session " + TOKEN_ID + ": established"]


def check_establish_by_key() -> None:
    protocol = new_protocol()
    call = protocol.establish_by_key("merchant-key")
    step = answer_next(protocol, 1, 0)
    assert json.loads(step.request.body)["merchantKey"] == "merchant-key"
    assert call.error is None
    assert protocol.fresh_token(at(0)) == token(1, 0)


def check_get_while_fresh_sends_nothing() -> None:
    protocol = established()
    for seconds in (0, 1, 719):
        assert protocol.fresh_token(at(seconds)) == token(1, 0)
        call = protocol.request_token(at(seconds))
        assert call.settled
        assert call.error is None
        assert protocol.next_step(at(seconds)) is None
    assert abs((protocol.seconds_until_due(at(700)) or 0) - 20) < 0.01


def check_early_refresh_makes_nobody_wait() -> None:
    protocol = established()
    assert protocol.fresh_token(at(721)) is None
    call = protocol.request_token(at(721))
    assert call.settled
    assert call.error is None
    assert protocol.newest_token() == token(1, 0)
    step = next_send(protocol, 721)
    assert protocol.fresh_token(at(722)) == token(1, 0)  # while the answer is awaited
    protocol.receive_response(pair_answer(step, 2, 721), at(722))
    assert protocol.fresh_token(at(722)) == token(2, 721)


def check_early_refresh_that_fails_hurts_nobody() -> None:
    protocol = established()
    protocol.request_token(at(721))
    next_send(protocol, 721)
    protocol.receive_failure(tenure.SendFailure(tenure.NOT_SENT, "connection refused"), at(722))
    assert protocol.next_step(at(722)) is None
    assert protocol.state == tenure.ACTIVE
    call = protocol.request_token(at(722))
    assert call.settled
    assert call.error is None
    assert protocol.newest_token() == token(1, 0)


def check_refresh_after_death() -> None:
    protocol = established()
    assert protocol.fresh_token(at(891)) is None
    call = protocol.request_token(at(891))
    assert not is_settled(call)
    assert protocol.refresh() is call  # invariant 5
    step = answer_next(protocol, 2, 891)
    assert json.loads(step.request.body) == {
        "permissionRefreshToken": jwt("permissionRefreshToken", 1, WALL, REFRESH_LIFETIME)
    }
    assert call.settled
    assert call.error is None
    assert protocol.fresh_token(at(891)) == token(2, 891)
    assert protocol.generation == 2


def check_a_clock_that_jumps_ahead_ends_freshness() -> None:
    protocol = established()
    suspended = tenure.Instant(MONOTONIC + 5, WALL + 7200)
    assert protocol.fresh_token(suspended) is None
    assert not protocol.request_token(suspended).settled


def check_both_clocks_past_the_refresh_token_end_the_session() -> None:
    protocol = established()
    late = REFRESH_LIFETIME + 10
    call = protocol.request_token(at(late))
    assert protocol.next_step(at(late)) is None  # nothing was sent
    assert isinstance(call.error, tenure.SessionExpiredError)
    assert protocol.state == tenure.EXPIRED


def check_a_lost_answer_is_asked_for_again() -> None:
    protocol = established()
    call = protocol.refresh()
    first = next_send(protocol, 100)
    protocol.receive_failure(tenure.SendFailure(tenure.AMBIGUOUS, "timed out"), at(110))
    second = next_send(protocol, 110)  # at once
    assert second.request.body == first.request.body
    assert second.request.headers == first.request.headers
    protocol.receive_failure(tenure.SendFailure(tenure.AMBIGUOUS, "timed out"), at(111))
    assert isinstance(protocol.next_step(at(111)), tenure.Sleep)
    third = next_send(protocol, 113)
    assert third.request.headers == first.request.headers  # invariant 2
    protocol.receive_response(pair_answer(third, 2, 100), at(114))
    assert call.error is None
    assert protocol.fresh_token(at(114)) == token(2, 100)
    assert protocol.fresh_token(at(100 + 721)) is None  # counted from the first sending


def check_503_with_retry_after_in_seconds() -> None:
    protocol = established()
    call = protocol.refresh()
    next_send(protocol, 100)
    protocol.receive_response(tenure.Response(503, {"Retry-After": "5"}, b""), at(100))
    step = protocol.next_step(at(100))
    assert isinstance(step, tenure.Sleep)
    assert abs(step.seconds - 5) < 0.01
    step = protocol.next_step(at(103))
    assert isinstance(step, tenure.Sleep)
    assert abs(step.seconds - 2) < 0.01
    answer_next(protocol, 2, 105.5)
    assert call.settled
    assert call.error is None


def check_503_with_retry_after_as_a_date() -> None:
    protocol = established()
    protocol.refresh()
    next_send(protocol, 0)
    headers = [("retry-after", "Tue, 14 Nov 2023 22:13:30 GMT"), ("date", "Tue, 14 Nov 2023 22:13:20 GMT")]
    protocol.receive_response(tenure.Response(503, headers, b"<html>"), at(0))
    step = protocol.next_step(at(0))
    assert isinstance(step, tenure.Sleep)
    assert abs(step.seconds - 10) < 0.01


def check_503_beyond_the_deadline_is_an_error_and_still_a_session() -> None:
    protocol = established()
    call = protocol.refresh()
    first = next_send(protocol, 100)
    protocol.receive_response(tenure.Response(503, {"Retry-After": "120"}, b""), at(100))
    error = call.error
    assert isinstance(error, tenure.RefreshError)
    assert error.status == 503
    assert error.retry_after == 120
    assert error.ambiguous
    assert protocol.next_step(at(100)) is None
    assert protocol.state == tenure.ACTIVE
    assert protocol.fresh_token(at(100)) == token(1, 0)
    again = protocol.refresh()
    second = answer_next(protocol, 2, 221)
    assert second.request.headers == first.request.headers  # invariant 2: in an exchange of its own as well
    assert again.error is None


def check_refused_is_expired_until_established_anew() -> None:
    for status in (400, 401, 403, 404, 410):
        protocol = established()
        call = protocol.refresh()
        next_send(protocol, 100)
        protocol.receive_response(tenure.Response(status, [], b'{"message": "no"}'), at(100))
        assert isinstance(call.error, tenure.SessionExpiredError)
        assert call.error.status == status
        assert protocol.state == tenure.EXPIRED
        again = protocol.refresh()
        assert isinstance(again.error, tenure.SessionExpiredError)
        assert protocol.next_step(at(100)) is None
    protocol.establish(["another"])
    answer_next(protocol, 2, 200)
    assert protocol.state == tenure.ACTIVE
    assert protocol.fresh_token(at(200)) == token(2, 200)


def check_invalidate() -> None:
    protocol = established()
    assert not protocol.invalidate("some other")
    assert protocol.invalidate(token(1, 0))
    assert protocol.fresh_token(at(1)) is None
    call = protocol.request_token(at(1))
    answer_next(protocol, 2, 1)
    assert call.error is None
    assert protocol.fresh_token(at(1)) == token(2, 1)


def check_answers_that_make_no_sense_change_nothing() -> None:
    for body in (b"", b"not json", b"\xff\xfe", b"[]", b'{"requestId": 1}', b"[" * 100):
        protocol = established()
        call = protocol.refresh()
        next_send(protocol, 100)
        protocol.receive_response(tenure.Response(200, [], body), at(100))
        assert isinstance(call.error, tenure.ProtocolViolationError), body[:20]
        assert protocol.state == tenure.ACTIVE
        assert protocol.fresh_token(at(100)) == token(1, 0)


def check_an_answer_that_fills_the_heap_settles_its_call() -> None:
    protocol = established()
    call = protocol.refresh()
    next_send(protocol, 100)
    response = tenure.Response(200, [], b"[" * 1500)  # as lists on 64 bits, these need more than 128 kB
    try:
        protocol.receive_response(response, at(100))
    except MemoryError:
        pass  # a driver has to expect it
    assert isinstance(call.error, tenure.AttemptError)  # invariant 7
    assert protocol.activity == tenure.IDLE
    assert protocol.fresh_token(at(100)) == token(1, 0)
    again = protocol.refresh()
    answer_next(protocol, 2, 130)
    assert again.error is None
    assert protocol.fresh_token(at(130)) == token(2, 130)


def check_a_token_unfit_for_a_header_is_refused() -> None:
    protocol = new_protocol()
    call = protocol.establish(["security-token"])
    step = next_send(protocol, 0)
    good = json.loads(pair_answer(step, 1, 0).body)["data"]
    good["permissionToken"]["permissionToken"] = "two\r\nlines"  # invariant 10
    protocol.receive_response(enveloped(step, good), at(0))
    assert isinstance(call.error, tenure.ProtocolViolationError)
    assert protocol.newest_token() is None


def check_snapshot_survives_a_restart() -> None:
    saved = json.loads(json.dumps(established().snapshot()))
    rebooted = tenure.Instant(0.5, WALL + 60)
    protocol = tenure.AuthorizationProtocol.from_snapshot(saved, rebooted, random_bytes=Chance(), policy=POLICY)
    assert protocol.state == tenure.ACTIVE
    assert protocol.token_id == TOKEN_ID
    assert protocol.fresh_token(rebooted) == token(1, 0)
    assert protocol.fresh_token(tenure.Instant(0.5 + 661, WALL + 721)) is None
    call = protocol.refresh()
    answer_next(protocol, 2, 60)
    assert call.error is None
    assert protocol.generation == 2


def check_damaged_snapshots_are_refused() -> None:
    def restore(saved: object) -> object:
        return tenure.AuthorizationProtocol.from_snapshot(saved, at(0), random_bytes=Chance())  # type: ignore[arg-type]

    good = established().snapshot()
    for name, value in (("format", "x"), ("version", 99), ("url", 3), ("url", "ftp://x"), ("pair", []), ("pair", None)):
        raised(tenure.SnapshotError, restore, good | {name: value})
    raised(tenure.SnapshotError, restore, "text")


def check_bad_input_is_refused() -> None:
    new = tenure.AuthorizationProtocol
    chance = Chance()
    for url in (None, "", "host", "ftp://h", "http://example.com", "https://u:p@h", "https://h?q", "https://h:0"):
        raised(tenure.UsageError, new, url, TOKEN_ID, ["read"], random_bytes=chance)
    for permissions in ("read", [], [""], [1], None):
        raised(tenure.UsageError, new, URL, TOKEN_ID, permissions, random_bytes=chance)
    raised(tenure.UsageError, new, URL, 1, ["read"], random_bytes=chance)
    for name, value in (("deadline", 0), ("leeway", -1), ("jitter", float("nan")), ("leeway", True), ("leeway", "1")):
        raised(tenure.UsageError, tenure.Policy, **{name: value})
    protocol = new_protocol()
    for tokens in ("token", [], [None]):
        raised(tenure.UsageError, protocol.establish, tokens)
    raised(tenure.UsageError, protocol.establish_by_key, "")
    raised(tenure.UsageError, protocol.load)
    raised(tenure.UsageError, protocol.receive_done, at(0))
    assert protocol.next_step(at(0)) is None


def check_unverified_claims() -> None:
    claims = established().unverified_claims()
    assert claims is not None
    assert claims.account_id == "22222222-2222-4222-8222-222222222222"
    assert claims.merchant_id == "33333333-3333-4333-8333-333333333333"
    assert claims.permissions == ("read", "sécret")
    assert claims.issuer == "authorization-service"
    assert (claims.issued_at, claims.expires_at, claims.lifetime) == (WALL, WALL + LIFETIME, LIFETIME)
    for text in ("opaque", "a.b.c", "a.é.c", "..", "a." + encode({})[:1] + ".c"):
        assert tenure.read_unverified_claims(text) is None, text


def check_an_exchange_that_is_disowned_settles_its_call() -> None:
    protocol = established()
    call = protocol.refresh()
    next_send(protocol, 100)
    protocol.disown_exchange()  # closes a generator that waits
    assert isinstance(call.error, tenure.AttemptError)
    assert call.error.ambiguous
    assert protocol.activity == tenure.IDLE
    assert protocol.next_step(at(100)) is None


def check_a_wait_that_is_wound_up_ends() -> None:
    protocol = established()
    call = protocol.refresh()
    next_send(protocol, 100)
    protocol.receive_response(tenure.Response(429, [], b""), at(100))
    assert isinstance(protocol.next_step(at(100)), tenure.Sleep)
    protocol.wind_up()
    assert protocol.next_step(at(100)) is None  # an exception was thrown into the generator
    assert isinstance(call.error, tenure.AttemptError)
    assert protocol.activity == tenure.IDLE


def check_no_repr_or_text_holds_a_secret() -> None:
    protocol = new_protocol()
    shown: list[object] = [protocol]
    secrets = ["the-password", "the-security-token", "the-key", "sealed-", "the-garbage"]
    shown.append(protocol.verify_credentials("user@example.com", "the-password"))
    step = next_send(protocol, 0)
    response = enveloped(step, {"securityToken": "the-security-token"})
    shown += [step, step.request, response]
    protocol.receive_response(response, at(0))
    shown.append(protocol.establish(["the-security-token"]))
    answer_next(protocol, 1, 0)
    shown += [protocol.held.pair, protocol.held.ready, protocol.unverified_claims()]
    shown.append(protocol.establish_by_key("the-key"))
    step = next_send(protocol, 0)
    protocol.receive_response(tenure.Response(200, [], b'{"the-garbage": 1}'), at(0))
    call = protocol.refresh()
    step = next_send(protocol, 1)
    shown += [call, step, step.request]
    protocol.receive_response(tenure.Response(401, [], b"the-garbage"), at(1))
    shown += [call.error, call]
    shown += protocol.take_events()
    shown.append(raised(tenure.UsageError, new_protocol().establish, "the-security-token"))
    for thing in shown:
        text = repr(thing) + str(thing)
        for secret in secrets:
            assert secret not in text, text


def main() -> None:
    checks = globals()
    for name in sorted(checks):
        if name.startswith("check_") and (len(sys.argv) < 2 or name in sys.argv[1:]):
            gc.collect()
            checks[name]()
            print("ok", name)


TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

if __name__ == "__main__":
    main()
