# protocol.py: making one, verifying, establishing. What else callers ask is in test_protocol_tokens.py, what a driver
# does in test_protocol_driver.py; one exchange is told in test_exchange.py.

import pytest
from tenure import (
    ACTIVE,
    ESTABLISH,
    EXPIRED,
    IDLE,
    LOAD,
    REFRESH,
    UNESTABLISHED,
    VERIFY,
    AuthorizationProtocol,
    Call,
    Policy,
    RefusedError,
    Request,
    SendRequest,
    UsageError,
)

from .partner import STALE_AT, TOKEN_ID, URL, Chance, Partner, at, established, make_protocol, refresh_token_in, steady

# Making one


@pytest.mark.parametrize(
    ("url", "token_id", "permissions", "named"),
    [("nonsense", "T", ["r"], "url"), (URL, "", ["r"], "token_id"), (URL, "T", "read", "permissions")],
)
def test_unfit_arguments_are_refused_at_once(url: str, token_id: str, permissions: "list[str]", named: str) -> None:
    """Each is named in the complaint, before anything is sent."""
    with pytest.raises(UsageError, match=named):
        AuthorizationProtocol(url, token_id, permissions, random_bytes=Chance())


def test_plain_http_needs_permission() -> None:
    """Invariant 9: only to loopback, unless the user says `allow_http=True`."""
    with pytest.raises(UsageError, match="plain http"):
        AuthorizationProtocol("http://host", TOKEN_ID, ["read"], random_bytes=Chance())
    allowed = AuthorizationProtocol("http://host", TOKEN_ID, ["read"], random_bytes=Chance(), allow_http=True)
    assert allowed.held.url == "http://host"


def test_default_policy_and_dialect() -> None:
    """Without more words it is the default policy, spoken to in Spatium's dialect, without a store."""
    protocol = AuthorizationProtocol(URL, TOKEN_ID, ["read"], random_bytes=Chance())
    assert protocol.held.policy.deadline == Policy().deadline
    protocol.establish(["s"])
    step = protocol.next_step(at(0))
    assert isinstance(step, SendRequest)
    assert step.request.url == URL + "/api/permission/issue-by-factors"


def test_new_session_is_unestablished_and_idle() -> None:
    """DESIGN.md, States."""
    protocol = make_protocol()
    assert (protocol.state, protocol.activity, protocol.generation) == (UNESTABLISHED, IDLE, 0)
    assert protocol.token_id == TOKEN_ID
    assert protocol.next_step(at(0)) is None
    assert protocol.unverified_claims() is None
    assert repr(protocol) == f"<AuthorizationProtocol {TOKEN_ID}: unestablished, idle>"


# Verifying and establishing


def test_verify_establish_and_get_a_token() -> None:
    """WIRE.md, the reference's example: credentials, security token, establish, permission token."""
    partner = Partner()
    protocol = partner.protocol
    known = partner.service.credentials
    verify = protocol.verify_credentials(known.username, known.password)
    partner.answer_next(at(0))
    token = verify.result()
    assert token is not None
    call = protocol.establish([token])
    assert protocol.activity == IDLE
    partner.answer_next(at(1))
    assert (verify.kind, call.kind, call.result()) == (VERIFY, ESTABLISH, None)
    assert (protocol.state, protocol.activity, protocol.generation) == (ACTIVE, IDLE, 1)
    assert protocol.request_token(at(2)).settled
    claims = protocol.unverified_claims()
    assert claims is not None
    assert claims.permissions == ("read",)


def test_establish_by_key() -> None:
    """WIRE.md, Words: a merchant's key issues tokens without an account."""
    partner = Partner()
    call = partner.protocol.establish_by_key(partner.service.merchant_key)
    partner.answer_next(at(0))
    assert call.result() is None
    claims = partner.protocol.unverified_claims()
    assert claims is not None
    assert claims.account_id is None


def test_refused_key() -> None:
    """The error says what could not be done, like that of `establish`."""
    partner = Partner()
    call = partner.protocol.establish_by_key("wrong")
    partner.answer_next(at(0), 401)
    assert call.kind == ESTABLISH
    with pytest.raises(RefusedError, match="could not establish: "):
        call.result()


@pytest.mark.parametrize(
    ("name", "method", "arguments"),
    [
        ("username", "verify_credentials", ("", "password")),
        ("password", "verify_credentials", ("user", "")),
        ("security_tokens", "establish", ([],)),
        ("merchant_key", "establish_by_key", ("",)),
        ("token", "invalidate", ("",)),
    ],
)
def test_unfit_argument_is_named(name: str, method: str, arguments: "tuple[object, ...]") -> None:
    """errors.py, UsageError: the text says which argument, and why."""
    protocol = established().protocol
    with pytest.raises(UsageError, match=f"^{name} "):
        getattr(protocol, method)(*arguments)


def test_unfit_permissions_are_named() -> None:
    """The same for what the session is made of."""
    with pytest.raises(UsageError, match=r"^permissions "):
        AuthorizationProtocol(URL, TOKEN_ID, [], random_bytes=Chance())


def test_token_that_works_is_had_by_a_settled_refresh() -> None:
    """What a driver waits for is the same kind of call whether it has to wait or not."""
    call = established().protocol.request_token(at(0))
    assert (call.kind, call.settled, call.error) == (REFRESH, True, None)


def test_session_is_busy_as_long_as_a_call_waits() -> None:
    """A driver that asks whether a refresh is due has to hear that one is coming."""
    partner = established()
    partner.protocol.verify_credentials("user", "wrong")
    partner.protocol.refresh()
    partner.answer_next(at(STALE_AT), 401)
    assert partner.protocol.held.busy
    assert not partner.protocol.held.is_due(at(STALE_AT))
    partner.answer_next(at(STALE_AT))
    assert not partner.protocol.held.busy


@pytest.mark.parametrize("status", [400, 401, 403, 404, 410])
def test_refused_verification(status: int) -> None:
    """errors.py: the service refused what was presented; the session has nothing to do with it."""
    partner = established()
    call = partner.protocol.verify_credentials("user", "wrong")
    partner.answer_next(at(1), status)
    with pytest.raises(RefusedError, match=f"could not verify credentials: the service answered {status}") as caught:
        call.result()
    assert caught.value.status == status
    assert partner.protocol.state == ACTIVE


@pytest.mark.parametrize(
    "ask",
    [
        lambda protocol: protocol.verify_credentials("", "p"),
        lambda protocol: protocol.verify_credentials("u", None),
        lambda protocol: protocol.establish("token"),
        lambda protocol: protocol.establish([]),
        lambda protocol: protocol.establish_by_key(""),
        lambda protocol: protocol.invalidate(None),
        lambda protocol: protocol.load(),
    ],
    ids=range(7),
)
def test_unfit_calls_change_nothing(ask: object) -> None:
    """A public method has either done its work or changed nothing."""
    assert callable(ask)
    protocol = established().protocol
    before = protocol.snapshot()
    with pytest.raises(UsageError):
        ask(protocol)
    assert protocol.snapshot() == before
    assert protocol.next_step(at(0)) is None
    assert protocol.fresh_token(at(0))


def test_establish_replaces_the_session() -> None:
    """WIRE.md, class promises: called again, it replaces the session and voids the previous refresh token."""
    partner = established()
    old = partner.protocol.newest_token()
    partner.ask_to_establish(at(5))
    partner.answer_next(at(5))
    assert partner.protocol.generation == 2
    assert partner.protocol.newest_token() not in (old, None)
    call = partner.protocol.refresh()
    partner.answer_next(at(6))
    assert call.error is None


@pytest.mark.parametrize("status", [401, 402, 503])
def test_failed_establish_keeps_the_session(status: int) -> None:
    """Invariant 6: a failed establish leaves the previous session usable."""
    partner = established(policy=steady(deadline=0.1))
    token = partner.protocol.newest_token()
    call = partner.ask_to_establish(at(1))
    partner.answer_next(at(1), status)
    assert call.error is not None
    assert partner.protocol.fresh_token(at(2)) == token
    refresh = partner.protocol.refresh()
    partner.answer_next(at(3))
    assert refresh.error is None


def test_expired_session_can_be_established_anew() -> None:
    """errors.py: SessionExpiredError says so, and it works."""
    partner = established()
    partner.protocol.refresh()
    partner.answer_next(at(1), 401)
    assert partner.protocol.state == EXPIRED
    call = partner.ask_to_establish(at(2))
    partner.answer_next(at(2))
    assert call.error is None
    assert partner.protocol.state == ACTIVE
    assert partner.protocol.fresh_token(at(2))


def test_load_needs_a_store() -> None:
    """Without one there is nowhere to load from."""
    with pytest.raises(UsageError, match="stored=True"):
        make_protocol().load()
    call = make_protocol(stored=True).load()
    assert (call.kind, call.settled) == (LOAD, False)


def test_calls_know_their_kind() -> None:
    """For a driver that logs, or waits differently."""
    protocol = established().protocol
    kinds: list[Call] = [protocol.refresh(), protocol.establish(["s"]), protocol.verify_credentials("u", "p")]
    assert [call.kind for call in kinds] == [REFRESH, ESTABLISH, VERIFY]


def test_requests_of_a_session_go_to_its_origin_only() -> None:
    """Invariant 9: every request of every kind stays below the base url."""
    partner = established()
    protocol = partner.protocol
    protocol.refresh()
    protocol.establish(["s"])
    protocol.establish_by_key("k")
    protocol.verify_credentials("u", "p")
    for _ in range(4):
        partner.answer_next(at(1), 401)
    assert all(request.url.startswith(URL + "/api/") for request in partner.sent)
    assert all("secret" not in request.url for request in partner.sent)
    assert refresh_token_in(partner.sent[0]) not in partner.sent[0].url
    assert isinstance(partner.sent[0], Request)
