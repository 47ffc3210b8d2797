# What the errors of redis-py mean, where a small server cannot be brought to say so. The others are in
# test_redis_faults.py.

import pytest
from redis import exceptions
from tenure.transports.stores._redis_errors import explain

SECRET = "a-token-that-must-not-be-shown"


@pytest.mark.parametrize(
    ("problem", "words"),
    [
        (exceptions.ResponseError("ERR Error running script: @user_script: 3: -OOM command not allowed"), "maxmemory"),
        (exceptions.MasterDownError("Link with MASTER is down"), "lost its primary"),
        (exceptions.MovedError("866 127.0.0.1:7001"), "RedisCluster"),
        (exceptions.SlotNotCoveredError("slot"), "does not serve the slot"),
        (exceptions.ResponseError("BUSY Redis is busy running a script"), "SCRIPT KILL"),
        (
            exceptions.ResponseError(f"ERR unknown command 'EVALSHA', with args beginning with: '{SECRET}'"),
            "failed with",
        ),
        (exceptions.InvalidResponse(f"Protocol Error: {SECRET}"), "failed with InvalidResponse"),
        (exceptions.ConnectionError(f"Error connecting to redis://:{SECRET}@host"), "cannot be reached"),
        (UnicodeDecodeError("utf-8", b"\xff", 0, 1, "invalid start byte"), "decode_responses"),
        (OSError(SECRET), "failed with OSError"),
    ],
)
def test_other_failures_are_explained_without_their_words(problem: Exception, words: str) -> None:
    """A server's own words may quote what it was sent."""
    said = explain(problem)
    assert words in said
    assert SECRET not in said
