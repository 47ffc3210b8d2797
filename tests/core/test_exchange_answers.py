# exchange.py, the rows of answers: temporary, refused, protocol violation.

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tenure import (
    AMBIGUOUS,
    EXPIRED,
    EstablishError,
    Instant,
    ProtocolViolationError,
    RefreshError,
    RefusedError,
    Response,
    SendRequest,
    SessionExpiredError,
    Sleep,
)

from .partner import (
    WITHOUT_WAITING,
    Partner,
    at,
    envelope,
    error_of,
    established,
    make_protocol,
    request_id_of,
    steady,
    token_data,
)

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
