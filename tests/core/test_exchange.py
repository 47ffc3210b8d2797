# exchange.py: one exchange, row by row of DESIGN.md's table of failures; then replayed answers.

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tenure import (
    ACTIVE,
    AMBIGUOUS,
    EXPIRED,
    NOT_SENT,
    STORE_FAILED,
    AttemptFailed,
    Call,
    EstablishError,
    Instant,
    Policy,
    ProtocolViolationError,
    RefreshError,
    RefusedError,
    Response,
    SendFailure,
    SendRequest,
    SessionExpired,
    SessionExpiredError,
    Sleep,
    SpatiumDialect,
    TenureError,
    Verdict,
)

from .partner import (
    DEAD_AT,
    PERMISSION_LIFETIME,
    STALE_AT,
    TOKEN_ID,
    Partner,
    at,
    envelope,
    established,
    make_protocol,
    refresh_token_in,
    request_id_of,
    steady,
    token_data,
)

WITHOUT_WAITING = {"backoff_base": 1e-9}  # so that a test can go on in the same moment


def error_of(call: Call) -> TenureError:
    """Return the error of a call that has failed."""
    assert call.settled
    assert call.error is not None
    return call.error


def test_dialect_is_told_when_the_request_was_sent() -> None:
    """What a security token says of its own time is judged by the wall clock of then, like that of a pair."""
    walls = []

    class Dialect(SpatiumDialect):
        def read_security_token(self, response: Response, request_id: str, wall: int) -> Verdict:
            walls.append(wall)
            return super().read_security_token(response, request_id, wall)

    partner = Partner(dialect=Dialect())
    call = partner.protocol.verify_credentials(*partner.service.credentials)
    partner.answer_next(at(5), took=3)
    assert call.error is None
    assert walls == [at(5).wall]


def test_every_request_has_an_id_of_its_own_but_those_with_one_refresh_token() -> None:
    """Invariant 2: under the id of a refresh the service may give the answer to that refresh."""
    partner = established()
    partner.ask_to_establish(at(1))
    partner.answer_next(at(1), 401)
    partner.protocol.verify_credentials("user", "wrong")
    partner.answer_next(at(1), 401)
    partner.protocol.refresh()
    partner.fail_next(at(1))
    partner.sleep_through(at(1))
    partner.answer_next(at(2))
    establish, verify, first, again = map(request_id_of, partner.sent)
    assert first == again
    assert len({establish, verify, first}) == 3


def test_dialect_is_told_all_that_a_refresh_may_bear() -> None:
    """WIRE.md, the refresh: a service may want the token id and the permissions with it."""
    dialect = SpatiumDialect(refresh_body=lambda token, token_id, permissions: {"r": [token, token_id, *permissions]})
    partner = established(dialect=dialect)
    pair = partner.protocol.held.pair
    assert pair is not None
    partner.protocol.refresh()
    request = partner.take_request(at(1))
    assert json.loads(request.body) == {"r": [pair.grant.refresh_token, TOKEN_ID, "read"]}


@pytest.mark.parametrize("deadline", [DEAD_AT, DEAD_AT + 1])
def test_replayed_token_that_has_expired_on_its_way_is_no_success(deadline: float) -> None:
    """Invariant 3: the refresh goes on with what came with it, as long as there is time."""
    partner = established(grace=10_000, policy=steady(deadline=deadline))
    call = partner.protocol.refresh()
    partner.lose_the_answer(at(0))
    partner.answer_next(at(0), took=DEAD_AT)
    if deadline == DEAD_AT:
        error = error_of(call)
        assert isinstance(error, RefreshError)
        assert str(error) == "could not refresh: the token that came had expired on the way"
        assert (error.retry_after, error.ambiguous) == (0, False)
    else:
        assert isinstance(partner.protocol.next_step(at(DEAD_AT)), SendRequest)
        assert not call.settled


def test_backoff_of_no_time_is_none() -> None:
    """Full jitter may be 0: then the error does not ask for more."""
    partner = established()
    partner.chance.part = 0
    call = partner.protocol.refresh()
    partner.answer_next(at(0), 200, body=b"{}")
    error = error_of(call)
    assert isinstance(error, ProtocolViolationError)
    assert error.retry_after == 0


# Not sent: retry with full-jitter backoff


def test_not_sent_is_tried_again_after_a_backoff() -> None:
    """DESIGN.md, Failures: the server cannot have seen it; each wait is a random part of a bound that doubles."""
    partner = established()
    call = partner.protocol.refresh()
    now, waits = at(0), []
    for _ in range(4):
        partner.fail_next(now)
        woken = partner.sleep_through(now)
        waits.append(woken.monotonic - now.monotonic)
        now = Instant(woken.monotonic, woken.wall)
    assert waits == [0.25, 0.5, 1, 2]
    partner.answer_next(now)
    assert call.result() is None


def test_not_sent_is_not_ambiguous() -> None:
    """Nothing left: whatever comes of it later, no answer was lost."""
    partner = established()
    call = partner.protocol.refresh()
    partner.fail_next(at(0))
    assert partner.protocol.snapshot()["ambiguous"] is False
    partner.answer_next(partner.sleep_through(at(0)), 401)
    assert isinstance(call.error, SessionExpiredError)
    assert not call.error.ambiguous
    assert call.error.status == 401


def test_backoff_begins_anew_after_a_success() -> None:
    """Failures count in a row."""
    partner = established()
    for second in (0, 10):
        partner.protocol.refresh()
        partner.fail_next(at(second))
        woken = partner.sleep_through(at(second))
        assert woken.monotonic - at(second).monotonic == 0.25
        partner.answer_next(woken)


def test_failures_count_on_over_exchanges() -> None:
    """An outage does not begin anew with each caller."""
    partner = established(policy=steady(deadline=0.01))
    delays = []
    for second in (0, 100, 200):
        call = partner.protocol.refresh()
        partner.fail_next(at(second))
        delays.append(error_of(call).retry_after)
    assert delays == [0.25, 0.5, 1]


def test_callers_wait_at_most_the_deadline() -> None:
    """DESIGN.md, Failures: at most the policy's deadline; then RefreshError, which says when to come again."""
    partner = established(policy=steady(deadline=5))
    call = partner.protocol.refresh()
    now = at(0)
    while not call.settled:
        partner.fail_next(now)
        if not call.settled:
            woken = partner.sleep_through(now)
            now = Instant(woken.monotonic, woken.wall)
    assert now.monotonic - at(0).monotonic < 5
    error = error_of(call)
    assert isinstance(error, RefreshError)
    assert error.retry_after == 4
    assert str(error) == "could not refresh: the wire is cut"
    assert partner.protocol.state == ACTIVE


def test_attempt_is_given_what_is_left_of_the_deadline() -> None:
    """The last attempt does not outlast the callers, but for the second that any request is given."""
    partner = established(policy=steady(deadline=12, attempt_timeout=10))
    partner.protocol.refresh()
    timeouts = []
    for begin, kind, end in ((at(0), NOT_SENT, at(9)), (at(9.25), AMBIGUOUS, at(11.5)), (at(11.5), AMBIGUOUS, at(12))):
        step = partner.protocol.next_step(begin)
        assert isinstance(step, SendRequest)
        timeouts.append(step.timeout)
        partner.protocol.receive_failure(SendFailure(kind, "x"), end)
    assert timeouts == [10, 2.75, 1]


@pytest.mark.parametrize("deadline", [0.001, 0.05, 5, 1e9])
@pytest.mark.parametrize("attempt_timeout", [0.2, 3, 1e9])
def test_time_out_is_never_negative_nor_beyond_the_policy(deadline: float, attempt_timeout: float) -> None:
    """Whatever the numbers, an attempt gets a second at least, and its own time-out at most."""
    partner = established(policy=steady(deadline=deadline, attempt_timeout=attempt_timeout))
    partner.protocol.refresh()
    step = partner.protocol.next_step(at(0))
    assert isinstance(step, SendRequest)
    assert step.timeout == min(attempt_timeout, max(1, deadline))


def test_short_attempt_timeout_is_kept() -> None:
    """policy.py: attempt_timeout is the time that one exchange may take; a lease is reckoned from it."""
    partner = established(policy=steady(attempt_timeout=0.02))
    partner.protocol.refresh()
    step = partner.protocol.next_step(at(0))
    assert isinstance(step, SendRequest)
    assert step.timeout == 0.02


# Ambiguous: at once again, the same, then backoff


def test_ambiguous_is_tried_again_at_once_and_the_same() -> None:
    """Invariant 2, FIELD S4: the same refresh token under the same request id; a grace window answers the same."""
    partner = established(grace=30)
    call = partner.protocol.refresh()
    partner.lose_the_answer(at(0), took=10)
    partner.answer_next(at(10))
    assert call.result() is None
    first, second = partner.sent
    assert (first.body, first.headers, first.url) == (second.body, second.headers, second.url)
    assert partner.service.statistics.replayed == 1
    assert partner.protocol.fresh_token(at(10))


def test_ambiguous_is_tried_at_once_only_once() -> None:
    """From then on like any other failure: a backoff before each further attempt."""
    partner = established()
    partner.protocol.refresh()
    partner.fail_next(at(0), AMBIGUOUS)
    partner.fail_next(at(0), AMBIGUOUS)
    woken = partner.sleep_through(at(0))
    assert woken.monotonic == at(0.5).monotonic
    partner.fail_next(woken, AMBIGUOUS)
    assert partner.sleep_through(woken).monotonic == pytest.approx(at(1.5).monotonic)
    assert len({request.headers for request in partner.sent}) == 1


def test_ambiguous_early_refresh_is_tried_at_once_too() -> None:
    """A grace window is open now, whether or not somebody waits; then it gives up quietly."""
    partner = established()
    partner.protocol.request_token(at(STALE_AT))
    partner.fail_next(at(STALE_AT), AMBIGUOUS)
    partner.fail_next(at(STALE_AT), AMBIGUOUS)
    assert partner.is_idle(at(STALE_AT))
    assert partner.protocol.request_token(at(STALE_AT)).settled


def test_ambiguous_is_tried_at_once_even_at_the_deadline() -> None:
    """The attempt took all the time there was: the one chance of a grace window is not given away."""
    partner = established(policy=steady(deadline=10))
    call = partner.protocol.refresh()
    partner.lose_the_answer(at(0), took=10)
    partner.service.grace = 60
    step = partner.protocol.next_step(at(10))
    assert isinstance(step, SendRequest)
    assert step.timeout == 1
    partner.protocol.receive_failure(SendFailure(AMBIGUOUS, "x"), at(11))
    error = error_of(call)
    assert isinstance(error, RefreshError)
    assert error.ambiguous


def test_unknown_kind_of_failure_counts_as_ambiguous() -> None:
    """Only a driver that is sure says NOT_SENT."""
    for kind in ("whatever", STORE_FAILED):
        partner = established()
        partner.protocol.refresh()
        partner.fail_next(at(0), kind)
        assert partner.protocol.snapshot()["ambiguous"] is True
        assert isinstance(partner.protocol.next_step(at(0)), SendRequest)


def test_lost_answer_without_a_grace_window_ends_the_session_and_says_why() -> None:
    """DESIGN.md, Failures: SessionExpiredError says after an ambiguous exchange that it was one."""
    partner = established()
    call = partner.protocol.refresh()
    partner.lose_the_answer(at(0))
    partner.answer_next(at(0))
    error = error_of(call)
    assert isinstance(error, SessionExpiredError)
    assert error.ambiguous
    assert "its answer may have been lost" in str(error)
    assert partner.protocol.state == EXPIRED
    expired = partner.protocol.take_events()[-1]
    assert isinstance(expired, SessionExpired)
    assert expired.ambiguous


def test_request_id_stays_the_same_over_exchanges() -> None:
    """Invariant 2: one request id for the whole life of a refresh token."""
    partner = established(policy=steady(deadline=0.01, **WITHOUT_WAITING))
    for second in (0, 50, 100):
        partner.protocol.refresh()
        partner.fail_next(at(second), AMBIGUOUS)
        partner.fail_next(at(second), AMBIGUOUS)
        while partner.protocol.activity != "idle":
            partner.fail_next(at(second + 1), AMBIGUOUS)
    assert len({request_id_of(request) for request in partner.sent}) == 1
    assert len({refresh_token_in(request) for request in partner.sent}) == 1


def test_each_pair_has_a_request_id_of_its_own() -> None:
    """Another refresh token is another request."""
    partner = established()
    for second in (1, 2, 3):
        partner.protocol.refresh()
        partner.answer_next(at(second))
    assert len({request_id_of(request) for request in partner.sent}) == 3
    assert len({refresh_token_in(request) for request in partner.sent}) == 3


def test_establish_keeps_its_request_id_for_all_attempts() -> None:
    """A service that knows the request id answers the second sending like the first; the next establish is new."""
    partner = Partner()
    partner.ask_to_establish(at(0))
    partner.fail_next(at(0), AMBIGUOUS)
    partner.answer_next(at(0))
    partner.ask_to_establish(at(0))
    partner.answer_next(at(0))
    ids = [request_id_of(request) for request in partner.sent]
    assert ids[0] == ids[1] != ids[2]


# An answer: temporary


@pytest.mark.parametrize(("status", "acted"), [(429, False), (408, False), (425, False), (500, True), (503, True)])
def test_5xx_may_have_been_acted_on(status: int, acted: bool) -> None:
    """A 5xx may come from a gateway that lost its backend; 408, 425 and 429 say that nothing was done."""
    partner = established(policy=steady(deadline=0.1))
    call = partner.protocol.refresh()
    partner.answer_next(at(0), status)
    error = error_of(call)
    assert isinstance(error, RefreshError)
    assert (error.status, error.ambiguous) == (status, acted)
    assert partner.protocol.snapshot()["ambiguous"] is acted
    refused = partner.protocol.refresh()
    now = at(10)
    partner.answer_next(now, 401)
    assert error_of(refused).ambiguous is acted


def test_temporary_answer_does_not_take_doubt_away() -> None:
    """Ambiguous first and 429 then: what became of the first sending is still not known."""
    partner = established(policy=steady(**WITHOUT_WAITING))
    call = partner.protocol.refresh()
    partner.fail_next(at(0), AMBIGUOUS)
    partner.answer_next(at(0), 429)
    assert partner.protocol.snapshot()["ambiguous"] is True
    partner.answer_next(at(1), 401)
    assert error_of(call).ambiguous


def test_success_takes_doubt_away() -> None:
    """A new pair was never presented."""
    partner = established()
    partner.protocol.refresh()
    partner.fail_next(at(0), AMBIGUOUS)
    partner.answer_next(at(0))
    assert partner.protocol.snapshot()["ambiguous"] is False


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ((("retry-after", "7"),), 7),
        ((("Retry-After", "Tue, 14 Nov 2023 22:13:29 GMT"), ("Date", "Tue, 14 Nov 2023 22:13:20 GMT")), 9),
        ((("retry-after", "Tue, 14 Nov 2023 22:13:24 GMT"),), 4),
        ((("retry-after", "0"),), 0.25),
        ((), 0.25),
    ],
)
def test_retry_after_is_honoured(headers: "tuple[tuple[str, str], ...]", seconds: float) -> None:
    """FIELD S5c, WIRE.md: both forms; never sooner than the backoff."""
    partner = established()
    call = partner.protocol.refresh()
    partner.answer_next(at(0), 429, headers)
    step = partner.protocol.next_step(at(0))
    assert isinstance(step, Sleep)
    assert step.seconds == seconds
    partner.answer_next(at(seconds))
    assert call.error is None


def test_retry_after_beyond_the_deadline_is_an_error_at_once() -> None:
    """Nobody waits for what cannot come in time; the error says when to come again."""
    partner = established(policy=steady(deadline=30))
    call = partner.protocol.refresh()
    partner.answer_next(at(0), 503, (("retry-after", "31"),))
    error = error_of(call)
    assert isinstance(error, RefreshError)
    assert (error.retry_after, error.status) == (31, 503)
    assert partner.is_idle(at(0))


def test_nobody_asks_the_service_before_its_time() -> None:
    """Asked again too early, the error comes at once, with what is left, and nothing is sent (FIELD S5c)."""
    partner = established()
    partner.protocol.refresh()
    partner.answer_next(at(0), 503, (("retry-after", "100"),))
    partner.protocol.take_events()
    call = partner.protocol.refresh()
    assert partner.is_idle(at(60))
    error = error_of(call)
    assert isinstance(error, RefreshError)
    assert str(error) == "could not refresh: it is too early for another attempt"
    assert error.retry_after == 40
    again = partner.protocol.refresh()
    assert partner.is_idle(at(61))
    assert error_of(again).retry_after == 39
    assert len(partner.sent) == 1


def test_cool_down_that_ends_with_the_deadline_is_too_long() -> None:
    """An attempt that begins when the callers leave helps nobody."""
    partner = established(policy=steady(deadline=30))
    partner.protocol.refresh()
    partner.answer_next(at(0), 503, (("retry-after", "100"),))
    call = partner.protocol.refresh()
    assert partner.is_idle(at(70))
    assert error_of(call).retry_after == 30


@pytest.mark.parametrize(("deadline", "settled"), [(0.25, True), (0.2501, False)])
def test_attempt_that_would_begin_at_the_deadline_is_not_waited_for(deadline: float, settled: bool) -> None:
    """As with a cool-down: it helps nobody."""
    partner = established(policy=steady(deadline=deadline))
    call = partner.protocol.refresh()
    partner.fail_next(at(0))  # the backoff is 0.25 s
    partner.protocol.next_step(at(0))
    assert call.settled is settled


def test_cool_down_that_ends_in_time_is_waited_for() -> None:
    """Less than the deadline is left: wait, then send."""
    partner = established()
    partner.protocol.refresh()
    partner.answer_next(at(0), 503, (("retry-after", "100"),))
    call = partner.protocol.refresh()
    step = partner.protocol.next_step(at(80))
    assert isinstance(step, Sleep)
    assert step.seconds == 20
    partner.answer_next(at(100))
    assert call.error is None


def test_retry_after_is_capped() -> None:
    """policy.py: an operator's slip of the pen does not shut users out for a year."""
    partner = established()
    call = partner.protocol.refresh()
    partner.answer_next(at(0), 503, (("retry-after", "31536000"),))
    assert error_of(call).retry_after == 3600


def test_establish_is_not_held_up_by_a_refreshs_cool_down() -> None:
    """The user proves the factors again: that is another operation."""
    partner = established()
    partner.protocol.refresh()
    partner.answer_next(at(0), 503, (("retry-after", "100"),))
    call = partner.ask_to_establish(at(1))
    partner.answer_next(at(1))
    assert call.error is None
    refresh = partner.protocol.refresh()
    partner.answer_next(at(1))
    assert refresh.error is None


@pytest.mark.parametrize("kind", ["establish", "verify credentials"])
def test_temporary_failure_of_the_other_calls(kind: str) -> None:
    """errors.py: EstablishError, try later; what you had before is untouched."""
    partner = established(policy=steady(deadline=0.1))
    protocol = partner.protocol
    call = partner.ask_to_establish(at(0)) if kind == "establish" else protocol.verify_credentials("u", "p")
    partner.answer_next(at(0), 503)
    error = error_of(call)
    assert type(error) is EstablishError
    assert str(error) == f"could not {kind}: the service answered 503"
    # A second issue under the same token id would have voided the refresh token (WIRE.md, token id).
    assert protocol.snapshot()["ambiguous"] is (kind == "establish")
    assert protocol.fresh_token(at(1))


def test_other_calls_are_tried_again_within_the_deadline() -> None:
    """A 503 or a cut wire is no reason to bother the user."""
    partner = Partner()
    call = partner.ask_to_establish(at(0))
    partner.answer_next(at(0), 503)
    woken = partner.sleep_through(at(0))
    assert woken.monotonic == at(0.25).monotonic
    partner.fail_next(woken)
    partner.answer_next(partner.sleep_through(woken))
    assert call.result() is None


# An answer: refused


@pytest.mark.parametrize("status", [400, 401, 403, 404, 410])
def test_refused_refresh_ends_the_session(status: int) -> None:
    """WIRE.md, Answers: the refresh token is spent, revoked or expired; invariant 2: it is not presented again."""
    partner = established()
    call = partner.protocol.refresh()
    partner.answer_next(at(5), status)
    error = error_of(call)
    assert isinstance(error, SessionExpiredError)
    assert (error.status, error.ambiguous, error.retry_after) == (status, False, None)
    assert f"the service answered {status}" in str(error)
    assert partner.protocol.state == EXPIRED
    assert partner.is_idle(at(6))
    again = error_of(partner.protocol.refresh())
    assert isinstance(again, SessionExpiredError)
    assert partner.is_idle(at(6))


def test_refused_establish_is_an_error_of_the_call_alone() -> None:
    """errors.py: prove the security factors again."""
    partner = Partner()
    call = partner.protocol.establish(["forged"])
    partner.answer_next(at(0))
    error = error_of(call)
    assert isinstance(error, RefusedError)
    assert (error.status, error.ambiguous) == (401, False)
    assert "could not establish: the service answered 401" in str(error)


# An answer: a protocol violation

VIOLATIONS = {
    "captive portal": (200, b"<html>"),
    "redirect": (302, b""),
    "payment": (402, b""),
    "other request": (200, envelope("other", token_data())),
}


@pytest.mark.parametrize(("status", "body"), VIOLATIONS.values(), ids=VIOLATIONS)
def test_violation_is_a_clear_error_and_leaves_the_tokens(status: int, body: bytes) -> None:
    """WIRE.md, Answers: a clear error, the session's tokens untouched; not tried again by itself."""
    partner = established()
    before = partner.protocol.held.pair
    call = partner.protocol.refresh()
    partner.answer_next(at(1), status, (), body)
    error = error_of(call)
    assert type(error) is ProtocolViolationError
    assert (error.status, error.ambiguous, error.retry_after) == (status, True, 0.25)
    assert partner.protocol.held.pair is before
    assert partner.protocol.fresh_token(at(1))
    assert partner.is_idle(at(1))
    again = partner.protocol.refresh()
    partner.answer_next(partner.sleep_through(at(1)))
    assert again.error is None
    assert len({request_id_of(request) for request in partner.sent}) == 1


@pytest.mark.parametrize("kind", ["establish", "verify credentials"])
def test_violation_of_the_other_calls(kind: str) -> None:
    """The same clear error, and no cool-down for anything."""
    partner = Partner()
    call = partner.ask_to_establish(at(0)) if kind == "establish" else partner.protocol.verify_credentials("u", "p")
    partner.answer_next(at(0), 200, (), b"<html>")
    assert type(error_of(call)) is ProtocolViolationError
    assert str(error_of(call)) == f"could not {kind}: the answer is not JSON"
    assert partner.protocol.next_step(at(0)) is None


@settings(max_examples=50)
@given(st.integers(100, 999), st.binary(max_size=60), st.dictionaries(st.text(max_size=9), st.text(max_size=9)))
def test_any_answer_settles_or_is_tried_again(status: int, body: bytes, headers: "dict[str, str]") -> None:
    """Fuzz, invariant 7: whatever the server sends, the call settles within the deadline and tokens are never lost."""
    protocol = make_protocol(policy=steady(deadline=1))
    call = protocol.establish(["s"])
    now, sent = at(0), 0
    while not call.settled:
        step = protocol.next_step(now)
        if isinstance(step, Sleep):
            now = Instant(now.monotonic + step.seconds, now.wall)
            continue
        assert isinstance(step, SendRequest)
        sent += 1
        protocol.receive_response(Response(status, headers, body), now)
    assert now.monotonic <= at(1).monotonic
    assert sent <= 10
    assert call.error is not None
    json.dumps(protocol.snapshot())


# Lifetimes


def test_lifetimes_count_from_the_moment_of_sending() -> None:
    """DESIGN.md, Lifetimes: from the moment the request was SENT, not received."""
    partner = established()
    partner.protocol.refresh()
    partner.answer_next(at(100), took=9)
    assert partner.protocol.fresh_token(at(100 + STALE_AT - 0.1))
    assert partner.protocol.fresh_token(at(100 + STALE_AT)) is None


def test_lifetimes_count_from_the_last_sending_if_the_others_never_arrived() -> None:
    """What was not sent cannot have been answered."""
    partner = established(policy=steady(backoff_base=20))
    partner.protocol.refresh()
    partner.fail_next(at(100))
    partner.answer_next(at(110))
    assert partner.protocol.fresh_token(at(110 + STALE_AT - 0.1))


def test_lifetimes_count_from_the_first_sending_if_that_may_have_been_answered() -> None:
    """The answer may be the one to the first sending, so its token may be that old."""
    partner = established()
    partner.protocol.refresh()
    partner.fail_next(at(100), AMBIGUOUS, took=10)
    partner.answer_next(at(110))
    assert partner.protocol.fresh_token(at(100 + STALE_AT - 1))  # a date hides up to a second
    assert partner.protocol.fresh_token(at(100 + STALE_AT)) is None


@pytest.mark.parametrize("offset", [0, 7200, -7200, 10**8])
def test_clocks_that_differ_do_no_harm(offset: int) -> None:
    """FIELD S6 and S6a: the server's clock is hours or years off ours; neither hammer nor hand out dead tokens."""
    partner = established(clock_offset=offset)
    assert partner.protocol.fresh_token(at(STALE_AT - 1))
    assert partner.protocol.fresh_token(at(STALE_AT)) is None
    assert partner.protocol.request_token(at(DEAD_AT - 1)).settled
    assert not partner.protocol.request_token(at(DEAD_AT)).settled


@pytest.mark.parametrize(
    ("monotonic", "wall", "asks"),
    [(100, 100, False), (100, 0, True), (0, 100, True), (101, 98, True), (101, 101, False)],
)
def test_session_is_over_without_asking_only_if_both_clocks_say_so(monotonic: int, wall: int, asks: bool) -> None:
    """DESIGN.md, Lifetimes: when only one clock says so, the server is asked: it is the authority."""
    partner = established(refresh_lifetime=98, permission_lifetime=10)
    now = at(monotonic, wall_ahead=wall - monotonic)
    call = partner.protocol.request_token(now)
    step = partner.protocol.next_step(now)
    assert isinstance(step, SendRequest) == asks
    if not asks:
        error = error_of(call)
        assert isinstance(error, SessionExpiredError)
        assert (error.ambiguous, error.status) == (False, None)
        assert "the lifetime of its refresh token has passed" in str(error)
        assert partner.protocol.state == EXPIRED
        assert isinstance(partner.protocol.take_events()[-1], SessionExpired)


def test_jumping_wall_does_not_hammer() -> None:
    """An operator sets the clock an hour ahead: one refresh, and then the new pair is fresh."""
    partner = established()
    now = at(10, wall_ahead=3600)
    partner.protocol.request_token(now)
    partner.answer_next(now)
    assert partner.protocol.fresh_token(now)
    back = at(20)
    assert partner.protocol.fresh_token(back)
    assert partner.is_idle(back)


# Replayed answers


def test_replayed_token_that_is_dead_is_not_handed_out() -> None:
    """An old answer came again: its permission token is dead, its refresh token is as good as any; go on with that."""
    partner = established(grace=60, permission_lifetime=5)
    call = partner.protocol.refresh()
    partner.lose_the_answer(at(10), took=10)
    partner.answer_next(at(20))
    assert not call.settled
    assert partner.protocol.generation == 2
    partner.answer_next(at(20))
    assert call.result() is None
    assert partner.protocol.generation == 3
    assert partner.protocol.fresh_token(at(20))
    tokens = [refresh_token_in(request) for request in partner.sent]
    assert tokens[0] == tokens[1] != tokens[2]
    ids = [request_id_of(request) for request in partner.sent]
    assert ids[0] == ids[1] != ids[2]


def test_replayed_token_that_still_works_is_handed_out() -> None:
    """No third request where the second one brought what was asked for."""
    partner = established(grace=60, permission_lifetime=50)
    call = partner.protocol.refresh()
    partner.lose_the_answer(at(10), took=10)
    partner.answer_next(at(20))
    assert call.settled
    assert partner.protocol.fresh_token(at(20))


def test_replay_over_exchanges_ends_with_its_token() -> None:
    """Invariant 3: an answer replayed to a later exchange bears a token that was issued in the earlier one."""
    partner = established(grace=600, policy=steady(deadline=1, backoff_base=100))
    partner.protocol.refresh()
    partner.lose_the_answer(at(0))
    partner.fail_next(at(0), AMBIGUOUS)
    assert partner.protocol.activity == "idle"
    call = partner.protocol.refresh()
    partner.answer_next(at(300))
    assert call.error is None
    assert partner.service.statistics.replayed == 1
    assert partner.protocol.request_token(at(DEAD_AT - 2)).settled
    assert not partner.protocol.request_token(at(DEAD_AT)).settled


def test_replay_after_a_5xx_ends_with_its_token() -> None:
    """The same after a 503 from a gateway behind which the service had acted: an ambiguous outcome by another name."""
    partner = established(grace=600, policy=steady(deadline=600, backoff_cap=300, backoff_base=600))
    call = partner.protocol.refresh()
    partner.service.handle(partner.take_request(at(0)), at(0).wall)
    partner.protocol.receive_response(Response(503, {}, b""), at(0))
    partner.answer_next(at(150))
    assert partner.service.statistics.replayed == 1
    assert call.error is None
    assert not partner.protocol.request_token(at(DEAD_AT)).settled


def test_dead_replay_after_a_5xx_is_not_thrown_away() -> None:
    """Its permission token is past, its refresh token is the only one that the service will take from now on."""
    partner = established(grace=600, permission_lifetime=5, policy=steady(backoff_base=40, backoff_cap=40))
    call = partner.protocol.refresh()
    partner.service.handle(partner.take_request(at(0)), at(0).wall)
    partner.protocol.receive_response(Response(503, {}, b""), at(0))
    woken = partner.sleep_through(at(0))
    partner.answer_next(woken)
    partner.answer_next(woken)
    assert call.result() is None
    assert partner.protocol.generation == 3


def test_replays_that_never_end_do_not_go_on_for_ever() -> None:
    """Invariant 7: a service whose every token is dead on arrival ends as an error at the deadline."""
    partner = established(policy=steady(deadline=20))
    call = partner.protocol.refresh()
    partner.fail_next(at(0), AMBIGUOUS, took=10)
    request = partner.take_request(at(10))
    body = envelope(request_id_of(request), token_data("p", "r", at(5).wall, at(9999).wall))
    headers = {"Date": "Tue, 14 Nov 2023 22:13:30 GMT"}
    partner.protocol.receive_response(Response(200, headers, body), at(21))
    error = error_of(call)
    assert isinstance(error, RefreshError)
    assert error.retry_after == 0
    assert partner.protocol.generation == 2
    assert partner.is_idle(at(21))


def test_establish_in_doubt_is_no_reason_to_take_an_answer_for_a_replay() -> None:
    """What is in doubt is whether the refresh token lives; it was not presented, so an answer to it is a new one."""
    partner = established()
    partner.ask_to_establish(at(5))
    partner.answer_next(at(5), 307)
    assert partner.protocol.snapshot()["ambiguous"] is True
    partner.protocol.refresh()
    partner.answer_next(at(6))
    pair = partner.protocol.held.pair
    assert pair is not None
    assert pair.grant.permission_lifetime == PERMISSION_LIFETIME  # a replay's would be a second less


def test_slow_answer_with_a_short_lived_token_still_settles_well() -> None:
    """A service that takes longer to answer than its tokens live: one request, not one after another."""
    partner = established(permission_lifetime=3)
    call = partner.protocol.request_token(at(5))
    partner.answer_next(at(5), took=6)
    assert call.settled
    assert partner.is_idle(at(11))
    assert len(partner.sent) == 1


def test_caller_that_joined_after_the_token_had_died_gets_another() -> None:
    """Invariant 3: no caller gets a token that was dead when it asked."""
    partner = established(permission_lifetime=3)
    call = partner.protocol.request_token(at(5))
    request = partner.take_request(at(5))
    assert partner.protocol.request_token(at(10)) is call
    partner.protocol.receive_response(partner.service.handle(request, at(5).wall), at(11))
    assert not call.settled
    partner.answer_next(at(11))
    assert call.result() is None
    assert partner.protocol.fresh_token(at(11))


# Events of an exchange


def test_failed_attempts_are_events() -> None:
    """Each says why, the status, and in how many seconds the next attempt comes at the earliest."""
    partner = established(policy=steady(deadline=3, backoff_base=1))
    partner.protocol.refresh()
    partner.fail_next(at(0), AMBIGUOUS)
    partner.answer_next(at(1), 503)
    partner.answer_next(at(2), 429, (("retry-after", "9"),))
    failed = [event for event in partner.protocol.take_events() if isinstance(event, AttemptFailed)]
    assert [(event.reason, event.retry_in, event.status) for event in failed] == [
        ("the wire is cut", 0.0, None),
        ("the service answered 503", 1.0, 503),
        ("the service answered 429", 9.0, 429),
    ]
    assert [event.at.wall - at(0).wall for event in failed] == [0, 1, 2]
    assert all(event.token_id == TOKEN_ID for event in failed)


def test_establish_that_was_cut_off_may_have_ended_the_session() -> None:
    """WIRE.md, token id: issuing again voids the refresh token before it, so its refusal may come of a lost answer."""
    partner = established(policy=steady(deadline=0.1))
    establish = partner.ask_to_establish(at(1))
    partner.lose_the_answer(at(1))
    partner.fail_next(at(1))
    assert isinstance(error_of(establish), EstablishError)
    call = partner.protocol.refresh()
    partner.answer_next(at(2))
    error = error_of(call)
    assert isinstance(error, SessionExpiredError)
    assert error.ambiguous


def test_policy_of_the_exchange_is_that_of_the_session() -> None:
    """The numbers given are the numbers used."""
    policy = Policy(attempt_timeout=3)
    partner = established(policy=policy)
    partner.protocol.refresh()
    step = partner.protocol.next_step(at(1))
    assert isinstance(step, SendRequest)
    assert step.timeout == 3
