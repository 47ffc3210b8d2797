# A store in memory, on virtual time, that does what a store promises (store_steps.py) and fails where a test says so.

import json

from tenure import Stored

__all__ = ["MemoryStore", "StoreError", "LeaseLostError"]


class StoreError(Exception):
    """The store could not do it, or nobody knows whether it has."""


class LeaseLostError(StoreError):
    """Somebody else has taken the lease."""


class Entry:
    """What is kept under one key.

    Attributes:
        text: the saved state as JSON, or None. version: a number that counts the saves. saved_at: when that was.
        holder: the number of the lease that was taken last, or 0 if that has been given back. ends_at: when it ends.
    """

    def __init__(self) -> None:
        self.text: str | None = None
        self.version = 0
        self.saved_at = 0.0
        self.holder = 0
        self.ends_at = 0.0


class MemoryStore:
    """A store.

    Attributes:
        seconds: the time on its own clock. A test moves it; a call moves it by `takes`.
        takes: seconds that each operation takes; it is done at their end.
        faults: the outcomes of the next calls of an operation, by its name: "fails" (nothing is done), "unheard" (it is
            done, and the caller gets an error all the same), "lost" (nothing is done, the lease is said to be gone), or
            "" (it is done).
        is_down: everything fails.
        is_forgetful: a lease that was lost by a fault is free.
        has_clock: whether it tells the age of a state.
        asked: the name of every operation, oldest first.
    """

    def __init__(self) -> None:
        self.seconds = 0.0
        self.takes = 0.0
        self.faults: dict[str, list[str]] = {}
        self.is_down = False
        self.is_forgetful = False
        self.has_clock = True
        self.asked: list[str] = []
        self.entries: dict[str, Entry] = {}
        self._leases = 0

    # What a store promises

    def load(self, key: str) -> Stored:
        """Return what is stored."""
        fault = self._begin("load")
        stored = self._look(key)
        self._end(fault)
        return stored

    def acquire(self, key: str, ttl: float, version: "int | None" = None) -> Stored:
        """Return what is stored, and the lease if it is free and the version is the one that was named."""
        fault = self._begin("acquire")
        entry, stored = self.entry(key), self._look(key)
        is_held = entry.holder != 0 and self.seconds < entry.ends_at
        if not is_held and version in (None, entry.version):
            stored.interrupted = entry.holder != 0
            self._leases += 1
            entry.holder, entry.ends_at = self._leases, self.seconds + ttl
            stored.lease = (key, self._leases)
        self._end(fault)
        return stored

    def renew(self, lease: "tuple[str, int]", ttl: float) -> None:
        """Make the lease last from now."""
        fault = self._begin("renew")
        self._held(lease).ends_at = self.seconds + ttl
        self._end(fault)

    def save(self, lease: "tuple[str, int]", state: "dict[str, object]", *, release: bool = False) -> int:
        """Save under the lease."""
        fault = self._begin("save")
        entry = self._held(lease)
        entry.text, entry.saved_at = json.dumps(state, allow_nan=False), self.seconds
        entry.version += 1
        if release:
            entry.holder = 0
        self._end(fault)
        return entry.version

    def release(self, lease: "tuple[str, int]") -> None:
        """Give the lease back, if it is still ours."""
        fault = self._begin("release")
        entry = self.entry(lease[0])
        if entry.holder == lease[1]:
            entry.holder = 0
        self._end(fault)

    def delete(self, key: str) -> None:
        """Forget everything."""
        self.entries.pop(key, None)

    # What a test sees and does

    def entry(self, key: str) -> Entry:
        """Return what is kept under a key."""
        return self.entries.setdefault(key, Entry())

    def state(self, key: str) -> "dict[str, object]":
        """Return a saved state."""
        state = json.loads(self.entry(key).text or "null")
        assert isinstance(state, dict)
        return state

    def put(self, key: str, state: object, age: float = 0) -> None:
        """Let something stand there as if somebody else had saved it some seconds ago."""
        entry = self.entry(key)
        entry.text, entry.saved_at = state if isinstance(state, str) else json.dumps(state), self.seconds - age
        entry.version += 1

    def is_free(self, key: str) -> bool:
        """Has the lease been given back?"""
        return self.entry(key).holder == 0

    def _look(self, key: str) -> Stored:
        entry = self.entry(key)
        age = self.seconds - entry.saved_at if self.has_clock else None
        try:
            state = None if entry.text is None else json.loads(entry.text)
        except ValueError:
            return Stored(None, entry.version, problem="the stored state is no JSON: establish the session anew")
        return Stored(state, entry.version, age=age)

    def _held(self, lease: "tuple[str, int]") -> Entry:
        entry = self.entry(lease[0])
        if entry.holder != lease[1]:
            raise LeaseLostError("somebody else has taken the lease")
        return entry

    def _begin(self, operation: str) -> str:
        self.asked.append(operation)
        self.seconds += self.takes
        queue = self.faults.get(operation)
        fault = queue.pop(0) if queue else ""
        if fault == "lost":
            for entry in self.entries.values():
                entry.holder = 0 if self.is_forgetful else entry.holder
            raise LeaseLostError("the lease is gone")
        if fault == "fails" or self.is_down:
            raise StoreError("no route")
        return fault

    def _end(self, fault: str) -> None:
        if fault == "unheard":
            raise StoreError("timed out")
