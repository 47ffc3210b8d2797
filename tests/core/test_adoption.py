# session.py, adopt(): what a process takes over from a stored state, how old it is, and what it does not take.

import pytest
from tenure import ACTIVE, EXPIRED, Instant, LoadState, RefreshError, SessionExpiredError, SnapshotError, StateAdopted
from tenure.snapshot import read_snapshot

from .fleet import Fleet, Process
from .partner import DEAD_AT, STALE_AT, TOKEN_ID, established, later, steady


def changed(process: Process, **fields: object) -> "dict[str, object]":
    """Return the stored state with other fields, and let the store hold it."""
    state = {**process.stored(), **fields}
    process.store.put(TOKEN_ID, state)
    return state


# Whose it is


@pytest.mark.parametrize("foreign", [{"url": "https://elsewhere.example"}, {"token_id": "other"}])
def test_state_of_another_session_is_not_adopted(foreign: "dict[str, object]") -> None:
    """A store's keys may be mixed up: somebody else's tokens would be handed out."""
    fleet = Fleet()
    first, second = fleet.established(), fleet.start()
    first.refresh()
    changed(first, **foreign)
    error = second.refresh().error
    assert isinstance(error, RefreshError)
    assert "another session's state" in str(error)
    assert second.protocol.generation == 1
    with pytest.raises(SnapshotError):
        second.protocol.held.adopt(second.stored(), second.now())


def test_state_without_a_pair_is_nothing() -> None:
    """Nothing is taken over, and what is held stays."""
    process = Fleet().established()
    state = {**process.stored(), "pair": None, "state": "unestablished"}
    assert process.protocol.held.adopt(state, process.now()) is None
    assert process.protocol.state == ACTIVE


def test_own_state_is_known_and_changes_nothing() -> None:
    """A copy of what is held: no event, no new jitter, no doubt."""
    process = Fleet().established()
    held = process.protocol.held
    before = (held.pair, held.ready, held.ambiguous, held.was_presented)
    assert held.adopt(process.stored(), process.now(), 0.0) == (ACTIVE, False)
    assert (held.pair, held.ready, held.ambiguous, held.was_presented) == before
    assert process.protocol.take_events() == []


def test_copy_is_told_by_its_token_and_its_request_id() -> None:
    """A service may give the same pair to two who ask within its grace; each draws a request id for it."""
    pair = established().protocol.held.pair
    other = established().protocol.held.pair
    assert pair is not None
    assert other is not None
    assert pair.is_like(pair)
    assert pair.request_id == other.request_id  # chance can be foreseen here, and may be poor elsewhere
    assert not pair.is_like(other)
    other.grant.refresh_token = pair.grant.refresh_token
    assert pair.is_like(other)
    other.request_id = "another"
    assert not pair.is_like(other)


# What is taken over with it


def test_doubt_is_taken_over() -> None:
    """Invariant 2: another process was cut off; whoever adopts knows."""
    fleet = Fleet()
    first, second = fleet.established(), fleet.start()
    first.refresh()
    changed(first, ambiguous=True)
    second.answers = [401]
    fleet.pass_time(DEAD_AT)
    error = second.get_token().error
    assert isinstance(error, SessionExpiredError)
    assert error.ambiguous


def test_doubt_about_a_pair_that_is_held_is_taken_over() -> None:
    """The same, without a newer pair."""
    fleet = Fleet()
    first, second = fleet.established(), fleet.start()
    changed(first, ambiguous=True)
    second.answers = [401]
    error = second.refresh().error
    assert isinstance(error, SessionExpiredError)
    assert error.ambiguous


def test_token_that_was_refused_elsewhere_is_not_handed_out() -> None:
    """DESIGN.md, invalidate: it is of no use, however young."""
    fleet = Fleet()
    first = fleet.established()
    changed(first, invalidated=True)
    second = fleet.start(looks=False)
    call = second.protocol.load()
    second.run(call)
    assert second.protocol.newest_token()
    assert second.protocol.fresh_token(second.now()) is None
    (event,) = second.protocol.take_events()
    assert isinstance(event, StateAdopted)
    assert second.get_token().error is None
    assert second.protocol.generation == 2


def test_token_that_was_refused_elsewhere_is_not_even_ready() -> None:
    """The fast path is closed in the same moment, not only at the end of the exchange."""
    fleet = Fleet()
    first, second = fleet.established(), fleet.start()
    first.refresh()
    second.protocol.held.adopt({**first.stored(), "invalidated": True}, second.now(), 0.0)
    assert second.protocol.generation == 2
    assert second.protocol.fresh_token(second.now()) is None


def test_adopted_pair_counts_as_presented() -> None:
    """An answer to it may be the one that somebody else got: its lifetimes count from then."""
    fleet = Fleet()
    fleet.established()
    assert fleet.start().protocol.held.was_presented


# Which one is newer


def test_session_established_anew_by_a_process_that_knew_nothing_is_adopted() -> None:
    """`tenure logout`, `tenure login`: generations begin anew, and who holds the old session must not go on with it.

    The old refresh token is void. Presenting it would only find that out, and tell everybody that the session is over.
    """
    fleet = Fleet()
    old = fleet.established()
    for _ in range(5):
        old.refresh()
    fleet.pass_time(60)
    fleet.store.delete(TOKEN_ID)
    new = fleet.established()
    assert (old.protocol.generation, new.protocol.generation) == (6, 1)
    old.forget()
    assert old.refresh().error is None
    assert old.sent == []
    assert old.protocol.newest_token() == new.protocol.newest_token()
    assert new.refresh().error is None
    old.refresh()
    assert old.protocol.newest_token() == new.protocol.newest_token()


def test_unsaved_pair_gives_way_to_a_session_that_was_established_anew() -> None:
    """It is void, whatever its generation."""
    fleet = Fleet()
    old = fleet.established()
    old.refresh()
    fleet.store.faults["save"] = ["fails"] * 4
    assert old.refresh().error is not None
    fleet.pass_time(60)
    fleet.store.delete(TOKEN_ID)
    new = fleet.established()
    old.forget()
    assert old.refresh().error is None
    assert old.sent == []
    assert old.protocol.held.unsaved is None
    assert old.protocol.newest_token() == new.protocol.newest_token()


@pytest.mark.parametrize("has_clock", [True, False])
def test_session_established_anew_at_once_is_adopted_after_one_refusal(has_clock: bool) -> None:
    """Too soon, or by a store without a clock, to be told from an old replica: what is stored is not overwritten."""
    fleet = Fleet()
    fleet.store.has_clock = has_clock
    old = fleet.established()
    old.refresh()
    fleet.store.delete(TOKEN_ID)
    new = fleet.established()
    assert isinstance(old.refresh().error, SessionExpiredError)
    assert old.lease_is_free()
    assert new.stored()["state"] == ACTIVE
    assert old.refresh().error is None
    assert old.protocol.newest_token() == new.protocol.newest_token()


def test_old_replica_of_a_session_that_is_over_does_not_bring_it_back() -> None:
    """What is over here and there is over."""
    fleet = Fleet()
    process = fleet.established()
    older = {**process.stored(), "state": EXPIRED}
    process.refresh()
    process.pass_time(60)
    process.answers = [401]
    process.refresh()
    fleet.store.put(TOKEN_ID, older, age=60)
    assert isinstance(process.refresh().error, SessionExpiredError)
    assert process.protocol.generation == 2


# How old it is


@pytest.mark.parametrize("ahead", [3600, -3600, 10**8])
def test_wall_clocks_that_disagree_do_no_harm_where_the_store_has_a_clock(ahead: int) -> None:
    """Issue 4: two machines with clocks an hour apart. No fresh token is thrown away, no dead one handed out."""
    fleet = Fleet()
    fleet.established()
    fleet.pass_time(500)
    other = fleet.start(wall_ahead=ahead)
    assert other.protocol.fresh_token(other.now())
    assert other.protocol.seconds_until_due(other.now()) == pytest.approx(300)
    fleet.pass_time(300)
    assert other.protocol.fresh_token(other.now()) is None
    assert other.protocol.request_token(other.now()).settled
    fleet.pass_time(DEAD_AT - STALE_AT)
    assert not other.protocol.request_token(other.now()).settled


def test_process_that_was_paused_behind_the_answer_does_not_take_a_token_for_younger() -> None:
    """Invariant 3: the age is that of the moment of asking, or later."""
    fleet = Fleet()
    fleet.established()
    other = fleet.start(looks=False)
    other.protocol.load()
    step = other.run_to(LoadState)
    assert isinstance(step, LoadState)
    stored = step.ask(fleet.store)
    fleet.pass_time(400)
    other.protocol.receive_state(stored, other.now())
    assert other.protocol.seconds_until_due(other.now()) == pytest.approx(400)


def test_process_that_was_paused_does_not_take_an_old_replica_for_a_new_session() -> None:
    """Invariant 2: its refresh token is spent."""
    fleet = Fleet()
    process = fleet.established()
    older = process.stored()
    fleet.pass_time(60)
    process.refresh()
    fleet.store.put(TOKEN_ID, older, age=60)
    process.protocol.load()
    step = process.run_to(LoadState)
    assert isinstance(step, LoadState)
    stored = step.ask(fleet.store)
    fleet.pass_time(400)
    process.protocol.receive_state(stored, process.now())
    assert process.protocol.generation == 2


def test_age_before_the_save_counts() -> None:
    """A doubtful state is saved long after its pair came."""
    fleet = Fleet()
    first = fleet.established(steady(deadline=0.1))
    fleet.pass_time(400)
    first.answers = [503]
    first.refresh()
    fleet.pass_time(300)
    other = fleet.start(wall_ahead=-3600)
    assert other.protocol.seconds_until_due(other.now()) == pytest.approx(100)


@pytest.mark.parametrize(("asleep", "set_ahead"), [(500, 0), (0, 500)])
def test_older_of_two_clocks_counts_for_the_permission_token(asleep: int, set_ahead: int) -> None:
    """The machine slept between answer and save, or its wall clock was set: it may be as old as either says."""
    fleet = Fleet()
    first = fleet.established(steady(deadline=0.1))
    fleet.pass_time(asleep)
    first.asleep, first.wall_ahead = asleep, set_ahead
    first.answers = [503]
    first.refresh()
    other = fleet.start()
    due = other.protocol.seconds_until_due(other.now())
    assert due == pytest.approx(301)  # a wall clock of whole seconds may be off by one


def test_younger_of_two_clocks_counts_for_the_refresh_token() -> None:
    """DESIGN.md, Lifetimes: when only one clock says that it is over, the server is asked."""
    fleet = Fleet()
    first = fleet.established(steady(deadline=0.1))
    first.wall_ahead = 10**8
    first.answers = [503]
    first.refresh()
    other = fleet.start()
    assert other.refresh().error is None
    assert len(other.sent) == 1


def test_refresh_token_ages_in_the_store() -> None:
    """Both readings say so: nothing is sent."""
    fleet = Fleet()
    fleet.established()
    fleet.pass_time(31 * 86400)
    other = fleet.start(wall_ahead=-(10**6))
    assert isinstance(other.refresh().error, SessionExpiredError)
    assert other.sent == []


def test_store_without_a_clock_leaves_it_to_the_wall() -> None:
    """As with a snapshot: elapsed time by the wall, and dead if that ran backwards."""
    fleet = Fleet()
    fleet.store.has_clock = False
    fleet.established()
    fleet.pass_time(500)
    same, behind = fleet.start(), fleet.start(wall_ahead=-3600)
    assert same.protocol.seconds_until_due(same.now()) == pytest.approx(300)
    assert behind.protocol.fresh_token(behind.now()) is None


def test_ages_are_those_of_the_moment_of_saving() -> None:
    """snapshot.py: seconds by the monotonic clock, never below 0."""
    protocol = established().protocol
    held = protocol.held
    pair = held.to_snapshot(later(held.latest, 7.5))["pair"]
    assert isinstance(pair, dict)
    assert (pair["since_age"], pair["arrived_age"]) == (7.5, 7.5)
    pair = held.to_snapshot(Instant(held.latest.monotonic - 9, held.latest.wall - 9))["pair"]
    assert isinstance(pair, dict)
    assert (pair["since_age"], pair["arrived_age"]) == (0, 0)


def test_age_moves_both_moments_on_both_clocks() -> None:
    """snapshot.py: as if the pair had come here, that long ago."""
    protocol = established().protocol
    now = Instant(100_000.0, 5_000_000)
    saved = read_snapshot(protocol.snapshot(), now, 30.5).pair
    assert saved is not None
    for moment in (saved.since, saved.arrived):
        assert (moment.monotonic, moment.wall) == (99_969.5, 4_999_970)
