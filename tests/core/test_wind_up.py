# protocol.py, `wind_up`: a driver ends. What has come is kept, what was taken is given back, and nothing more begins.

import pytest
from tenure import (
    AMBIGUOUS,
    IDLE,
    LEASE_LOST,
    STORE_FAILED,
    AcquireLease,
    AttemptError,
    Call,
    RefreshError,
    RenewLease,
    Response,
    SaveState,
    SendFailure,
    SendRequest,
    Sleep,
)

from .fleet import Fleet, Process
from .partner import STALE_AT, Partner, at, steady


def established(**numbers: float) -> Partner:
    """Return an established session and its service."""
    partner = Partner(policy=steady(**numbers))
    call = partner.ask_to_establish(at(0))
    request = partner.take_request(at(0))
    partner.protocol.receive_response(partner.service.handle(request, at(0).wall), at(0))
    assert call.error is None
    return partner


def was_cut_short(call: Call) -> bool:
    """Did it settle without an outcome?"""
    return type(call.error) is AttemptError


# Alone


def test_an_answer_under_way_is_taken_in() -> None:
    """Invariant 4: whoever waits for it gets it; whoever is behind it is told at once, and so is who asks meanwhile."""
    partner = established()
    protocol = partner.protocol
    refresh, behind = protocol.refresh(), protocol.verify_credentials("u", "p")
    request = partner.take_request(at(1))
    protocol.wind_up()
    assert was_cut_short(behind)
    assert not refresh.settled
    assert protocol.next_step(at(2)) is None
    late = protocol.verify_credentials("u", "p")
    protocol.receive_response(partner.service.handle(request, at(2).wall), at(2))
    assert refresh.error is None
    assert protocol.generation == 2
    assert was_cut_short(late)
    assert protocol.next_step(at(2)) is None
    assert protocol.activity == IDLE


def test_whoever_asks_afterwards_begins_anew() -> None:
    """The end of a run is not the end of the session."""
    partner = established()
    partner.protocol.refresh()
    partner.take_request(at(1))
    partner.protocol.wind_up()
    partner.protocol.receive_failure(SendFailure(AMBIGUOUS, "the wire is cut"), at(2))
    assert partner.protocol.next_step(at(2)) is None
    again = partner.protocol.refresh()
    request = partner.take_request(at(10))
    partner.protocol.receive_response(partner.service.handle(request, at(10).wall), at(10))
    assert again.error is None


def test_nothing_is_repeated_and_nothing_is_waited_for() -> None:
    """An attempt that failed is the last one, and what it leaves open stays open."""
    partner = established()
    refresh = partner.protocol.refresh()
    partner.take_request(at(1))
    partner.protocol.wind_up()
    partner.protocol.receive_response(Response(503, {}, b""), at(2))
    assert partner.protocol.next_step(at(2)) is None
    assert was_cut_short(refresh)
    assert partner.protocol.snapshot()["ambiguous"] is True


def test_a_wait_is_cut_short() -> None:
    """A backoff that has begun."""
    partner = established()
    refresh = partner.protocol.refresh()
    partner.take_request(at(1))
    partner.protocol.receive_response(Response(429, {"retry-after": "5"}, b""), at(1))
    assert isinstance(partner.protocol.next_step(at(1)), Sleep)
    partner.protocol.wind_up()
    assert partner.protocol.next_step(at(1)) is None
    assert was_cut_short(refresh)
    assert partner.protocol.snapshot()["ambiguous"] is False


def test_what_has_not_begun_does_not() -> None:
    """A refresh whose request was never made leaves no doubt."""
    partner = established()
    refresh = partner.protocol.refresh()
    partner.protocol.wind_up()
    assert was_cut_short(refresh)
    assert partner.protocol.snapshot()["ambiguous"] is False
    assert partner.is_idle(at(1))


def test_a_stale_token_is_asked_for_again() -> None:
    """The refresh behind the callers' backs has not begun: the next caller has to ask, or nobody ever does."""
    partner = established()
    assert partner.protocol.request_token(at(STALE_AT)).settled
    assert partner.protocol.fresh_token(at(STALE_AT))
    partner.protocol.wind_up()
    assert partner.protocol.fresh_token(at(STALE_AT)) is None
    assert partner.protocol.request_token(at(STALE_AT)).settled
    assert "refresh" in partner.take_request(at(STALE_AT)).url


def test_winding_up_nothing_changes_nothing() -> None:
    """An idle session, and one that was never used."""
    partner = established()
    before = partner.protocol.snapshot()
    partner.protocol.wind_up()
    assert partner.protocol.snapshot() == before
    assert partner.protocol.fresh_token(at(1))


# With a store


def wound_up(process: Process, call: Call) -> None:
    """Wind up, and do what is left; no time passes."""
    seconds = process.store.seconds
    process.protocol.wind_up()
    process.run(call)
    assert process.store.seconds == seconds
    assert process.lease_is_free()


def test_a_lease_that_comes_is_given_back() -> None:
    """Nothing is sent under it, and nobody is told of a doubt."""
    fleet = Fleet()
    process = fleet.established()
    before = process.protocol.snapshot()
    call = process.protocol.refresh()
    step = process.run_to(AcquireLease)
    process.protocol.wind_up()
    process.perform(step)
    process.run(call)
    assert process.did == ["AcquireLease", "ReleaseLease"]
    assert was_cut_short(call)
    assert process.protocol.snapshot()["ambiguous"] is before["ambiguous"] is False
    assert process.lease_is_free()
    assert fleet.start().refresh().error is None


def test_a_pair_that_comes_is_saved() -> None:
    """Invariants 4 and 8."""
    process = Fleet().established()
    call = process.protocol.refresh()
    step = process.run_to(SendRequest)
    process.protocol.wind_up()
    process.perform(step)
    process.run(call)
    assert call.error is None
    assert process.stored_generation() == process.protocol.generation == 2


@pytest.mark.parametrize("establishing", [False, True], ids=["refresh", "establish"])
def test_a_pair_that_waits_to_be_saved_is_saved_at_once(establishing: bool) -> None:
    """The store had a hiccup: the next save does not wait for the backoff."""
    process = Fleet().established(steady(backoff_base=20, backoff_cap=20))
    process.store.faults = {"save": ["fails"]}
    call = process.ask_to_establish(process.now()) if establishing else process.protocol.refresh()
    process.run_to(SaveState)
    process.protocol.receive_failure(SendFailure(STORE_FAILED, "a hiccup"), process.now())
    assert isinstance(process.next_step(), Sleep)
    wound_up(process, call)
    assert call.error is None
    assert process.stored_generation() == process.protocol.generation == 2


def test_a_store_that_stays_away_is_asked_no_longer_than_usual() -> None:
    """Three saves, one with the last word, and the end; the error says why."""
    process = Fleet().established()
    call = process.protocol.refresh()
    process.run_to(SaveState)
    process.store.is_down = True
    process.protocol.receive_failure(SendFailure(STORE_FAILED, "away"), process.now())
    process.forget()
    process.protocol.wind_up()
    process.run(call)
    assert process.did == ["SaveState", "SaveState", "SaveState", "AbandonLease"]
    assert isinstance(call.error, RefreshError)
    assert process.slept == 0


def test_a_lease_is_given_back_in_a_backoff() -> None:
    """What is refused for a while is not asked again."""
    process = Fleet().established()
    process.answers = [429]
    call = process.protocol.refresh()
    assert isinstance(process.run_to(Sleep), Sleep)
    wound_up(process, call)
    assert process.did[-1] == "ReleaseLease"
    assert len(process.sent) == 1


def test_a_doubt_is_stored_with_the_last_word() -> None:
    """Invariant 2: the answer was lost; whoever comes next has to know."""
    process = Fleet().established()
    process.answers = ["lost"]
    call = process.protocol.refresh()
    step = process.run_to(SendRequest)
    process.protocol.wind_up()
    process.perform(step)
    process.run(call)
    assert was_cut_short(call)
    assert process.stored()["ambiguous"] is True
    assert process.lease_is_free()


def test_whoever_waits_for_the_lease_of_another_waits_no_longer() -> None:
    """Its lease is its own."""
    fleet = Fleet()
    first, second = fleet.established(), fleet.start()
    first.protocol.refresh()
    first.run_to(SendRequest)
    call = second.protocol.refresh()
    second.run_to(Sleep)
    second.forget()
    second.protocol.wind_up()
    second.run(call)
    assert second.did == []
    assert was_cut_short(call)
    assert not first.lease_is_free()


def test_whoever_has_lost_the_lease_takes_no_other() -> None:
    """The time between losing one and taking the next."""
    process = Fleet().established(steady(deadline=60))
    call = process.protocol.refresh()
    process.run_to(SendRequest)
    process.pass_time(10)
    process.protocol.receive_failure(SendFailure(AMBIGUOUS, "timed out"), process.now())
    process.run_to(RenewLease)
    process.protocol.receive_failure(SendFailure(LEASE_LOST, "taken"), process.now())
    assert isinstance(process.next_step(), Sleep)
    process.forget()
    process.protocol.wind_up()
    process.run(call)
    assert process.did == []
    assert was_cut_short(call)
