# Shells that share a session through Redis, and through encryption.

from pathlib import Path

import pytest
from cryptography.fernet import Fernet
from tenure.transports.emulator import Emulator

from ..stores.redis_server import RedisServer, redis_server
from .conftest import TOKEN_ID, GrowOlder
from .helpers import use_resource
from .shells import DEAD, Shells

pytestmark = pytest.mark.once

__all__ = ["redis_server"]

MANY = 16
PASSWORD = "with / and @ in it"


@pytest.fixture
def strangers(redis_server: RedisServer, service: Emulator, tmp_path: Path) -> Shells:
    """Shells whose store is a Redis."""
    return Shells(tmp_path, service, redis_server.url)


def test_many_shells_at_a_dead_token_refresh_once(shells: Shells, grow_older: GrowOlder) -> None:
    """Invariants 1 and 5 across processes, as with files."""
    grow_older(DEAD)
    ended = shells.run_at_once(MANY, "token")
    assert {(err, code) for _, err, code in ended} == {("", 0)}
    assert {out for out, _, _ in ended} == {shells.token() + "\n"}
    assert shells.refreshes() == ["refreshed"]
    assert use_resource(shells.emulator, shells.token()) == 200


def test_fresh_tokens_ask_nobody(shells: Shells, redis_server: RedisServer) -> None:
    """The service sees nothing."""
    before = len(shells.emulator.journal)
    assert len({shells.token() for _ in range(3)}) == 1
    assert len(shells.emulator.journal) == before


def test_a_redis_that_wants_a_password(shells: Shells, redis_server: RedisServer) -> None:
    """TENURE_REDIS_PASSWORD, never the url: in no argument and in no profile."""
    redis_server.configure("requirepass", PASSWORD)
    out, err, code = shells.run("token")
    assert (out, code) == ("", 1)
    assert err.startswith(f"tenure token: the store {redis_server.url} failed: Redis refuses this user")
    shells.variables["TENURE_REDIS_PASSWORD"] = PASSWORD
    assert shells.token()
    assert shells.run("refresh") == ("", "", 0)
    kept = "".join(path.read_text() for path in shells.config.rglob("*.json"))
    assert PASSWORD not in kept + shells.run("status")[0]


def test_a_redis_that_is_away(shells: Shells, redis_server: RedisServer) -> None:
    """Exit code 1: which store, and what may be the matter."""
    redis_server.stop()
    for command in ("token", "status", "refresh", "logout"):
        out, err, code = shells.run(command)
        assert (out, code) == ("", 1)
        assert redis_server.url in err
        assert "Redis cannot be reached" in err
    redis_server.start()
    out, err, code = shells.run("token")
    assert (out, code) == ("", 3)  # it has forgotten everything
    shells.log_in()
    assert shells.token()


def test_logout_is_for_all_machines(shells: Shells, redis_server: RedisServer) -> None:
    """Nothing is left in Redis."""
    shells.run("logout")
    with redis_server.client() as client:
        assert client.dbsize() == 0


def test_what_is_stored_can_be_encrypted(shells: Shells, redis_server: RedisServer) -> None:
    """TENURE_STORE_KEY: nothing is in clear; the wrong key, or none, is told from a damaged state."""
    token = shells.token()
    out, err, code = shells.run("token", TENURE_STORE_KEY=Fernet.generate_key().decode())
    assert (out, code) == ("", 3)
    assert "is not encrypted" in err
    old, new = Fernet.generate_key().decode(), Fernet.generate_key().decode()
    shells.variables["TENURE_STORE_KEY"] = old
    shells.run("login", TENURE_PASSWORD=shells.emulator.credentials.password)
    token = shells.token()
    with redis_server.client() as client:
        (name,) = client.keys()
        assert token.encode() not in b"".join(client.hgetall(name).values())
    shells.variables["TENURE_STORE_KEY"] = f"{new}, {old}"
    assert shells.token() == token
    assert '"encrypted": true' in shells.run("status", "--json")[0]
    assert shells.run("refresh")[2] == 0
    shells.variables["TENURE_STORE_KEY"] = new
    assert shells.token() != token
    for wrong, words in ((old, "cannot be decrypted with any of the keys"), ("", "set TENURE_STORE_KEY")):
        out, err, code = shells.run("token", TENURE_STORE_KEY=wrong)
        assert (out, code) == ("", 3)
        assert words in err
        assert new not in err


@pytest.mark.parametrize("keys", ["nonsense", "x,y", ","])
def test_a_key_that_is_none(keys: str, shells: Shells) -> None:
    """Exit code 2, and it is not shown."""
    out, err, code = shells.run("token", TENURE_STORE_KEY=keys)
    assert (out, code) == ("", 2)
    assert err.startswith("tenure token: TENURE_STORE_KEY is of no use: ")
    assert "nonsense" not in err
    assert TOKEN_ID not in err
