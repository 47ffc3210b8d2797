# Two machines whose clocks are an hour apart share a session through one Redis, and one of them loses its way to it.

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from tenure.transports.emulator import Emulator

from ..driver_helpers import TOKEN_ID
from ..stores.redis_server import RedisServer
from .conftest import Service
from .fleet import Fleet, Process
from .machines import REDIS, Machine

pytestmark = pytest.mark.once

HASTY = {"deadline": 4, "attempt_timeout": 5, "backoff_base": 0.01, "backoff_cap": 0.05}


class Site:
    """A service, a Redis, and a process on each of two machines."""

    def __init__(self, service: Service, machines: list[Machine], fleet: Fleet) -> None:
        self.service = service
        self.machines = machines
        self.fleet = fleet
        self.here, self.there = fleet.processes

    def let_die(self) -> None:
        """Let time pass until the permission token is dead."""
        self.service.passed += 1000
        self.fleet.all_do("advance", seconds=1000)


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    """The clock of the second machine is an hour ahead."""
    with ExitStack() as running:
        machines = [running.enter_context(Machine(number)) for number in (0, 1)]
        redis = running.enter_context(RedisServer(tmp_path, bind="0.0.0.0", protected_mode="no"))
        service = Service(host="0.0.0.0")
        emulator = running.enter_context(service.emulator)
        fleet = running.enter_context(Fleet(0, {"driver": "blocking", "token_id": TOKEN_ID, "policy": HASTY}))
        for machine in machines:
            add(fleet, machine, emulator, redis)
        there = fleet.processes[1]
        there.do("advance", seconds=0, wall=3600)
        assert "token" in fleet.processes[0].do("establish", tokens=[service.security_token()])
        yield Site(service, machines, fleet)


def add(fleet: Fleet, machine: Machine, emulator: Emulator, redis: RedisServer) -> Process:
    url = emulator.url.replace("0.0.0.0", "service.test").replace("127.0.0.1", "service.test")
    store = {"kind": "redis", "url": f"redis://{machine.redis_host}:{redis.port}/0", "timeout": 0.2}
    hosts: dict[str, Any] = {"service.test": machine.service_host}
    return fleet.add(machine.prefix, url=url, store=store, hosts=hosts)


def test_clocks_an_hour_apart(site: Site) -> None:
    """One refresh an expiry, and the same token on both: the age of a pair is told by Redis' clock."""
    assert site.there.do("get") == site.here.do("get")
    for expiry in range(1, 4):
        site.let_die()
        tokens = {answer.get("token") for answer in site.fleet.all_do("get")}
        assert len(tokens) == 1
        assert None not in tokens
        assert site.service.refreshes() == ["refreshed"] * expiry


def test_one_machine_loses_its_way_to_redis(site: Site) -> None:
    """There the token works to its end, and then callers are told; here nothing happens. Mended, both have the same."""
    before = {answer["token"] for answer in site.fleet.all_do("get")}
    site.machines[1].unplug(REDIS)
    assert {answer["token"] for answer in site.fleet.all_do("get")} == before
    site.let_die()
    newer = site.here.do("get")
    assert "token" in newer
    cut_off = site.there.do("get")
    assert cut_off["error"] == "RefreshError"
    assert "Redis" in cut_off["text"]
    site.machines[1].plug_in(REDIS)
    site.there.do("advance", seconds=1)
    assert site.there.do("get") == newer
    assert site.service.refreshes() == ["refreshed"]
