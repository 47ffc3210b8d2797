# calls.py: what a caller wants, and how it came out.

import pytest
from tenure import ESTABLISH, REFRESH, VERIFY, Call, RefreshError, Request


def test_new_call_knows_nothing_yet() -> None:
    """Somebody waits for it, before the first pair, and nothing has come of it."""
    call = Call(REFRESH)
    assert (call.kind, call.settled, call.error, call.asked_at) == (REFRESH, False, None, None)
    assert (call.urgent, call.by_hand, call.generation) == (True, False, 0)


def test_call_settles_once() -> None:
    """Invariant 7: a second outcome is a bug of ours, and the first one stays."""
    call = Call(REFRESH)
    assert not call.settled
    call.settle()
    with pytest.raises(AssertionError, match="invariant 7"):
        call.settle(RefreshError("x"))
    assert call.error is None
    assert call.settled


def test_result_before_the_outcome_is_a_bug() -> None:
    """Nobody may read an outcome that is not known."""
    with pytest.raises(AssertionError, match="not known yet"):
        Call(REFRESH).result()


def test_result_is_the_value() -> None:
    """A VERIFY call returns the security token."""
    call = Call(VERIFY)
    call.settle(value="token")
    assert call.result() == "token"


def test_each_caller_gets_an_error_of_its_own() -> None:
    """A shared exception object would collect the traceback of each."""
    call = Call(REFRESH)
    call.settle(RefreshError("text", retry_after=2.0, status=503, ambiguous=True))
    caught = []
    for _ in range(2):
        with pytest.raises(RefreshError, match=r"^text$") as raised:
            call.result()
        caught.append(raised.value)
    assert caught[0] is not caught[1]
    assert call.error not in caught
    assert (caught[0].retry_after, caught[0].status, caught[0].ambiguous) == (2.0, 503, True)


def test_settled_call_holds_no_secret() -> None:
    """Invariant 9: what was presented is let go with the outcome."""
    secret = "hunter2"
    call = Call(ESTABLISH, lambda request_id: Request("POST", "u", (), secret.encode()))
    assert call.make_request is not None
    call.settle()
    assert call.make_request is None


def test_call_says_how_it_came_out() -> None:
    """A repr names the kind and the outcome, and no value."""
    call, good, bad = Call(REFRESH), Call(VERIFY), Call(ESTABLISH)
    good.settle(value="hunter2")
    bad.settle(RefreshError("x"))
    assert repr(call) == "<Call to refresh: under way>"
    assert repr(good) == "<Call to verify credentials: done>"
    assert repr(bad) == "<Call to establish: RefreshError>"
