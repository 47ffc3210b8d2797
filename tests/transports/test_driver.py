# The contract of every driver (DESIGN.md, "The driver's contract"), method by method: establishing, and what concerns
# all of it. The other methods are in the files test_driver_*.py.

import pytest
from tenure import EstablishError, NotEstablishedError, RefusedError, SessionExpiredError
from tenure.transports.emulator import ANY, Emulator, hold, status

from .conftest import NewEmulator, NewSession
from .driver_helpers import (
    DEAD,
    OTHER_TOKEN_ID,
    PERMISSIONS,
    TOKEN_ID,
    Clocks,
    Witness,
    outcomes_of,
    resource_status,
    security_token,
)
from .drivers import Driver

# --- establishing ---


def test_the_journey_from_a_password_to_the_resource(new_session: NewSession, emulator: Emulator) -> None:
    """WIRE.md, Requests: credentials buy a security token, that buys the pair, and the resource accepts the token."""
    held = new_session(emulator)
    held.establish([held.verify_credentials(*emulator.credentials)])
    assert resource_status(emulator, held.get_permission_token()) == 200
    assert [entry.kind for entry in emulator.journal] == ["credentials", "issue", "resource"]


def test_a_wrapped_security_token_is_understood(new_session: NewSession, new_emulator: NewEmulator) -> None:
    """WIRE.md, Answers: the object form of a security token is accepted, too."""
    emulator = new_emulator(wrap_security_token=True)
    held = new_session(emulator)
    held.establish([held.verify_credentials(*emulator.credentials)])
    assert held.current_token() is not None


def test_establish_by_key(new_session: NewSession, emulator: Emulator) -> None:
    """WIRE.md, Words: a merchant's key issues a token without an account, and the session refreshes as any other."""
    held = new_session(emulator)
    held.establish_by_key(emulator.merchant_key)
    held.refresh()
    assert resource_status(emulator, held.get_permission_token()) == 200
    assert held.session.unverified_claims().account_id is None


@pytest.mark.parametrize("kind", [list, tuple, set, frozenset])
def test_lists_may_be_tuples_or_sets(driver: Driver, emulator: Emulator, kind: type, clocks: Clocks) -> None:
    """Permissions and security tokens are a collection of strings, whichever."""
    with driver.make(emulator.url, TOKEN_ID, kind(PERMISSIONS)) as held:
        held.establish(kind([security_token(emulator, clocks.service)]))
        assert held.session.unverified_claims().permissions == ("read",)


def test_two_factors(new_session: NewSession, new_emulator: NewEmulator, clocks: Clocks) -> None:
    """WIRE.md, Words: several security tokens together buy a permission token; one alone does not suffice."""
    emulator = new_emulator(factors_required=2)
    held = new_session(emulator)
    first, second = [security_token(emulator, clocks.service, factor) for factor in ("credentials", "code")]
    with pytest.raises(RefusedError) as caught:
        held.establish([first])
    assert caught.value.status == 403
    held.establish([first, second])
    assert resource_status(emulator, held.get_permission_token()) == 200


def test_wrong_credentials_are_refused(new_session: NewSession, emulator: Emulator) -> None:
    """A refusal is a RefusedError with the status: proving the factor again is what helps."""
    held = new_session(emulator)
    with pytest.raises(RefusedError) as caught:
        held.verify_credentials(emulator.credentials.username, "wrong")
    assert caught.value.status == 401


def test_wrong_merchant_key_is_refused(new_session: NewSession, emulator: Emulator) -> None:
    """The same for a merchant's key."""
    with pytest.raises(RefusedError):
        new_session(emulator).establish_by_key("wrong")


def test_establish_replaces_the_session(established: NewSession, emulator: Emulator, clocks: Clocks) -> None:
    """WIRE.md, promises: called again, it replaces the session; the newer pair is what refreshes from then on."""
    held = established(emulator)
    old = held.get_permission_token()
    held.establish([security_token(emulator, clocks.service)])
    assert held.get_permission_token() != old
    held.refresh()
    assert outcomes_of(emulator) == ["refreshed"]


def test_a_failed_establish_leaves_the_session_usable(established: NewSession, emulator: Emulator) -> None:
    """Invariant 6: refused security tokens cost nothing but the attempt."""
    held = established(emulator)
    old = held.get_permission_token()
    with pytest.raises(RefusedError):
        held.establish(["not-a-security-token"])
    assert held.get_permission_token() == old
    held.refresh()
    assert resource_status(emulator, held.get_permission_token()) == 200


def test_an_unreachable_service_is_an_establish_error(
    new_session: NewSession, emulator: Emulator, clocks: Clocks
) -> None:
    """DESIGN.md, Failures: not sent, retried until the deadline; then an error that says so, and a later try works."""
    held = new_session(emulator)
    with emulator.connections_refused(), clocks.hurried(), pytest.raises(EstablishError) as caught:
        held.establish([security_token(emulator, clocks.service)])
    assert not caught.value.ambiguous
    held.establish([security_token(emulator, clocks.service)])
    assert held.current_token() is not None


def test_establish_during_a_refresh_waits_its_turn(established: NewSession, emulator: Emulator, clocks: Clocks) -> None:
    """Invariants 1 and 6: one request at a time, and the establish that was asked for later has the last word."""
    held = established(emulator)
    gate = emulator.faults.add(hold())
    refresh = held.start(("refresh",))
    assert gate.arrived.wait(10)
    establish = held.start(("establish", [security_token(emulator, clocks.service)]))
    assert not establish.done
    assert len(emulator.journal.of("issue")) == 1
    gate.release()
    assert refresh.outcome().error is None
    assert establish.outcome().error is None
    assert emulator.journal[-1].kind == "issue"
    held.refresh()  # with the pair of the establish: any other would be refused
    assert outcomes_of(emulator) == ["refreshed", "refreshed"]


@pytest.mark.parametrize("name", ["get_permission_token", "refresh"])
def test_nothing_before_establish(new_session: NewSession, emulator: Emulator, name: str) -> None:
    """WIRE.md, promises: before establish() no token operation may be performed; nothing is sent."""
    held = new_session(emulator)
    with pytest.raises(NotEstablishedError, match="establish"):
        held.call(name)
    assert held.current_token() is None
    assert held.session.unverified_claims() is None
    held.invalidate("whatever")  # nothing to invalidate, nothing happens
    assert list(emulator.journal) == []


# --- the rest ---


def test_unverified_claims(established: NewSession, emulator: Emulator) -> None:
    """WIRE.md, Answers: what the newest permission token says of itself, not verified."""
    claims = established(emulator, permissions=["read", "secret"]).session.unverified_claims()
    assert claims.permissions == ("read", "secret")
    assert claims.account_id == emulator.service.account_ids[emulator.credentials.username]
    assert claims.lifetime == emulator.service.permission_lifetime


def test_each_caller_gets_an_error_of_its_own(established: NewSession, emulator: Emulator, clocks: Clocks) -> None:
    """Invariant 5: the same error, and never the same object, which would collect the traceback of each caller."""
    held = established(emulator)
    clocks.advance(DEAD)
    gate = hold()
    emulator.faults.add(gate, status(401))
    callers = [held.start(("get_permission_token",)) for _ in range(8)]
    assert gate.arrived.wait(10)
    gate.release()
    errors = [caller.outcome().error for caller in callers]
    assert {type(error) for error in errors} == {SessionExpiredError}
    assert len({id(error) for error in errors}) == len({id(error.__traceback__) for error in errors if error}) == 8
    # Those that came after the refusal learn it without a request, hence without its status; no other difference.
    assert len({str(error) for error in errors}) == 1


def test_sessions_are_independent(established: NewSession, emulator: Emulator) -> None:
    """WIRE.md, Words: parallel sessions of one account have token ids of their own and do not touch each other."""
    first, second = established(emulator), established(emulator, token_id=OTHER_TOKEN_ID)
    second.refresh()
    first.refresh()
    assert {resource_status(emulator, held.get_permission_token()) for held in (first, second)} == {200}


def test_each_request_has_a_request_id_of_its_own(established: NewSession, emulator: Emulator) -> None:
    """WIRE.md, Requests: every request bears a UUID, and only a repetition bears the same one."""
    witness = emulator.faults.add(Witness(), kind=ANY, times=None)
    held = established(emulator)
    held.refresh()
    held.refresh()
    ids = witness.headers("request-id")
    assert len(ids) == len(set(ids)) == 3


def test_the_repr_names_the_session_and_its_state(
    driver: Driver, new_session: NewSession, emulator: Emulator, clocks: Clocks
) -> None:
    """The repr says which session this is and how it is."""
    held = new_session(emulator)
    assert repr(held.session) == f"<tenure.transports.{driver.name}.AuthorizationSession {TOKEN_ID}: unestablished>"
    held.establish([security_token(emulator, clocks.service)])
    assert repr(held.session).endswith(": active>")
