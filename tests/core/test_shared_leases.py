# shared.py: leases that ended by themselves, that have to be renewed, or that others have taken; the last look at them.

import pytest
from tenure import (
    AMBIGUOUS,
    NOT_SENT,
    AcquireLease,
    LoadState,
    RefreshError,
    RenewLease,
    SaveState,
    SendFailure,
    SendRequest,
    SessionExpiredError,
    Sleep,
    StateAdopted,
)

from .fleet import Fleet, Process
from .partner import DEAD_AT, TOKEN_ID, refresh_token_in, request_id_of, steady


def two(grace: float = 0, **numbers: float) -> "tuple[Fleet, Process, Process]":
    """Return a fleet of two processes with one session."""
    fleet = Fleet(grace=grace)
    return fleet, fleet.established(steady(**numbers)), fleet.start(steady(**numbers))


def paused_before_sending(process: Process) -> SendRequest:
    """Let a process take the lease and pause before it sends."""
    process.protocol.refresh()
    step = process.run_to(SendRequest)
    assert isinstance(step, SendRequest)
    return step


def kill_while_sending(process: Process) -> None:
    """Let the service act on the process's request, and the process die."""
    step = paused_before_sending(process)
    process.service.handle(step.request, process.now().wall)


# The version is another one


def test_older_state_is_not_adopted_and_the_lease_is_taken_at_once() -> None:
    """Invariant 6: a replica that lost the last write took over. What we hold is newer, and goes on."""
    fleet, first, second = two()
    older = first.stored()
    first.refresh()
    fleet.pass_time(60)
    second.refresh()
    fleet.store.put(TOKEN_ID, older, age=60)
    second.forget()
    assert second.refresh().error is None
    assert second.did == ["AcquireLease", "AcquireLease", "SendRequest", "SaveState"]
    assert second.slept == 0
    assert second.stored_generation() == 3
    assert fleet.service.statistics.reuse_detected == 0


def test_store_that_has_lost_everything_is_filled_again() -> None:
    """Issue 4: failing over to an empty instance. Whoever still holds the pair goes on."""
    fleet, _, second = two()
    fleet.store.delete(TOKEN_ID)
    assert second.refresh().error is None
    assert second.did == ["AcquireLease", "AcquireLease", "SendRequest", "SaveState"]
    assert second.stored_generation() == 2


# It ended by itself


@pytest.mark.parametrize("grace", [60, 0])
def test_lease_that_ended_by_itself_leaves_doubt(grace: float) -> None:
    """Invariant 2: its holder may have sent; same token, same request id. Without grace the error tells of it."""
    fleet, first, second = two(grace)
    kill_while_sending(first)
    fleet.pass_time(16)
    call = second.refresh()
    theirs, ours = first.protocol.held.pair, second.sent[0]
    assert theirs is not None
    assert request_id_of(ours) == theirs.request_id
    assert refresh_token_in(ours) == theirs.grant.refresh_token
    if grace:
        assert call.error is None
        assert fleet.service.statistics.replayed == 1
        assert second.protocol.generation == 2
    else:
        assert isinstance(call.error, SessionExpiredError)
        assert call.error.ambiguous
        assert second.stored()["ambiguous"] is True


def test_doubt_of_a_lease_that_ended_is_told_on() -> None:
    """Invariant 8: whoever found it gives the lease back, so the next one would not know of it."""
    fleet, first, second = two()
    third = fleet.start()
    paused_before_sending(first)
    fleet.pass_time(16)
    second.answers = [429]
    second.protocol.held.policy = steady(deadline=0.1)
    assert isinstance(second.refresh().error, RefreshError)
    assert second.did[-1] == "SaveState"
    third.answers = [401]
    error = third.refresh().error
    assert isinstance(error, SessionExpiredError)
    assert error.ambiguous


def test_doubt_that_could_not_be_told_is_told_the_next_time() -> None:
    """It is compared with what is stored, not with what was held: an earlier last word may have been lost."""
    fleet, first, second = two(deadline=0.1)
    first.answers = [503]
    fleet.store.faults["save"] = ["fails"]
    first.refresh()
    assert first.stored()["ambiguous"] is False
    fleet.pass_time(16)
    first.answers = [429]
    first.refresh()
    assert first.stored()["ambiguous"] is True
    assert first.lease_is_free()
    second.answers = [401]
    error = second.refresh().error
    assert isinstance(error, SessionExpiredError)
    assert error.ambiguous


def test_lease_that_ended_before_the_first_pair_leaves_no_doubt() -> None:
    """There is no refresh token that could have been presented."""
    fleet = Fleet()
    first, second = fleet.start(), fleet.start()
    first.ask_to_establish(first.now())
    first.run_to(SendRequest)
    fleet.pass_time(16)
    call = second.ask_to_establish(second.now())
    second.run(call)
    assert call.error is None
    assert second.stored()["ambiguous"] is False


@pytest.mark.parametrize("kind", [AcquireLease, SendRequest, SaveState])
def test_process_that_dies_at_any_step_is_replaced(kind: "type[AcquireLease | SendRequest | SaveState]") -> None:
    """Invariant 8: a crash at any instruction loses nothing that the grace window can give back."""
    fleet, first, second = two(grace=600)
    first.protocol.refresh()
    step = first.run_to(kind)
    if isinstance(step, SendRequest):
        fleet.service.handle(step.request, first.now().wall)
    fleet.pass_time(16)
    assert second.refresh().error is None
    assert second.slept == 0
    assert fleet.service.statistics.reuse_detected == 0
    assert fleet.service.statistics.refreshes == 1


def test_replayed_token_that_is_dead_is_saved_and_followed_by_another() -> None:
    """Invariant 3: the grace window gives back a token of then; the next one needs another lease."""
    fleet = Fleet(grace=600, permission_lifetime=5)
    first, second = fleet.established(), fleet.start()
    fleet.pass_time(10)
    kill_while_sending(first)
    fleet.pass_time(60)
    assert second.get_token().error is None
    story = ["AcquireLease", "SendRequest", "SaveState"]
    assert second.did == story + story
    assert second.stored_generation() == 3
    assert second.lease_is_free()


# It is too short


def fail_later(process: Process, seconds: float, kind: str = AMBIGUOUS) -> None:
    """Let the next request come to nothing after some time."""
    process.run_to(SendRequest)
    process.pass_time(seconds)
    process.protocol.receive_failure(SendFailure(kind, "timed out"), process.now())


def test_lease_that_outlasts_another_attempt_is_not_renewed() -> None:
    """15 s for an attempt of 10: what is left is enough until 5 s have passed."""
    process = Fleet().established()
    call = process.protocol.refresh()
    fail_later(process, 4.9)
    process.run(call)
    assert process.did == ["AcquireLease", "SendRequest", "SendRequest", "SaveState"]


def test_lease_is_renewed_before_a_further_attempt() -> None:
    """Invariant 1: what is sent is sent under a lease that lasts for it."""
    process = Fleet().established()
    call = process.protocol.refresh()
    fail_later(process, 10)
    step = process.run_to(RenewLease)
    assert isinstance(step, RenewLease)
    assert step.ttl == 15
    process.perform(step)
    send = process.run_to(SendRequest)
    assert isinstance(send, SendRequest)
    assert send.until == process.now().monotonic + 15
    assert process.store.entry(TOKEN_ID).ends_at == process.store.seconds + 15
    process.perform(send)
    process.run(call)
    assert call.error is None
    assert process.did == ["AcquireLease", "SendRequest", "RenewLease", "SendRequest", "SaveState"]


def test_lease_is_renewed_for_every_attempt_that_needs_it() -> None:
    """A long fight with a bad network keeps the others away; they would do no better."""
    process = Fleet().established(steady(deadline=60))
    call = process.protocol.refresh()
    for _ in range(4):
        fail_later(process, 8, NOT_SENT)
    process.run(call)
    assert call.error is None
    assert process.did.count("RenewLease") == 4


def test_lease_that_lapsed_and_that_nobody_took_is_renewed() -> None:
    """The store knows; there is no need to begin anew."""
    process = Fleet().established()
    call = process.protocol.refresh()
    fail_later(process, 20)
    process.run(call)
    assert process.did == ["AcquireLease", "SendRequest", "RenewLease", "SendRequest", "SaveState"]


def test_lease_that_was_taken_meanwhile_is_taken_anew() -> None:
    """The others have a pair by now: it is adopted, and nothing is sent again (invariant 2)."""
    fleet, first, second = two(grace=60)
    call = first.protocol.refresh()
    fail_later(first, 20)
    second.refresh()
    first.run(call)
    assert call.error is None
    assert first.did == ["AcquireLease", "SendRequest", "RenewLease", "AcquireLease"]
    assert first.protocol.newest_token() == second.protocol.newest_token()
    assert any(isinstance(event, StateAdopted) for event in first.protocol.take_events())
    assert len(first.sent) == 0
    assert fleet.service.statistics.refreshes == 1


def test_lease_that_cannot_be_renewed_is_taken_anew() -> None:
    """A store that fails has not said that the lease is ours, so nothing is sent until it is."""
    process = Fleet().established()
    call = process.protocol.refresh()
    fail_later(process, 8)
    process.store.faults["renew"] = ["fails"]
    process.run(call)
    assert call.error is None
    assert process.did[:5] == ["AcquireLease", "SendRequest", "RenewLease", "AbandonLease", "AcquireLease"]
    assert process.did[-3:] == ["AcquireLease", "SendRequest", "SaveState"]
    assert process.slept == pytest.approx(7, abs=0.5)  # until the lease that it may still have has ended


def test_establish_keeps_the_lease_like_a_refresh() -> None:
    """It voids what the others hold, so none of them may be refreshing."""
    process = Fleet().established()
    call = process.ask_to_establish(process.now())
    fail_later(process, 10)
    process.run(call)
    assert call.error is None
    assert process.did == ["AcquireLease", "SendRequest", "RenewLease", "SendRequest", "SaveState"]


# The last look before the first byte


def test_request_bears_the_end_of_its_lease() -> None:
    """Counted from the moment at which it was asked for: the store counts from later on."""
    process = Fleet().established()
    process.store.takes = 2
    began = process.now()
    step = paused_before_sending(process)
    assert (step.until, step.until_wall) == (began.monotonic + 15, began.wall + 15)
    assert step.timeout == step.seconds_left(process.now()) == 10
    process.pass_time(4)
    assert step.seconds_left(process.now()) == 9


def test_process_that_was_paused_beyond_its_lease_sends_nothing() -> None:
    """Issue 4, SIGSTOP: others may have the lease by now. It is asked for before another attempt."""
    fleet, first, second = two()
    step = paused_before_sending(first)
    fleet.pass_time(20)
    second.refresh()
    first.perform(step)
    first.run()
    assert first.sent == []
    assert first.protocol.newest_token() == second.protocol.newest_token()
    assert first.reasons() == ["this process was paused until its lease had ended, or nearly so"]
    assert fleet.service.statistics.reuse_detected == 0


def test_machine_that_slept_beyond_its_lease_sends_nothing() -> None:
    """DESIGN.md, Time: suspend stops the monotonic clock; the wall clock tells."""
    fleet, first, second = two()
    step = paused_before_sending(first)
    fleet.pass_time(600)
    first.asleep = 600
    second.refresh()
    first.perform(step)
    first.run()
    assert first.sent == []
    assert first.protocol.newest_token() == second.protocol.newest_token()


def test_machine_that_slept_between_two_attempts_renews_its_lease() -> None:
    """The same, while it waits for its next attempt."""
    fleet, first, second = two()
    first.protocol.refresh()
    fail_later(first, 0.1, NOT_SENT)
    step = first.run_to(Sleep)
    fleet.pass_time(600)
    first.asleep = 600
    second.refresh()
    first.perform(step)
    first.run()
    assert first.sent == []
    assert first.did == ["AcquireLease", "SendRequest", "RenewLease", "AcquireLease"]
    assert fleet.service.statistics.reuse_detected == 0


@pytest.mark.parametrize(("passed", "asleep", "wall_ahead"), [(8, 7.5, 0), (8, 0, -3600)])
def test_either_clock_says_that_the_lease_is_too_short(passed: float, asleep: float, wall_ahead: int) -> None:
    """DESIGN.md, Time: either alone lies. The one was stopped by a nap, the other was set back."""
    process = Fleet().established()
    call = process.protocol.refresh()
    fail_later(process, 0, NOT_SENT)
    process.pass_time(passed)
    process.asleep, process.wall_ahead = asleep, wall_ahead
    process.run(call)
    assert call.error is None
    assert process.did == ["AcquireLease", "SendRequest", "RenewLease", "SendRequest", "SaveState"]


def test_wall_clock_that_is_set_costs_a_renewal_at_most() -> None:
    """An operator or NTP moves it: no harm done."""
    process = Fleet().established()
    call = process.protocol.refresh()
    fail_later(process, 0.1, NOT_SENT)
    process.wall_ahead = 10**6
    process.run(call)
    assert call.error is None
    assert process.did == ["AcquireLease", "SendRequest", "RenewLease", "SendRequest", "SaveState"]


@pytest.mark.parametrize(
    ("passed", "text", "then"),
    [
        (29, "None", ["AcquireLease", "SendRequest", "SaveState"]),  # there is time to take it anew
        (30, "could not refresh: another process has taken the lease", []),
        (31, "could not refresh: another process has taken the lease", []),
    ],
)
def test_lease_that_is_lost_by_the_deadline_is_an_error(passed: float, text: str, then: "list[str]") -> None:
    """Invariant 7: nothing has been sent for it, so that there is nothing left to look after."""
    fleet, process, _ = two()
    began = fleet.store.seconds
    call = process.protocol.refresh()
    process.run_to(SendRequest)
    process.pass_time(10)
    process.protocol.receive_failure(SendFailure(NOT_SENT, "no route"), process.now())
    step = process.run_to(RenewLease)
    fleet.store.seconds = began + passed
    fleet.store.faults["renew"] = ["lost"]
    process.perform(step)
    process.forget()
    process.run(call)
    assert str(call.error) == text
    assert process.did == then


def test_pair_whose_lease_is_lost_at_the_deadline_is_worth_more_looks() -> None:
    """It is the only one that works: it is saved as soon as a lease can be had, and the callers get it."""
    fleet, process, _ = two()
    began = fleet.store.seconds
    call = process.protocol.refresh()
    step = process.run_to(SaveState)
    fleet.store.seconds = began + 31
    fleet.store.faults["save"] = ["lost"]
    process.perform(step)
    process.run(call)
    assert call.error is None
    assert process.stored_generation() == process.protocol.generation == 2


def test_lease_that_lasts_as_long_as_the_attempt_may_take_is_not_renewed() -> None:
    """A round trip for nothing."""
    _, process, _ = two()
    call = process.protocol.refresh()
    process.run_to(SendRequest)
    process.pass_time(4.75)
    process.protocol.receive_failure(SendFailure(NOT_SENT, "no route"), process.now())
    process.forget()
    process.run(call)  # after a quarter of a second
    assert process.did == ["SendRequest", "SaveState"]


@pytest.mark.parametrize("looks", [True, False])
def test_age_of_a_pair_counts_from_before_the_store_was_asked(looks: bool) -> None:
    """Invariant 3: its answer may have been on its way for long, and a token must not seem younger than it is."""
    fleet, first, second = two()
    if not looks:
        second = fleet.start(looks=False)  # takes a look without the lease first
    fleet.pass_time(DEAD_AT)
    first.refresh()
    fleet.pass_time(20)
    call = second.protocol.request_token(second.now())
    asked_at = second.now()
    step = second.next_step()
    assert isinstance(step, AcquireLease if looks else LoadState)
    stored = step.ask(fleet.store)
    fleet.pass_time(5)
    second.protocol.receive_state(stored, second.now())
    second.run(call)
    pair = second.protocol.held.pair
    assert pair is not None
    assert second.protocol.newest_token() == first.protocol.newest_token()
    assert pair.since.monotonic == asked_at.monotonic - 20
