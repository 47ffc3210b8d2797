# protocol.py: calls that wait for each other.

from tenure import NotEstablishedError, Response, SessionExpiredError

from .partner import Partner, at, established


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
