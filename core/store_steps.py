# What the core asks of a store, and what a store answers. Only a session that is shared through one loads this file.
#
# A driver calls `step.ask(store)` where it may block, and reports what that returns with the protocol's method that the
# step names. Whatever it raises becomes a `SendFailure`: LEASE_LOST if that is what the store says, else STORE_FAILED.
# A store never waits for a lease: who waits, how long, and what for, is decided in shared.py.

__all__ = ["Stored", "LoadState", "AcquireLease", "RenewLease", "SaveState", "ReleaseLease", "AbandonLease"]


class Stored:
    """What a store holds under a key, as it was at one moment.

    Attributes:
        state: the dict that was saved last, or None if there is none. Holds secrets.
        version: changes with every save; 0 if there is no state. Only equality means something.
        lease: the store's own proof that the lease is ours now, or None if it is not.
        interrupted: the lease before this one ended by itself: its holder may have sent a request and never told.
        age: seconds since the state was saved, on a clock of the store's that all who share it agree on, or None.
        problem: why there is a state that cannot be read, in words without secrets, or None.
    """

    __slots__ = ("state", "version", "lease", "interrupted", "age", "problem")

    def __init__(
        self,
        state: "dict[str, object] | None",
        version: int,
        *,
        lease: "Any" = None,
        interrupted: bool = False,
        age: "float | None" = None,
        problem: "str | None" = None,
    ) -> None:
        self.state = state
        self.version = version
        self.lease = lease
        self.interrupted = interrupted
        self.age = age
        self.problem = problem

    def __repr__(self) -> str:
        return f"<Stored version {self.version}{', leased' if self.lease is not None else ''}>"


class LoadState:
    """Read what is stored under `key`, without its lease; report it with `receive_state`."""

    __slots__ = ("key",)
    reports = ("state", "failure")

    def __init__(self, key: str) -> None:
        self.key = key

    def ask(self, store: "Any") -> "Any":
        """Return what the store returns."""
        return store.load(self.key)


class AcquireLease:
    """Take the lease of `key` for `ttl` seconds, if it is free and the version still `version` (None: whatever it is).

    Report with `receive_state` what is stored, with or without a lease. A store never waits for a lease.
    """

    __slots__ = ("key", "ttl", "version")
    reports = ("state", "failure")

    def __init__(self, key: str, ttl: float, version: "int | None") -> None:
        self.key = key
        self.ttl = ttl
        self.version = version

    def ask(self, store: "Any") -> "Any":
        """Return what the store returns."""
        return store.acquire(self.key, self.ttl, self.version)


class RenewLease:
    """Make the lease last for `ttl` seconds from now, unless somebody else has it; report with `receive_done`."""

    __slots__ = ("lease", "ttl")
    reports = ("done", "failure")

    def __init__(self, lease: "Any", ttl: float) -> None:
        self.lease = lease
        self.ttl = ttl

    def ask(self, store: "Any") -> "Any":
        """Return what the store returns."""
        return store.renew(self.lease, self.ttl)


class SaveState:
    """Save `state` (a snapshot, it holds secrets) durably under the lease, and give the lease back.

    Report the version that it has now with `receive_done`.
    """

    __slots__ = ("lease", "state")
    reports = ("done", "failure")

    def __init__(self, lease: "Any", state: "dict[str, object]") -> None:
        self.lease = lease
        self.state = state

    def ask(self, store: "Any") -> "Any":
        """Return what the store returns."""
        return store.save(self.lease, self.state, release=True)


class ReleaseLease:
    """Give the lease back; report with `receive_done`, or a failure: a lease also ends by itself."""

    __slots__ = ("lease",)
    reports = ("done", "failure")

    def __init__(self, lease: "Any") -> None:
        self.lease = lease

    def ask(self, store: "Any") -> "Any":
        """Return what the store returns."""
        return store.release(self.lease)


class AbandonLease:
    """Let the lease go without giving it back, so that whoever comes next is told that it was interrupted.

    For stores whose leases do not end by themselves while their process lives; the others need no `abandon`. Report
    with `receive_done`, or a failure.
    """

    __slots__ = ("lease",)
    reports = ("done", "failure")

    def __init__(self, lease: "Any") -> None:
        self.lease = lease

    def ask(self, store: "Any") -> "Any":
        """Return what the store returns."""
        abandon = getattr(store, "abandon", None)
        return None if abandon is None else abandon(self.lease)


TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any
