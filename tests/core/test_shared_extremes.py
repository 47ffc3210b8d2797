# shared.py: going on without a store, states that cannot be read, and exchanges that are forgotten.

import pytest
from tenure import (
    ACTIVE,
    AMBIGUOUS,
    EXPIRED,
    AcquireLease,
    AttemptError,
    AttemptFailed,
    LoadState,
    RefreshError,
    ReleaseLease,
    RenewLease,
    SaveState,
    SendFailure,
    SendRequest,
    SessionEstablished,
    SessionExpiredError,
    SnapshotError,
    TenureError,
)

from .fleet import Fleet, Process
from .partner import DEAD_AT, STALE_AT, TOKEN_ID, risky, steady


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


# Going on without a store


def blind(**numbers: float) -> Process:
    """Return a process whose policy prefers the other risk, whose token is dead and whose store is down."""
    process = Fleet(grace=60).established(risky(**numbers))
    process.pass_time(DEAD_AT)
    process.store.is_down = True
    return process


def test_blind_refresh_at_the_end_of_the_token() -> None:
    """DESIGN.md, Sharing a session: for those who prefer the other risk. Time is left for the request."""
    process = blind()
    assert process.get_token().error is None
    assert process.did[-1] == "SendRequest"
    assert set(process.did[:-1]) == {"AcquireLease"}
    assert 10 < process.slept < 20
    assert process.protocol.fresh_token(process.now())
    failed = [event for event in process.protocol.take_events() if isinstance(event, AttemptFailed)]
    assert {event.reason for event in failed} == {"the store failed: no route"}
    assert len(failed) == len(process.did) - 1
    assert [event.retry_in is None for event in failed] == [False] * (len(failed) - 1) + [True]


def test_blind_request_has_no_lease_that_could_end() -> None:
    """And all the time of an attempt."""
    process = blind()
    process.protocol.request_token(process.now())
    step = process.run_to(SendRequest)
    assert isinstance(step, SendRequest)
    assert (step.timeout, step.until, step.until_wall) == (10, float("inf"), float("inf"))


def test_short_deadline_leaves_no_time_for_the_store() -> None:
    """One attempt may take all of it."""
    process = blind(deadline=10)
    assert process.get_token().error is None
    assert process.did == ["AcquireLease", "SendRequest"]


@pytest.mark.parametrize("ask", ["get_token", "refresh"])
def test_nothing_is_blind_while_the_token_works(ask: str) -> None:
    """Then there is no need for the risk: not for an early refresh, nor for one by hand."""
    process = Fleet().established(risky())
    process.pass_time(STALE_AT)
    process.store.is_down = True
    call = getattr(process, ask)()
    assert (call.error is None) == (ask == "get_token")
    assert process.sent == []


def test_blind_pair_is_saved_as_soon_as_the_store_is_back() -> None:
    """Before it is used for the next refresh, and without a second event or a second life for a refused token."""
    process = blind()
    process.get_token()
    token = process.protocol.newest_token()
    process.store.is_down = False
    process.protocol.invalidate(str(token))
    process.forget()
    call = process.protocol.request_token(process.now())
    process.perform(process.run_to(SaveState))
    assert process.stored_generation() == 2
    assert process.stored()["invalidated"] is True
    assert process.protocol.fresh_token(process.now()) is None
    assert process.protocol.take_events() == []
    process.run(call)
    assert process.did == ["AcquireLease", "SaveState", "AcquireLease", "SendRequest", "SaveState"]
    assert process.stored_generation() == 3


def test_doubt_about_a_blind_pair_is_saved_with_it() -> None:
    """Invariant 2: it may have been presented since."""
    process = blind(deadline=10)
    process.get_token()
    process.pass_time(DEAD_AT)
    process.answers = ["lost", *[AMBIGUOUS] * 99]
    assert isinstance(process.get_token().error, RefreshError)
    process.store.is_down = False
    process.answers.clear()
    process.forget()
    call = process.protocol.request_token(process.now())
    process.perform(process.run_to(SaveState))
    assert process.stored()["ambiguous"] is True
    process.run(call)
    assert call.error is None
    assert process.service.statistics.replayed == 1


def test_blind_establish() -> None:
    """Whoever asks for a session gets one."""
    process = Fleet().start(risky())
    process.store.is_down = True
    assert establish(process) is None
    assert process.did[-1] == "SendRequest"
    assert process.protocol.fresh_token(process.now())
    process.store.is_down = False
    process.pass_time(STALE_AT)
    process.forget()
    process.get_token()
    assert process.did == ["AcquireLease", "SaveState", "AcquireLease", "SendRequest", "SaveState"]


def test_blind_use_of_a_pair_that_cannot_be_saved() -> None:
    """It is handed out at once; the last word tries once more to save it."""
    process = Fleet().established(risky())
    process.store.faults["save"] = ["fails"] * 3
    assert process.refresh().error is None
    assert process.protocol.generation == process.stored_generation() == 2
    assert process.lease_is_free()
    assert process.reasons() == ["the new pair could not be saved: no route"] * 3
    process.forget()
    assert process.refresh().error is None
    assert process.did == ["AcquireLease", "SendRequest", "SaveState"]


def test_blind_use_of_a_fresh_pair_that_can_never_be_saved_asks_nobody() -> None:
    """It is handed out as long as it is fresh: no refresh is worth a save."""
    process = Fleet().established(risky())
    process.store.faults["save"] = ["fails"] * 99
    assert process.refresh().error is None
    process.forget()
    for _ in range(20):
        process.pass_time(20)
        assert process.protocol.fresh_token(process.now())
        assert process.get_token().error is None
    assert process.did == []


def test_blind_pair_whose_save_was_not_heard_of_is_not_saved_again() -> None:
    """What is stored is the very pair that is held and taken for unsaved."""
    process = Fleet().established(risky())
    process.store.faults["save"] = ["fails", "fails", "unheard", "fails"]
    assert process.refresh().error is None
    process.pass_time(STALE_AT)
    assert process.get_token().error is None  # sees that the store holds another version than it knew
    process.pass_time(1)
    process.forget()
    assert process.get_token().error is None
    assert process.did == ["AcquireLease", "SendRequest", "SaveState"]


def test_blind_use_of_a_pair_that_can_never_be_saved_and_whose_token_is_dead() -> None:
    """The store grants leases and takes no state: the pair is used for the next refresh, under the same lease."""
    process = unsaved()
    process.protocol.held.policy = risky()
    process.pass_time(DEAD_AT)
    process.store.faults["save"] = ["fails"] * 99
    assert process.get_token().error is None
    assert process.did == ["AcquireLease", *["SaveState"] * 3, "SendRequest", *["SaveState"] * 4, "AbandonLease"]
    assert process.protocol.generation == 3
    assert process.service.statistics.reuse_detected == 0


def test_blind_process_uses_the_pair_that_it_could_not_save() -> None:
    """The store granted leases, but took no state, and is gone now: the kept pair comes first, and may do."""
    process = unsaved()
    process.protocol.held.policy = risky()
    process.protocol.invalidate(str(process.protocol.newest_token()))
    process.store.is_down = True
    assert process.get_token().error is None
    assert process.sent == []
    assert process.protocol.generation == 2
    process.pass_time(DEAD_AT)
    process.get_token()
    assert len(process.sent) == 1
    assert process.protocol.generation == 3


def test_blind_process_refreshes_with_the_pair_that_it_could_not_save() -> None:
    """Its permission token has died, its refresh token has not."""
    process = unsaved()
    process.protocol.held.policy = risky()
    process.pass_time(DEAD_AT)
    process.store.is_down = True
    assert process.get_token().error is None
    assert len(process.sent) == 1
    assert process.protocol.generation == 3
    assert process.service.statistics.reuse_detected == 0


def test_blind_establish_does_not_take_an_older_unsaved_pair_for_its_own() -> None:
    """Whoever establishes is told of one new session, and it is the one that was asked for."""
    process = unsaved()
    kept = process.protocol.held.unsaved
    process.protocol.held.policy = risky()
    process.store.is_down = True
    assert establish(process) is None
    told = [event for event in process.protocol.take_events() if isinstance(event, SessionEstablished)]
    assert len(told) == 1
    assert process.protocol.held.pair is not kept


def test_blind_establish_uses_the_pair_that_was_granted_before_the_store_failed() -> None:
    """The lease was lost, and then the store: the request is not repeated."""
    process = Fleet().start(risky())
    process.store.faults = {"save": ["lost"], "acquire": ["", *["fails"] * 99]}
    assert establish(process) is None
    assert len(process.sent) == 1
    assert process.protocol.generation == 1


def test_voided_blind_pair_does_not_replace_one_that_was_established_meanwhile() -> None:
    """Both are the second of their session; the stored one was saved under the lease."""
    fleet = Fleet()
    first = fleet.established(risky(deadline=10))
    second = fleet.start()
    fleet.pass_time(DEAD_AT)
    fleet.store.is_down = True
    assert first.get_token().error is None
    fleet.store.is_down = False
    assert establish(second) is None
    assert first.protocol.generation == second.protocol.generation == 2
    assert first.refresh().error is None
    assert second.stored()["state"] == ACTIVE
    assert second.refresh().error is None


# What is stored cannot be read


DAMAGE: "dict[str, object]" = {
    "not JSON": '{"format": "tenure sess',
    "something else": {"format": "other"},
    "from the future": {"format": "tenure session", "version": 99},
    "a list": [1],
}


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE)
def test_state_that_cannot_be_read_refuses_a_refresh(damage: object) -> None:
    """It is not overwritten by chance; the error says what to do; the lease is given back."""
    process = Fleet().established()
    process.store.put(TOKEN_ID, damage)
    error = process.refresh().error
    assert isinstance(error, RefreshError)
    assert error.retry_after == 0.25
    assert process.sent == []
    assert process.did == ["AcquireLease", "AcquireLease", "ReleaseLease"]
    assert process.lease_is_free()
    assert process.store.entry(TOKEN_ID).version == 2
    assert process.protocol.fresh_token(process.now())


def test_state_that_stays_unreadable_is_asked_for_ever_less_often() -> None:
    """Each refusal is a failure like another: the backoff grows."""
    process = Fleet().established()
    process.store.put(TOKEN_ID, {"format": "other"})
    waits = []
    for _ in range(3):
        error = process.refresh().error
        assert isinstance(error, RefreshError)
        waits.append(error.retry_after)
        process.pass_time(60)
    assert waits == [0.25, 0.5, 1]


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE)
def test_state_that_cannot_be_read_refuses_a_new_process(damage: object) -> None:
    """And `load()` says why."""
    process = Fleet().start()
    process.store.put(TOKEN_ID, damage)
    call = process.protocol.load()
    process.run(call)
    assert isinstance(call.error, SnapshotError)
    error = process.refresh().error
    assert isinstance(error, RefreshError)
    assert str(error) == f"could not refresh: {call.error}"
    assert any(reason in str(error) for reason in ("not a snapshot", "version 99", "JSON"))
    assert process.did == ["LoadState", "LoadState", "AcquireLease", "ReleaseLease"]


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE)
def test_state_that_cannot_be_read_is_replaced_by_an_establish(damage: object) -> None:
    """errors.py, SessionExpiredError: establish anew; that has to be possible without a file manager."""
    process = Fleet().established()
    process.store.put(TOKEN_ID, damage)
    assert establish(process) is None
    assert process.did == ["AcquireLease", "SendRequest", "SaveState"]
    assert process.stored()["state"] == ACTIVE


@pytest.mark.parametrize("answer", [401, AMBIGUOUS])
def test_state_that_cannot_be_read_outlives_an_establish_that_fails(answer: "int | str") -> None:
    """There is nothing to put in its place."""
    process = Fleet().established(steady(deadline=0.1))
    process.store.put(TOKEN_ID, {"format": "other"})
    process.answers = [answer, answer]
    assert establish(process) is not None
    assert process.did[-1] == "ReleaseLease"
    assert process.store.state(TOKEN_ID) == {"format": "other"}


def test_early_refresh_with_a_state_that_cannot_be_read_hurts_nobody() -> None:
    """The token works; it is not asked again at once."""
    process = Fleet().established(steady(backoff_base=20))
    process.pass_time(STALE_AT)
    process.store.put(TOKEN_ID, "{")
    process.get_token()
    process.get_token()
    process.pass_time(1)
    process.get_token()
    assert process.did == ["AcquireLease", "AcquireLease", "ReleaseLease"]
    assert process.protocol.fresh_token(process.now())


def test_unsaved_pair_does_not_replace_a_state_that_cannot_be_read() -> None:
    """It may be of a newer version, and in use."""
    process = unsaved()
    process.store.put(TOKEN_ID, {"format": "tenure session", "version": 99})
    assert isinstance(process.refresh().error, RefreshError)
    assert process.store.state(TOKEN_ID)["version"] == 99
    assert process.lease_is_free()
    assert process.protocol.held.unsaved is not None


# Forgetting what is under way


@pytest.mark.parametrize("kind", [LoadState, AcquireLease, RenewLease, SaveState, ReleaseLease])
def test_disowned_exchange_leaves_the_session_usable(
    kind: "type[LoadState | AcquireLease | RenewLease | SaveState | ReleaseLease]",
) -> None:
    """After fork() the exchange, with its lease, is the parent's: the child's call settles, and the next one works."""
    fleet = Fleet(grace=600)
    process = fleet.established(steady(deadline=20))
    if kind is LoadState:
        process = fleet.start(looks=False)
    if kind is ReleaseLease:
        process.answers = [429]
        process.protocol.held.policy = steady(deadline=0.1)
    call = process.protocol.refresh()
    if kind is RenewLease:
        process.run_to(SendRequest)
        process.pass_time(10)
        process.protocol.receive_failure(SendFailure(AMBIGUOUS, "timed out"), process.now())
    process.run_to(kind)
    queued = process.protocol.load()
    process.protocol.disown_exchange()
    assert call.settled
    assert type(queued.error) is AttemptError
    process.pass_time(20)
    process.protocol.held.policy = steady()
    assert process.refresh().error is None
    assert process.stored_generation() == process.protocol.generation == 2
    assert fleet.service.statistics.reuse_detected == 0


def test_parent_and_child_with_one_unsaved_pair() -> None:
    """Both save it first; it is stored once."""
    fleet = Fleet()
    parent = unsaved(fleet)
    child = fleet.start()
    pair = parent.protocol.held.unsaved
    child.protocol.held.unsaved = pair
    assert parent.refresh().error is None
    assert child.refresh().error is None
    assert child.did == ["AcquireLease"]
    assert child.protocol.generation == parent.protocol.generation == 2


# The end


def test_end_by_both_clocks_needs_no_lease_where_the_store_was_looked_at() -> None:
    """DESIGN.md, Lifetimes: when both clocks agree, the server is not asked."""
    process = Fleet().established()
    process.pass_time(31 * 86400)
    assert isinstance(process.refresh().error, SessionExpiredError)
    assert process.did == ["AcquireLease", "SaveState"]
    assert process.stored()["state"] == EXPIRED
