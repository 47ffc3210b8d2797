# shared.py: stores that fail, and pairs that cannot be saved.

import pytest
from tenure import (
    ACTIVE,
    AttemptFailed,
    EstablishError,
    RefreshError,
    RefusedError,
    SaveState,
    SendRequest,
    SessionExpiredError,
    Sleep,
    StateAdopted,
    TenureError,
    TokenRotated,
)

from .fleet import Fleet, Process
from .partner import DEAD_AT, STALE_AT, steady


def unsaved(fleet: "Fleet | None" = None, **numbers: float) -> Process:
    """Return a process with a pair that it could not save: three times, and once more to say so."""
    process = (fleet or Fleet()).established(steady(**numbers))
    process.store.faults["save"] = ["fails"] * 4
    assert isinstance(process.refresh().error, RefreshError)
    process.forget()
    process.pass_time(16)  # until its lease has ended
    return process


def establish(process: Process) -> "TenureError | None":
    """Establish the session anew, and return the error."""
    call = process.ask_to_establish(process.now())
    process.run(call)
    return call.error


# The store fails before anything is sent


def test_store_that_fails_while_the_token_works_hurts_nobody() -> None:
    """DESIGN.md, Sharing a session: nothing happens to callers; an event, and a cool-down."""
    process = Fleet().established(steady(backoff_base=20))
    process.pass_time(STALE_AT)
    process.store.is_down = True
    assert process.get_token().error is None
    assert process.did == ["AcquireLease"]
    assert process.slept == 0
    assert process.protocol.fresh_token(process.now())
    assert process.protocol.seconds_until_due(process.now()) == pytest.approx(10)
    assert process.reasons() == ["the store failed: no route"]


def test_store_that_fails_at_the_end_of_the_token_is_an_error_in_time() -> None:
    """DESIGN.md, Sharing a session: the safe default; refreshing blindly can lose the session for the whole fleet."""
    process = Fleet().established()
    process.pass_time(DEAD_AT)
    process.store.is_down = True
    error = process.get_token().error
    assert isinstance(error, RefreshError)
    assert str(error) == "could not refresh: the store failed: no route"
    assert not error.ambiguous
    assert process.sent == []
    assert 10 < process.slept < 30


def test_store_that_comes_back_in_time_is_no_error() -> None:
    """Callers who have to wait anyway wait for it: a restarted Redis takes seconds."""
    process = Fleet().established()
    process.pass_time(DEAD_AT)
    process.store.faults["acquire"] = ["fails"] * 4
    assert process.get_token().error is None
    assert process.slept == pytest.approx(0.25 + 0.5 + 1 + 2)
    assert process.did == ["AcquireLease"] * 5 + ["SendRequest", "SaveState"]
    assert process.reasons() == ["the store failed: no route"] * 4


def test_establish_needs_the_store() -> None:
    """Nothing is sent: a pair that nobody else learns of would void what they have."""
    process = Fleet().established()
    process.store.is_down = True
    assert isinstance(establish(process), EstablishError)
    assert process.sent == []


def test_acquire_whose_answer_is_lost_waits_for_its_own_lease() -> None:
    """Nobody knows whether we have it: then it is not used."""
    process = Fleet().established()
    process.store.faults["acquire"] = ["unheard"]
    assert process.refresh().error is None
    assert process.slept == pytest.approx(15, abs=0.5)
    assert process.did[-3:] == ["AcquireLease", "SendRequest", "SaveState"]


def test_lease_that_cannot_be_given_back_ends_by_itself() -> None:
    """No caller hears of it."""
    process = Fleet().established(steady(deadline=0.1))
    process.store.faults["release"] = ["fails"]
    process.answers = [429]
    process.refresh()
    assert process.did[-1] == "ReleaseLease"
    assert not process.lease_is_free()
    assert len(process.reasons()) == 1


# The new pair cannot be saved


@pytest.mark.parametrize("times", [1, 2])
def test_pair_that_is_saved_at_last_is_handed_out(times: int) -> None:
    """Invariant 8: durable first; three attempts, with a backoff between them."""
    process = Fleet().established()
    process.store.faults["save"] = ["fails"] * times
    assert process.refresh().error is None
    assert process.did == ["AcquireLease", "SendRequest"] + ["SaveState"] * (times + 1)
    assert process.slept == pytest.approx([0.25, 0.75][times - 1])
    assert process.stored_generation() == process.protocol.generation == 2
    failed = [event for event in process.protocol.take_events() if isinstance(event, AttemptFailed)]
    assert [event.reason for event in failed] == ["the new pair could not be saved: no route"] * times
    assert [event.retry_in for event in failed] == [0.25, 0.5][:times]


def test_pair_that_cannot_be_saved_is_seen_by_nobody() -> None:
    """Invariant 8: an error, not a token that a crash would lose."""
    process = Fleet().established()
    old = process.protocol.newest_token()
    process.store.faults["save"] = ["fails"] * 4
    error = process.refresh().error
    assert isinstance(error, RefreshError)
    assert str(error) == "could not refresh: the new pair could not be saved: no route"
    assert error.retry_after == 0.25
    assert process.did == ["AcquireLease", "SendRequest", *["SaveState"] * 4, "AbandonLease"]
    assert process.protocol.newest_token() == process.protocol.fresh_token(process.now()) == old
    assert process.protocol.generation == 1
    assert not process.lease_is_free()
    assert len(process.reasons()) == 3


def test_last_word_is_another_attempt_to_save() -> None:
    """The lease is not given back with the spent token: the others would present it."""
    fleet = Fleet()
    first, second = fleet.established(), fleet.start()
    fleet.store.faults["save"] = ["fails"] * 3
    call = first.refresh()
    assert isinstance(call.error, RefreshError)
    assert first.stored_generation() == first.protocol.generation == 2
    assert first.lease_is_free()
    assert second.refresh().error is None
    assert second.sent == []
    assert isinstance(first.protocol.take_events()[-1], TokenRotated)
    first.forget()
    first.pass_time(1)
    assert first.refresh().error is None
    assert first.did == ["AcquireLease", "SendRequest", "SaveState"]


def test_unsaved_pair_is_saved_first_the_next_time() -> None:
    """It is the only one that works: nothing is sent, and the spent token is not presented again (invariant 2)."""
    process = unsaved()
    assert process.refresh().error is None
    assert process.did == ["AcquireLease", "SaveState"]
    assert process.stored_generation() == process.protocol.generation == 2
    assert not process.protocol.snapshot()["ambiguous"]
    (event,) = process.protocol.take_events()
    assert isinstance(event, TokenRotated)
    process.forget()
    assert process.refresh().error is None
    assert process.did == ["AcquireLease", "SendRequest", "SaveState"]


def test_unsaved_pair_is_saved_as_soon_as_somebody_asks() -> None:
    """Though the token before it is fresh: until it is saved it would be lost with this process."""
    process = unsaved()
    before = process.protocol.newest_token()
    assert process.protocol.seconds_until_due(process.now()) == 0
    assert process.get_token().error is None
    assert process.did == ["AcquireLease", "SaveState"]
    assert process.sent == []
    assert process.protocol.newest_token() != before
    assert process.stored_generation() == 2


def test_unsaved_pair_waits_out_the_cool_down() -> None:
    """Nobody is in a hurry, and the store has just failed."""
    process = Fleet().established(steady(backoff_base=20))
    process.store.faults["save"] = ["fails"] * 4
    assert isinstance(process.refresh().error, RefreshError)
    process.forget()
    before = process.protocol.newest_token()
    assert 0 < (process.protocol.seconds_until_due(process.now()) or 0) <= 40
    assert process.protocol.fresh_token(process.now()) == before
    assert process.get_token().error is None
    assert (process.did, process.protocol.newest_token()) == ([], before)


def test_unsaved_pair_waits_while_others_hold_the_lease() -> None:
    """They may have presented the spent token within its grace, and be given the same pair."""
    fleet = Fleet(grace=600)
    process = unsaved(fleet)
    other = fleet.start()
    other.protocol.refresh()
    step = other.run_to(SendRequest)
    call = process.protocol.refresh()
    process.perform(process.run_to(Sleep))
    assert not call.settled
    other.perform(step)
    other.run()
    process.run(call)
    assert call.error is None
    assert process.sent == []
    assert process.protocol.newest_token() == other.protocol.newest_token()


def test_unsaved_pair_is_dropped_when_another_process_has_saved_its_like() -> None:
    """Theirs is the stored one, with the request id under which all present it (invariant 2)."""
    fleet = Fleet(grace=600)
    process = unsaved(fleet)
    other = fleet.start()
    other.refresh()
    assert fleet.service.statistics.replayed == 1
    assert process.refresh().error is None
    assert process.did == ["AcquireLease"]
    held, theirs = process.protocol.held, other.protocol.held.pair
    assert held.unsaved is None
    assert held.pair is not None
    assert theirs is not None
    assert held.pair.is_like(theirs)


def test_unsaved_pair_is_dropped_when_another_process_has_found_the_end() -> None:
    """Without grace the spent token ended the family, and the unsaved pair with it."""
    fleet = Fleet()
    process = unsaved(fleet)
    other = fleet.start()
    assert isinstance(other.refresh().error, SessionExpiredError)
    error = process.refresh().error
    assert isinstance(error, SessionExpiredError)
    assert process.sent == []
    assert process.protocol.held.unsaved is None


def test_unsaved_pair_with_a_dead_token_is_followed_by_another() -> None:
    """Invariant 3: saved, and used for the next refresh under a lease of its own."""
    process = unsaved()
    process.pass_time(DEAD_AT)
    slept = process.slept
    assert process.get_token().error is None
    assert process.did == ["AcquireLease", "SaveState", "AcquireLease", "SendRequest", "SaveState"]
    assert process.slept == slept
    assert process.stored_generation() == process.protocol.generation == 3


def test_unsaved_pair_that_again_cannot_be_saved_is_kept() -> None:
    """However often: it is not thrown away, and nothing is sent."""
    process = unsaved()
    for _ in range(3):
        process.store.faults["save"] = ["fails"] * 4
        assert isinstance(process.refresh().error, RefreshError)
        process.pass_time(60)
    assert process.sent == []
    assert process.refresh().error is None
    assert process.protocol.generation == 2


def test_failed_establish_saves_an_older_unsaved_pair() -> None:
    """Whoever has the lease does what is left to do."""
    process = unsaved()
    call = process.protocol.establish(["no such token"])
    process.run(call)
    assert isinstance(call.error, RefusedError)
    assert process.stored_generation() == process.protocol.generation == 2


def test_save_whose_answer_is_lost_is_found_in_the_store() -> None:
    """The second attempt finds the lease given back, so the store is asked: it holds our own pair."""
    process = Fleet().established()
    process.store.faults["save"] = ["unheard"]
    assert process.refresh().error is None
    assert process.did == ["AcquireLease", "SendRequest", "SaveState", "SaveState", "AcquireLease"]
    assert process.stored_generation() == process.protocol.generation == 2
    assert isinstance(process.protocol.take_events()[-1], StateAdopted)


def test_pair_of_a_process_that_was_too_slow_to_save_is_given_up_for_theirs() -> None:
    """Issue 4, SIGSTOP: no newer pair is overwritten."""
    fleet = Fleet(grace=600)
    first, second = fleet.established(), fleet.start()
    call = first.protocol.refresh()
    step = first.run_to(SaveState)
    fleet.pass_time(20)
    second.refresh()
    second.refresh()
    assert second.stored_generation() == 3
    first.perform(step)
    first.run(call)
    assert call.error is None
    assert first.stored_generation() == first.protocol.generation == 3
    assert first.protocol.newest_token() == second.protocol.newest_token()
    assert len(first.sent) == 1


# An established pair cannot be saved


def test_established_pair_that_cannot_be_saved_is_kept_for_the_next_refresh() -> None:
    """The security tokens may be spent, so the pair is all there is."""
    process = Fleet().start()
    process.store.faults["save"] = ["fails"] * 4
    error = establish(process)
    assert isinstance(error, EstablishError)
    assert "the new pair could not be saved" in str(error)
    assert process.protocol.newest_token() is None
    process.pass_time(16)
    process.forget()
    assert process.get_token().error is None
    assert process.did == ["AcquireLease", "SaveState"]
    assert process.stored()["state"] == process.protocol.state == ACTIVE


def test_established_pair_that_cannot_be_saved_leaves_doubt_about_the_stored_one() -> None:
    """WIRE.md, token id: the one before it is void."""
    process = Fleet().established()
    process.store.faults["save"] = ["fails"] * 4
    assert isinstance(establish(process), EstablishError)
    assert process.protocol.snapshot()["ambiguous"] is True
    assert process.protocol.held.is_usable(process.now())


def test_established_pair_whose_save_was_not_heard_of_is_not_asked_for_again() -> None:
    """A security token may be good for one time only."""
    process = Fleet().start()
    process.store.faults["save"] = ["unheard"]
    assert establish(process) is None
    assert process.did == ["AcquireLease", "SendRequest", "SaveState", "SaveState", "AcquireLease", "ReleaseLease"]
    assert process.protocol.newest_token()
    assert process.lease_is_free()


def test_established_pair_outlives_the_loss_of_its_lease() -> None:
    """Another process was refused with the voided token; what it saved is replaced."""
    fleet = Fleet()
    first, second = fleet.established(), fleet.start()
    call = first.ask_to_establish(first.now())
    step = first.run_to(SaveState)
    fleet.pass_time(20)
    assert isinstance(second.refresh().error, SessionExpiredError)
    first.perform(step)
    first.run(call)
    assert call.error is None
    assert len(first.sent) == 1
    assert first.stored()["state"] == first.protocol.state == ACTIVE
    assert second.refresh().error is None
    assert second.protocol.newest_token() == first.protocol.newest_token()


def test_established_pair_gives_way_to_one_that_was_established_later() -> None:
    """It is void; the session is established all the same."""
    fleet = Fleet()
    first, second = fleet.established(), fleet.start()
    call = first.ask_to_establish(first.now())
    step = first.run_to(SaveState)
    fleet.pass_time(20)
    assert establish(second) is None
    first.perform(step)
    first.run(call)
    assert call.error is None
    assert len(first.sent) == 1
    assert first.protocol.newest_token() == second.protocol.newest_token()
    assert first.refresh().error is None


def test_established_pair_waits_for_those_who_took_its_lease() -> None:
    """And is settled by what they establish."""
    fleet = Fleet()
    first, second = fleet.established(), fleet.start()
    call = first.ask_to_establish(first.now())
    step = first.run_to(SaveState)
    fleet.pass_time(20)
    second.ask_to_establish(second.now())
    send = second.run_to(SendRequest)
    first.perform(step)
    for _ in range(3):
        first.perform(first.run_to(Sleep))
    assert not call.settled
    second.perform(send)
    second.run()
    first.run(call)
    assert call.error is None
    assert first.protocol.newest_token() == second.protocol.newest_token()
