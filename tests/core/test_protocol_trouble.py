# protocol.py when something in the middle fails: a bug, a source of chance, an answer of wrong types.

import pytest
from tenure import IDLE, AttemptError, RefusedError, Response, SpatiumDialect

from .partner import Partner, at, established, steady


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
