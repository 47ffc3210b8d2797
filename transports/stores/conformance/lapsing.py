# What holds for a store whose lease ends by itself. The end of a short ttl is awaited; none is slept through.

import time

import pytest

from .. import LeaseLostError, Store
from .bench import LONG, SHORT, Bench, acquire, until

__all__ = ["LapsingLeases"]


class LapsingLeases(Bench):
    """What holds for a store whose lease ends by itself after its ttl, even if the holder is alive."""

    def let_pass(self, seconds: float) -> None:
        """Wait until a lease has ended, without asking for it."""
        ends_at = time.monotonic() + seconds
        until(lambda: time.monotonic() > ends_at)

    def test_lease_that_was_not_given_back_interrupts(self, store: Store, key: str) -> None:
        """The next holder is told that the one before it never came to an end, and sees what it has saved."""
        store.save(store.acquire(key, SHORT).lease, {"a": 1})
        stored = acquire(self.new_store(), key)
        assert (stored.state, stored.interrupted) == ({"a": 1}, True)

    def test_interruption_is_told_until_somebody_comes_to_an_end(self, store: Store, key: str) -> None:
        """A holder that is interrupted as well hands the doubt on, and one that releases ends it."""
        store.acquire(key, SHORT)
        acquire(store, key, SHORT)
        stored = acquire(self.new_store(), key)
        assert stored.interrupted
        store.release(stored.lease)
        assert not store.acquire(key, LONG).interrupted

    def test_lost_lease_changes_nothing(self, store: Store, key: str) -> None:
        """Whoever was paused beyond its lease finds out, and cannot overwrite what the next holder has saved."""
        lease = store.acquire(key, SHORT).lease
        stored = acquire(self.new_store(), key)
        store.save(stored.lease, {"a": "newer"})
        for release in (False, True):
            with pytest.raises(LeaseLostError):
                store.save(lease, {"a": "older"}, release=release)
        with pytest.raises(LeaseLostError):
            store.renew(lease, LONG)
        store.release(lease)
        assert store.load(key).state == {"a": "newer"}
        assert store.acquire(key, LONG).lease is None

    def test_lease_is_lost_to_a_holder_that_saves_nothing(self, store: Store, key: str) -> None:
        """It is enough that somebody else took it, also if what is stored is still our own."""
        lease = store.acquire(key, SHORT).lease
        store.save(lease, {"a": 1})
        stored = acquire(self.new_store(), key)
        for release in (False, True):
            with pytest.raises(LeaseLostError):
                store.save(lease, {"a": 2}, release=release)
        assert store.load(key).state == {"a": 1}
        self.new_store().release(stored.lease)

    def test_lease_that_nobody_took_is_still_good(self, store: Store, key: str) -> None:
        """It has ended, but nobody came in between: it can be renewed, and what it was taken for can be saved."""
        for release in (False, True):
            lease = store.acquire(key, SHORT).lease
            self.let_pass(2 * SHORT)
            store.renew(lease, SHORT)
            self.let_pass(2 * SHORT)
            store.save(lease, {"a": 1}, release=release)
            store.release(lease)

    def test_renewed_lease_outlasts_its_first_ttl(self, store: Store, key: str) -> None:
        """The new ttl counts from the renewal."""
        lease = store.acquire(key, SHORT).lease
        store.renew(lease, LONG)
        self.let_pass(2 * SHORT)
        assert self.new_store().acquire(key, LONG).lease is None
