# A store in Redis, for many machines: one hash per session, one script and one round trip per operation. The scripts
# are in _scripts.py, what goes wrong is in _redis_errors.py.
#
# - Leases and ages are reckoned by the server's clock, which all who share a session agree on.
# - What an operation does is the same whether it is sent once or again, since a client may retry without telling us.
# - A lease that was asked for, but whose answer did not come, is asked for again by its id: it may have been given, and
#   nobody else would have it until it ends.
# - Durable means what the server makes of it: see `appendfsync`, and replicas, in its configuration. A lost write is
#   noticed, since versions are random: no state is taken for another.
#
# Deliberately not here: which server is the primary. That is the client's business (Sentinel, cluster).

import inspect
import json
import math
from typing import Any

from ... import Stored, UsageError
from . import LeaseLostError, StoreError
from ._arguments import Lease, check_key, check_state, check_ttl, encode, is_duration, new_version, own_lease

try:
    import redis
    from redis.backoff import NoBackoff
    from redis.retry import Retry
except ImportError as problem:
    raise ImportError("RedisStore needs redis, which is not installed: pip install 'tenure[redis]'") from problem

from . import _scripts
from ._redis_errors import FAILURES, explain

__all__ = ["RedisStore"]

_LOST = "somebody else took the lease when it had ended, or the session was deleted: acquire it anew"


class RedisLease(Lease):
    """A lease; what it is good for is decided by the server."""

    __slots__ = ()


class RedisStore:
    """Keeps each session in a hash of a Redis server or cluster, version 5 or later. See `Store`.

    Args:
        client: a `redis.Redis` or `redis.RedisCluster` of yours, with a socket_timeout. It may retry.
        prefix: what the names of the hashes begin with; the session's key follows.
        keep: seconds after which Redis forgets a session that nobody has taken the lease of, or None for never. It
            has to be longer than the refresh token lasts, or than anybody will still want the session.

    Raises:
        UsageError: an argument is unfit; the text says why, and what to do.
    """

    def __init__(
        self, client: "redis.Redis | redis.RedisCluster", *, prefix: str = "tenure:", keep: float | None = None
    ) -> None:
        _check_client(client)
        if not isinstance(prefix, str):
            raise UsageError("prefix must be a string")
        if keep is not None and not is_duration(keep):
            raise UsageError("keep must be a positive number of seconds, or None")
        self._client: Any = client
        self._prefix = prefix
        self._keep = _milliseconds(keep or 0)
        self._unanswered: dict[str, RedisLease] = {}
        self._load, self._acquire, self._renew, self._save, self._release = (
            self._client.register_script(text)
            for text in (_scripts.LOAD, _scripts.ACQUIRE, _scripts.RENEW, _scripts.SAVE, _scripts.RELEASE)
        )

    @classmethod
    def from_url(
        cls, url: str, *, prefix: str = "tenure:", keep: float | None = None, timeout: float = 2.0
    ) -> "RedisStore":
        """Return a store on the server at `url` (redis://, rediss:// or unix://), with a client of its own.

        The client waits at most `timeout` seconds to connect, and as long for an answer, and does not retry: who uses
        a session decides whether there is time for that.

        Raises:
            UsageError: it is no such url, or an argument is unfit.
        """
        check_ttl(timeout)
        try:
            client = redis.Redis.from_url(
                url, socket_timeout=timeout, socket_connect_timeout=timeout, retry=Retry(NoBackoff(), 0)
            )
        except (ValueError, TypeError, AttributeError):  # its text may hold the password
            raise UsageError("url must be like redis://host:6379/0, rediss://host or unix:///path/to/socket") from None
        return cls(client, prefix=prefix, keep=keep)

    def load(self, key: str) -> Stored:
        """See `Store.load`."""
        check_key(key)
        return self._stored(key, self._run(self._load, key, ""), None)

    def acquire(self, key: str, ttl: float, version: int | None = None) -> Stored:
        """See `Store.acquire`."""
        check_key(key)
        check_ttl(ttl)
        lease = self._unanswered.pop(key, None)  # by one at a time: two must not share an id
        if lease is None or lease.is_inherited:
            lease = RedisLease(key)
        expected = "" if version is None else version
        try:
            reply = self._run(self._acquire, key, lease.id, _milliseconds(ttl), expected, self._keep)
        except StoreError:
            self._unanswered[key] = lease
            raise
        return self._stored(key, reply, lease)

    def renew(self, lease: Any, ttl: float) -> None:
        """See `Store.renew`."""
        own = own_lease(lease, RedisLease)
        check_ttl(ttl)
        own.check()
        if not self._run(self._renew, own.key, own.id, _milliseconds(ttl), self._keep):
            raise LeaseLostError(_LOST)

    def save(self, lease: Any, state: dict[str, object], *, release: bool = False) -> int:
        """See `Store.save`."""
        own = own_lease(lease, RedisLease)
        check_state(state)
        data = encode(state)
        own.check()
        version = self._run(self._save, own.key, own.id, new_version(), data, int(release), self._keep)
        if version is None:
            raise LeaseLostError(_LOST)
        own.is_over = release
        return int(version)

    def release(self, lease: Any) -> None:
        """See `Store.release`."""
        own = own_lease(lease, RedisLease)
        if not own.is_over and not own.is_inherited:
            self._run(self._release, own.key, own.id)
            own.is_over = True

    def delete(self, key: str) -> None:
        """See `Store.delete`."""
        check_key(key)
        try:
            self._client.delete(self._prefix + key)
        except FAILURES as problem:
            raise StoreError(explain(problem)) from None

    def _run(self, script: Any, key: str, *arguments: object) -> Any:
        """Let the server run a script on a session's hash: one round trip, but for a server that does not know it."""
        try:
            return script(keys=[self._prefix + key], args=arguments)
        except FAILURES as problem:
            raise StoreError(explain(problem)) from None  # its own words may quote what was sent

    def _stored(self, key: str, reply: Any, lease: RedisLease | None) -> Stored:
        """Read the answer of a script; `lease` is the one that was asked for."""
        is_taken, interrupted, version, state, age = reply
        stored = Stored(None, 0, lease=lease if is_taken else None, interrupted=bool(interrupted))
        try:
            stored.version = int(version)
            if stored.version != 0:
                stored.state = dict(json.loads(state).items())
        except (ValueError, AttributeError, RecursionError):  # no JSON, or no dict
            where = f"what Redis holds under {self._prefix + key!r}"
            stored.problem = f"{where} is damaged, or was not written by this library: establish the session anew"
        stored.age = age / 1000 if age >= 0 and stored.version != 0 else None
        return stored

    def __repr__(self) -> str:
        return f"<{type(self).__name__} with prefix {self._prefix!r}>"


def _milliseconds(seconds: float) -> int:
    return math.ceil(seconds * 1000)


def _check_client(client: Any) -> None:
    """Raise UsageError unless the client is a blocking one whose operations end."""
    if not callable(getattr(client, "register_script", None)):
        raise UsageError("client must be a redis.Redis or redis.RedisCluster; from_url() takes a url")
    if inspect.iscoroutinefunction(client.execute_command):
        raise UsageError("client must be a blocking one (redis.Redis): async drivers call a store in a worker thread")
    of_cluster = getattr(client, "get_connection_kwargs", None)
    options = of_cluster() if of_cluster is not None else client.connection_pool.connection_kwargs
    if not options.get("socket_timeout"):
        raise UsageError("the client may wait for ever: give it a time-out, as in redis.Redis(…, socket_timeout=2)")
    if getattr(options.get("retry"), "_retries", 0) < 0:  # redis-py 5 has no public name for it
        raise UsageError("the client may retry for ever: give it a Retry with a limit, or none")
