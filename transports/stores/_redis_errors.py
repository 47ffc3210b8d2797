# What the errors of redis-py mean, and what to do about each. The words of a server are not passed on: it quotes what
# it was sent. Nor is an address: it may come with a password.

import re

from redis import exceptions

__all__ = ["FAILURES", "explain"]

# Not all of them have one root.
FAILURES = (exceptions.RedisError, exceptions.RedisClusterException, OSError, UnicodeDecodeError)

_REFUSED = (
    "Redis refuses this user: check its name, password and ACL (EVALSHA, SCRIPT LOAD, TIME, HGET, HMGET, HSET, HDEL, "
    "PEXPIRE and DEL, on keys that begin with the prefix)"
)
_FULL = "Redis is out of memory: raise its maxmemory, or make room (an eviction policy would forget sessions)"
_REPLICA = "this Redis is a replica, which takes no writes: connect to the primary (a Sentinel client finds it)"
_CLUSTER = "this Redis is one node of a cluster: give a redis.RedisCluster as the client"
_DOWN = "the cluster does not serve the slot of this session: see CLUSTER INFO, and wait until it does"

# The first that fits counts: some are subclasses of others further down.
_BY_CLASS: "tuple[tuple[type[Exception], str], ...]" = (
    (exceptions.AuthenticationError, _REFUSED),
    (exceptions.AuthorizationError, _REFUSED),
    (exceptions.NoPermissionError, _REFUSED),
    (exceptions.BusyLoadingError, "Redis is still loading its data: wait until it has"),
    (exceptions.OutOfMemoryError, _FULL),
    (exceptions.ReadOnlyError, _REPLICA),
    (exceptions.MasterDownError, "this Redis is a replica that has lost its primary: wait, or promote one"),
    (exceptions.ClusterDownError, _DOWN),
    (exceptions.AskError, _CLUSTER),
    (exceptions.RedisClusterException, _DOWN),
    (
        exceptions.TimeoutError,
        "Redis did not answer in time, and may have acted or not: see whether it is overloaded, or the network is slow",
    ),
    (
        exceptions.ConnectionError,
        "Redis cannot be reached, or has hung up: check that it runs where the client looks for it, its number of "
        "connections and the client's",
    ),
    (UnicodeDecodeError, "Redis answered what the client cannot decode: give one without decode_responses"),
)
# By the code with which an answer begins; in a script's error it stands further on.
_BY_CODE = (
    ("OOM", _FULL),
    ("READONLY", _REPLICA),
    ("WRONGTYPE", "something else is stored under this name: delete it, or choose another prefix"),
    ("MISCONF", "Redis takes no writes since it cannot save to its disk: see its log, and make room there"),
    ("NOREPLICAS", "Redis takes no writes since too few replicas follow it: see min-replicas-to-write"),
    ("CLUSTERDOWN", _DOWN),
    ("MOVED", _CLUSTER),  # to a plain client of redis-py 5
    ("BUSY", "Redis is busy with a script that does not end: SCRIPT KILL ends it"),
    ("NOAUTH", _REFUSED),
    ("NOPERM", _REFUSED),
)


def explain(problem: Exception) -> str:
    """Return what is wrong and what to do, in our words."""
    for kind, reason in _BY_CLASS:
        if isinstance(problem, kind):
            return reason
    words = set(re.findall(r"[A-Z]{3,}", str(problem)))
    for code, reason in _BY_CODE:
        if code in words:
            return reason
    return f"Redis, or its client, failed with {type(problem).__name__}: see the server's log"
