# What the stores have in common: which arguments are fit, and what makes a lease ours. Nothing here touches a file or a
# server, and no text names a value that may be secret.

import json
import math
import os
import threading
from typing import Any, TypeVar

from ... import UsageError
from . import LeaseLostError

__all__ = ["Lease", "check_key", "check_state", "check_ttl", "encode", "is_duration", "new_version", "own_lease"]

LONGEST_LEASE = 86_400.0  # seconds; an exchange takes less than a minute
LARGEST_STATE = 512 * 1024  # bytes; a state has a few thousand


class Lease:
    """Proof that a lease was taken, for as long as it is neither given back nor lost.

    Attributes:
        key: what it is the lease of.
        id: random, so that the store knows it again.
        is_over: it was given back.
        guard: held by a thread while it uses the lease.
    """

    __slots__ = ("key", "id", "is_over", "guard", "_process")

    def __init__(self, key: str) -> None:
        self.key = key
        self.id = os.urandom(16).hex()
        self.is_over = False
        self.guard = threading.Lock()
        self._process = os.getpid()

    @property
    def is_inherited(self) -> bool:
        """True in a child of the process that took the lease: it is still the parent's."""
        return self._process != os.getpid()

    def check(self) -> None:
        """Raise LeaseLostError where it is known without asking that the lease is not ours."""
        if self.is_inherited:
            raise LeaseLostError("the lease belongs to the process that forked this one: acquire another")
        if self.is_over:
            raise LeaseLostError("the lease was given back: acquire another")


LeaseType = TypeVar("LeaseType", bound=Lease)


def own_lease(lease: Any, kind: type[LeaseType]) -> LeaseType:
    """Return `lease`, if it is what a store of this kind gave."""
    if not isinstance(lease, kind):
        raise UsageError(f"lease must be one that this store gave, not {type(lease).__name__}")
    return lease


def check_key(key: object) -> None:
    """Raise UsageError unless `key` is fit to be a key."""
    if not isinstance(key, str) or not key or len(key) > 1024 or not key.isprintable():
        raise UsageError("a key must be a string of 1 to 1024 printable characters")


def is_duration(value: object) -> bool:
    """Return whether `value` is a positive number of seconds, and not infinitely many."""
    return isinstance(value, int | float) and 0 < value < math.inf  # which also excludes what is no number


def check_ttl(ttl: float) -> None:
    """Raise UsageError unless `ttl` is a number of seconds that a lease may last."""
    if not is_duration(ttl) or ttl > LONGEST_LEASE:
        raise UsageError(f"ttl must be a number of seconds above 0 and at most {LONGEST_LEASE:.0f}")


def check_state(state: object) -> None:
    """Raise UsageError unless `state` is a dict. What is in it is found out by `encode`."""
    if not isinstance(state, dict):
        raise UsageError(f"a state must be a dict, not {type(state).__name__}")


def encode(content: dict[str, object]) -> bytes:
    """Return `content` as JSON in ASCII, or raise UsageError if that cannot be."""
    try:
        data = json.dumps(content, allow_nan=False, separators=(",", ":")).encode("ascii")
    except (TypeError, ValueError, RecursionError):
        raise UsageError("the state holds something that JSON cannot") from None
    if len(data) > LARGEST_STATE:
        raise UsageError(f"the state is larger than {LARGEST_STATE} bytes of JSON")
    return data


def new_version() -> int:
    """Return a version: random rather than counted, so that none comes back after a loss of what is stored.

    A replica that is promoted with the last save missing, or an empty instance, would count up to the same number once
    more, and whoever remembers it would take another state for the one that it knows. Below 2**53, which JSON and Lua
    hold exactly.
    """
    return int.from_bytes(os.urandom(7), "big") >> 3 or 1
