import gc
import threading
from collections.abc import Iterator

import pytest
from tenure.transports.emulator import Emulator

from .helpers import SocketClient


@pytest.fixture
def emulator() -> Iterator[Emulator]:
    """A running emulator; after the test nothing of it is left."""
    with Emulator() as running:
        yield running
    assert leftovers() == []


@pytest.fixture
def client(emulator: Emulator) -> SocketClient:
    """A client of that emulator."""
    return SocketClient(emulator)


def leftovers() -> list[str]:
    """Return the names of the emulator's threads that are still alive."""
    gc.collect()  # a socket that was dropped instead of closed warns now, and warnings are errors
    return [thread.name for thread in threading.enumerate() if thread.name.startswith("tenure-emulator")]
