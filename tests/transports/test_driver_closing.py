# The contract of every driver: keeping alive, and closing. At which turn they end is asked in test_endings.py.

import pytest
from tenure import AttemptError, AttemptFailed, Policy, TenureError, TokenRotated, UsageError
from tenure.transports.emulator import Emulator, hold, hold_answer, lose_answer, status

from .conftest import NewSession
from .driver_helpers import (
    DEAD,
    PERMISSIONS,
    QUICK,
    STALE,
    TOKEN_ID,
    Clocks,
    Recorder,
    outcomes_of,
    security_token,
    until,
)
from .drivers import Driver


def test_keep_alive_refreshes_while_nobody_calls(
    driver: Driver, established: NewSession, emulator: Emulator, clocks: Clocks, monkeypatch: pytest.MonkeyPatch
) -> None:
    """WIRE.md, promises: an idle session expires; keep_alive() keeps it, refresh after refresh, until close()."""
    monkeypatch.setattr(driver.nap, 0.01)
    heard = Recorder()
    held = established(emulator, listener=heard)
    keeper = held.keep_alive()
    for rotations in range(1, 4):
        clocks.advance(STALE)
        heard.wait_for(TokenRotated, rotations)
    held.close()
    assert keeper.outcome().error is None
    assert outcomes_of(emulator) == ["refreshed"] * 3


def test_keep_alive_outlives_an_outage(
    driver: Driver, established: NewSession, emulator: Emulator, clocks: Clocks, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Failures of its refreshes are events; it goes on, at the pace of the backoff, and never gives up."""
    monkeypatch.setattr(driver.nap, 0.01)
    heard = Recorder()
    held = established(emulator, listener=heard)
    keeper = held.keep_alive()
    emulator.faults.add(status(503), times=3)
    clocks.advance(STALE)
    heard.wait_for(AttemptFailed, 3)
    heard.wait_for(TokenRotated)
    held.close()
    assert keeper.outcome().error is None
    assert outcomes_of(emulator) == ["not acted"] * 3 + ["refreshed"]


def test_keep_alive_may_begin_before_establish(
    driver: Driver, new_session: NewSession, emulator: Emulator, clocks: Clocks, monkeypatch: pytest.MonkeyPatch
) -> None:
    """There is nothing to keep alive yet, so it waits until there is."""
    monkeypatch.setattr(driver.nap, 0.01)
    heard = Recorder()
    held = new_session(emulator, listener=heard)
    keeper = held.keep_alive()
    held.establish([security_token(emulator, clocks.service)])
    clocks.advance(STALE)
    heard.wait_for(TokenRotated)
    held.close()
    assert keeper.outcome().error is None


def test_a_closed_session_sends_nothing(established: NewSession, emulator: Emulator, clocks: Clocks) -> None:
    """After close() a request for a dead token is a clear error; the snapshot can still be taken."""
    held = established(emulator)
    held.close()
    held.close()  # twice is no error
    clocks.advance(DEAD)
    for name in ("get_permission_token", "refresh"):
        with pytest.raises(UsageError, match="closed"):
            held.call(name)
    assert held.snapshot()["state"] == "active"
    assert outcomes_of(emulator) == []


def test_close_waits_for_the_answer_to_what_was_sent(
    driver: Driver, established: NewSession, emulator: Emulator
) -> None:
    """Invariant 4: the answer that is on its way when close() is called is taken in, the snapshot has it."""
    held = established(emulator)
    gate = emulator.faults.add(hold_answer())
    refresh = held.start(("refresh",))
    assert gate.arrived.wait(10)
    closing = held.start(("close",), ("snapshot",))
    gate.release()
    _, snapshot = closing.outcome().values
    assert snapshot["pair"]["generation"] == 2
    assert refresh.outcome().error is None
    assert outcomes_of(emulator) == ["refreshed"]
    with driver.restore(held.snapshot(), policy=QUICK) as successor:
        successor.refresh()
    assert outcomes_of(emulator) == ["refreshed", "refreshed"]


def test_close_begins_nothing_more(established: NewSession, emulator: Emulator) -> None:
    """Invariant 4 is for what has been sent: of calls that wait behind it nothing is sent, and they are told."""
    held = established(emulator)
    gate = emulator.faults.add(hold_answer())
    refresh = held.start(("refresh",))
    assert gate.arrived.wait(10)
    queued = [held.start(("establish_by_key", emulator.merchant_key)) for _ in range(3)]
    until(lambda: len(held.session._protocol._calls) == 4)
    closing = held.start(("close",), ("snapshot",))
    until(lambda: held.session._is_closed)
    gate.release()
    assert closing.outcome().values[1]["pair"]["generation"] == 2
    assert refresh.outcome().error is None
    assert [type(caller.outcome().error) for caller in queued] == [AttemptError] * 3
    assert emulator.statistics.requests == 2


def test_close_repeats_nothing(established: NewSession, emulator: Emulator) -> None:
    """An answer that is lost while `close` waits for it is not asked for again; the snapshot knows of the doubt."""
    held = established(emulator)
    gate = emulator.faults.add(hold(), lose_answer())
    refresh = held.start(("refresh",))
    assert gate.arrived.wait(10)
    closing = held.start(("close",), ("snapshot",))
    until(lambda: held.session._is_closed)
    gate.release()
    assert closing.outcome().values[1]["ambiguous"] is True
    assert type(refresh.outcome().error) is AttemptError
    assert emulator.statistics.requests == 2


def test_close_ends_a_backoff(established: NewSession, emulator: Emulator, clocks: Clocks) -> None:
    """Invariant 7: a caller that waits for the next attempt learns at once that there will be none."""
    heard = Recorder()
    policy = Policy(deadline=60, attempt_timeout=20, backoff_base=0.01, retry_after_cap=50)
    held = established(emulator, policy=policy, listener=heard)
    clocks.advance(DEAD)
    emulator.faults.add(status(503, retry_after=50))
    caller = held.start(("get_permission_token",))
    heard.wait_for(AttemptFailed)
    held.close()
    assert isinstance(caller.outcome().error, TenureError)
    assert outcomes_of(emulator) == ["not acted"]


def test_the_context_manager_closes(driver: Driver, emulator: Emulator, clocks: Clocks) -> None:
    """`with session:` gives the session itself, swallows nothing, and closes it."""
    held = driver.make(emulator.url, TOKEN_ID, PERMISSIONS)

    def fail() -> None:
        with held:
            held.establish([security_token(emulator, clocks.service)])
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    with pytest.raises(UsageError, match="closed"):
        held.refresh()
