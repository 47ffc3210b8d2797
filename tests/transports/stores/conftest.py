# What the tests of the stores share: Redis servers.

from collections.abc import Iterator

import pytest

from .redis_server import RedisServer, redis_server

__all__ = ["quiet_redis", "redis_server"]


@pytest.fixture(scope="session")
def quiet_redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    """One server for all tests that only use it as it is."""
    with RedisServer(tmp_path_factory.mktemp("redis")) as server:
        yield server
