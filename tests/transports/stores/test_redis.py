# RedisStore: its arguments, what it asks of a server, and what a second sending of the same does. That it keeps the
# contract is in test_conformance.py, what it makes of a server's faults in test_redis_faults.py.

import os
import signal
from typing import Any

import pytest
import redis
import redis.asyncio
from redis.backoff import NoBackoff
from redis.retry import Retry
from tenure import UsageError
from tenure.transports.stores import LeaseLostError, RedisStore, StoreError
from tenure.transports.stores.conformance.bench import acquire, until
from tenure.transports.stores.conformance.processes import OtherProcess

from ..forking import in_child
from . import recipes
from .redis_server import RedisServer

KEY = "4f1c"
PASSWORD = "a-password-that-must-not-be-shown"


@pytest.fixture
def store(redis_server: RedisServer) -> RedisStore:
    return RedisStore.from_url(redis_server.url, timeout=20)


def saved(store: RedisStore, number: int = 1) -> int:
    return store.save(store.acquire(KEY, 60).lease, {"number": number}, release=True)


def test_a_session_is_one_hash_with_the_prefix(redis_server: RedisServer) -> None:
    """One key, so one slot of a cluster; those who share a server choose prefixes."""
    store = RedisStore.from_url(redis_server.url, prefix="mine:", timeout=20)
    saved(store)
    assert RedisStore.from_url(redis_server.url, timeout=20).load(KEY).state is None
    with redis_server.client(decode_responses=True) as client:
        assert client.keys() == [f"mine:{KEY}"]
        assert client.type(f"mine:{KEY}") == "hash"
        store.delete(KEY)
        assert client.keys() == []


def test_lease_alone_leaves_nothing_behind(redis_server: RedisServer, store: RedisStore) -> None:
    """When it is given back, and nothing was saved, the key is gone."""
    store.release(store.acquire(KEY, 60).lease)
    with redis_server.client() as client:
        assert client.keys() == []


def test_each_operation_is_one_command(redis_server: RedisServer, store: RedisStore) -> None:
    """One round trip each, once the server knows the scripts and a connection is open."""

    def all_operations() -> list[int]:
        lease: list[Any] = []
        operations = (
            lambda: store.load(KEY),
            lambda: lease.append(store.acquire(KEY, 60).lease),
            lambda: store.renew(lease[0], 60),
            lambda: store.save(lease[0], {}),
            lambda: store.release(lease[0]),
            lambda: store.delete(KEY),
        )
        sent = []
        for operation in operations:
            before = calls()
            operation()
            sent.append(calls() - before)
        return sent

    def calls() -> int:
        with redis_server.client() as client:
            statistics = client.info("commandstats")
        return sum(int(statistics[name]["calls"]) for name in ("cmdstat_evalsha", "cmdstat_del") if name in statistics)

    all_operations()
    assert all_operations() == [1] * 6


def test_age_is_reckoned_by_the_server(store: RedisStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """No clock of this machine is looked at."""
    saved(store)
    for name in ("time", "monotonic"):
        monkeypatch.setattr(f"time.{name}", lambda: 0.0)
    age = store.load(KEY).age
    monkeypatch.undo()
    assert age is not None
    assert 0 <= age < 60
    assert until(lambda: (store.load(KEY).age or 0) > age)


def test_age_is_unknown_when_the_servers_clock_went_back(redis_server: RedisServer, store: RedisStore) -> None:
    """After a failover to a server whose clock is behind."""
    saved(store)
    with redis_server.client() as client:
        client.hset(f"tenure:{KEY}", "saved_at", str(10**15))
    assert store.load(KEY).age is None


def test_untouched_session_is_forgotten_after_keep(redis_server: RedisServer) -> None:
    """Counted anew from each time that its lease is taken, renewed, or its state saved."""
    store = RedisStore.from_url(redis_server.url, keep=1000, timeout=20)
    with redis_server.client() as client:

        def left() -> int:
            seconds = int(client.ttl(f"tenure:{KEY}"))
            client.expire(f"tenure:{KEY}", 500)
            return seconds

        lease = store.acquire(KEY, 60).lease
        assert 990 < left() <= 1000
        store.renew(lease, 2000)
        assert 1990 < left() <= 2000  # a lease is not forgotten before its end
        store.save(lease, {}, release=True)
        assert 990 < left() <= 1000
        store.load(KEY)
        assert left() <= 500


def test_session_is_kept_for_ever_by_default(redis_server: RedisServer, store: RedisStore) -> None:
    """`keep=None`: Redis forgets nothing by itself."""
    saved(store)
    with redis_server.client() as client:
        assert client.ttl(f"tenure:{KEY}") == -1


# Arguments.


@pytest.mark.parametrize("keep", [0, -1, float("nan"), float("inf"), "1"])
def test_wrong_keep_is_refused(redis_server: RedisServer, keep: Any) -> None:
    """A number of seconds, or None."""
    with pytest.raises(UsageError):
        RedisStore.from_url(redis_server.url, keep=keep)


def test_client_that_may_wait_for_ever_is_refused() -> None:
    """`Store`: every operation ends in bounded time."""
    endless = Retry(NoBackoff(), -1)
    for client in (redis.Redis(socket_timeout=None), redis.Redis(socket_timeout=1, retry=endless)):
        with pytest.raises(UsageError, match="for ever"):
            RedisStore(client)


def test_client_of_another_kind_is_refused() -> None:
    """A url has from_url; a store is called in a worker thread, where there is no loop for an async client."""
    wrong: list[Any] = ["redis://127.0.0.1", None, redis.asyncio.Redis(socket_timeout=1)]
    for client in wrong:
        with pytest.raises(UsageError):
            RedisStore(client)


@pytest.mark.parametrize(
    "url",
    [
        "",
        None,
        7,
        f"http://:{PASSWORD}@127.0.0.1",
        f"redis://:{PASSWORD}:x@127.0.0.1:port",
        f"redis://:{PASSWORD}@127.0.0.1?socket_timeout={PASSWORD}",
        f"redis://:{PASSWORD}@127.0.0.1?socket_timeout=0",
    ],
)
def test_wrong_url_is_refused_without_its_password(url: Any) -> None:
    """The text says what a url looks like, and not what this one was."""
    with pytest.raises(UsageError) as caught:
        RedisStore.from_url(url)
    assert PASSWORD not in repr(caught.value)
    assert caught.value.__cause__ is None


def test_password_of_a_url_is_not_shown() -> None:
    """Neither by the store nor by an error, whether or not there is a server."""
    store = RedisStore.from_url(f"redis://user:{PASSWORD}@127.0.0.1:1/0")
    with pytest.raises(StoreError) as caught:
        store.load(KEY)
    assert PASSWORD not in f"{store!r}{caught.value!r}{caught.value.__cause__!r}"


# The answer was lost, and the client sends the same once more, by itself or because the core asks again.


class LosesAnswers(redis.Redis):
    """Sends everything twice, as a client does that did not get the first answer."""

    def execute_command(self, *arguments: Any, **options: Any) -> Any:
        super().execute_command(*arguments, **options)  # type: ignore[no-untyped-call]
        return super().execute_command(*arguments, **options)  # type: ignore[no-untyped-call]


def test_everything_may_be_sent_twice(redis_server: RedisServer) -> None:
    """The second answer is as the first: the lease is ours, the interruption told, the version what is stored."""
    with LosesAnswers(port=redis_server.port, socket_timeout=5) as client:
        twice, once = RedisStore(client), RedisStore.from_url(redis_server.url, timeout=20)
        once.acquire(KEY, 0.001)
        stored = acquire(twice, KEY)
        assert stored.interrupted
        twice.renew(stored.lease, 60)
        version = twice.save(stored.lease, {"a": 1})
        assert once.load(KEY).version == version
        version = twice.save(stored.lease, {"a": 2}, release=True)
        assert (once.load(KEY).version, once.load(KEY).state) == (version, {"a": 2})
        stored = twice.acquire(KEY, 60, version)
        assert stored.lease is not None
        assert not stored.interrupted
        twice.release(stored.lease)
        assert once.acquire(KEY, 60).lease is not None
        twice.delete(KEY)
        assert once.load(KEY).version == 0


class LosesAnAnswer(redis.Redis):
    """Loses the answer to the next command, when it is told to."""

    is_losing = False

    def execute_command(self, *arguments: Any, **options: Any) -> Any:
        answer = super().execute_command(*arguments, **options)  # type: ignore[no-untyped-call]
        if self.is_losing:
            self.is_losing = False
            raise redis.TimeoutError
        return answer


def test_save_that_was_done_may_be_asked_for_again(redis_server: RedisServer) -> None:
    """Even when the lease is over with it: until somebody else saves, it is the same save, and done."""
    with LosesAnAnswer(port=redis_server.port, socket_timeout=5) as client:
        store, other = RedisStore(client), RedisStore.from_url(redis_server.url, timeout=20)
        saved(store, 0)
        lease = store.acquire(KEY, 60).lease
        client.is_losing = True
        with pytest.raises(StoreError, match="may have acted or not"):
            store.save(lease, {"number": 1}, release=True)
        theirs = other.acquire(KEY, 60)
        assert theirs.lease is not None
        assert store.save(lease, {"number": 1}, release=True) == theirs.version
        assert other.load(KEY).state == {"number": 1}


def test_save_that_was_done_is_lost_when_others_have_saved(redis_server: RedisServer) -> None:
    """Then what is stored is newer, and has to be looked at."""
    with LosesAnAnswer(port=redis_server.port, socket_timeout=5) as client:
        store, other = RedisStore(client), RedisStore.from_url(redis_server.url, timeout=20)
        saved(store, 0)
        for release in (False, True):
            lease = store.acquire(KEY, 60).lease
            client.is_losing = True
            with pytest.raises(StoreError):
                store.save(lease, {"number": 1}, release=True)
            other.save(other.acquire(KEY, 60).lease, {"number": 2}, release=release)
            with pytest.raises(LeaseLostError):
                store.save(lease, {"number": 1}, release=True)
            assert other.load(KEY).state == {"number": 2}
            other.delete(KEY)


def test_process_paused_beyond_its_lease_overwrites_nothing(redis_server: RedisServer, store: RedisStore) -> None:
    """DESIGN.md, Sharing a session: SIGSTOP, the lease ends, another rotates, SIGCONT, and the save comes too late."""
    with OtherProcess(f"{recipes.__name__}:redis_store", [redis_server.url]) as other:
        assert other.tell("acquire", KEY, 0.2) == "taken"
        other.process.send_signal(signal.SIGSTOP)
        os.waitid(os.P_PID, other.process.pid, os.WSTOPPED | os.WNOWAIT)
        other.ask("save", KEY, "too late")
        stored = acquire(store, KEY)
        assert stored.interrupted
        store.save(stored.lease, {"text": "newer"}, release=True)
        other.process.send_signal(signal.SIGCONT)
        assert other.answer() == "lost"
    assert store.load(KEY).state == {"text": "newer"}


def test_child_has_none_of_its_parents_leases(store: RedisStore) -> None:
    """`Store`: after fork() a lease is the parent's alone, though the server could not tell the two apart."""
    lease = store.acquire(KEY, 60).lease

    def job() -> int:
        refused = 0
        for use in (lambda: store.save(lease, {"from": "child"}), lambda: store.renew(lease, 60)):
            try:
                use()
            except LeaseLostError:
                refused += 1
        store.release(lease)
        return refused

    assert in_child(job) == 2
    assert store.load(KEY).state is None
    store.save(lease, {"from": "parent"})
