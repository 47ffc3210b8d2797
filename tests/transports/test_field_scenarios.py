# What happens to rotating refresh tokens in the field (FIELD.md), over real sockets: peers lost the session there or
# hurt their callers. Each test is named after its row.

import sys

import pytest
from tenure import AttemptFailed, Policy, RefreshError, TokenRotated
from tenure.transports.emulator import (
    Emulator,
    acted_status,
    hold,
    hold_answer,
    latency,
    lose_answer,
    mutate,
    reset_after,
    status,
)

from .conftest import NewEmulator, NewSession
from .driver_helpers import (
    DEAD,
    LIFETIME,
    STALE,
    Clocks,
    Recorder,
    outcomes_of,
    resource_status,
    token_number,
)
from .drivers import Driver


@pytest.mark.parametrize("lifetime", [900, 30], ids=["S1", "S1s"])
def test_64_callers_at_expiry_cause_one_refresh(
    established: NewSession, new_emulator: NewEmulator, clocks: Clocks, lifetime: int
) -> None:
    """FIELD.md S1, S1s; invariant 5: everybody gets the new token, from one request, also where tokens live briefly."""
    emulator = new_emulator(permission_lifetime=lifetime)
    held = established(emulator)
    old = held.get_permission_token()
    clocks.advance(lifetime - 2)
    emulator.faults.add(latency(0.1, answer=True))

    outcomes = held.gather(64, ("get_permission_token",))

    assert [outcome.error for outcome in outcomes] == [None] * 64
    (new,) = {outcome.value for outcome in outcomes}
    assert new != old
    assert outcomes_of(emulator) == ["refreshed"]
    held.refresh()  # alive
    assert outcomes_of(emulator) == ["refreshed", "refreshed"]


def test_30_second_tokens_are_not_refreshed_for_each_caller(
    established: NewSession, new_emulator: NewEmulator, clocks: Clocks
) -> None:
    """FIELD.md S1s: a short lifetime is not taken for a permanent expiry; the windows are fractions of it."""
    emulator = new_emulator(permission_lifetime=30)
    held = established(emulator)
    first = held.get_permission_token()
    clocks.advance(15)

    outcomes = held.gather(64, ("get_permission_token",))

    assert {outcome.value for outcome in outcomes} == {first}
    assert outcomes_of(emulator) == []


def test_s2s_50_callers_refresh_with_the_newest_token(
    established: NewSession, new_emulator: NewEmulator, clocks: Clocks
) -> None:
    """FIELD.md S2s: 30 s tokens, round after round: nobody presents a refresh token that he read before he waited."""
    emulator = new_emulator(permission_lifetime=30)
    held = established(emulator)
    for rounds in range(1, 4):
        old = held.get_permission_token()
        clocks.advance(29)
        gate = emulator.faults.add(hold())
        first = held.start(("get_permission_token",))
        assert gate.arrived.wait(10)
        others = [held.start(("get_permission_token",), ("refresh",)) for _ in range(49)]
        gate.release()

        assert first.outcome().value not in (None, old)
        assert [caller.outcome().error for caller in others] == [None] * 49
        assert emulator.statistics.reuse_detected == 0
        # Each round: the one that all waited for, and at least one more for those who then asked for it by name.
        assert len(outcomes_of(emulator)) >= rounds * 2
        assert resource_status(emulator, held.get_permission_token()) == 200
    assert set(outcomes_of(emulator)) == {"refreshed"}


def test_s3_a_caller_that_leaves_takes_nobody_along(
    established: NewSession, emulator: Emulator, clocks: Clocks
) -> None:
    """FIELD.md S3; invariant 4: the exchange of a caller that left goes on, and its answer serves those who stayed."""
    heard = Recorder()
    held = established(emulator, listener=heard)
    old = held.get_permission_token()
    clocks.advance(DEAD)
    gate = emulator.faults.add(hold_answer())

    held.leave(gate.arrived, "get_permission_token")
    stayed = [held.start(("get_permission_token",)) for _ in range(10)]
    gate.release()

    (new,) = {caller.outcome().value for caller in stayed}
    assert new not in (None, old)
    assert outcomes_of(emulator) == ["refreshed"]


def test_s3_the_answer_is_taken_in_though_nobody_stayed(
    established: NewSession, emulator: Emulator, clocks: Clocks
) -> None:
    """FIELD.md S3; invariant 4: an interrupted caller abandons no exchange, and nothing is sent twice."""
    heard = Recorder()
    held = established(emulator, listener=heard)
    clocks.advance(DEAD)
    gate = emulator.faults.add(hold_answer())

    held.leave(gate.arrived, "get_permission_token")
    gate.release()
    heard.wait_for(TokenRotated)

    assert held.current_token() is not None
    assert resource_status(emulator, held.get_permission_token()) == 200
    assert outcomes_of(emulator) == ["refreshed"]


@pytest.mark.parametrize("fault", [lose_answer, reset_after, acted_status], ids=lambda fault: fault.__name__)
def test_s4_a_lost_answer_hurts_nobody(
    established: NewSession, new_emulator: NewEmulator, clocks: Clocks, fault: type
) -> None:
    """FIELD.md S4; invariant 2: the same question, asked again at once, gets the same answer in the grace window."""
    emulator = new_emulator(grace=30)
    held = established(emulator)
    clocks.advance(DEAD)
    emulator.faults.add(fault())

    outcomes = held.gather(8, ("get_permission_token",))

    assert [outcome.error for outcome in outcomes] == [None] * 8
    assert len({outcome.value for outcome in outcomes}) == 1
    lost, replayed = emulator.journal.of("refresh")
    assert (lost.outcome, replayed.outcome) == ("refreshed", "replayed")
    assert (lost.request_id, lost.fingerprint) == (replayed.request_id, replayed.fingerprint)
    assert resource_status(emulator, held.get_permission_token()) == 200


def test_s5_an_outage_is_no_callers_problem_while_the_token_works(
    established: NewSession, emulator: Emulator, clocks: Clocks
) -> None:
    """FIELD.md S5: 503 twice while the token works: every call gets it at once, and the third attempt succeeds."""
    heard = Recorder()
    held = established(emulator, listener=heard)
    old = held.get_permission_token()
    clocks.advance(STALE)
    emulator.faults.add(status(503), times=2)
    gate = emulator.faults.add(hold())  # if a caller had to wait for the third attempt, it would wait for ever

    for attempt in (1, 2):
        assert held.get_permission_token() == old
        heard.wait_for(AttemptFailed, attempt)
        clocks.advance(1)  # beyond the cool-down, which QUICK keeps below a tenth of a second
    assert held.get_permission_token() == old
    assert gate.arrived.wait(10)
    assert held.get_permission_token() == old
    gate.release()
    heard.wait_for(TokenRotated)

    assert held.get_permission_token() != old
    assert outcomes_of(emulator) == ["not acted", "not acted", "refreshed"]


def test_s5c_retry_after_is_honoured(established: NewSession, emulator: Emulator, clocks: Clocks) -> None:
    """FIELD.md S5c: 429 with Retry-After means that nothing is sent before then, however many ask."""
    heard = Recorder()
    held = established(emulator, listener=heard)
    old = held.get_permission_token()
    clocks.advance(STALE)
    emulator.faults.add(status(429, retry_after=30))

    held.get_permission_token()
    failed = heard.wait_for(AttemptFailed)
    assert {outcome.value for outcome in held.gather(8, ("get_permission_token",))} == {old}
    assert (failed.status, failed.retry_in) == (429, 30)
    assert outcomes_of(emulator) == ["not acted"]

    clocks.advance(30)
    assert held.get_permission_token() == old
    heard.wait_for(TokenRotated)
    assert outcomes_of(emulator) == ["not acted", "refreshed"]


@pytest.mark.parametrize("offset", [-7200, 7200], ids=["S6 behind", "S6a ahead"])
def test_a_wrong_wall_clock_changes_nothing(
    established: NewSession, emulator: Emulator, clocks: Clocks, offset: int
) -> None:
    """FIELD.md S6, S6a: lifetimes are lengths of time; no dead token is handed out, and no refresh is one too many."""
    clocks.wall_offset = offset
    held = established(emulator)
    for _ in range(20):
        assert resource_status(emulator, held.get_permission_token()) == 200
    assert outcomes_of(emulator) == []

    clocks.advance(DEAD)
    for _ in range(20):
        assert resource_status(emulator, held.get_permission_token()) == 200
    assert outcomes_of(emulator) == ["refreshed"]


@pytest.mark.parametrize("offset", [-7200, 7200], ids=["S6 behind", "S6a ahead"])
def test_a_wrong_wall_clock_does_not_matter_for_opaque_tokens(
    established: NewSession, emulator: Emulator, clocks: Clocks, offset: int
) -> None:
    """FIELD.md S6, S6a: where a token says nothing of itself, the answer's Date header tells the server's time."""
    clocks.wall_offset = offset

    def make_opaque(answer: dict[str, dict[str, dict[str, str]]]) -> None:
        answer["data"]["permissionToken"]["permissionToken"] = "opaque"

    emulator.faults.add(mutate(make_opaque), kind="issue")
    held = established(emulator)
    assert {held.get_permission_token() for _ in range(20)} == {"opaque"}
    clocks.advance(DEAD)
    assert held.get_permission_token() != "opaque"
    assert outcomes_of(emulator) == ["refreshed"]


def test_s6_a_restored_session_distrusts_a_clock_that_went_back(
    driver: Driver, established: NewSession, emulator: Emulator, clocks: Clocks
) -> None:
    """FIELD.md S6: a token saved long ago is not taken for young by a machine whose clock is two hours behind."""
    snapshot = established(emulator).snapshot()
    clocks.advance(LIFETIME + 1)
    clocks.wall_offset = -7200
    held = driver.restore(snapshot)

    for _ in range(20):
        assert resource_status(emulator, held.get_permission_token()) == 200
    assert outcomes_of(emulator) == ["refreshed"]
    held.close()


def test_s9_a_refused_token_is_replaced_once(established: NewSession, emulator: Emulator, clocks: Clocks) -> None:
    """FIELD.md S9: 64 callers report the same refused token; whoever comes late does not invalidate its successor."""
    held = established(emulator)
    refused = held.get_permission_token()
    emulator.service.revoke_permission_tokens()
    assert resource_status(emulator, refused) == 401
    emulator.faults.add(latency(0.05, answer=True))

    outcomes = held.gather(64, ("invalidate", refused), ("get_permission_token",))
    late = held.gather(8, ("invalidate", refused), ("get_permission_token",))

    (new,) = {outcome.value for outcome in outcomes + late}
    assert resource_status(emulator, new) == 200
    assert outcomes_of(emulator) == ["refreshed"]


def test_s10_an_outage_at_expiry_is_shared(established: NewSession, emulator: Emulator, clocks: Clocks) -> None:
    """FIELD.md S10; invariants 5 and 7: 64 callers get the same error within the deadline, after few attempts."""
    heard = Recorder()
    policy = Policy(deadline=60, attempt_timeout=30, backoff_base=0.2, backoff_cap=0.4)
    held = established(emulator, policy=policy, listener=heard)
    clocks.advance(DEAD)

    with emulator.connections_refused():
        callers = [held.start(("get_permission_token",)) for _ in range(64)]
        with clocks.hurried(100):
            errors = [caller.outcome().error for caller in callers]

    assert {type(error) for error in errors} == {RefreshError}
    assert len({str(error) for error in errors}) == 1
    assert len({id(error) for error in errors}) == 64
    # Some 8 in one exchange; more on a machine that takes its time to start 64 callers, but not one for each of them.
    assert len(heard.of(AttemptFailed)) < 64
    clocks.advance(1)
    assert resource_status(emulator, held.get_permission_token()) == 200
    assert outcomes_of(emulator) == ["refreshed"]


def test_s10_an_answer_of_503_is_shared(established: NewSession, emulator: Emulator, clocks: Clocks) -> None:
    """FIELD.md S10; invariant 5: the same with a service that answers, so that it can count."""
    policy = Policy(deadline=60, attempt_timeout=60, backoff_base=0.2, backoff_cap=0.4)
    held = established(emulator, policy=policy)
    clocks.advance(DEAD)
    gate = hold()
    emulator.faults.add(gate, status(503), times=1)
    callers = [held.start(("get_permission_token",)) for _ in range(64)]
    assert gate.arrived.wait(10)
    emulator.faults.add(status(503), times=None)
    gate.release()

    with clocks.hurried(100):
        errors = [caller.outcome().error for caller in callers]

    assert {type(error) for error in errors} == {RefreshError}
    assert len({str(error) for error in errors}) == 1
    assert len({id(error) for error in errors}) == 64
    assert len(emulator.journal.of("refresh")) < 64
    assert emulator.statistics.reuse_detected == 0


def test_s11_a_token_that_dies_during_its_early_refresh(
    established: NewSession, emulator: Emulator, clocks: Clocks
) -> None:
    """FIELD.md S11: the foreground joins the refresh that the background began, and presents nothing itself."""
    held = established(emulator)
    old = held.get_permission_token()
    clocks.advance(STALE)
    gate = emulator.faults.add(hold())
    assert held.get_permission_token() == old  # begins the early refresh
    assert gate.arrived.wait(10)
    clocks.advance(DEAD - STALE)

    callers = [held.start(("get_permission_token",)) for _ in range(10)]
    assert not any(caller.done for caller in callers)
    gate.release()

    (new,) = {caller.outcome().value for caller in callers}
    assert new not in (None, old)
    assert outcomes_of(emulator) == ["refreshed"]


def test_threads_that_switch_all_the_time_get_newer_tokens_only(
    established: NewSession, emulator: Emulator, clocks: Clocks
) -> None:
    """Invariants 1 to 3: under the worst of schedules nobody's tokens get older, and none is presented twice."""
    held = established(emulator)
    rotations = 15
    callers = []
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        for _ in range(rotations):
            clocks.advance(DEAD)
            callers += [held.start(*[("get_permission_token",)] * 200) for _ in range(6)]
            held.get_permission_token()  # time does not jump while an answer is on its way
        outcomes = [caller.outcome() for caller in callers]
    finally:
        sys.setswitchinterval(interval)

    assert [outcome.error for outcome in outcomes] == [None] * len(callers)
    for outcome in outcomes:
        numbers = [token_number(token) for token in outcome.values]
        assert numbers == sorted(numbers)
    assert emulator.statistics.reuse_detected == 0
    assert outcomes_of(emulator) == ["refreshed"] * rotations
    assert resource_status(emulator, held.get_permission_token()) == 200
