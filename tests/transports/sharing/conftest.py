# What the tests of sharing need: each store in turn, a service whose clock can be moved, and processes.

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from cryptography.fernet import Fernet
from tenure.transports.emulator import Emulator

from ..driver_helpers import TOKEN_ID, security_token
from ..stores.redis_server import RedisServer, redis_server
from .fleet import Fleet

__all__ = ["redis_server"]

STORES = ("file", "redis", "encrypted file", "encrypted redis")
NewFleet = Callable[..., Fleet]
# Processes whose lease ends soon: as the wall clock counts whole seconds, between one and two.
BRIEF: dict[str, Any] = {"lease_margin": 0.8, "policy": {"deadline": 20, "attempt_timeout": 1.2, "backoff_base": 0.01}}
PATIENT = {"deadline": 50, "attempt_timeout": 20, "backoff_base": 0.01, "backoff_cap": 0.05}


class Service:
    """An emulator and its clock."""

    def __init__(self, **settings: Any) -> None:
        self.emulator = Emulator(permission_lifetime=900, clock=self.clock, **settings)
        self.passed = 0.0

    def clock(self) -> float:
        """Return Unix time on the service's clock."""
        return time.time() + self.passed

    def security_token(self) -> str:
        return security_token(self.emulator, self.clock)

    def refreshes(self) -> list[str]:
        """Return what became of the refreshes, in order."""
        return [entry.outcome for entry in self.emulator.journal.of("refresh")]


@pytest.fixture(params=[*STORES[:2], *(pytest.param(name, marks=pytest.mark.once) for name in STORES[2:])])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> dict[str, Any]:
    """Each store in turn, as a worker is told."""
    return told_store(request, tmp_path, request.param)


@pytest.fixture(params=("file", "redis"))
def plain_store(request: pytest.FixtureRequest, tmp_path: Path) -> dict[str, Any]:
    """The two places where a state can lie."""
    return told_store(request, tmp_path, request.param)


@pytest.fixture
def file_store(request: pytest.FixtureRequest, tmp_path: Path) -> dict[str, Any]:
    """Files, as a worker is told."""
    return told_store(request, tmp_path, "file")


@pytest.fixture
def redis_store(request: pytest.FixtureRequest, tmp_path: Path) -> dict[str, Any]:
    """Redis, as a worker is told."""
    return told_store(request, tmp_path, "redis")


def told_store(request: pytest.FixtureRequest, tmp_path: Path, name: str) -> dict[str, Any]:
    told: dict[str, Any]
    if name.endswith("file"):
        told = {"kind": "file", "directory": str(tmp_path / "sessions")}
    else:
        server: RedisServer = request.getfixturevalue("redis_server")
        told = {"kind": "redis", "url": server.url}
    if name.startswith("encrypted"):
        told["keys"] = [Fernet.generate_key().decode()]
    return told


@pytest.fixture
def grace() -> float:
    """Seconds; a test that needs a grace window overrides this."""
    return 0


@pytest.fixture
def service(grace: float) -> Iterator[Service]:
    """The authorization service."""
    service = Service(grace=grace)
    with service.emulator:
        yield service


@pytest.fixture
def new_fleet(service: Service) -> Iterator[NewFleet]:
    """Return a function that starts processes on a store; the session is established by the first."""
    with ExitStack() as running:

        def make(
            count: int, store: dict[str, Any], driver: str = "blocking", prefix: tuple[str, ...] = (), **settings: Any
        ) -> Fleet:
            told = {
                "driver": driver,
                "url": service.emulator.url,
                "token_id": TOKEN_ID,
                "store": store,
                "policy": PATIENT,
                **settings,
            }
            fleet = running.enter_context(Fleet(count, told, prefix))
            assert "token" in fleet.processes[0].do("establish", tokens=[service.security_token()])
            return fleet

        yield make
