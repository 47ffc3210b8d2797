# SIGSTOP of the process that has the lease, beyond its lease, at every point of the exchange; then SIGCONT.

import signal
from typing import Any

import pytest

from .conftest import BRIEF, PATIENT, NewFleet, Service
from .fleet import Fleet, Process

pytestmark = pytest.mark.once

MOST = 60  # points of an exchange; none has as many


def pause_at(fleet: Fleet, point: int, **changes: Any) -> tuple[Process, str | None]:
    """Start a process that stops at a point of a refresh; return it, and where that is (None: it did not stop)."""
    paused = fleet.add(**changes)
    paused.do("get")
    paused.do("arm", signal_at=point, number=signal.SIGSTOP)
    paused.ask("refresh")
    return paused, paused.stops()


@pytest.mark.parametrize("grace", [600])
def test_paused_at_every_point_with_redis_and_grace(
    new_fleet: NewFleet, service: Service, redis_store: dict[str, Any], grace: float
) -> None:
    """Another process takes over when the lease has ended. The paused one overwrites nothing when it goes on, and
    nobody notices anything."""
    fleet = new_fleet(1, redis_store)
    other = fleet.processes[0]
    for point in range(MOST):
        paused, where = pause_at(fleet, point, **BRIEF)
        if where is None:
            break
        newest = other.do("refresh")
        assert "token" in newest, (where, newest)
        paused.go_on()
        answer = paused.answer()
        assert "token" in answer, (where, answer)
        # Nothing was overwritten: what is stored is the newest pair, or a successor of it.
        assert "token" in other.do("refresh"), where
        paused.end()
    assert 6 < point < MOST
    assert "reuse" not in service.refreshes()


def test_paused_at_every_point_with_redis_without_grace(
    new_fleet: NewFleet, service: Service, redis_store: dict[str, Any]
) -> None:
    """Reuse is seen only where the pause fell behind the first byte and before the save: nobody can tell a stopped
    process from a dead one. Before that, the paused process finds out before it sends."""
    fleet = new_fleet(1, redis_store)
    other = fleet.processes[0]
    lost = []
    for point in range(MOST):
        before = len(service.refreshes())
        paused, where = pause_at(fleet, point, **BRIEF)
        if where is None:
            break
        taken_over = other.do("refresh")
        paused.go_on()
        paused.answer()
        if "reuse" in service.refreshes()[before:]:
            lost.append(where)
            assert (taken_over["error"], taken_over["ambiguous"]) == ("SessionExpiredError", True)
            assert "token" in other.do("establish", tokens=[service.security_token()])
        else:
            assert "token" in other.do("refresh"), where
        paused.end()
    assert lost == ["after the answer", "before save"]


def test_paused_at_every_point_with_files(new_fleet: NewFleet, service: Service, file_store: dict[str, Any]) -> None:
    """The kernel keeps the lock of a stopped process: others wait, no longer than their deadline; nothing is lost."""
    fleet = new_fleet(1, file_store, lease_margin=5, policy={"deadline": 1.5, "attempt_timeout": 20})
    other = fleet.processes[0]
    patient = fleet.add(policy=PATIENT)
    for point in range(MOST):
        paused, where = pause_at(fleet, point)
        if where is None:
            break
        waited = other.do("refresh")
        assert "token" in waited or waited["error"] == "RefreshError", (where, waited)
        assert "token" in other.do("get"), where  # what it has still works
        paused.go_on()
        paused.answer()
        assert "token" in patient.do("refresh"), where
        paused.end()
    assert 6 < point < MOST
    assert "reuse" not in service.refreshes()
