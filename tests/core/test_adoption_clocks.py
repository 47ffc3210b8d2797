# session.py, adopt(), and shared.py: what clocks that were set, and numbers that are equal by chance, must not do to a
# session. Each was found by tests/simulation/fleet.

import pytest

from .fleet import Fleet
from .partner import DEAD_AT, TOKEN_ID


def test_unsaved_pair_is_not_given_up_because_somebody_sets_the_wall_clock() -> None:
    """It is stored nowhere, and the refresh token before it is spent: what is stored only looks younger."""
    fleet = Fleet()
    process = fleet.established()
    fleet.store.faults["save"] = ["fails"] * 4
    assert process.refresh().error is not None
    kept = process.protocol.held.unsaved
    process.wall_ahead += 60
    process.forget()
    assert process.refresh().error is None
    assert process.sent == []
    assert process.protocol.held.pair is kept
    assert process.stored_generation() == 2


def test_unsaved_pair_is_not_given_up_because_the_stores_clock_is_set_back() -> None:
    """What is stored is still the pair before it, however young it is said to be."""
    fleet = Fleet()
    process = fleet.established()
    fleet.pass_time(DEAD_AT)
    fleet.store.faults["save"] = ["fails"] * 4
    assert process.refresh().error is not None
    kept = process.protocol.held.unsaved
    fleet.pass_time(60)
    fleet.store.entries[TOKEN_ID].saved_at = fleet.store.seconds  # as a clock that is behind has it
    process.forget()
    assert process.refresh().error is None
    assert process.sent == []
    assert process.protocol.held.pair is kept


def test_unsaved_pair_is_not_given_up_for_an_old_replica_because_somebody_sets_the_wall_clock() -> None:
    """What has come back is the first pair, which only looks younger than the one that is kept."""
    fleet = Fleet()
    process = fleet.established()
    old, saved_at = process.stored(), fleet.store.seconds
    process.refresh()
    fleet.store.faults["save"] = ["fails"] * 4
    assert process.refresh().error is not None
    kept = process.protocol.held.unsaved
    fleet.pass_time(16)  # until the lease has ended
    process.wall_ahead += 60
    fleet.store.put(TOKEN_ID, old, age=fleet.store.seconds - saved_at)
    process.forget()
    assert process.refresh().error is None
    assert process.sent == []
    assert process.protocol.held.pair is kept


@pytest.mark.parametrize(("later_by", "is_adopted"), [(10, False), (10.5, True)])
def test_pair_of_a_lower_number_has_to_be_later_than_clocks_may_be_off(later_by: float, is_adopted: bool) -> None:
    """A store's clock may be off by 10 s when another replica takes over, which may be an old one."""
    fleet = Fleet()
    process = fleet.established()
    old = process.stored()
    process.refresh()
    fleet.pass_time(later_by)
    old["pair"]["request_id"] = "another"  # type: ignore[index]
    adopted = process.protocol.held.adopt(old, process.now(), age=0)
    assert (adopted is not None) is is_adopted


@pytest.mark.parametrize(("set_by", "asleep"), [(-3600, 0), (0, 0), (3600, 0), (0, 60)])
def test_session_established_anew_is_adopted_whatever_happens_to_one_clock(set_by: int, asleep: int) -> None:
    """Its generations begin anew, and then the clocks have to tell which is the later one: one of them is enough."""
    fleet = Fleet()
    old = fleet.established()
    old.refresh()
    old.wall_ahead += set_by
    fleet.pass_time(60)
    old.asleep += asleep
    fleet.store.delete(TOKEN_ID)
    new = fleet.established()
    old.forget()
    assert old.refresh().error is None
    assert old.sent == []
    assert old.protocol.newest_token() == new.protocol.newest_token()


def test_pair_of_the_same_number_is_another_pair_to_who_waits_for_one() -> None:
    """Who asked for a successor of the first pair takes another first pair, and sends nothing (invariant 5)."""
    fleet = Fleet()
    old = fleet.established()
    fleet.pass_time(DEAD_AT)
    fleet.store.delete(TOKEN_ID)
    new = fleet.established()
    assert (old.protocol.generation, new.protocol.generation) == (1, 1)
    old.forget()
    assert old.get_token().error is None
    assert old.sent == []
    assert old.protocol.newest_token() == new.protocol.newest_token()
