# protocol.py: what a driver does. It takes a step, does it, reports; and after a fork it disowns what is under way.

import pytest
from tenure import (
    AMBIGUOUS,
    EXCHANGING,
    IDLE,
    NOT_SENT,
    UNESTABLISHED,
    AcquireLease,
    AttemptError,
    AuthorizationProtocol,
    Call,
    LoadState,
    RefusedError,
    Response,
    SendFailure,
    SendRequest,
    SessionExpiredError,
    Sleep,
    Stored,
    UsageError,
)

from .partner import STALE_AT, Chance, at, established, make_protocol, steady

# The driver's side


def test_step_is_handed_out_once() -> None:
    """Invariant 1: until it is reported, there is no other step."""
    partner = established()
    partner.protocol.refresh()
    assert isinstance(partner.protocol.next_step(at(1)), SendRequest)
    assert partner.protocol.activity == EXCHANGING
    assert partner.protocol.next_step(at(1)) is None
    assert partner.protocol.next_step(at(1000)) is None


def test_sleep_is_told_again_with_what_is_left() -> None:
    """Call next_step again, or sooner: an early call is answered with the rest of the sleep; it needs no report."""
    partner = established(policy=steady(backoff_base=20))
    partner.protocol.refresh()
    partner.fail_next(at(0))
    lengths = []
    for second in (0, 4, 9.5):
        step = partner.protocol.next_step(at(second))
        assert isinstance(step, Sleep)
        lengths.append(step.seconds)
    assert lengths == [10, 6, 0.5]
    assert isinstance(partner.protocol.next_step(at(10)), SendRequest)


def test_sleep_does_not_depend_on_the_wall() -> None:
    """Somebody sets the clock meanwhile: the sleep is as long as it was."""
    partner = established(policy=steady(backoff_base=20))
    partner.protocol.refresh()
    partner.fail_next(at(0))
    step = partner.protocol.next_step(at(0, wall_ahead=10**6))
    assert isinstance(step, Sleep)
    assert step.seconds == 10


REPORTS = {
    "response": lambda protocol: protocol.receive_response(Response(200, {}, b""), at(1)),
    "failure": lambda protocol: protocol.receive_failure(SendFailure(AMBIGUOUS, "x"), at(1)),
    "state": lambda protocol: protocol.receive_state(None, at(1)),
    "done": lambda protocol: protocol.receive_done(at(1)),
}


def in_the_middle(where: str) -> "tuple[AuthorizationProtocol, Call | None]":
    """Return a protocol with a certain step under way, and the call that it works off."""
    call: Call | None = None
    if where == "AcquireLease":
        protocol = make_protocol(stored=True)
        call = protocol.establish(["s"])
        assert isinstance(protocol.next_step(at(0)), AcquireLease)
        return protocol, call
    if where == "LoadState":
        protocol = make_protocol(stored=True)
        call = protocol.load()
        assert isinstance(protocol.next_step(at(0)), LoadState)
        return protocol, call
    partner = established(policy=steady(backoff_base=20))
    if where != "nothing":
        call = partner.protocol.refresh()
    if where in ("SendRequest", "Sleep"):
        partner.take_request(at(0))
    if where == "Sleep":
        partner.protocol.receive_failure(SendFailure(NOT_SENT, "x"), at(0))
        partner.sleep_through(at(0))
    return partner.protocol, call


MISFITS = [
    (where, report)
    for where, fitting in (
        ("nothing", ()),
        ("asked", ()),
        ("Sleep", ()),
        ("SendRequest", ("response", "failure")),
        ("AcquireLease", ("state", "failure")),
        ("LoadState", ("state", "failure")),
    )
    for report in REPORTS
    if report not in fitting
]


@pytest.mark.parametrize(("where", "report"), MISFITS)
def test_report_that_fits_no_step_is_refused(where: str, report: str) -> None:
    """A late or misplaced report is the driver's mistake, and changes nothing."""
    protocol, _ = in_the_middle(where)
    before, state = protocol.snapshot(), (protocol.state, protocol.activity)
    with pytest.raises(UsageError, match="no step under way"):
        REPORTS[report](protocol)
    assert protocol.snapshot() == before
    assert (protocol.state, protocol.activity) == state


@pytest.mark.parametrize("report", REPORTS)
def test_report_to_a_session_that_has_asked_for_nothing(report: str) -> None:
    """Brand new, nothing was ever handed out."""
    with pytest.raises(UsageError, match="no step under way"):
        REPORTS[report](make_protocol())


def test_report_on_a_step_that_was_not_handed_out_is_refused() -> None:
    """The session has it ready, and its driver cannot have done it."""
    protocol = make_protocol(stored=True)
    protocol.establish(["s"])
    assert isinstance(protocol.next_step(at(0)), AcquireLease)
    protocol.receive_state(Stored(None, 0, lease="lease"), at(0))
    with pytest.raises(UsageError, match="call next_step"):
        protocol.receive_response(Response(200, (), b""), at(0))
    assert isinstance(protocol.next_step(at(0)), SendRequest)


def test_second_report_is_refused() -> None:
    """A step is reported once; a late duplicate cannot answer the next exchange."""
    partner = established()
    partner.protocol.refresh()
    partner.answer_next(at(1))
    with pytest.raises(UsageError, match="no step under way"):
        partner.protocol.receive_response(Response(200, {}, b""), at(1))
    partner.protocol.refresh()
    with pytest.raises(UsageError, match="no step under way"):
        partner.protocol.receive_response(Response(200, {}, b""), at(1))


# Disowning


@pytest.mark.parametrize("where", ["SendRequest", "Sleep", "AcquireLease", "LoadState", "asked"])
def test_disowned_exchange_settles_its_call_and_leaves_the_session_usable(where: str) -> None:
    """After fork() the exchange is the parent's; every call settles (invariant 7), the next one works."""
    protocol, call = in_the_middle(where)
    queued = protocol.verify_credentials("u", "p")
    protocol.disown_exchange()
    for each in (call, queued):
        assert each is not None
        assert type(each.error) is AttemptError
        assert each.error.ambiguous
        assert each.error.retry_after == 0
    assert protocol.activity == IDLE
    assert protocol.next_step(at(5)) is None
    again = protocol.verify_credentials("u", "p")
    assert isinstance(protocol.next_step(at(5)), SendRequest)
    protocol.receive_response(Response(401, {}, b""), at(5))
    assert isinstance(again.error, RefusedError)


def test_disowned_refresh_counts_as_ambiguous() -> None:
    """Its refresh token was being presented, so what becomes of it is not known here (invariant 2)."""
    partner = established()
    partner.protocol.refresh()
    first = partner.take_request(at(1))
    partner.protocol.disown_exchange()
    assert partner.protocol.snapshot()["ambiguous"] is True
    call = partner.protocol.refresh()
    assert partner.take_request(at(2)).headers == first.headers
    partner.protocol.receive_response(Response(401, {}, b""), at(2))
    assert isinstance(call.error, SessionExpiredError)
    assert call.error.ambiguous


def test_disowning_nothing_changes_nothing() -> None:
    """The child of a process that was idle."""
    protocol = established().protocol
    before = protocol.snapshot()
    protocol.disown_exchange()
    assert protocol.snapshot() == before
    assert protocol.fresh_token(at(1))


def test_session_that_was_never_used_can_be_forked_and_saved() -> None:
    """No clock has been read yet, and none is needed."""
    protocol = make_protocol()
    protocol.disown_exchange()
    assert not protocol.invalidate("a token of somebody else's")
    restored = AuthorizationProtocol.from_snapshot(protocol.snapshot(), at(0), random_bytes=Chance())
    assert restored.state == UNESTABLISHED


def test_disowned_session_asks_in_time() -> None:
    """The child of a busy process: what was under way is forgotten, so somebody has to ask once the token is stale."""
    partner = established()
    partner.protocol.request_token(at(STALE_AT))
    partner.ask_to_establish(at(STALE_AT))
    assert partner.protocol.fresh_token(at(STALE_AT))
    partner.protocol.disown_exchange()
    assert partner.protocol.fresh_token(at(STALE_AT)) is None
    assert partner.is_idle(at(STALE_AT))
    assert partner.protocol.request_token(at(STALE_AT)).settled
    assert "refresh" in partner.take_request(at(STALE_AT)).url


def test_late_answer_after_disowning_is_refused() -> None:
    """Invariant 6: a late answer to an older exchange never overwrites anything."""
    partner = established()
    partner.protocol.refresh()
    request = partner.take_request(at(1))
    partner.protocol.disown_exchange()
    with pytest.raises(UsageError, match="no step under way"):
        partner.protocol.receive_response(partner.service.handle(request, at(1).wall), at(1))
    assert partner.protocol.generation == 1
