# The stores of this library keep the contract, which is stated in `tenure.transports.stores.conformance`.

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import redis
from tenure.transports.stores import EncryptedStore, RedisStore, Store
from tenure.transports.stores.conformance import LapsingLeases, ManyProcesses, StoreConformance
from tenure.transports.stores.conformance.bench import until

from . import recipes
from .redis_server import RedisServer, free_port

KEYS = [EncryptedStore.generate_key(), EncryptedStore.generate_key()]


class _ByRecipe(ManyProcesses):
    """Makes each store, also in this process, by a function of recipes.py."""

    function = ""
    arguments: list[Any]

    def recipe(self) -> tuple[str, list[Any]]:
        return f"{recipes.__name__}:{self.function}", self.arguments

    def new_store(self) -> Store:
        store: Store = getattr(recipes, self.function)(*self.arguments)
        return store


class TestFileStore(StoreConformance, _ByRecipe):
    function = "file_store"

    @pytest.fixture(autouse=True)
    def _set_up(self, tmp_path: Path) -> None:
        self.arguments = [str(tmp_path / "sessions")]


@pytest.mark.once
class TestEncryptedFileStore(StoreConformance, _ByRecipe):
    function = "encrypted_file_store"

    @pytest.fixture(autouse=True)
    def _set_up(self, tmp_path: Path) -> None:
        self.arguments = [str(tmp_path / "sessions"), *KEYS]


class TestRedisStore(StoreConformance, LapsingLeases, _ByRecipe):
    function = "redis_store"

    @pytest.fixture(autouse=True)
    def _set_up(self, quiet_redis: RedisServer) -> None:
        self.arguments = [quiet_redis.url]


@pytest.mark.once
class TestEncryptedRedisStore(StoreConformance, LapsingLeases, _ByRecipe):
    function = "encrypted_redis_store"

    @pytest.fixture(autouse=True)
    def _set_up(self, quiet_redis: RedisServer) -> None:
        self.arguments = [quiet_redis.url, *KEYS]


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    """A cluster of one node, which has all slots."""
    with RedisServer(tmp_path_factory.mktemp("cluster"), cluster_enabled="yes", cluster_port=free_port()) as server:
        with server.client() as client:
            client.execute_command("CLUSTER ADDSLOTSRANGE", 0, 16383)
            until(lambda: client.execute_command("CLUSTER INFO")["cluster_state"] == "ok")
        yield server


@pytest.mark.once
class TestRedisStoreOnACluster(StoreConformance, LapsingLeases):
    """Each key goes to the node that has its slot; the scripts touch one key only."""

    @pytest.fixture(autouse=True)
    def _set_up(self, cluster: RedisServer) -> Iterator[None]:
        with redis.RedisCluster(port=cluster.port, host="127.0.0.1", socket_timeout=20) as self.client:
            yield

    def new_store(self) -> RedisStore:
        return RedisStore(self.client)


@pytest.mark.once
class TestRedisStoreWithDecodedResponses(StoreConformance, LapsingLeases):
    """It does not matter whether the client decodes what it is answered, nor in which protocol it is."""

    @pytest.fixture(autouse=True, params=[2, 3])
    def _set_up(self, request: pytest.FixtureRequest, quiet_redis: RedisServer) -> Iterator[None]:
        with quiet_redis.client(decode_responses=True, protocol=request.param) as self.client:
            yield

    def new_store(self) -> RedisStore:
        return RedisStore(self.client)
