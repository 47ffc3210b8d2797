# Many processes, one session, one refresh at each expiry (FIELD.md S7, and invariants 1, 2 and 5 across processes).

from typing import Any

import pytest

from ..driver_helpers import resource_status
from .conftest import NewFleet, Service

EXPIRIES = 50
PROCESSES = 16
DRIVERS = ("blocking", "asyncio", "trio")


@pytest.mark.once
def test_sixteen_processes_over_fifty_expiries(new_fleet: NewFleet, service: Service, store: dict[str, Any]) -> None:
    """One refresh an expiry, no reuse, and everybody gets the same token that works, whichever driver they use."""
    fleet = new_fleet(1, store)
    for number in range(1, PROCESSES):
        fleet.add(driver=DRIVERS[number % 3])
    fleet.all_do("get")  # known to all, for the store's own clock does not take part in what follows
    for expiry in range(EXPIRIES):
        service.passed += 1000
        fleet.all_do("advance", seconds=1000)
        answers = fleet.all_do("get")
        tokens = {answer.get("token") for answer in answers}
        assert len(tokens) == 1, answers
        assert service.refreshes() == ["refreshed"] * (expiry + 1)
        assert resource_status(service.emulator, str(tokens.pop())) == 200
    assert service.emulator.statistics.reuse_detected == 0


def test_early_refreshes_are_one_as_well(new_fleet: NewFleet, service: Service, plain_store: dict[str, Any]) -> None:
    """In the stale window nobody waits, one process refreshes, and the others take over what it got."""
    fleet = new_fleet(4, plain_store)
    fleet.all_do("get")
    for expiry in range(5):
        service.passed += 850
        fleet.all_do("advance", seconds=850)
        fleet.all_do("get")  # begins a refresh behind the callers' backs, in each of them
        service.passed += 45  # dead now, by what was held before
        fleet.all_do("advance", seconds=45)
        tokens = {answer.get("token") for answer in fleet.all_do("get")}
        assert len(tokens) == 1
        assert service.refreshes() == ["refreshed"] * (expiry + 1)


def test_a_refused_token_is_replaced_once(new_fleet: NewFleet, service: Service, plain_store: dict[str, Any]) -> None:
    """FIELD.md S9 across processes: a resource server refuses the token of all, and there is one refresh."""
    fleet = new_fleet(8, plain_store)
    refused = {answer["token"] for answer in fleet.all_do("get")}
    fleet.all_do("invalidate", token=refused.pop())
    tokens = {answer.get("token") for answer in fleet.all_do("get")}
    assert len(tokens) == 1
    assert service.refreshes() == ["refreshed"]


def test_a_session_established_anew_is_everybodys(
    new_fleet: NewFleet, service: Service, plain_store: dict[str, Any]
) -> None:
    """A session that is over for all is established by one, and the others go on with it."""
    fleet = new_fleet(3, plain_store)
    fleet.all_do("get")
    service.emulator.service.expire_refresh_tokens()
    service.passed += 1000
    fleet.all_do("advance", seconds=1000)
    assert {answer.get("error") for answer in fleet.all_do("get")} == {"SessionExpiredError"}
    assert service.refreshes() == ["refused"]  # the others were told by the store
    fleet.processes[1].do("establish", tokens=[service.security_token()])
    tokens = {answer.get("token") for answer in fleet.all_do("get")}
    assert len(tokens) == 1
    assert None not in tokens
