# exchange.py: from when lifetimes count, and what a replayed answer is worth.

import pytest
from tenure import AMBIGUOUS, EXPIRED, RefreshError, Response, SendRequest, SessionExpired, SessionExpiredError

from .partner import (
    DEAD_AT,
    PERMISSION_LIFETIME,
    STALE_AT,
    at,
    envelope,
    error_of,
    established,
    refresh_token_in,
    request_id_of,
    steady,
    token_data,
)

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
