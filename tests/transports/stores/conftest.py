# What the tests of the stores share: a store of files, and a Redis server.

from collections.abc import Iterator
from pathlib import Path

import pytest
from tenure.transports.stores import FileStore

from .redis_server import RedisServer, redis_server

__all__ = ["directory", "quiet_redis", "redis_server", "store"]


@pytest.fixture(scope="session")
def quiet_redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    """One server for all tests that only use it as it is."""
    with RedisServer(tmp_path_factory.mktemp("redis")) as server:
        yield server


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    """Where a store of files is."""
    return tmp_path / "sessions"


@pytest.fixture
def store(directory: Path) -> FileStore:
    """A store of files; the tests of another store have a fixture of their own."""
    return FileStore(directory)
