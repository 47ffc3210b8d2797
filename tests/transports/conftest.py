# Fixtures for the tests of the drivers.

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest
from tenure.transports.emulator import Emulator

from .asyncio_driver import AsyncioDriver
from .driver_helpers import LIFETIME, PERMISSIONS, QUICK, TOKEN_ID, Clocks, security_token
from .drivers import BlockingDriver, Driver, HeldSession
from .trio_driver import TrioDriver
from .worlds import AsyncioWorld, TrioWorld, World

DRIVERS: tuple[Driver, ...] = (BlockingDriver(), AsyncioDriver(), TrioDriver())

NewEmulator = Callable[..., Emulator]
NewSession = Callable[..., HeldSession]


@pytest.fixture(params=DRIVERS, ids=lambda driver: driver.name)
def driver(request: pytest.FixtureRequest) -> Driver:
    """Each driver in turn."""
    assert isinstance(request.param, Driver)
    return request.param


@pytest.fixture
def clocks(driver: Driver, monkeypatch: pytest.MonkeyPatch) -> Clocks:
    """The clocks that the driver and the emulators read."""
    clocks = Clocks()
    for module in driver.clock_modules:
        monkeypatch.setattr(f"{module}.monotonic", clocks.monotonic)
        monkeypatch.setattr(f"{module}.wall", clocks.wall)
    return clocks


@pytest.fixture
def new_emulator(clocks: Clocks) -> Iterator[NewEmulator]:
    """Return a function that starts an `Emulator` with the settings it is given."""
    with ExitStack() as running:

        def start(**settings: Any) -> Emulator:
            settings = {"permission_lifetime": LIFETIME, "clock": clocks.service, **settings}
            return running.enter_context(Emulator(**settings))

        yield start


@pytest.fixture
def emulator(new_emulator: NewEmulator) -> Emulator:
    """A running emulator without a grace window: whoever presents a refresh token twice has lost the session."""
    return new_emulator()


@pytest.fixture
def new_session(driver: Driver) -> Iterator[NewSession]:
    """Return a function that makes a session with an emulator, to be established; all are closed after the test."""
    with ExitStack() as opened:

        def make(emulator: Emulator, **options: Any) -> HeldSession:
            options = {"policy": QUICK, **options}
            held = driver.make(
                options.pop("url", emulator.url),
                options.pop("token_id", TOKEN_ID),
                options.pop("permissions", PERMISSIONS),
                **options,
            )
            opened.callback(held.close)
            return held

        yield make


@pytest.fixture
def established(driver: Driver, new_session: NewSession, clocks: Clocks) -> Iterator[NewSession]:
    """Return a function that makes an established session with an emulator."""
    with ExitStack() as opened:

        def make(emulator: Emulator, **options: Any) -> HeldSession:
            policy = options.pop("policy", None)
            held = new_session(emulator, **options)
            held.establish([security_token(emulator, clocks.service)])
            if policy is None:
                return held
            # The policy is for what the test is about; on a busy machine its limits may be too tight for establish().
            held = driver.restore(held.snapshot(), policy=policy, **options)
            opened.callback(held.close)
            return held

        yield make


@pytest.fixture(params=[AsyncioWorld, TrioWorld], ids=["asyncio", "trio"])
def world(request: pytest.FixtureRequest) -> World:
    """Each world of tasks in turn, where a test counts turns."""
    made: World = request.param()
    return made
