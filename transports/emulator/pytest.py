# Fixtures for tests of programs that authorize: pytest_plugins = ["tenure.transports.emulator.pytest"]

from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from .server import Emulator

__all__ = ["authorization_service", "start_emulator"]


@pytest.fixture
def start_emulator() -> Iterator[Callable[..., Emulator]]:
    """Return a function that starts an `Emulator` with the options it is given; all are stopped after the test."""
    with ExitStack() as running:

        def start(**options: object) -> Emulator:
            return running.enter_context(Emulator(**options))  # type: ignore[arg-type]  # Emulator checks them

        yield start


@pytest.fixture
def authorization_service(start_emulator: Callable[..., Emulator]) -> Emulator:
    """Return a running `Emulator` with one account: see its `url`, `credentials`, `faults` and `journal`."""
    return start_emulator()
