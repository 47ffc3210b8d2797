# The contract of every driver: the token, fresh, stale, dead and refused.

import inspect
import threading

import pytest
from tenure import (
    AuthorizationProtocol,
    Call,
    RefreshError,
    SessionExpired,
    SessionExpiredError,
    TokenInvalidated,
    TokenRotated,
)
from tenure.transports.emulator import Emulator, hold, lose_answer, status

from .conftest import NewSession
from .driver_helpers import DEAD, STALE, Clocks, Recorder, outcomes_of, resource_status, security_token
from .drivers import Driver

# --- the token ---


def test_a_fresh_token_costs_no_request(established: NewSession, emulator: Emulator) -> None:
    """While the token is fresh, everybody gets the same one and nothing is sent."""
    held = established(emulator)
    tokens = {held.get_permission_token() for _ in range(100)} | {held.current_token()}
    assert len(tokens) == 1
    assert outcomes_of(emulator) == []


def test_a_stale_token_is_handed_out_while_its_successor_is_fetched(
    established: NewSession, emulator: Emulator, clocks: Clocks
) -> None:
    """DESIGN.md, Lifetimes: a refresh of a stale token begins, but nobody waits for it."""
    heard = Recorder()
    held = established(emulator, listener=heard)
    old = held.get_permission_token()
    clocks.advance(STALE)
    gate = emulator.faults.add(hold())
    assert [held.get_permission_token() for _ in range(20)] == [old] * 20
    gate.release()
    heard.wait_for(TokenRotated)
    assert held.get_permission_token() != old
    assert outcomes_of(emulator) == ["refreshed"]


def test_current_token_neither_waits_nor_refreshes(established: NewSession, emulator: Emulator, clocks: Clocks) -> None:
    """It gives the fresh token or None at once, and is a plain function in every driver."""
    held = established(emulator)
    assert not inspect.iscoroutinefunction(held.session.current_token)
    assert held.current_token() == held.get_permission_token()
    clocks.advance(DEAD)
    assert held.current_token() is None
    assert outcomes_of(emulator) == []


@pytest.mark.parametrize("clock", ["monotonic", "wall"])
def test_a_token_is_fresh_only_while_both_clocks_say_so(
    established: NewSession,
    emulator: Emulator,
    clocks: Clocks,
    driver: Driver,
    monkeypatch: pytest.MonkeyPatch,
    clock: str,
) -> None:
    """Invariant 3: suspend stops the one clock, an operator moves the other; either suffices to doubt the token."""
    held = established(emulator)
    old = held.get_permission_token()
    right = getattr(clocks, clock)
    for module in driver.clock_modules:
        monkeypatch.setattr(f"{module}.{clock}", lambda: right() + 2 * DEAD)
    assert held.current_token() is None
    assert held.get_permission_token() != old
    assert outcomes_of(emulator) == ["refreshed"]


def test_refresh_by_hand(established: NewSession, emulator: Emulator) -> None:
    """WIRE.md, promises: refresh() refreshes, however fresh the token is."""
    held = established(emulator)
    old = held.get_permission_token()
    held.refresh()
    assert held.get_permission_token() != old
    assert outcomes_of(emulator) == ["refreshed"]


def test_refreshes_at_the_same_time_are_one(
    established: NewSession, emulator: Emulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Invariant 5: whoever asks for a refresh while one is under way joins it."""
    held = established(emulator)
    ask = AuthorizationProtocol.refresh
    asked = threading.Semaphore(0)

    def ask_and_tell(protocol: AuthorizationProtocol) -> Call:
        call = ask(protocol)
        asked.release()
        return call

    monkeypatch.setattr(AuthorizationProtocol, "refresh", ask_and_tell)
    gate = emulator.faults.add(hold())
    callers = [held.start(("refresh",)) for _ in range(10)]
    for _ in callers:
        assert asked.acquire(timeout=10)
    gate.release()
    assert [caller.outcome().error for caller in callers] == [None] * 10
    assert outcomes_of(emulator) == ["refreshed"]


@pytest.mark.parametrize("code", [400, 401, 403, 404, 410])
def test_a_refused_refresh_ends_the_session(established: NewSession, emulator: Emulator, code: int) -> None:
    """WIRE.md, Answers; invariant 2: the session is over, the refused token is not presented again, establish helps."""
    heard = Recorder()
    held = established(emulator, listener=heard)
    emulator.faults.add(status(code))
    with pytest.raises(SessionExpiredError) as caught:
        held.refresh()
    assert caught.value.status == code
    assert not caught.value.ambiguous
    with pytest.raises(SessionExpiredError):
        held.refresh()
    heard.wait_for(SessionExpired)
    assert outcomes_of(emulator) == ["not acted"]


def test_an_expired_session_is_established_anew(established: NewSession, emulator: Emulator, clocks: Clocks) -> None:
    """WIRE.md, promises: a session that is over is not functional until it is established anew; then it is."""
    held = established(emulator)
    emulator.service.expire_refresh_tokens()
    clocks.advance(DEAD)
    for _ in range(2):
        with pytest.raises(SessionExpiredError, match="stablish it anew"):
            held.get_permission_token()
    held.establish([security_token(emulator, clocks.service)])
    assert resource_status(emulator, held.get_permission_token()) == 200


def test_expiry_after_a_lost_answer_says_so(established: NewSession, emulator: Emulator) -> None:
    """DESIGN.md, Failures: after an ambiguous exchange SessionExpiredError says so; here there is no grace window."""
    held = established(emulator)
    emulator.faults.add(lose_answer())
    with pytest.raises(SessionExpiredError) as caught:
        held.refresh()
    assert caught.value.ambiguous
    assert outcomes_of(emulator) == ["refreshed", "reuse"]


# --- invalidate ---


def test_an_invalidated_token_is_replaced(established: NewSession, emulator: Emulator) -> None:
    """A resource server said 401: the token is not handed out again, and the next caller waits for its successor."""
    heard = Recorder()
    held = established(emulator, listener=heard)
    refused = held.get_permission_token()
    held.invalidate(refused)
    assert held.current_token() is None
    assert held.get_permission_token() != refused
    assert len(heard.of(TokenInvalidated)) == 1
    assert outcomes_of(emulator) == ["refreshed"]


@pytest.mark.parametrize("token", ["some-other-token", None], ids=["foreign", "replaced"])
def test_a_token_that_is_not_current_is_not_invalidated(
    established: NewSession, emulator: Emulator, token: str | None
) -> None:
    """Whoever reports a token that has been replaced since does no harm to its successor."""
    held = established(emulator)
    replaced = held.get_permission_token()
    held.refresh()
    current = held.get_permission_token()
    held.invalidate(token or replaced)
    assert held.get_permission_token() == current
    assert outcomes_of(emulator) == ["refreshed"]


def test_a_token_is_not_handed_out_while_its_replacement_fails(
    established: NewSession, emulator: Emulator, clocks: Clocks
) -> None:
    """An invalidated token is of no use to anybody: callers get the error, and later the new token."""
    held = established(emulator)
    refused = held.get_permission_token()
    held.invalidate(refused)
    with emulator.connections_refused(), clocks.hurried(), pytest.raises(RefreshError) as caught:
        held.get_permission_token()
    assert caught.value.retry_after is not None
    clocks.advance(1)
    assert held.get_permission_token() != refused
