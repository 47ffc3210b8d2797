# protocol.py: what callers ask, and what a driver does. One exchange is told in test_exchange.py.

import pytest
from tenure import (
    ACTIVE,
    AMBIGUOUS,
    ESTABLISH,
    EXCHANGING,
    EXPIRED,
    IDLE,
    LOAD,
    NOT_SENT,
    REFRESH,
    UNESTABLISHED,
    VERIFY,
    AcquireLease,
    AttemptError,
    AuthorizationProtocol,
    Call,
    LoadState,
    NotEstablishedError,
    Policy,
    RefreshError,
    RefusedError,
    Request,
    Response,
    SendFailure,
    SendRequest,
    SessionExpiredError,
    Sleep,
    SpatiumDialect,
    Stored,
    TokenInvalidated,
    UsageError,
)

from .partner import (
    DEAD_AT,
    STALE_AT,
    TOKEN_ID,
    URL,
    Chance,
    Partner,
    at,
    established,
    make_protocol,
    refresh_token_in,
    steady,
)

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


# The queue


def test_establish_during_a_refresh_waits_its_turn() -> None:
    """Invariants 1 and 6: one request at a time, in the order in which they were asked."""
    partner = established()
    refresh = partner.protocol.refresh()
    partner.take_request(at(1))
    establish = partner.ask_to_establish(at(1))
    assert partner.is_idle(at(2))
    partner.protocol.receive_response(partner.service.handle(partner.sent[-1], at(2).wall), at(2))
    assert refresh.settled
    assert not establish.settled
    partner.answer_next(at(3))
    assert establish.error is None
    assert partner.protocol.generation == 3


def test_refresh_behind_an_establish_sends_nothing() -> None:
    """What it was asked for has come: a newer pair than the one that was held then."""
    partner = established()
    establish = partner.ask_to_establish(at(1))
    refresh = partner.protocol.refresh()
    partner.answer_next(at(1))
    assert partner.is_idle(at(2))
    assert (establish.error, refresh.settled, refresh.error) == (None, True, None)
    assert partner.service.statistics.refreshes == 0


def test_refresh_behind_a_failed_establish_is_sent() -> None:
    """No newer pair has come, so it has to be asked for."""
    partner = established()
    partner.ask_to_establish(at(1))
    refresh = partner.protocol.refresh()
    partner.answer_next(at(1), 401)
    partner.answer_next(at(2))
    assert refresh.error is None
    assert partner.service.statistics.refreshes == 1


def test_refresh_before_the_first_establish_has_ended() -> None:
    """An establish under way may yet bring a pair, so whoever asks for one waits for it."""
    partner = Partner()
    partner.ask_to_establish(at(0))
    waits = partner.protocol.request_token(at(0))
    assert not waits.settled
    partner.answer_next(at(1))
    assert partner.is_idle(at(1))
    assert waits.result() is None


def test_refresh_behind_a_first_establish_that_fails() -> None:
    """There is still nothing to refresh with."""
    partner = Partner()
    partner.ask_to_establish(at(0))
    waits = partner.protocol.request_token(at(0))
    partner.answer_next(at(1), 403)
    assert partner.is_idle(at(1))
    assert isinstance(waits.error, NotEstablishedError)


def test_refresh_behind_a_refusal_sends_nothing() -> None:
    """Invariant 2: two refreshes were asked one behind the other; the first ended the session."""
    partner = established()
    partner.protocol.refresh()
    partner.take_request(at(1))
    verify = partner.protocol.verify_credentials("u", "p")
    partner.protocol.receive_response(Response(401, {}, b""), at(1))
    partner.answer_next(at(1), 401)
    assert verify.settled
    assert isinstance(partner.protocol.refresh().error, SessionExpiredError)


def test_refresh_of_an_expired_session_behind_another_call_sends_nothing() -> None:
    """Invariant 2: what was refused is not presented again, whatever stood in the queue before it."""
    partner = established()
    partner.protocol.refresh()
    partner.answer_next(at(1), 401)
    partner.protocol.verify_credentials("u", "p")
    call = partner.protocol.refresh()
    assert not call.settled
    partner.answer_next(at(2), 401)
    assert partner.is_idle(at(2))
    assert isinstance(call.error, SessionExpiredError)


def test_calls_of_each_kind_are_worked_off_in_order() -> None:
    """A queue of different calls, none is forgotten."""
    partner = established()
    known = partner.service.credentials
    calls = [
        partner.protocol.verify_credentials(known.username, known.password),
        partner.ask_to_establish(at(0)),
        partner.protocol.establish_by_key(partner.service.merchant_key),
        partner.protocol.refresh(),
    ]
    for _ in range(3):
        partner.answer_next(at(1))
    assert partner.is_idle(at(1))
    assert all(call.settled and call.error is None for call in calls)
    paths = [request.url.rpartition("/")[2] for request in partner.sent]
    assert paths == ["credentials", "issue-by-factors", "issue-by-key"]


# Asking for tokens


@pytest.mark.parametrize("ask", ["refresh", "request_token"])
def test_nothing_to_ask_for_before_establish(ask: str) -> None:
    """WIRE.md, class promises: before it, no token operation may be performed."""
    protocol = make_protocol()
    call = protocol.refresh() if ask == "refresh" else protocol.request_token(at(0))
    assert call.settled
    with pytest.raises(NotEstablishedError, match="call establish"):
        call.result()
    assert protocol.next_step(at(0)) is None


def test_fresh_token_needs_no_refresh() -> None:
    """Asked while fresh, the call has settled and nothing begins."""
    partner = established()
    assert partner.protocol.request_token(at(STALE_AT - 1)).result() is None
    assert partner.is_idle(at(STALE_AT - 1))


def test_stale_token_refreshes_behind_the_callers_back() -> None:
    """DESIGN.md, Lifetimes: a refresh starts, but nobody waits for it."""
    partner = established()
    call = partner.protocol.request_token(at(STALE_AT))
    assert call.result() is None
    again = partner.protocol.request_token(at(STALE_AT + 1))
    assert again.settled
    partner.answer_next(at(STALE_AT + 1))
    assert partner.is_idle(at(STALE_AT + 2))
    assert partner.protocol.generation == 2


def test_dead_token_makes_callers_wait() -> None:
    """Invariant 5: all of them for one and the same call."""
    partner = established()
    calls = {partner.protocol.request_token(at(DEAD_AT + second)) for second in range(10)}
    (call,) = calls
    assert not call.settled
    assert call.urgent
    partner.answer_next(at(DEAD_AT + 10))
    assert partner.is_idle(at(DEAD_AT + 10))
    assert call.error is None
    assert partner.service.statistics.refreshes == 1


def test_token_that_dies_while_its_early_refresh_is_under_way() -> None:
    """FIELD S11: the foreground joins the background's exchange, which becomes urgent; one request, one outcome."""
    partner = established()
    partner.protocol.request_token(at(DEAD_AT - 1))
    request = partner.take_request(at(DEAD_AT - 1))
    call = partner.protocol.request_token(at(DEAD_AT))
    assert not call.settled
    assert call.urgent
    assert partner.is_idle(at(DEAD_AT))
    partner.protocol.receive_failure(SendFailure(NOT_SENT, "refused"), at(DEAD_AT))
    woken = partner.sleep_through(at(DEAD_AT))
    partner.answer_next(woken)
    assert call.result() is None
    assert partner.protocol.fresh_token(woken)
    assert partner.sent[0].body == request.body


def test_early_refresh_nobody_waits_for_is_not_urgent() -> None:
    """It gives up at its first failure, since the current token works."""
    partner = established()
    partner.protocol.request_token(at(STALE_AT))
    partner.fail_next(at(STALE_AT))
    assert partner.is_idle(at(STALE_AT))
    assert partner.protocol.request_token(at(STALE_AT)).settled


def test_refresh_by_hand_is_urgent() -> None:
    """Somebody waits for it, so it tries again within the deadline, although the current token works."""
    partner = established()
    call = partner.protocol.refresh()
    partner.fail_next(at(1))
    woken = partner.sleep_through(at(1))
    assert not call.settled
    partner.answer_next(woken)
    assert call.result() is None


def test_refresh_by_hand_joins_an_early_one() -> None:
    """While one is pending, everybody gets the same call, and it becomes urgent."""
    partner = established()
    partner.protocol.request_token(at(STALE_AT))
    partner.take_request(at(STALE_AT))
    call = partner.protocol.refresh()
    assert call is partner.protocol.refresh()
    assert call.urgent
    partner.protocol.receive_failure(SendFailure(NOT_SENT, "refused"), at(STALE_AT))
    assert not call.settled


def test_failed_early_refresh_hurts_nobody_and_cools_down() -> None:
    """FIELD S5: while the current token works, no failure reaches a caller, and attempts do not hammer."""
    partner = established(policy=steady(backoff_base=20))
    for _ in range(3):
        assert partner.protocol.request_token(at(STALE_AT)).result() is None
        step = partner.protocol.next_step(at(STALE_AT))
        if step is not None:
            partner.protocol.receive_response(Response(503, {}, b""), at(STALE_AT))
    assert partner.reasons() == ["the service answered 503"]
    assert partner.protocol.request_token(at(STALE_AT + 10)).settled
    partner.answer_next(at(STALE_AT + 10))
    assert partner.protocol.generation == 2


def test_expired_session_hands_out_its_last_token_while_it_works() -> None:
    """The refresh token is gone; the permission token is still accepted by every resource server."""
    partner = established()
    partner.protocol.refresh()
    partner.answer_next(at(1), 401)
    assert partner.protocol.request_token(at(2)).result() is None
    assert partner.protocol.fresh_token(at(DEAD_AT - 1))
    assert partner.protocol.request_token(at(STALE_AT + 1)).result() is None
    call = partner.protocol.request_token(at(DEAD_AT))
    assert isinstance(call.error, SessionExpiredError)
    assert partner.is_idle(at(DEAD_AT))


# Invalidate


def test_refused_token_is_not_handed_out_again() -> None:
    """DESIGN.md, invalidate: a resource server said 401; refresh, whatever the clocks say (FIELD S6)."""
    partner = established()
    token = str(partner.protocol.newest_token())
    assert partner.protocol.invalidate(token)
    assert partner.protocol.fresh_token(at(1)) is None
    call = partner.protocol.request_token(at(1))
    assert not call.settled
    partner.answer_next(at(1))
    assert call.error is None
    assert partner.protocol.fresh_token(at(1)) not in (token, None)
    (event, _) = partner.protocol.take_events()
    assert isinstance(event, TokenInvalidated)


@pytest.mark.parametrize("told", ["next_step", "request_token", "report"])
def test_refusal_happens_at_the_latest_moment_that_was_told(told: str) -> None:
    """`invalidate` is given no time: it is the latest that anybody has mentioned."""
    partner = established()
    if told == "next_step":
        partner.protocol.next_step(at(7))
    elif told == "request_token":
        partner.protocol.request_token(at(7))
    else:
        partner.protocol.refresh()
        partner.answer_next(at(5), took=2)
    partner.protocol.invalidate(str(partner.protocol.newest_token()))
    assert partner.protocol.take_events()[-1].at.monotonic == at(7).monotonic


def test_refused_again_before_the_refresh_changes_nothing() -> None:
    """FIELD S9: many threads meet the same 401; the first one counts."""
    partner = established()
    token = str(partner.protocol.newest_token())
    assert [partner.protocol.invalidate(token) for _ in range(3)] == [True, False, False]
    assert len(partner.protocol.take_events()) == 1


def test_refused_token_that_was_replaced_is_ignored() -> None:
    """FIELD S9: its successor has not been refused."""
    partner = established()
    old = str(partner.protocol.newest_token())
    partner.protocol.refresh()
    partner.answer_next(at(1))
    assert not partner.protocol.invalidate(old)
    assert not partner.protocol.invalidate("something else")
    assert partner.protocol.fresh_token(at(1))
    assert partner.is_idle(at(1))


def test_nothing_to_invalidate_before_the_first_pair() -> None:
    """A token that was never ours."""
    assert not make_protocol().invalidate("token")


def test_refused_while_its_refresh_is_under_way() -> None:
    """The successor of a refused token is on its way already: wait for that, send nothing more."""
    partner = established()
    partner.protocol.request_token(at(STALE_AT))
    partner.take_request(at(STALE_AT))
    partner.protocol.invalidate(str(partner.protocol.newest_token()))
    call = partner.protocol.request_token(at(STALE_AT))
    assert not call.settled
    partner.protocol.receive_response(partner.service.handle(partner.sent[0], at(STALE_AT).wall), at(STALE_AT))
    assert call.error is None
    assert partner.is_idle(at(STALE_AT))
    assert partner.protocol.fresh_token(at(STALE_AT))


def test_refused_token_makes_an_early_refresh_go_on() -> None:
    """Once the current token does not work, giving up early would hurt whoever asks next."""
    partner = established()
    partner.protocol.request_token(at(STALE_AT))
    partner.take_request(at(STALE_AT))
    partner.protocol.invalidate(str(partner.protocol.newest_token()))
    partner.protocol.receive_failure(SendFailure(NOT_SENT, "refused"), at(STALE_AT))
    assert isinstance(partner.protocol.next_step(at(STALE_AT)), Sleep)


# The driver's side


def test_step_is_handed_out_once() -> None:
    """Invariant 1: until it is reported, there is no other step."""
    partner = established()
    partner.protocol.refresh()
    assert isinstance(partner.protocol.next_step(at(1)), SendRequest)
    assert partner.protocol.activity == EXCHANGING
    assert partner.protocol.next_step(at(1)) is None
    assert partner.protocol.next_step(at(1000)) is None


def test_sleep_is_told_again_with_what_is_left() -> None:
    """Call next_step again, or sooner: an early call is answered with the rest of the sleep; it needs no report."""
    partner = established(policy=steady(backoff_base=20))
    partner.protocol.refresh()
    partner.fail_next(at(0))
    lengths = []
    for second in (0, 4, 9.5):
        step = partner.protocol.next_step(at(second))
        assert isinstance(step, Sleep)
        lengths.append(step.seconds)
    assert lengths == [10, 6, 0.5]
    assert isinstance(partner.protocol.next_step(at(10)), SendRequest)


def test_sleep_does_not_depend_on_the_wall() -> None:
    """Somebody sets the clock meanwhile: the sleep is as long as it was."""
    partner = established(policy=steady(backoff_base=20))
    partner.protocol.refresh()
    partner.fail_next(at(0))
    step = partner.protocol.next_step(at(0, wall_ahead=10**6))
    assert isinstance(step, Sleep)
    assert step.seconds == 10


REPORTS = {
    "response": lambda protocol: protocol.receive_response(Response(200, {}, b""), at(1)),
    "failure": lambda protocol: protocol.receive_failure(SendFailure(AMBIGUOUS, "x"), at(1)),
    "state": lambda protocol: protocol.receive_state(None, at(1)),
    "done": lambda protocol: protocol.receive_done(at(1)),
}


def in_the_middle(where: str) -> "tuple[AuthorizationProtocol, Call | None]":
    """Return a protocol with a certain step under way, and the call that it works off."""
    call: Call | None = None
    if where == "AcquireLease":
        protocol = make_protocol(stored=True)
        call = protocol.establish(["s"])
        assert isinstance(protocol.next_step(at(0)), AcquireLease)
        return protocol, call
    if where == "LoadState":
        protocol = make_protocol(stored=True)
        call = protocol.load()
        assert isinstance(protocol.next_step(at(0)), LoadState)
        return protocol, call
    partner = established(policy=steady(backoff_base=20))
    if where != "nothing":
        call = partner.protocol.refresh()
    if where in ("SendRequest", "Sleep"):
        partner.take_request(at(0))
    if where == "Sleep":
        partner.protocol.receive_failure(SendFailure(NOT_SENT, "x"), at(0))
        partner.sleep_through(at(0))
    return partner.protocol, call


MISFITS = [
    (where, report)
    for where, fitting in (
        ("nothing", ()),
        ("asked", ()),
        ("Sleep", ()),
        ("SendRequest", ("response", "failure")),
        ("AcquireLease", ("state", "failure")),
        ("LoadState", ("state", "failure")),
    )
    for report in REPORTS
    if report not in fitting
]


@pytest.mark.parametrize(("where", "report"), MISFITS)
def test_report_that_fits_no_step_is_refused(where: str, report: str) -> None:
    """A late or misplaced report is the driver's mistake, and changes nothing."""
    protocol, _ = in_the_middle(where)
    before, state = protocol.snapshot(), (protocol.state, protocol.activity)
    with pytest.raises(UsageError, match="no step under way"):
        REPORTS[report](protocol)
    assert protocol.snapshot() == before
    assert (protocol.state, protocol.activity) == state


@pytest.mark.parametrize("report", REPORTS)
def test_report_to_a_session_that_has_asked_for_nothing(report: str) -> None:
    """Brand new, nothing was ever handed out."""
    with pytest.raises(UsageError, match="no step under way"):
        REPORTS[report](make_protocol())


def test_report_on_a_step_that_was_not_handed_out_is_refused() -> None:
    """The session has it ready, and its driver cannot have done it."""
    protocol = make_protocol(stored=True)
    protocol.establish(["s"])
    assert isinstance(protocol.next_step(at(0)), AcquireLease)
    protocol.receive_state(Stored(None, 0, lease="lease"), at(0))
    with pytest.raises(UsageError, match="call next_step"):
        protocol.receive_response(Response(200, (), b""), at(0))
    assert isinstance(protocol.next_step(at(0)), SendRequest)


def test_second_report_is_refused() -> None:
    """A step is reported once; a late duplicate cannot answer the next exchange."""
    partner = established()
    partner.protocol.refresh()
    partner.answer_next(at(1))
    with pytest.raises(UsageError, match="no step under way"):
        partner.protocol.receive_response(Response(200, {}, b""), at(1))
    partner.protocol.refresh()
    with pytest.raises(UsageError, match="no step under way"):
        partner.protocol.receive_response(Response(200, {}, b""), at(1))


# Disowning


@pytest.mark.parametrize("where", ["SendRequest", "Sleep", "AcquireLease", "LoadState", "asked"])
def test_disowned_exchange_settles_its_call_and_leaves_the_session_usable(where: str) -> None:
    """After fork() the exchange is the parent's; every call settles (invariant 7), the next one works."""
    protocol, call = in_the_middle(where)
    queued = protocol.verify_credentials("u", "p")
    protocol.disown_exchange()
    for each in (call, queued):
        assert each is not None
        assert type(each.error) is AttemptError
        assert each.error.ambiguous
        assert each.error.retry_after == 0
    assert protocol.activity == IDLE
    assert protocol.next_step(at(5)) is None
    again = protocol.verify_credentials("u", "p")
    assert isinstance(protocol.next_step(at(5)), SendRequest)
    protocol.receive_response(Response(401, {}, b""), at(5))
    assert isinstance(again.error, RefusedError)


def test_disowned_refresh_counts_as_ambiguous() -> None:
    """Its refresh token was being presented, so what becomes of it is not known here (invariant 2)."""
    partner = established()
    partner.protocol.refresh()
    first = partner.take_request(at(1))
    partner.protocol.disown_exchange()
    assert partner.protocol.snapshot()["ambiguous"] is True
    call = partner.protocol.refresh()
    assert partner.take_request(at(2)).headers == first.headers
    partner.protocol.receive_response(Response(401, {}, b""), at(2))
    assert isinstance(call.error, SessionExpiredError)
    assert call.error.ambiguous


def test_disowning_nothing_changes_nothing() -> None:
    """The child of a process that was idle."""
    protocol = established().protocol
    before = protocol.snapshot()
    protocol.disown_exchange()
    assert protocol.snapshot() == before
    assert protocol.fresh_token(at(1))


def test_session_that_was_never_used_can_be_forked_and_saved() -> None:
    """No clock has been read yet, and none is needed."""
    protocol = make_protocol()
    protocol.disown_exchange()
    assert not protocol.invalidate("a token of somebody else's")
    restored = AuthorizationProtocol.from_snapshot(protocol.snapshot(), at(0), random_bytes=Chance())
    assert restored.state == UNESTABLISHED


def test_disowned_session_asks_in_time() -> None:
    """The child of a busy process: what was under way is forgotten, so somebody has to ask once the token is stale."""
    partner = established()
    partner.protocol.request_token(at(STALE_AT))
    partner.ask_to_establish(at(STALE_AT))
    assert partner.protocol.fresh_token(at(STALE_AT))
    partner.protocol.disown_exchange()
    assert partner.protocol.fresh_token(at(STALE_AT)) is None
    assert partner.is_idle(at(STALE_AT))
    assert partner.protocol.request_token(at(STALE_AT)).settled
    assert "refresh" in partner.take_request(at(STALE_AT)).url


def test_late_answer_after_disowning_is_refused() -> None:
    """Invariant 6: a late answer to an older exchange never overwrites anything."""
    partner = established()
    partner.protocol.refresh()
    request = partner.take_request(at(1))
    partner.protocol.disown_exchange()
    with pytest.raises(UsageError, match="no step under way"):
        partner.protocol.receive_response(partner.service.handle(request, at(1).wall), at(1))
    assert partner.protocol.generation == 1


# When something in the middle fails


def raising(*arguments: object) -> "dict[str, object]":
    """Stand in for a function of the user's that has a bug."""
    raise ZeroDivisionError("a bug of the user's")


@pytest.mark.parametrize("body", [raising, lambda *arguments: {"a": object()}, lambda *arguments: {1: {2}}])
def test_bug_in_refresh_body_settles_the_call(body: object) -> None:
    """Invariant 7: the bug surfaces where the step is taken, the call settles, and the session is still usable."""
    partner = established(dialect=SpatiumDialect(refresh_body=body))  # type: ignore[arg-type]
    call = partner.protocol.refresh()
    with pytest.raises((ZeroDivisionError, TypeError)):
        partner.protocol.next_step(at(1))
    assert isinstance(call.error, AttemptError)
    assert str(call.error) == "the exchange was cut off before its outcome was known: ask again"
    assert partner.protocol.activity == IDLE
    assert partner.is_idle(at(1))
    assert partner.protocol.fresh_token(at(1))
    partner.ask_to_establish(at(2))
    partner.answer_next(at(2))
    assert partner.protocol.generation == 2


def test_chance_that_fails_while_judging_settles_the_call() -> None:
    """A source of randomness that raises after the answer: the call settles, and the next one works."""
    partner = established()
    call = partner.protocol.refresh()
    partner.take_request(at(1))
    queued = partner.ask_to_establish(at(1))
    partner.chance.fails = True
    with pytest.raises(OSError, match="no randomness"):
        partner.protocol.receive_response(Response(503, {}, b""), at(1))
    assert isinstance(call.error, AttemptError)
    assert not queued.settled
    partner.chance.fails = False
    partner.answer_next(at(2))
    assert queued.error is None


def test_chance_that_fails_on_a_grant_leaves_the_token_ambiguous() -> None:
    """Invariant 2: the refresh token was used; presented again it must at least be known for that."""
    partner = established()
    partner.protocol.refresh()
    request = partner.take_request(at(1))
    partner.chance.fails = True
    with pytest.raises(OSError, match="no randomness"):
        partner.protocol.receive_response(partner.service.handle(request, at(1).wall), at(1))
    assert partner.protocol.generation == 2 or partner.protocol.snapshot()["ambiguous"] is True


def test_chance_that_fails_at_the_start_settles_the_call() -> None:
    """An establish draws its request id first."""
    partner = Partner()
    call = partner.ask_to_establish(at(0))
    partner.chance.fails = True
    with pytest.raises(OSError, match="no randomness"):
        partner.protocol.next_step(at(0))
    assert call.settled
    assert partner.is_idle(at(0))


@pytest.mark.parametrize(
    "response",
    [Response("200", {}, b""), Response(200, {}, None), Response(200, {}, "text")],  # type: ignore[arg-type]
)
def test_response_of_wrong_types_settles_the_call(response: Response) -> None:
    """A `send=` with a bug: the error surfaces, nobody waits for ever, and the request counts as ambiguous."""
    partner = established()
    call = partner.protocol.refresh()
    partner.take_request(at(1))
    with pytest.raises((TypeError, AttributeError)):
        partner.protocol.receive_response(response, at(1))
    assert isinstance(call.error, AttemptError)
    assert partner.protocol.snapshot()["ambiguous"] is True
    assert partner.is_idle(at(1))


def test_call_asked_in_between_is_not_lost() -> None:
    """Asked between two steps of an exchange, a call waits its turn."""
    partner = established(policy=steady(backoff_base=2))
    refresh = partner.protocol.refresh()
    partner.fail_next(at(1))
    verify = partner.protocol.verify_credentials("u", "p")
    woken = partner.sleep_through(at(1))
    partner.answer_next(woken)
    assert refresh.error is None
    assert not verify.settled
    partner.answer_next(woken, 401)
    assert isinstance(verify.error, RefusedError)


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


def test_error_of_everyone_who_waited_is_the_same() -> None:
    """Invariant 5: the new token or the same error (FIELD S10: no caller tries again in turn)."""
    partner = established(policy=steady(deadline=0.2, backoff_base=1))
    calls = [partner.protocol.request_token(at(DEAD_AT)) for _ in range(3)]
    partner.fail_next(at(DEAD_AT))
    errors = []
    for call in calls:
        with pytest.raises(RefreshError) as caught:
            call.result()
        errors.append(str(caught.value))
    assert len(set(errors)) == 1
    assert len(partner.sent) == 1
