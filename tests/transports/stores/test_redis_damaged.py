# RedisStore: what somebody else has put under the name of a session is no error if it can be replaced.

import pytest
from tenure.transports.stores import RedisStore, StoreError

from .redis_server import RedisServer

KEY = "4f1c"
SECRET = "a-token-that-must-not-be-shown"


@pytest.fixture
def store(redis_server: RedisServer) -> RedisStore:
    return RedisStore.from_url(redis_server.url, timeout=20)


def saved(store: RedisStore) -> None:
    store.save(store.acquire(KEY, 60).lease, {"number": 1}, release=True)


def test_something_else_under_the_key(redis_server: RedisServer, store: RedisStore) -> None:
    """Another program's value is neither read nor overwritten."""
    with redis_server.client() as client:
        client.set(f"tenure:{KEY}", SECRET)
        with pytest.raises(StoreError, match="another prefix"):
            store.load(KEY)
        with pytest.raises(StoreError, match="another prefix"):
            store.acquire(KEY, 60)
        assert client.get(f"tenure:{KEY}") == SECRET.encode()


@pytest.mark.parametrize("decode", [False, True])
@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("state", b""),
        ("state", b'{"a":'),
        ("state", b"[]"),
        ("state", b"1"),
        ("state", b"\xff\xfe\x00"),
        ("state", b"[" * 100_000),
        ("version", b"x"),
        ("version", b"1.5"),
        ("version", b""),
    ],
)
def test_damaged_state_is_a_problem_and_can_be_replaced(
    redis_server: RedisServer, decode: bool, field: str, value: bytes
) -> None:
    """Whatever somebody has put there: it is reported, the lease can be had, and the next save makes it good."""
    with redis_server.client(decode_responses=decode) as client:
        store = RedisStore(client)
        saved(store)
        client.hset(f"tenure:{KEY}", field, value)
        stored = store.acquire(KEY, 60)
        assert stored.state is None
        assert stored.problem is not None
        assert "establish the session anew" in stored.problem
        store.save(stored.lease, {"number": 2}, release=True)
        assert store.load(KEY).state == {"number": 2}


def test_damaged_lease_can_be_taken(redis_server: RedisServer, store: RedisStore) -> None:
    """A lease without a readable end has ended."""
    saved(store)
    with redis_server.client() as client:
        for end in ("x", ""):
            client.hset(f"tenure:{KEY}", mapping={"lease": "somebody's", "ends_at": end, "saved_at": end})
            stored = store.acquire(KEY, 60)
            assert stored.lease is not None
            assert stored.interrupted
            assert stored.age is None
