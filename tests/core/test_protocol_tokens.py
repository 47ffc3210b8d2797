# protocol.py: asking for tokens, and invalidating them.

import pytest
from tenure import (
    NOT_SENT,
    NotEstablishedError,
    RefreshError,
    Response,
    SendFailure,
    SessionExpiredError,
    Sleep,
    TokenInvalidated,
)

from .partner import DEAD_AT, STALE_AT, at, established, make_protocol, steady

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
