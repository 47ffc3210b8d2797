# What holds for every store.

import time
from typing import Any

import pytest

from .... import UsageError
from .. import LeaseLostError, Store
from .bench import LONG, SHORT, Bench, acquire, all_at_once, count_up

__all__ = ["StoreConformance"]

SECRET = "a-secret-that-must-not-be-shown"


class StoreConformance(Bench):
    """What holds for every store. Override `new_store`."""

    def test_unknown_key_holds_nothing(self, store: Store, key: str) -> None:
        """What was never saved is no error: no state, version 0, no problem."""
        stored = store.load(key)
        assert (stored.state, stored.version, stored.lease, stored.problem) == (None, 0, None, None)
        assert (stored.interrupted, stored.age) == (False, None)

    def test_lease_of_an_unknown_key_can_be_taken(self, store: Store, key: str) -> None:
        """Whoever establishes a session needs the lease before there is a state."""
        stored = store.acquire(key, LONG, 0)
        assert stored.lease is not None
        assert (stored.state, stored.version, stored.interrupted) == (None, 0, False)

    @pytest.mark.parametrize(
        "state",
        [{}, {"text": "ä€🙂\x00\n\"'", "list": [1, 2.5, None, True, {"a": []}]}, {"long": "x" * 100_000}],
        ids=["empty", "mixed", "long"],
    )
    def test_saved_state_is_loaded_by_others(self, store: Store, key: str, state: "dict[str, object]") -> None:
        """A state comes back as it was, with the version that save has returned, and with its age."""
        version = store.save(store.acquire(key, LONG).lease, state)
        stored = self.new_store().load(key)
        assert (stored.state, stored.version, stored.problem) == (state, version, None)
        assert version != 0
        assert stored.age is None or 0 <= stored.age < LONG

    def test_stored_state_is_nobodys_to_change(self, store: Store, key: str) -> None:
        """What is done to a dict after the save, or to one that was loaded, is not stored."""
        state: dict[str, object] = {"a": 1}
        store.save(store.acquire(key, LONG).lease, state)
        state["a"] = 2
        loaded = store.load(key).state
        assert loaded is not None
        loaded["a"] = 3
        assert store.load(key).state == {"a": 1}

    def test_version_changes_with_each_save(self, store: Store, key: str) -> None:
        """Whoever knows a version sees whether there is another."""
        lease = store.acquire(key, LONG).lease
        versions = [store.save(lease, {"a": number}) for number in range(10)]
        assert len({0, *versions}) == 11

    def test_lease_has_one_holder(self, store: Store, key: str) -> None:
        """While somebody has it, others are told what is stored, and that they have no lease; nobody waits."""
        lease = store.acquire(key, LONG).lease
        store.save(lease, {"a": 1})
        for other in (store, self.new_store()):
            begun_at = time.monotonic()
            stored = other.acquire(key, LONG)
            assert (stored.lease, stored.state) == (None, {"a": 1})
            assert time.monotonic() - begun_at < LONG
        store.save(lease, {"a": 2})

    def test_load_takes_no_lease_and_needs_none(self, store: Store, key: str) -> None:
        """Looking hinders nobody, and is hindered by nobody."""
        assert store.load(key).lease is None
        lease = store.acquire(key, LONG).lease
        assert lease is not None
        assert store.load(key).lease is None
        store.save(lease, {})

    def test_lease_is_not_taken_for_an_outdated_view(self, store: Store, key: str) -> None:
        """If another version is stored than the caller knows, it gets to see it, and the lease stays free."""
        version = store.save(store.acquire(key, LONG).lease, {"a": 1}, release=True)
        for known in (0, version + 1):
            stored = store.acquire(key, LONG, known)
            assert (stored.lease, stored.state, stored.version) == (None, {"a": 1}, version)
        assert store.acquire(key, LONG, version).lease is not None

    def test_release_gives_the_lease_back(self, store: Store, key: str) -> None:
        """The next holder is told that nothing was interrupted; once more does no harm, even after others took it."""
        lease = store.acquire(key, LONG).lease
        store.release(lease)
        store.release(lease)
        stored = self.new_store().acquire(key, LONG)
        assert stored.lease is not None
        assert not stored.interrupted
        store.release(lease)
        assert store.acquire(key, LONG).lease is None

    def test_save_can_give_the_lease_back(self, store: Store, key: str) -> None:
        """With release=True the lease is over with the save, and not before it."""
        lease = store.acquire(key, LONG).lease
        store.save(lease, {"a": 1})
        assert store.acquire(key, LONG).lease is None
        store.save(lease, {"a": 2}, release=True)
        stored = self.new_store().acquire(key, LONG)
        assert stored.lease is not None
        assert (stored.state, stored.interrupted) == ({"a": 2}, False)

    def test_lease_is_over_when_given_back(self, store: Store, key: str) -> None:
        """Nothing can be done with it any more, whoever has it now, if anybody."""
        released, saved = f"{key}-1", f"{key}-2"
        first, second = store.acquire(released, LONG).lease, store.acquire(saved, LONG).lease
        store.release(first)
        store.save(second, {"a": 1}, release=True)
        for lease in (first, second):
            with pytest.raises(LeaseLostError):
                store.save(lease, {"a": 9})
            with pytest.raises(LeaseLostError):
                store.renew(lease, LONG)
        assert (store.load(released).state, store.load(saved).state) == (None, {"a": 1})

    def test_lease_that_cannot_be_given_back_comes_free(self, store: Store, key: str) -> None:
        """A process whose store fails shall not wait for itself: a lease ends in time, or `abandon` lets it go.

        A store that wraps another one passes `abandon` on, if that has it. The next holder is told either way.
        """
        lease = store.acquire(key, SHORT).lease
        abandon = getattr(store, "abandon", None)
        if abandon is not None:
            abandon(lease)
        stored = acquire(store, key)
        assert stored.interrupted
        with pytest.raises(LeaseLostError):
            store.save(lease, {"a": 1})

    def test_lease_may_be_renewed(self, store: Store, key: str) -> None:
        """The holder keeps it, and may go on to save."""
        lease = store.acquire(key, LONG).lease
        store.renew(lease, LONG)
        assert store.acquire(key, LONG).lease is None
        store.save(lease, {"a": 1})

    def test_delete_forgets_the_state_and_the_lease(self, store: Store, key: str) -> None:
        """Whoever has the lease cannot bring the session back; to the next holder it is as if it had never been."""
        lease = store.acquire(key, LONG).lease
        store.save(lease, {"a": 1})
        self.new_store().delete(key)
        with pytest.raises(LeaseLostError):
            store.save(lease, {"a": 2})
        store.release(lease)
        stored = store.acquire(key, LONG)
        assert (stored.state, stored.version, stored.interrupted) == (None, 0, False)
        assert stored.lease is not None

    def test_delete_of_nothing_is_no_error(self, store: Store, key: str) -> None:
        """It is forgotten already."""
        store.delete(key)
        store.delete(key)

    def test_keys_are_kept_apart(self, store: Store, key: str) -> None:
        """Any key of visible characters is one of its own, whatever it would mean in a path, a pattern or a query."""
        forms = [
            "a",
            "A",
            "/",
            "..",
            "../a",
            "a/b",
            "a b",
            "a:b",
            "{a}",
            "*",
            "%2e",
            "~",
            "CON",
            "-",
            "'",
            '"',
            "a" * 200,
        ]
        keys = [f"{form}{key}" for form in forms] + [f"{key}{form}" for form in forms]
        for name in keys:
            store.save(store.acquire(name, LONG).lease, {"name": name})
        assert [(store.load(name).state or {}).get("name") for name in keys] == keys
        for name in keys:
            store.delete(name)

    @pytest.mark.parametrize("wrong", ["", "a\nb", "a\x00b", None, b"bytes", 1])
    def test_wrong_key_is_refused(self, store: Store, wrong: Any) -> None:
        """A key is a string of printable characters."""
        for operation in (store.load, store.delete, lambda key: store.acquire(key, LONG)):
            with pytest.raises(UsageError):
                operation(wrong)

    @pytest.mark.parametrize("wrong", [0, -1, float("nan"), float("inf"), None, "1"])
    def test_wrong_ttl_is_refused(self, store: Store, key: str, wrong: Any) -> None:
        """A ttl is a positive number of seconds."""
        with pytest.raises(UsageError):
            store.acquire(key, wrong)
        lease = store.acquire(key, LONG).lease
        assert lease is not None
        with pytest.raises(UsageError):
            store.renew(lease, wrong)

    @pytest.mark.parametrize("wrong", [None, [], "text", {"a": object()}, {"a": float("nan")}, {"a": b"bytes"}])
    def test_wrong_state_is_refused(self, store: Store, key: str, wrong: Any) -> None:
        """A state is a dict that JSON can hold; what is stored is left alone."""
        lease = store.acquire(key, LONG).lease
        store.save(lease, {"a": 1})
        with pytest.raises(UsageError):
            store.save(lease, wrong)
        assert store.load(key).state == {"a": 1}

    def test_wrong_lease_is_refused(self, store: Store) -> None:
        """A lease is what this store gave."""
        for operation in (store.release, lambda lease: store.save(lease, {}), lambda lease: store.renew(lease, LONG)):
            with pytest.raises(UsageError):
                operation("a lease")

    def test_no_secret_is_shown(self, store: Store, key: str) -> None:
        """Neither the store nor a lease nor an error shows what is in a state."""
        stored = store.acquire(key, LONG)
        with pytest.raises(UsageError) as refused:
            store.save(stored.lease, {"token": SECRET, "wrong": object()})
        store.save(stored.lease, {"token": SECRET}, release=True)
        with pytest.raises(LeaseLostError) as lost:
            store.save(stored.lease, {"token": SECRET})
        shown = [store, stored.lease, store.load(key), refused.value, lost.value]
        assert not [text for text in map(repr, shown) if SECRET in text]
        assert SECRET not in f"{refused.value}{lost.value}{refused.value.__cause__}{lost.value.__cause__}"

    def test_of_many_threads_one_gets_the_lease(self, store: Store, key: str) -> None:
        """However many ask at the same time."""
        stored = all_at_once(16, lambda: store.acquire(key, LONG))
        assert len([one for one in stored if one.lease is not None]) == 1

    def test_threads_lose_no_update(self, store: Store, key: str) -> None:
        """Each holder sees what the one before it has saved."""
        assert all_at_once(8, lambda: count_up(store, key, 5)) == [None] * 8
        assert store.load(key).state == {"number": 40}

    def test_lease_belongs_to_no_thread(self, store: Store, key: str) -> None:
        """What one thread has taken, another may use and give back: a worker thread runs but one operation."""
        lease = store.acquire(key, LONG).lease
        assert [type(result) for result in all_at_once(1, lambda: store.save(lease, {"a": 1}))] == [int]
        assert all_at_once(1, lambda: store.release(lease)) == [None]
        assert store.acquire(key, LONG).lease is not None
