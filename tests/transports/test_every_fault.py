# Every fault that the emulator has, once, in every driver: the session survives it, or ends as WIRE.md says.
# What each fault does to callers in detail is in test_bad_input.py, test_driver_*.py and test_field_scenarios.py.

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import pytest
from tenure import Policy, ProtocolViolationError, RefreshError, SessionExpiredError
from tenure.transports import emulator as emulator_package
from tenure.transports.emulator import (
    Emulator,
    Fault,
    Hold,
    acted_status,
    chunked,
    distortions,
    drop_field,
    faults,
    garbage,
    hold,
    hold_answer,
    latency,
    lose_answer,
    mutate,
    no_date_header,
    not_http,
    oversize,
    redirect,
    reset_after,
    reset_before,
    set_field,
    set_header,
    slow_drip,
    status,
    truncate,
    wrong_content_length,
)

from .conftest import NewEmulator, NewSession
from .driver_helpers import DEAD, QUICK, Clocks, outcomes_of, resource_status

ANSWERED = ["refreshed"]  # no fault for a client that reads HTTP
REPEATED = ["refreshed", "replayed"]  # the answer is lost, or as good as lost: the same question, at once
RETRIED = ["not acted", "refreshed"]  # the service has not acted: ambiguous or temporary, and then it works

# For faults after which nothing comes back: an attempt that a test can wait for.
BRIEF = Policy(deadline=60, attempt_timeout=2, backoff_base=0.01, backoff_cap=0.05)


class Case(NamedTuple):
    """A fault, and what the service has seen when the caller is answered.

    Attributes:
        error: what the caller is told, None for a token.
        recovery: what the service sees when the session is used again after an error that did not end it.
    """

    fault: Callable[[], Fault]
    seen: list[str]
    error: type[Exception] | None = None
    recovery: tuple[str, ...] = ()


def over(code: int) -> Case:
    """WIRE.md, Answers: the session is over."""
    return Case(lambda: status(code), ["not acted"], SessionExpiredError)


def nonsense(fault: Callable[[], Fault]) -> Case:
    """WIRE.md, Answers: a protocol violation is told at once, and the tokens are untouched: asked again, they serve."""
    return Case(fault, ["refreshed"], ProtocolViolationError, ("replayed",))


PAIR = "data.permissionToken"
CASES: dict[str, Case] = {
    "latency": Case(lambda: latency(0.01), ANSWERED),
    "latency of the answer": Case(lambda: latency(0.01, answer=True), ANSWERED),
    "slow_drip": Case(lambda: slow_drip(0.0001), ANSWERED),
    "hold": Case(hold, ["refreshed"]),
    "hold_answer": Case(hold_answer, REPEATED),
    "reset_before": Case(reset_before, RETRIED),
    "reset_after": Case(reset_after, REPEATED),
    "lose_answer": Case(lose_answer, REPEATED),
    **{f"status {code}": over(code) for code in (400, 401, 403, 404, 410)},
    **{f"status {code}": Case(partial(status, code), RETRIED) for code in (408, 425, 429, 500, 502, 503, 504)},
    "status 503, Retry-After": Case(lambda: status(503, retry_after=0), RETRIED),
    "status 418": Case(lambda: status(418), ["not acted"], ProtocolViolationError, ("refreshed",)),
    "acted_status": Case(acted_status, REPEATED),
    "redirect": Case(lambda: redirect("http://127.0.0.1:1/"), ["not acted"], ProtocolViolationError, ("refreshed",)),
    "truncate": Case(truncate, REPEATED),
    "truncate, reset": Case(lambda: truncate(reset=True), REPEATED),
    "wrong_content_length, too long": Case(lambda: wrong_content_length(10_000), REPEATED),
    "wrong_content_length, too short": nonsense(lambda: wrong_content_length(100)),
    "chunked": Case(chunked, ANSWERED),
    "not_http": Case(not_http, REPEATED),
    "set_header": Case(lambda: set_header("content-type", None), ANSWERED),
    "no_date_header": Case(no_date_header, ANSWERED),
    "oversize": nonsense(oversize),
    "garbage": nonsense(garbage),
    "mutate": nonsense(lambda: mutate(lambda answer: answer.clear())),
    "set_field": nonsense(lambda: set_field("requestId", "somebody else's")),
    "drop_field": nonsense(lambda: drop_field(PAIR)),
}


def test_no_fault_is_forgotten() -> None:
    """What faults.py and distortions.py make is in the table, and in the package's door."""
    makers = {name for module in (faults, distortions) for name in module.__all__ if name[0].islower()}
    assert makers == {name.split(",")[0].split(" ")[0] for name in CASES}
    assert makers <= set(emulator_package.__all__)


@pytest.mark.parametrize("name", CASES)
def test_a_fault_befalls_a_refresh(
    established: NewSession, new_emulator: NewEmulator, clocks: Clocks, name: str
) -> None:
    """With a grace window, no fault makes a driver present a refresh token twice under two names."""
    case = CASES[name]
    emulator = new_emulator(grace=60)
    held = established(emulator, policy=BRIEF if name.startswith("hold") else QUICK)
    old = held.get_permission_token()
    clocks.advance(DEAD)
    fault = emulator.faults.add(case.fault())

    outcome = held.start(("get_permission_token",)).outcome()

    assert type(outcome.error) is (case.error or type(None))
    assert outcomes_of(emulator) == case.seen
    # It befell a request, and some faults leave no other trace. What is held for good is in no journal.
    assert fault.arrived.is_set() if isinstance(fault, Hold) else any(entry.fault for entry in emulator.journal)
    assert emulator.statistics.reuse_detected == 0
    if case.error is None:
        assert outcome.value != old
        assert resource_status(emulator, outcome.value) == 200
    if case.error is not SessionExpiredError:
        clocks.advance(1)
        held.refresh()
        assert outcomes_of(emulator)[len(case.seen) :] == list(case.recovery or ["refreshed"])
        assert resource_status(emulator, held.get_permission_token()) == 200


def test_connections_are_refused_for_a_while(established: NewSession, emulator: Emulator, clocks: Clocks) -> None:
    """The one fault that befalls no request: not sent, so the token is as good as before, grace or not."""
    held = established(emulator)
    clocks.advance(DEAD)
    with emulator.connections_refused(), clocks.hurried():
        error = held.start(("get_permission_token",)).outcome().error
    assert isinstance(error, RefreshError)
    assert not error.ambiguous
    clocks.advance(1)
    held.refresh()
    assert outcomes_of(emulator) == ["refreshed"]
