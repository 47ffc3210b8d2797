# A store in memory that keeps the contract of `tenure.transports.stores`, and breaks it when the plan says so.
#
# What is on disk is one immutable record, replaced as a whole: a process that dies in the middle of an operation leaves
# the old one or the new one. The store does not know what a state means.

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from tenure import Stored

from .machines import TrueTime

__all__ = ["Lease", "LeaseLost", "Record", "SimulatedStore", "StoreView"]

REPLICAS = 4  # how many earlier records a replica may be behind at most


class LeaseLost(Exception):
    """The lease is somebody else's now."""


@dataclass(frozen=True)
class Lease:
    """The proof that a lease is ours."""

    number: int


@dataclass(frozen=True)
class Record:
    """Everything that the store holds."""

    state: str | None = None  # JSON
    version: int = 0
    saved_at: float = 0.0  # on the clock that ages are measured by
    damage: str | None = None
    lease: int | None = None  # the number of the lease, until it is given back
    holder: Any = None
    until: float = 0.0
    was_interrupted: bool = False  # what was told to the holder
    last_save: int | None = None  # the number of the lease under which it was saved


class SimulatedStore:
    """The store, as it stands somewhere.

    Args:
        time: true time, which is also the store's own clock.
        is_kernel_held: a lease lasts until its process dies, whatever its time to live; as `FileStore` does it.
        remembers: a save that is asked for twice, since its answer was lost, succeeds twice.
        age_clock: tells the time by which ages are measured.
    """

    def __init__(self, time: TrueTime, is_kernel_held: bool, remembers: bool, age_clock: Callable[[], float]) -> None:
        self.time = time
        self.is_kernel_held = is_kernel_held
        self.remembers = remembers
        self.age_clock = age_clock
        self.record = Record()
        self.past = [self.record]
        self.away_until = 0.0
        self.on_saved: Callable[[dict[str, Any], float], None] = lambda state, delay: None
        self._last_lease = 0

    def seen_by(self, holder: object, asked_at: float) -> "StoreView":
        """Return the operations as one process calls them once; asked again, they are the same call once more."""
        self._last_lease += 1
        return StoreView(self, holder, self._last_lease, asked_at)

    def write(self, record: Record) -> None:
        """Make it durable."""
        self.past = [*self.past, self.record][-REPLICAS:]
        self.record = record

    def drop(self, holder: object) -> None:
        """The kernel frees the lock of a process that is no more, or abandons it; its trace stays on the disk."""
        if self.is_kernel_held and self.record.lease is not None and self.record.holder == holder:
            self.record = replace(self.record, until=self.time.now)

    # What the contract does not promise

    def empty(self) -> None:
        """It restarts and has forgotten everything."""
        self.record = Record()
        self.past = [self.record]

    def roll_back(self, writes: int) -> None:
        """A replica is promoted to which the last writes had not come, or a file is restored from a copy."""
        now, old = self.record, self.past[-min(writes, len(self.past))]
        if self.is_kernel_held:  # the lock is not in the file
            is_held = now.lease is not None and now.until > self.time.now
            lock = now if is_held else replace(old, until=0.0)
            old = replace(old, lease=lock.lease, holder=lock.holder, until=lock.until)
        self.record = old
        self.past = [self.record]

    def damage(self, is_garbage: bool) -> None:
        """What is stored cannot be read any more, or reads as something else."""
        if is_garbage:
            self.write(replace(self.record, state='{"format": "tenure session", "version": 1}'))
        else:
            self.write(replace(self.record, damage="the stored state is not JSON: establish the session anew"))


class StoreView:
    """The store's operations, for one call of one process."""

    def __init__(self, store: SimulatedStore, holder: object, number: int, asked_at: float) -> None:
        self.store = store
        self.holder = holder
        self.number = number
        self.asked_at = asked_at  # true time at which the core asked for it

    def load(self, key: str) -> Stored:
        record = self.store.record
        age = None if record.state is None else max(0.0, self.store.age_clock() - record.saved_at)
        if record.damage is not None:
            return Stored(None, record.version, age=age, problem=record.damage)
        return Stored(None if record.state is None else json.loads(record.state), record.version, age=age)

    def acquire(self, key: str, ttl: float, version: int | None = None) -> Stored:
        store, record, found = self.store, self.store.record, self.load(key)
        if record.lease != self.number:  # else it is asked for the second time
            if version not in (None, record.version):
                return found
            if record.lease is not None and store.time.now < record.until:
                return found
            record = replace(
                record,
                lease=self.number,
                holder=self.holder,
                until=self._end(ttl),
                was_interrupted=record.lease is not None,
            )
            store.write(record)
        found.lease = Lease(self.number)
        found.interrupted = record.was_interrupted
        return found

    def renew(self, lease: Lease, ttl: float) -> None:
        self._check(lease)
        self.store.write(replace(self.store.record, until=self._end(ttl)))

    def save(self, lease: Lease, state: dict[str, Any], *, release: bool = False) -> int:
        store = self.store
        if store.remembers and store.record.last_save == lease.number and store.record.lease is None:
            return store.record.version
        self._check(lease)
        kept = None if release else lease.number
        text = json.dumps(state)
        version, saved_at = store.record.version + 1, store.age_clock()
        record = replace(store.record, state=text, version=version, saved_at=saved_at, damage=None)
        store.write(replace(record, lease=kept, last_save=lease.number))
        store.on_saved(json.loads(text), store.time.now - self.asked_at)
        return version

    def release(self, lease: Lease) -> None:
        if self.store.record.lease == lease.number:
            self.store.write(replace(self.store.record, lease=None))

    def abandon(self, lease: Lease) -> None:
        if self.store.record.lease == lease.number:
            self.store.drop(self.holder)

    def _check(self, lease: Lease) -> None:
        if self.store.record.lease != lease.number:
            raise LeaseLost

    def _end(self, ttl: float) -> float:
        return float("inf") if self.store.is_kernel_held else self.store.time.now + ttl
