# shared.py: one exchange of a shared session, as long as the store does what it promises.

import json

import pytest
from tenure import (
    ACTIVE,
    EXPIRED,
    IDLE,
    UNESTABLISHED,
    AcquireLease,
    LoadState,
    NotEstablishedError,
    RefreshError,
    ReleaseLease,
    SaveState,
    SessionEstablished,
    SessionExpired,
    SessionExpiredError,
    StateAdopted,
    TokenRotated,
)

from .fleet import Fleet
from .partner import DEAD_AT, STALE_AT, TOKEN_ID, steady


def test_establish_takes_the_lease_and_saves() -> None:
    """DESIGN.md, Sharing a session: acquire, send, save; the save gives the lease back."""
    fleet = Fleet()
    process = fleet.start(looks=False)
    call = process.ask_to_establish(process.now())
    process.run(call)
    assert call.error is None
    assert process.did == ["AcquireLease", "SendRequest", "SaveState"]
    assert process.stored()["state"] == ACTIVE
    assert process.stored_generation() == process.protocol.generation == 1
    assert process.lease_is_free()
    (event,) = process.protocol.take_events()
    assert isinstance(event, SessionEstablished)


def test_refresh_is_two_round_trips() -> None:
    """Issue 4, Scale: the fewest that the invariants allow; the lease lasts an attempt and a little longer."""
    process = Fleet().established()
    call = process.protocol.refresh()
    step = process.run_to(AcquireLease)
    assert isinstance(step, AcquireLease)
    assert (step.key, step.ttl, step.version) == (TOKEN_ID, 15, 1)
    process.perform(step)
    process.run(call)
    assert call.error is None
    assert process.did == ["AcquireLease", "SendRequest", "SaveState"]
    assert process.stored_generation() == 2
    assert process.lease_is_free()
    (event,) = process.protocol.take_events()
    assert isinstance(event, TokenRotated)


def test_version_is_that_of_the_last_save() -> None:
    """A process that refreshes alone never adopts its own state: one round trip to take the lease, not two."""
    process = Fleet().established()
    for _ in range(3):
        process.forget()
        assert process.refresh().error is None
        assert process.did == ["AcquireLease", "SendRequest", "SaveState"]


def test_new_pair_is_durable_before_anybody_sees_it() -> None:
    """Invariant 8: until the save is reported, callers have the old token, and the saved state has the new one."""
    process = Fleet().established()
    old = process.protocol.newest_token()
    call = process.protocol.refresh()
    step = process.run_to(SaveState)
    assert isinstance(step, SaveState)
    assert not call.settled
    assert process.protocol.newest_token() == process.protocol.fresh_token(process.now()) == old
    assert (step.state["state"], step.state["ambiguous"], step.state["invalidated"]) == (ACTIVE, False, False)
    process.perform(step)
    assert call.result() is None
    assert process.protocol.newest_token() not in (old, None)
    assert process.protocol.snapshot() == json.loads(json.dumps(step.state)) == process.stored()


def test_verification_needs_no_lease() -> None:
    """It concerns no session."""
    process = Fleet().established()
    call = process.protocol.verify_credentials(*process.service.credentials)
    process.run(call)
    assert call.result()
    assert process.did == ["SendRequest"]


# What another process has done


def test_pair_of_another_process_is_adopted_and_nothing_is_sent() -> None:
    """DESIGN.md, Sharing a session: if another process has already rotated, adopt that (FIELD S7). One round trip."""
    fleet = Fleet()
    first = fleet.established()
    second = fleet.start()
    first.refresh()
    call = second.refresh()
    assert call.error is None
    assert second.did == ["AcquireLease"]
    assert second.sent == []
    assert second.lease_is_free()
    assert second.protocol.newest_token() == first.protocol.newest_token()
    (event,) = second.protocol.take_events()
    assert isinstance(event, StateAdopted)
    assert fleet.service.statistics.refreshes == 1


def test_early_refresh_of_one_serves_all() -> None:
    """Invariant 5, across processes: each asks in the stale window, one sends."""
    fleet = Fleet()
    processes = [fleet.established(), *(fleet.start() for _ in range(5))]
    fleet.pass_time(STALE_AT)
    for process in processes:
        assert process.get_token().settled
    assert fleet.service.statistics.refreshes == 1
    assert len({process.protocol.newest_token() for process in processes}) == 1
    assert {process.protocol.generation for process in processes} == {2}


def test_adopted_token_that_is_dead_is_refreshed_at_once() -> None:
    """Invariant 3: the other process rotated long ago; what it got is dead as well, so go on with its refresh token."""
    fleet = Fleet()
    first, second = fleet.established(), fleet.start()
    first.refresh()
    fleet.pass_time(DEAD_AT + 5)
    assert second.get_token().error is None
    assert second.did == ["AcquireLease", "AcquireLease", "SendRequest", "SaveState"]
    assert second.protocol.generation == 3
    assert second.protocol.fresh_token(second.now())
    assert second.slept == 0


def test_establish_counts_on_from_what_is_stored() -> None:
    """A new process with an empty memory: its generation has to be newer than the store's, or nobody would adopt it."""
    fleet = Fleet()
    old = fleet.established()
    new = fleet.start(looks=False)
    call = new.ask_to_establish(new.now())
    new.run(call)
    assert call.error is None
    assert new.did == ["AcquireLease", "SendRequest", "SaveState"]
    assert new.stored_generation() == 2
    old.refresh()
    assert old.protocol.newest_token() == new.protocol.newest_token()


def test_adopting_draws_a_jitter_of_its_own() -> None:
    """DESIGN.md, Lifetimes: those who share a pair must not march in step."""
    fleet = Fleet()
    first = fleet.established(steady(jitter=0.1))
    second = fleet.start(steady(jitter=0.1), looks=False)
    second.chance.part = 0.0
    second.get_token()
    assert second.protocol.seconds_until_due(second.now()) == pytest.approx(800)
    assert first.protocol.seconds_until_due(first.now()) == pytest.approx(750)


# A process that has just started


def test_new_process_takes_a_token_from_the_store_without_the_lease() -> None:
    """One round trip, and nothing sent."""
    fleet = Fleet()
    first = fleet.established()
    second = fleet.start(looks=False)
    assert second.get_token().error is None
    assert second.did == ["LoadState"]
    assert second.protocol.fresh_token(second.now()) == first.protocol.newest_token()


def test_refresh_by_hand_in_a_new_process_is_a_refresh() -> None:
    """`tenure refresh`: whoever asks wants a new pair, not one that this process merely had not seen."""
    fleet = Fleet()
    fleet.established()
    second = fleet.start(looks=False)
    assert second.refresh().error is None
    assert second.did == ["LoadState", "AcquireLease", "SendRequest", "SaveState"]
    assert second.protocol.generation == 2


def test_refresh_by_hand_in_a_new_process_is_a_refresh_even_if_the_look_failed() -> None:
    """The first look is then the one with the lease."""
    fleet = Fleet()
    fleet.established()
    second = fleet.start(looks=False)
    fleet.store.faults["load"] = ["fails"]
    assert second.refresh().error is None
    assert second.did == ["LoadState", "AcquireLease", "SendRequest", "SaveState"]


def test_token_asked_for_in_a_new_process_that_could_not_look_sends_nothing() -> None:
    """The lease shows the same pair, and gives itself back."""
    fleet = Fleet()
    fleet.established()
    second = fleet.start(looks=False)
    fleet.store.faults["load"] = ["fails"]
    assert second.get_token().error is None
    assert second.did == ["LoadState", "AcquireLease", "ReleaseLease"]
    assert second.lease_is_free()


def test_new_process_refreshes_a_dead_token() -> None:
    """Invariant 3: what was loaded is newer than nothing, and yet too old."""
    fleet = Fleet()
    fleet.established()
    fleet.pass_time(DEAD_AT + 5)
    second = fleet.start(looks=False)
    assert second.get_token().error is None
    assert second.did == ["LoadState", "AcquireLease", "SendRequest", "SaveState"]
    assert second.protocol.fresh_token(second.now())


@pytest.mark.parametrize("ask", ["refresh", "get_token"])
def test_empty_store_is_not_established(ask: str) -> None:
    """The error says to establish; nothing is locked and nothing written."""
    process = Fleet().start(looks=False)
    call = getattr(process, ask)()
    assert isinstance(call.error, NotEstablishedError)
    assert process.did == ["LoadState"]
    assert process.store.asked == ["load"]
    assert process.protocol.state == UNESTABLISHED


def test_empty_store_that_could_not_be_looked_at_first_is_left_empty() -> None:
    """The lease is given back, and nothing is saved."""
    process = Fleet().start(looks=False)
    process.store.faults["load"] = ["fails"]
    assert isinstance(process.refresh().error, NotEstablishedError)
    assert process.did == ["LoadState", "AcquireLease", "ReleaseLease"]
    assert process.store.entry(TOKEN_ID).text is None


def test_session_restored_from_a_snapshot_looks_before_it_sends() -> None:
    """It may be an old copy: its refresh token may be spent."""
    fleet = Fleet()
    first = fleet.established()
    copy = first.protocol.snapshot()
    first.refresh()
    second = fleet.start(looks=False)
    second.protocol = type(second.protocol).from_snapshot(
        copy, second.now(), random_bytes=second.chance, policy=steady(), stored=True
    )
    fleet.pass_time(DEAD_AT)
    second.get_token()
    assert second.did == ["LoadState", "AcquireLease", "SendRequest", "SaveState"]
    assert fleet.service.statistics.reuse_detected == 0


# load()


def test_load_adopts_what_the_store_holds() -> None:
    """A look without the lease, and nothing else."""
    fleet = Fleet()
    first = fleet.established()
    second = fleet.start(looks=False)
    call = second.protocol.load()
    step = second.run_to(LoadState)
    assert isinstance(step, LoadState)
    assert step.key == TOKEN_ID
    second.perform(step)
    second.run(call)
    assert call.result() is None
    assert second.did == ["LoadState"]
    assert second.protocol.fresh_token(second.now()) == first.protocol.newest_token()


def test_load_of_nothing() -> None:
    """An empty store is no error."""
    process = Fleet().start(looks=False)
    call = process.protocol.load()
    process.run(call)
    assert call.result() is None
    assert process.protocol.newest_token() is None


def test_load_from_a_store_that_fails() -> None:
    """The error says so; there is no waiting."""
    process = Fleet().start(looks=False)
    process.store.is_down = True
    call = process.protocol.load()
    process.run(call)
    assert isinstance(call.error, RefreshError)
    assert str(call.error) == "the store failed: no route"
    assert call.error.retry_after == 0
    assert process.slept == 0


# How it ends for the others


def test_refusal_is_saved_with_the_lease() -> None:
    """The others learn from the store that the session is over; none of them presents the token again (invariant 2)."""
    fleet = Fleet()
    first, second = fleet.established(), fleet.start()
    first.answers = [401]
    call = first.refresh()
    assert isinstance(call.error, SessionExpiredError)
    assert first.did == ["AcquireLease", "SendRequest", "SaveState"]
    assert first.stored()["state"] == EXPIRED
    assert first.lease_is_free()
    error = second.refresh().error
    assert isinstance(error, SessionExpiredError)
    assert "as another process found" in str(error)
    assert not error.ambiguous
    assert second.sent == []
    assert second.lease_is_free()


@pytest.mark.parametrize("looks", [True, False])
def test_end_found_by_another_process_is_adopted(looks: bool) -> None:
    """states.py: by a process that held the pair, and by one that had nothing."""
    fleet = Fleet()
    first, second = fleet.established(), fleet.start(looks=looks)
    first.answers = ["lost"]
    first.refresh()
    second.forget()
    error = second.refresh().error
    assert isinstance(error, SessionExpiredError)
    assert error.ambiguous
    assert second.protocol.state == EXPIRED
    expired = [event for event in second.protocol.take_events() if isinstance(event, SessionExpired)]
    assert [event.ambiguous for event in expired] == [True]
    second.forget()
    assert isinstance(second.refresh().error, SessionExpiredError)
    assert second.did == ["LoadState"]
    assert second.protocol.take_events() == []


def test_session_established_anew_elsewhere_is_found_without_the_lease() -> None:
    """Whoever knows that it is over looks before it says so; there is nothing to lock for."""
    fleet = Fleet()
    first, second = fleet.established(), fleet.start()
    first.answers = [401]
    first.refresh()
    second.refresh()
    first.run(first.ask_to_establish(first.now()))
    second.forget()
    assert second.refresh().error is None
    assert second.did == ["LoadState"]
    assert second.protocol.state == ACTIVE
    assert second.protocol.newest_token() == first.protocol.newest_token()


def test_outcome_that_leaves_doubt_is_saved_with_the_lease() -> None:
    """Invariant 8: the others have to know that the refresh token may have been presented."""
    fleet = Fleet()
    first, second = fleet.established(steady(deadline=0.1)), fleet.start()
    first.answers = [503]
    assert isinstance(first.refresh().error, RefreshError)
    assert first.did == ["AcquireLease", "SendRequest", "SaveState"]
    assert first.stored()["ambiguous"] is True
    assert first.lease_is_free()
    second.answers = [401]
    error = second.refresh().error
    assert isinstance(error, SessionExpiredError)
    assert error.ambiguous


def test_doubt_is_saved_once() -> None:
    """It is known from then on; giving the lease back is enough."""
    process = Fleet().established(steady(deadline=0.1))
    for last_step in ("SaveState", "ReleaseLease"):
        process.pass_time(9)
        process.forget()
        process.answers = [503]
        process.refresh()
        assert process.did[-1] == last_step
        assert process.lease_is_free()


@pytest.mark.parametrize("status", [429, 402])
def test_lease_is_given_back_after_every_outcome(status: int) -> None:
    """Violated or given up: others may go on. What is a violation may have been a pair once, so it leaves doubt."""
    process = Fleet().established(steady(deadline=0.1))
    process.answers = [status]
    assert process.refresh().error is not None
    assert process.did == ["AcquireLease", "SendRequest", "ReleaseLease" if status == 429 else "SaveState"]
    assert process.lease_is_free()


def test_failed_establish_gives_the_lease_back() -> None:
    """Invariant 6: what is stored stays as it was."""
    process = Fleet().established()
    before = process.stored()
    call = process.protocol.establish(["no such token"])
    process.run(call)
    assert call.error is not None
    assert process.did == ["AcquireLease", "SendRequest", "ReleaseLease"]
    assert process.stored() == before


def test_establish_in_doubt_is_told_to_the_others() -> None:
    """WIRE.md, token id: issuing again voids the refresh token before it, so its refusal may come of a lost answer."""
    fleet = Fleet()
    first, second = fleet.established(steady(deadline=0.001)), fleet.start()
    first.answers = ["lost", 429]
    first.run(first.ask_to_establish(first.now()))
    error = second.refresh().error
    assert isinstance(error, SessionExpiredError)
    assert error.ambiguous


# While the lease is given back, the call has settled


def test_call_asked_while_the_lease_is_given_back_is_a_new_one() -> None:
    """The call has settled already, so whoever asks now must not get its outcome."""
    process = Fleet().established(steady(deadline=0.1))
    process.answers = [429]
    first = process.protocol.refresh()
    step = process.run_to(ReleaseLease)
    assert first.settled
    second = process.protocol.refresh()
    assert not second.settled
    process.perform(step)
    process.pass_time(9)
    process.run(second)
    assert second.error is None


def test_token_refused_behind_a_save_is_refreshed() -> None:
    """DESIGN.md, invalidate: the new token is refused at once; whoever asks then must not get that token."""
    process = Fleet().established()
    process.refresh()
    token = process.protocol.newest_token()
    assert process.protocol.invalidate(str(token))
    assert process.get_token().error is None
    assert process.protocol.newest_token() != token
    assert process.protocol.activity == IDLE


def test_refused_token_that_another_process_has_replaced_is_not_refreshed() -> None:
    """DESIGN.md, invalidate: refresh unless it has been replaced since."""
    fleet = Fleet()
    first, second = fleet.established(), fleet.start()
    first.refresh()
    second.protocol.invalidate(str(second.protocol.newest_token()))
    assert second.get_token().error is None
    assert second.did == ["AcquireLease"]
    assert second.protocol.newest_token() == first.protocol.newest_token()
