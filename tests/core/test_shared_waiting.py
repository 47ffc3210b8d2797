# shared.py: who waits for a lease, for how long, and what ends the waiting.

import pytest
from tenure import (
    ACTIVE,
    AcquireLease,
    Call,
    EstablishError,
    RefreshError,
    Response,
    SendRequest,
    SessionExpiredError,
    Sleep,
    Stored,
)

from .fleet import Fleet, Process
from .partner import DEAD_AT, STALE_AT, TOKEN_ID, steady


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


# Somebody else has it


def test_lease_of_others_is_polled_ever_more_slowly() -> None:
    """A store never waits for a lease; the first look comes soon, since most exchanges take milliseconds."""
    _, first, second = two()
    paused_before_sending(first)
    second.protocol.refresh()
    waits = []
    for _ in range(8):
        step = second.run_to(Sleep)
        assert isinstance(step, Sleep)
        waits.append(step.seconds)
        second.perform(step)
    assert waits == pytest.approx([0.015, 0.03, 0.06, 0.12, 0.24, 0.375, 0.375, 0.375])
    assert second.did == ["AcquireLease"] * 8


@pytest.mark.parametrize(("chance", "wait"), [(0.0, 0.01), (0.999999, 0.02)])
def test_polling_is_spread_by_chance(chance: float, wait: float) -> None:
    """Those who wait for one lease do not march in step."""
    _, first, second = two()
    paused_before_sending(first)
    second.chance.part = chance
    second.protocol.refresh()
    step = second.run_to(Sleep)
    assert isinstance(step, Sleep)
    assert step.seconds == pytest.approx(wait, rel=1e-3)


def test_waiting_ends_with_the_pair_that_the_others_got() -> None:
    """Invariant 5, across processes: those who wait get the new token."""
    _, first, second = two()
    step = paused_before_sending(first)
    call = second.protocol.refresh()
    second.perform(second.run_to(Sleep))
    first.perform(step)
    first.run()
    second.run(call)
    assert call.error is None
    assert second.sent == []
    assert second.protocol.newest_token() == first.protocol.newest_token()


def test_waiting_ends_with_the_end_that_the_others_found() -> None:
    """Nobody presents what was refused (invariant 2)."""
    _, first, second = two()
    step = paused_before_sending(first)
    first.answers = [401]
    call = second.protocol.refresh()
    second.perform(second.run_to(Sleep))
    first.perform(step)
    first.run()
    second.run(call)
    assert isinstance(call.error, SessionExpiredError)
    assert second.sent == []


@pytest.mark.parametrize(("kind", "error"), [("refresh", RefreshError), ("establish", EstablishError)])
def test_waiting_for_a_lease_that_never_comes_is_bounded(kind: str, error: type) -> None:
    """Invariant 7: at most the policy's deadline; and nothing is sent without the lease (invariant 1)."""
    fleet, first, second = two()
    fleet.store.entry(TOKEN_ID).holder, fleet.store.entry(TOKEN_ID).ends_at = 99, float("inf")
    began = fleet.store.seconds
    call = second.protocol.refresh() if kind == "refresh" else second.ask_to_establish(second.now())
    second.run(call)
    assert call.error is not None
    assert type(call.error) is error
    assert str(call.error) == f"could not {kind}: another process has the lease and does not come to an end"
    assert call.error.retry_after is not None
    assert 29 < fleet.store.seconds - began < 30
    assert second.sent == []
    assert second.protocol.state == ACTIVE
    assert first.stored_generation() == 1


def test_early_refresh_does_not_wait_for_others() -> None:
    """Nobody waits for it, and they are at it: quietly ask again a little later."""
    fleet, first, second = two()
    paused_before_sending(first)
    fleet.pass_time(STALE_AT)
    fleet.store.entry(TOKEN_ID).ends_at += STALE_AT
    call = second.get_token()
    assert call.error is None
    assert second.did == ["AcquireLease"]
    assert second.slept == 0
    assert second.protocol.take_events() == []
    assert second.protocol.fresh_token(second.now()) == second.protocol.newest_token()
    assert second.protocol.seconds_until_due(second.now()) == pytest.approx(0.5)
    second.get_token()
    assert second.did == ["AcquireLease"]
    fleet.pass_time(0.6)
    second.get_token()
    assert second.did == ["AcquireLease"] * 2


def test_caller_who_joins_an_early_refresh_waits_for_others() -> None:
    """It has become urgent."""
    fleet, first, second = two()
    step = paused_before_sending(first)
    fleet.pass_time(STALE_AT)
    fleet.store.entry(TOKEN_ID).ends_at += STALE_AT
    second.protocol.request_token(second.now())
    acquire = second.run_to(AcquireLease)
    call = second.protocol.refresh()
    second.perform(acquire)
    second.perform(second.run_to(Sleep))
    assert not call.settled
    first.perform(step)
    first.run()
    second.run(call)
    assert call.error is None
    assert second.protocol.generation == 2


@pytest.mark.parametrize(("early", "settled"), [(0, True), (1 / 64, False)])
def test_look_that_would_come_at_the_deadline_is_not_waited_for(early: float, settled: bool) -> None:
    """Invariant 7: a caller is not kept for a look whose outcome comes too late."""
    fleet, first, second = two()
    paused_before_sending(first)
    second.chance.part = 0  # looks a quarter of a second apart, in the end
    call = second.protocol.refresh()
    deadline = fleet.store.seconds + 30
    fleet.store.entry(TOKEN_ID).ends_at = deadline + 1
    for _ in range(8):
        second.perform(second.run_to(Sleep))
    step = second.run_to(AcquireLease)
    fleet.store.seconds = deadline - 0.25 - early
    second.perform(step)
    second.next_step()
    assert call.settled is settled


def test_cool_down_that_has_just_ended_needs_no_look() -> None:
    """The lease comes with what is stored."""
    process = Fleet().established()
    process.answers = [402]
    process.refresh()
    wait = process.protocol.held.not_before - process.now().monotonic
    assert wait > 0
    process.pass_time(wait)
    assert process.protocol.held.not_before == process.now().monotonic
    process.forget()
    assert process.refresh().error is None
    assert process.did == ["AcquireLease", "SendRequest", "SaveState"]


# Waiting without it


def rate_limited(process: Process, seconds: int) -> Call:
    """Let the service tell a process to come again later, and its token be refused meanwhile."""
    process.protocol.refresh()
    process.run_to(SendRequest)
    process.protocol.receive_response(Response(429, {"retry-after": str(seconds)}, b""), process.now())
    process.run()
    process.protocol.invalidate(str(process.protocol.newest_token()))
    process.forget()
    return process.protocol.request_token(process.now())


def test_process_that_has_to_wait_for_its_turn_does_so_without_the_lease() -> None:
    """DESIGN.md, Failures: a cool-down is one process's own; the others may go on, and it gets what they got."""
    _, first, second = two(deadline=50)
    first.protocol.held.policy = steady(deadline=10)
    call = rate_limited(first, 20)
    first.protocol.held.policy = steady(deadline=50)
    step = first.run_to(Sleep)
    assert first.did == ["LoadState"]
    assert first.lease_is_free()
    assert second.refresh().error is None
    first.perform(step)
    first.run(call)
    assert first.did == ["LoadState", "AcquireLease"]
    assert first.protocol.newest_token() == second.protocol.newest_token()


def test_process_that_would_have_to_wait_too_long_still_looks() -> None:
    """Others may have a pair already; and if not, the error comes at once."""
    fleet, first, second = two()
    call = rate_limited(first, 3600)
    first.run(call)
    assert first.did == ["LoadState"]
    assert isinstance(call.error, RefreshError)
    assert call.error.retry_after == 3600
    second.refresh()
    assert first.get_token().error is None
    assert first.did == ["LoadState"] * 2
    assert first.sent == []
    assert fleet.service.statistics.refreshes == 1


# It is lost again and again


def test_lease_that_is_lost_at_every_save_is_an_error_in_time() -> None:
    """Invariant 7: whatever a store does, the call ends; the pair is kept for the next time."""
    process = Fleet().established()
    began = process.store.seconds
    process.store.faults["save"] = ["lost"] * 10_000
    call = process.refresh()
    assert isinstance(call.error, RefreshError)
    assert "another process" in str(call.error)
    assert process.store.seconds - began < 31
    assert len(process.sent) == 1
    process.store.faults.clear()
    process.pass_time(60)
    assert process.refresh().error is None
    assert len(process.sent) == 1
    assert process.stored_generation() == process.protocol.generation == 2


@pytest.mark.parametrize("kind", ["refresh", "establish"])
def test_store_that_always_gives_the_lease_and_never_knows_it_is_an_error_in_time(kind: str) -> None:
    """Invariant 7: nobody else is there, and no save succeeds."""
    process = Fleet().established()
    began = process.store.seconds
    process.store.faults["save"] = ["lost"] * 10_000
    process.store.is_forgetful = True
    call = process.protocol.refresh() if kind == "refresh" else process.ask_to_establish(process.now())
    process.run(call)
    assert call.error is not None
    assert process.store.seconds - began < 60
    assert len(process.sent) == 1
    process.store.faults.clear()
    assert process.refresh().error is None
    assert len(process.sent) == 1


def test_store_that_never_holds_what_it_said_is_an_error_in_time() -> None:
    """Each look finds another version, and never gives the lease: it is asked ever more slowly."""
    process = Fleet().established()
    began, acquire = process.store.seconds, process.store.acquire

    def change_and_refuse(key: str, ttl: float, version: "int | None" = None) -> Stored:
        process.store.entry(key).version += 1
        return acquire(key, ttl, version)

    process.store.acquire = change_and_refuse  # type: ignore[method-assign]
    assert isinstance(process.refresh().error, RefreshError)
    assert process.store.seconds - began < 30
    assert len(process.did) < 100


def test_slow_store_that_renews_nothing_is_an_error_in_time() -> None:
    """Invariant 7: each lease is half over when it comes, and cannot be renewed."""
    process = Fleet().established()
    began = process.store.seconds
    process.store.takes = 6
    process.store.faults["renew"] = ["lost"] * 10_000
    call = process.refresh()
    assert isinstance(call.error, RefreshError)
    assert process.store.seconds - began < 60
    assert process.sent == []


def test_deadline_counts_from_the_beginning() -> None:
    """Invariant 7: time spent waiting for the lease is not there any more for a cool-down."""
    fleet, first, second = two()
    paused_before_sending(first)
    fleet.store.entry(TOKEN_ID).ends_at += 10
    fleet.pass_time(DEAD_AT)
    fleet.store.entry(TOKEN_ID).ends_at += DEAD_AT
    call = second.protocol.request_token(second.now())
    second.run_to(Sleep)
    second.protocol.held.cool_down(50, second.now())
    began = fleet.store.seconds
    second.run(call)
    assert isinstance(call.error, RefreshError)
    assert fleet.store.seconds - began < 31
    assert second.sent == []
    assert second.lease_is_free()
