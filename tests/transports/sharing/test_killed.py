# kill -9 of the process that refreshes, at every point of the exchange (invariant 8): what it leaves behind is enough
# for the next. The points are before and behind each operation of the store, each flush and each renaming of a file,
# before and behind connecting, and behind each piece of the answer.

from typing import Any

import pytest

from ..driver_helpers import resource_status
from .conftest import BRIEF, NewFleet, Service
from .fleet import Fleet, Process

pytestmark = pytest.mark.once

MOST = 60  # points of an exchange; none has as many


def kill_at(fleet: Fleet, point: int, do: str, **arguments: Any) -> tuple[Process, bool]:
    """Start a process that is killed at a point of what it does; return it, and whether it came so far."""
    killed = fleet.add(**BRIEF)  # so that the other one need not wait long for its lease
    killed.do("get")  # it knows the session, as one that has lived for a while
    killed.do("arm", signal_at=point)
    return killed, killed.do(do, **arguments) == {"died": True}


@pytest.mark.parametrize("grace", [600])
def test_killed_at_every_point_of_a_refresh_with_grace(
    new_fleet: NewFleet, service: Service, plain_store: dict[str, Any], grace: float
) -> None:
    """With a grace window nothing is ever lost: the next process presents the same token under the same request id."""
    fleet = new_fleet(1, plain_store)
    other = fleet.processes[0]
    for point in range(MOST):
        killed, died = kill_at(fleet, point, "refresh")
        answer = other.do("refresh")
        assert "token" in answer, (point, answer)
        assert resource_status(service.emulator, answer["token"]) == 200
        killed.end()
        if not died:
            break
    assert 6 < point < MOST - 1
    assert "reuse" not in service.refreshes()
    assert "replayed" in service.refreshes()


def test_killed_at_every_point_of_a_refresh_without_grace(
    new_fleet: NewFleet, service: Service, plain_store: dict[str, Any]
) -> None:
    """Without one, the session is over exactly if the service had acted and the pair was not durable; the next process
    says so, and that an answer may have been lost."""
    fleet = new_fleet(1, plain_store)
    other = fleet.processes[0]
    lost = []
    for point in range(MOST):
        before = len(service.refreshes())
        killed, died = kill_at(fleet, point, "refresh")
        answer = other.do("refresh")
        if "token" not in answer:
            lost.append(point)
            assert answer["error"] == "SessionExpiredError"
            assert answer["ambiguous"]
            assert service.refreshes()[before:] == ["refreshed", "reuse"]
            assert "token" in other.do("establish", tokens=[service.security_token()])
        else:
            assert "reuse" not in service.refreshes()[before:]
        killed.end()
        if not died:
            break
    assert 6 < point < MOST - 1
    assert 0 < len(lost) < point
    assert lost == list(range(lost[0], lost[-1] + 1)), "in one stretch: between the service's act and the save"


def test_killed_at_every_point_of_an_establish(
    new_fleet: NewFleet, service: Service, plain_store: dict[str, Any]
) -> None:
    """Whoever comes next has a session, the old or the new one, or is told to establish it anew; and that works."""
    fleet = new_fleet(1, plain_store)
    other = fleet.processes[0]
    for point in range(MOST):
        killed, died = kill_at(fleet, point, "establish", tokens=[service.security_token()])
        answer = other.do("refresh")
        assert "token" in answer or (answer["error"], answer["ambiguous"]) == ("SessionExpiredError", True), answer
        assert "token" in other.do("establish", tokens=[service.security_token()])
        killed.end()
        if not died:
            break
    assert 6 < point < MOST - 1
