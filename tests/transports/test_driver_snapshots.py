# The contract of every driver: saving a session and going on with it.

import json

import pytest
from tenure import NotEstablishedError, SessionExpiredError, SnapshotError
from tenure.transports.emulator import Emulator, hold_answer, status

from .conftest import NewEmulator, NewSession
from .driver_helpers import DEAD, QUICK, Clocks, outcomes_of, resource_status
from .drivers import Driver


def test_a_snapshot_goes_through_json_and_lives_on(
    driver: Driver, established: NewSession, emulator: Emulator, clocks: Clocks
) -> None:
    """WIRE.md, promises: the whole session can be saved and restored; the restored one hands out the same token."""
    before = established(emulator)
    snapshot = json.loads(json.dumps(before.snapshot()))
    with driver.restore(snapshot, policy=QUICK) as held:
        assert held.get_permission_token() == before.get_permission_token()
        clocks.advance(DEAD)
        assert resource_status(emulator, held.get_permission_token()) == 200
    assert outcomes_of(emulator) == ["refreshed"]


def test_an_unestablished_session_can_be_saved(driver: Driver, new_session: NewSession, emulator: Emulator) -> None:
    """A snapshot of nothing is a session to be established."""
    with driver.restore(new_session(emulator).snapshot()) as held, pytest.raises(NotEstablishedError):
        held.get_permission_token()


def test_an_expired_session_can_be_saved(driver: Driver, established: NewSession, emulator: Emulator) -> None:
    """What is over stays over when it is restored; no request is needed to know."""
    before = established(emulator)
    emulator.faults.add(status(401))
    with pytest.raises(SessionExpiredError):
        before.refresh()
    with driver.restore(before.snapshot()) as held, pytest.raises(SessionExpiredError):
        held.refresh()
    assert outcomes_of(emulator) == ["not acted"]


def test_a_session_saved_in_mid_exchange_repeats_its_question(
    driver: Driver, established: NewSession, new_emulator: NewEmulator
) -> None:
    """Invariant 2: the restored session presents the token under the same request id, so the grace window helps it."""
    emulator = new_emulator(grace=30)
    before = established(emulator)
    gate = emulator.faults.add(hold_answer())
    refresh = before.start(("refresh",))
    assert gate.arrived.wait(10)
    with driver.restore(before.snapshot()) as held:
        held.refresh()
        assert outcomes_of(emulator) == ["refreshed", "replayed"]
        gate.release()
        assert refresh.outcome().error is None
        assert held.get_permission_token() == before.get_permission_token()


@pytest.mark.parametrize(
    "change",
    [
        {"format": "something else"},
        {"version": 2},
        {"version": 0},
        {"version": "1"},
        {"url": "http://example.com"},
        {"token_id": ""},
        {"permissions": "read"},
        {"state": "asleep"},
        {"state": "unestablished"},
        {"pair": None},
        {"pair": []},
        {"pair": {}},
    ],
    ids=str,
)
def test_a_damaged_snapshot_is_refused(
    driver: Driver, established: NewSession, emulator: Emulator, change: dict[str, object]
) -> None:
    """A snapshot that is damaged, foreign or of a newer version is an error, not a session that fails later."""
    snapshot = established(emulator).snapshot()
    with pytest.raises(SnapshotError):
        driver.restore({**snapshot, **change})


@pytest.mark.parametrize("field", ["permission_token", "refresh_token", "request_id"])
@pytest.mark.parametrize("value", ["", "a b", "a\r\nb", None, 7], ids=repr)
def test_a_snapshot_with_unfit_tokens_is_refused(
    driver: Driver, established: NewSession, emulator: Emulator, field: str, value: object
) -> None:
    """Invariant 10 holds for what comes from a file as well."""
    snapshot = established(emulator).snapshot()
    snapshot["pair"][field] = value
    with pytest.raises(SnapshotError):
        driver.restore(snapshot)
