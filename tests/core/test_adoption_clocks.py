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


@pytest.mark.parametrize("set_by", [-3600, 0, 3600])
def test_session_established_anew_is_adopted_though_somebody_sets_the_wall_clock(set_by: int) -> None:
    """Its generations begin anew, and then the clocks have to tell which is the later one: one of them is enough."""
    fleet = Fleet()
    old = fleet.established()
    old.refresh()
    old.wall_ahead += set_by
    fleet.pass_time(60)
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
