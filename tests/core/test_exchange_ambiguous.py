# exchange.py, the row "ambiguous": at once again, the same, then backoff.

import pytest
from tenure import (
    AMBIGUOUS,
    EXPIRED,
    STORE_FAILED,
    RefreshError,
    SendFailure,
    SendRequest,
    SessionExpired,
    SessionExpiredError,
)

from .partner import (
    STALE_AT,
    WITHOUT_WAITING,
    Partner,
    at,
    error_of,
    established,
    refresh_token_in,
    request_id_of,
    steady,
)


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
