# exchange.py, row by row of DESIGN.md's table of failures: what every request bears, and the row "not sent". The others
# are in test_exchange_ambiguous.py and test_exchange_answers.py, lifetimes and replays in test_exchange_lifetimes.py.

import json

import pytest
from tenure import (
    ACTIVE,
    AMBIGUOUS,
    NOT_SENT,
    AttemptFailed,
    EstablishError,
    Instant,
    Policy,
    ProtocolViolationError,
    RefreshError,
    Response,
    SendFailure,
    SendRequest,
    SessionExpiredError,
    SpatiumDialect,
    Verdict,
)

from .partner import DEAD_AT, TOKEN_ID, Partner, at, error_of, established, request_id_of, steady


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
