# The helpers of the tests about stores, tested: a store that keeps its promises, and processes that share it.

import pytest
from tenure import AMBIGUOUS, NOT_SENT, SendRequest

from .fleet import Fleet
from .memory_store import LeaseLostError, MemoryStore, StoreError
from .partner import TOKEN_ID


def test_lease_is_one_process_s_until_it_ends() -> None:
    """Not given while it is held and has not ended; given with a word of warning when it has ended by itself."""
    store = MemoryStore()
    first = store.acquire("key", 10)
    assert first.lease is not None
    assert not first.interrupted
    assert store.acquire("key", 10).lease is None
    store.seconds = 10
    second = store.acquire("key", 10)
    assert second.lease is not None
    assert second.interrupted
    with pytest.raises(LeaseLostError):
        store.save(first.lease, {})
    with pytest.raises(LeaseLostError):
        store.renew(first.lease, 10)
    store.release(first.lease)
    assert not store.is_free("key")
    store.release(second.lease)
    assert store.is_free("key")
    assert not store.acquire("key", 10).interrupted


def test_lease_that_ended_and_that_nobody_took_can_be_renewed() -> None:
    """Compare-and-swap is on the lease, not on the time."""
    store = MemoryStore()
    lease = store.acquire("key", 10).lease
    store.seconds = 20
    store.renew(lease, 10)
    assert store.acquire("key", 10).lease is None
    assert store.save(lease, {}) == 1


def test_save_changes_the_version_and_gives_the_lease_back_if_told_to() -> None:
    """And a lease is not given to whoever knows another version."""
    store = MemoryStore()
    lease = store.acquire("key", 10, 0).lease
    assert store.save(lease, {"a": 1}) == 1
    assert not store.is_free("key")
    assert store.save(lease, {"a": 2}, release=True) == 2
    assert store.is_free("key")
    refused = store.acquire("key", 10, 1)
    assert (refused.lease, refused.version, refused.state) == (None, 2, {"a": 2})
    assert store.acquire("key", 10, 2).lease is not None


def test_age_counts_from_the_save() -> None:
    """On the store's clock, if it has one."""
    store = MemoryStore()
    store.save(store.acquire("key", 10).lease, {})
    store.seconds = 7
    assert store.load("key").age == 7
    store.has_clock = False
    assert store.load("key").age is None


def test_faults_of_a_store_happen_once_each() -> None:
    """ "fails" does nothing, "unheard" does it, "lost" says that the lease is gone; and then all is well again."""
    store = MemoryStore()
    lease = store.acquire("key", 10).lease
    store.faults["save"] = ["fails", "lost", "unheard"]
    with pytest.raises(StoreError, match="no route"):
        store.save(lease, {})
    with pytest.raises(LeaseLostError, match="gone"):
        store.save(lease, {})
    assert store.load("key").version == 0
    with pytest.raises(StoreError, match="timed out"):
        store.save(lease, {})
    assert store.load("key").version == 1
    assert store.save(lease, {}) == 2
    store.is_down = True
    with pytest.raises(StoreError):
        store.load("key")


def test_what_is_no_state_is_a_problem_in_words() -> None:
    """With the lease, for whoever replaces it."""
    store = MemoryStore()
    store.put("key", "{")
    stored = store.acquire("key", 10)
    assert stored.state is None
    assert stored.problem
    assert stored.lease is not None


def test_processes_have_clocks_of_their_own_and_one_time() -> None:
    """Monotonic clocks differ, and stand still for who sleeps; wall clocks differ by what is set."""
    fleet = Fleet()
    first, second = fleet.start(looks=False), fleet.start(looks=False, wall_ahead=3600)
    assert first.now().monotonic != second.now().monotonic
    assert second.now().wall - first.now().wall == 3600
    before = first.now()
    first.pass_time(10)
    first.asleep = 4
    assert (first.now().monotonic - before.monotonic, first.now().wall - before.wall) == (6, 10)


@pytest.mark.parametrize(("answer", "acted"), [(NOT_SENT, False), (AMBIGUOUS, False), ("lost", True), (503, False)])
def test_answers_of_the_service_are_what_a_test_says(answer: "int | str", acted: bool) -> None:
    """One each; only a lost one was acted on."""
    process = Fleet().established()
    process.answers = [answer]
    process.protocol.refresh()
    process.perform(process.run_to(SendRequest))
    assert (process.service.statistics.refreshes == 1) == acted
    assert process.answers == []


def test_run_to_a_step_that_does_not_come_says_so() -> None:
    """Rather than an assertion about something else."""
    with pytest.raises(AssertionError, match="there was no SendRequest"):
        Fleet().start().run_to(SendRequest)


def test_established_process_has_stored_its_session() -> None:
    """And the helpers that look at the store see it."""
    process = Fleet().established()
    assert process.stored()["token_id"] == TOKEN_ID
    assert process.stored_generation() == 1
    assert process.lease_is_free()
