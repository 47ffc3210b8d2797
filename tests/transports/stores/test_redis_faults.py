# RedisStore on a real server that fails: what its user is told, and that nothing is lost that the server still has.

import re
import secrets
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import redis
from redis import exceptions
from tenure.transports.stores import LeaseLostError, RedisStore, StoreError
from tenure.transports.stores.conformance.bench import until

from .redis_server import RedisServer, free_port

pytestmark = pytest.mark.once

KEY = "4f1c"
SECRET = "a-token-that-must-not-be-shown"
PATIENCE = 20.0  # seconds; never reached unless a test fails
NewServer = Callable[..., RedisServer]


@pytest.fixture
def new_server(tmp_path: Path) -> Iterator[NewServer]:
    """Return a function that makes servers with settings of their own."""
    servers: list[RedisServer] = []

    def make(**options: object) -> RedisServer:
        directory = tmp_path / f"server-{len(servers)}"
        directory.mkdir()
        servers.append(RedisServer(directory, **options))
        servers[-1].start()
        return servers[-1]

    yield make
    for server in servers:
        server.stop()


@pytest.fixture
def store(redis_server: RedisServer) -> RedisStore:
    return RedisStore.from_url(redis_server.url, timeout=PATIENCE)


@pytest.fixture
def hasty_store(redis_server: RedisServer) -> RedisStore:
    """For whoever waits until it gives up."""
    return RedisStore.from_url(redis_server.url, timeout=0.5)


def saved(store: RedisStore, number: int = 1) -> int:
    return store.save(store.acquire(KEY, 60).lease, {"number": number, "token": SECRET}, release=True)


def reason(operation: Callable[[], object]) -> str:
    """Return what the error says that is no lost lease; no secret is in it or behind it."""
    with pytest.raises(StoreError) as caught:
        operation()
    assert type(caught.value) is StoreError
    assert SECRET not in str(caught.value)
    assert caught.value.__cause__ is None  # a printed traceback would show the client's words
    assert caught.value.__suppress_context__
    return str(caught.value)


def every_operation(store: RedisStore, lease: Any) -> dict[str, Callable[[], object]]:
    return {
        "load": lambda: store.load(KEY),
        "acquire": lambda: store.acquire(KEY, 60),
        "renew": lambda: store.renew(lease, 60),
        "save": lambda: store.save(lease, {"token": SECRET}),
        "release": lambda: store.release(lease),
        "delete": lambda: store.delete(KEY),
    }


def test_unreachable(redis_server: RedisServer, store: RedisStore) -> None:
    """Nobody listens: every operation says so, and goes on when the server is back."""
    lease = store.acquire(KEY, 60).lease
    redis_server.stop()
    for operation in every_operation(store, lease).values():
        assert "cannot be reached" in reason(operation)
    redis_server.start()
    saved(store)


def test_paused(redis_server: RedisServer, store: RedisStore, hasty_store: RedisStore) -> None:
    """It accepts and does not answer: every operation ends at the time-out, and nobody knows what was done."""
    lease = store.acquire(KEY, 60).lease
    redis_server.pause()
    for operation in every_operation(hasty_store, lease).values():
        assert "may have acted or not" in reason(operation)
    redis_server.resume()
    assert store.load(KEY).problem is None


def test_nothing_is_retried_behind_the_callers_back() -> None:
    """`from_url`: a silent server is asked once; whether there is time for more is not the client's decision."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        store = RedisStore.from_url(f"redis://127.0.0.1:{listener.getsockname()[1]}", timeout=0.1)
        begun_at = time.monotonic()
        assert "did not answer in time" in reason(lambda: store.load(KEY))
        assert time.monotonic() - begun_at < 10  # the time-out is the one that was asked for
        listener.setblocking(False)
        listener.accept()[0].close()
        with pytest.raises(BlockingIOError):
            listener.accept()


def test_save_that_a_paused_server_does_later_is_not_undone(
    redis_server: RedisServer, store: RedisStore, hasty_store: RedisStore
) -> None:
    """What it was sent it still does when it goes on; asking again finds it done."""
    lease = store.acquire(KEY, 60).lease
    redis_server.pause()
    assert "may have acted or not" in reason(lambda: hasty_store.save(lease, {"number": 1}, release=True))
    redis_server.resume()
    version = store.save(lease, {"number": 1}, release=True)
    stored = store.load(KEY)
    assert (stored.state, stored.version) == ({"number": 1}, version)
    assert store.acquire(KEY, 60).lease is not None


def test_restarted_with_its_data(new_server: NewServer) -> None:
    """An append-only file that is flushed with each write: the state and the lease are as they were."""
    server = new_server(appendonly="yes", appendfsync="always")
    store = RedisStore.from_url(server.url, timeout=PATIENCE)
    version = saved(store)
    lease = store.acquire(KEY, 60).lease
    server.restart()
    stored = RedisStore.from_url(server.url, timeout=PATIENCE).acquire(KEY, 60)
    assert (stored.version, stored.lease) == (version, None)
    store.save(lease, {"number": 2}, release=True)  # also on the connection that it had, and without its scripts
    assert store.load(KEY).state == {"number": 2}
    assert not store.acquire(KEY, 60).interrupted


@pytest.mark.parametrize("lose_all", [RedisServer.restart, RedisServer.fail_over_to_empty])
def test_restarted_empty(redis_server: RedisServer, store: RedisStore, lose_all: Callable[[RedisServer], None]) -> None:
    """What was not persisted is gone, and with it the lease: it may be somebody else's by now."""
    saved(store)
    lease = store.acquire(KEY, 60).lease
    lose_all(redis_server)
    with pytest.raises(LeaseLostError):
        store.save(lease, {"number": 2})
    stored = store.acquire(KEY, 60)
    assert (stored.state, stored.version, stored.interrupted) == (None, 0, False)
    store.save(stored.lease, {"number": 2}, release=True)


def test_version_does_not_come_back_after_a_loss(redis_server: RedisServer, store: RedisStore) -> None:
    """Whoever knows the version from before the loss does not take another state for the one that it knows."""
    before = {saved(store) for _ in range(5)}
    redis_server.fail_over_to_empty()
    after = {saved(store) for _ in range(5)}
    assert len(before | after) == 10


def test_out_of_memory(redis_server: RedisServer, store: RedisStore) -> None:
    """It can be read, a lease given back and a session deleted; what needs room fails, and has changed nothing."""
    version = saved(store)
    lease = store.acquire(KEY, 60).lease
    redis_server.limit_memory()
    for name in ("renew", "save"):
        assert "out of memory" in reason(every_operation(store, lease)[name])
    assert "out of memory" in reason(lambda: store.acquire("other", 60))
    assert store.load(KEY).version == version
    store.release(lease)
    redis_server.limit_memory(0)
    stored = store.acquire(KEY, 60)
    assert (stored.version, stored.interrupted) == (version, False)
    store.save(stored.lease, {"number": 2})
    redis_server.limit_memory()
    store.delete(KEY)
    assert store.load(KEY).version == 0


def test_scripts_forgotten(redis_server: RedisServer, store: RedisStore) -> None:
    """SCRIPT FLUSH, or a failover to a server that never had them: they are sent again."""
    lease = store.acquire(KEY, 60).lease
    with redis_server.client() as client:
        client.script_flush()
    store.save(lease, {"number": 1})


def test_replica(redis_server: RedisServer, new_server: NewServer) -> None:
    """It can be read, and takes no lease; once it is promoted it does, with what it has got."""
    saved(RedisStore.from_url(redis_server.url, timeout=PATIENCE))
    redis_server.configure("repl-diskless-sync-delay", 0)
    replica = new_server(replicaof=f"127.0.0.1 {redis_server.port}")
    store = RedisStore.from_url(replica.url, timeout=PATIENCE)
    with replica.client() as client:
        until(lambda: client.info("replication")["master_link_status"] == "up")
        assert until(lambda: store.load(KEY).state) == {"number": 1, "token": SECRET}
        assert "connect to the primary" in reason(lambda: store.acquire(KEY, 60))
        assert "connect to the primary" in reason(lambda: store.delete(KEY))
        client.replicaof("NO", "ONE")
    saved(store, 2)


def test_loading(new_server: NewServer) -> None:
    """A server that has just started reads its file first, and says so."""
    server = new_server()
    with server.client() as client:
        client.mset({f"key-{number}": secrets.token_bytes(1024) for number in range(400)})  # it would compress others
        client.save()
    server.stop()
    server.options.update(key_load_delay=50_000, loading_process_events_interval_bytes=1024)
    server.start(wait=False)
    assert "wait until it has" in until(lambda: _said(RedisStore.from_url(server.url), "still loading"))


def _said(store: RedisStore, words: str) -> str:
    """Return what a look at the store fails with, if it is that."""
    try:
        store.load(KEY)
    except StoreError as problem:
        return str(problem) if words in str(problem) else ""
    return ""


def test_cluster_that_is_down(new_server: NewServer) -> None:
    """No node has the slot."""
    server = new_server(cluster_enabled="yes", cluster_port=free_port())
    assert "does not serve the slot" in reason(lambda: RedisStore.from_url(server.url, timeout=PATIENCE).load(KEY))


def test_cluster_needs_a_cluster_client(new_server: NewServer) -> None:
    """A plain client does not follow to the node that has the slot; one for a cluster does."""
    ports = free_port(), free_port()
    first, second = (new_server(cluster_enabled="yes", cluster_port=port) for port in ports)
    with first.client(decode_responses=True) as one, second.client() as two:
        slot = one.execute_command("CLUSTER KEYSLOT", f"tenure:{KEY}")
        one.execute_command("CLUSTER ADDSLOTSRANGE", 0, slot - 1, slot + 1, 16383)
        two.execute_command("CLUSTER ADDSLOTS", slot)
        one.execute_command("CLUSTER MEET", "127.0.0.1", second.port, ports[1])
        until(lambda: one.execute_command("CLUSTER INFO")["cluster_state"] == "ok")
        until(lambda: two.execute_command("CLUSTER INFO")["cluster_state"] == "ok")
    assert "redis.RedisCluster" in reason(lambda: RedisStore.from_url(first.url, timeout=PATIENCE).load(KEY))
    with redis.RedisCluster(host="127.0.0.1", port=first.port, socket_timeout=5) as cluster:
        saved(RedisStore(cluster))
    assert RedisStore.from_url(second.url, timeout=PATIENCE).load(KEY).state == {"number": 1, "token": SECRET}


def test_wrong_password(new_server: NewServer) -> None:
    """Refused, and the text says what to check, and not with what it was tried."""
    server = new_server(requirepass="right")
    url = f"redis://:{SECRET}@127.0.0.1:{server.port}"
    assert "check its name, password and ACL" in reason(lambda: RedisStore.from_url(url).load(KEY))
    assert "check its name, password and ACL" in reason(
        lambda: RedisStore.from_url(server.url, timeout=PATIENCE).load(KEY)
    )


def test_user_without_the_right(redis_server: RedisServer) -> None:
    """The ACL that the text asks for is sufficient, and without it the text says which is needed."""
    with redis_server.client() as client:
        client.execute_command("ACL", "SETUSER", "reader", "on", ">pw", "~tenure:*", "+hget")
    store = RedisStore.from_url(f"redis://reader:pw@127.0.0.1:{redis_server.port}")
    needed = re.findall(r"\b[A-Z]{3,}(?: LOAD)?\b", said := reason(lambda: store.load(KEY)))
    assert "on keys that begin with the prefix" in said
    rules = [f"+{name.lower().replace(' ', '|')}" for name in needed if name != "ACL"]
    with redis_server.client() as client:
        client.execute_command("ACL", "SETUSER", "user", "on", ">pw", "~tenure:*", *rules)
    store = RedisStore.from_url(f"redis://user:pw@127.0.0.1:{redis_server.port}", keep=60)
    saved(store)
    store.renew(store.acquire(KEY, 60).lease, 60)
    store.delete(KEY)


def test_disk_of_the_server_fails(new_server: NewServer) -> None:
    """A server that was told to save, and cannot, takes no writes (MISCONF)."""
    server = new_server()
    (server.directory / "dump.rdb").mkdir()
    store = RedisStore.from_url(server.url, timeout=PATIENCE)
    saved(store)
    with server.client() as client:
        client.config_set("save", "3600 1")
        client.bgsave()
        until(lambda: client.info("persistence")["rdb_last_bgsave_status"] == "err")
    assert "cannot save to its disk" in reason(lambda: store.acquire(KEY, 60))
    assert store.load(KEY).problem is None


def test_too_few_replicas(redis_server: RedisServer, store: RedisStore) -> None:
    """A server that was told to write only with replicas has none (NOREPLICAS)."""
    redis_server.configure("min-replicas-to-write", 1)
    assert "too few replicas" in reason(lambda: store.acquire(KEY, 60))


def test_no_failure_of_the_client_escapes(redis_server: RedisServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """redis-py has more than one root of errors; all of them become ours."""
    with redis_server.client() as client:
        store = RedisStore(client)
        for problem in (exceptions.RedisClusterException("x"), exceptions.DataError("x"), ConnectionResetError()):

            def fail(*arguments: object, _problem: Exception = problem, **options: object) -> None:
                raise _problem

            monkeypatch.setattr(redis.Redis, "execute_command", fail)
            for operation in (lambda: store.load(KEY), lambda: store.delete(KEY)):
                assert reason(operation)
        monkeypatch.undo()
