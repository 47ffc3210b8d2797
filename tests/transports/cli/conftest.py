from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tenure.transports.emulator import Emulator

from .shells import LIFETIME, Shells

ACCOUNTS = {"ann": "correct horse", "bob": "battery staple"}
TOKEN_ID = "5f0c1cf5-8a2b-4f0e-9c39-2f0f4f9b1a57"
GrowOlder = Callable[[float], None]


@pytest.fixture
def service() -> Iterator[Emulator]:
    """The service that shells log in to; it has no grace window, so that nothing is forgiven."""
    with Emulator(permission_lifetime=LIFETIME, accounts=ACCOUNTS) as running:
        yield running


@pytest.fixture
def strangers(tmp_path: Path, service: Emulator) -> Shells:
    """Shells with nothing configured."""
    return Shells(tmp_path, service)


@pytest.fixture
def shells(strangers: Shells) -> Shells:
    """Shells that are logged in."""
    strangers.log_in("--token-id", TOKEN_ID)
    return strangers


@pytest.fixture
def grow_older(shells: Shells) -> GrowOlder:
    """Return a function that lets the shells' session grow older."""
    return lambda seconds: shells.grow_older(seconds, TOKEN_ID)
