# transports/_forking.py: a forked child inherits a session, but neither its threads nor its exchange.
#
# Of the blocking driver only: an event loop does not survive a fork anyway.

import linecache
import os
import threading
import warnings
from collections.abc import Iterator

import pytest
from tenure import AttemptError, Policy
from tenure.transports.blocking import AuthorizationSession
from tenure.transports.emulator import Emulator, hold, hold_answer, status

from .driver_helpers import DEAD, OTHER_TOKEN_ID, QUICK, TOKEN_ID, Clocks, outcomes_of, resource_status, security_token
from .drivers import TIMEOUT, BlockingDriver, Driver
from .forking import in_child

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")


@pytest.fixture
def driver() -> Driver:
    """This file is about the blocking driver alone."""
    return BlockingDriver()


@pytest.fixture
def session(emulator: Emulator, clocks: Clocks) -> Iterator[AuthorizationSession]:
    with AuthorizationSession(emulator.url, TOKEN_ID, ["read"], policy=QUICK) as session:
        session.establish([security_token(emulator, clocks.service)])
        yield session


def warnings_of(session: AuthorizationSession, *names: str) -> list[tuple[str, str, str]]:
    """Call methods, and return kind, text and line of the warnings that they gave."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        for name in names:
            getattr(session, name)()
    lines = [linecache.getline(warning.filename, warning.lineno).strip() for warning in caught]
    return [(caught[i].category.__name__, str(caught[i].message), line) for i, line in enumerate(lines)]


def test_an_idle_session_is_inherited(session: AuthorizationSession, emulator: Emulator) -> None:
    """DESIGN.md, contract: the child has the fresh token, for which it needs nobody."""
    token = session.get_permission_token()
    assert in_child(session.get_permission_token) == token
    assert session.get_permission_token() == token
    assert outcomes_of(emulator) == []


def test_the_child_says_once_that_a_token_is_shared(session: AuthorizationSession, emulator: Emulator) -> None:
    """DESIGN.md, contract: a warning, and only when the child really does something with the session."""
    assert in_child(lambda: warnings_of(session, "get_permission_token", "current_token", "snapshot")) == []
    ((kind, text, _),) = in_child(lambda: warnings_of(session, "refresh", "refresh"))
    assert kind == "RuntimeWarning"
    assert "forked" in text
    assert outcomes_of(emulator) == ["refreshed", "refreshed"]


def test_the_parent_is_not_warned(session: AuthorizationSession, emulator: Emulator) -> None:
    """The one that was there first has nothing to be warned of, and goes on."""
    in_child(session.current_token)
    assert warnings_of(session, "refresh") == []
    assert resource_status(emulator, session.get_permission_token()) == 200


@pytest.mark.parametrize("name", ["refresh", "get_permission_token"])
def test_the_warning_points_at_the_caller(session: AuthorizationSession, clocks: Clocks, name: str) -> None:
    """A warning is shown with the line that has to be mended, which is not one of ours."""
    clocks.advance(DEAD)
    ((_, _, line),) = in_child(lambda: warnings_of(session, name))
    assert line == "getattr(session, name)()"


def test_a_warning_that_is_an_error_wedges_nothing(session: AuthorizationSession, emulator: Emulator) -> None:
    """Programs that turn warnings into errors get one, and the session works at the next call."""

    def refresh_twice() -> str:
        with pytest.raises(RuntimeWarning, match="forked"):
            session.refresh()
        session.refresh()
        return session.get_permission_token()

    assert resource_status(emulator, in_child(refresh_twice)) == 200
    assert outcomes_of(emulator) == ["refreshed"]


def test_a_session_without_tokens_shares_none(emulator: Emulator, clocks: Clocks) -> None:
    """Forked before it was established, a session is the child's own, without a warning."""
    with AuthorizationSession(emulator.url, TOKEN_ID, ["read"], policy=QUICK) as session:
        proof = security_token(emulator, clocks.service)

        def establish() -> str:
            session.establish([proof])
            session.refresh()
            return session.get_permission_token()

        assert resource_status(emulator, in_child(establish)) == 200
        assert session.current_token() is None


def test_a_child_can_have_a_session_of_its_own(
    session: AuthorizationSession, emulator: Emulator, clocks: Clocks
) -> None:
    """The remedy that the warning names works, and neither harms the other."""
    proof = security_token(emulator, clocks.service)

    def live() -> str:
        with AuthorizationSession(emulator.url, OTHER_TOKEN_ID, ["read"], policy=QUICK) as own:
            own.establish([proof])
            own.refresh()
            return own.get_permission_token()

    token = in_child(live)
    session.refresh()
    assert resource_status(emulator, token) == 200
    assert resource_status(emulator, session.get_permission_token()) == 200
    assert emulator.statistics.reuse_detected == 0


def test_a_fork_during_an_exchange(session: AuthorizationSession, emulator: Emulator) -> None:
    """DESIGN.md, contract: the child does not wait for the parent's exchange, and the parent gets its answer."""
    emulator.service.grace = 30
    old = session.get_permission_token()
    gate = emulator.faults.add(hold_answer())
    refresh = threading.Thread(target=session.refresh)
    refresh.start()
    assert gate.arrived.wait(TIMEOUT)

    def live() -> tuple[str | None, list[tuple[str, str, str]], str]:
        before = session.current_token()
        # Invariant 2: the same token under the same request id, which the grace window answers the same.
        caught = warnings_of(session, "refresh")
        return before, caught, session.get_permission_token()

    before, caught, token = in_child(live)
    assert refresh.is_alive()
    gate.release()
    refresh.join(TIMEOUT)
    assert before == old
    assert len(caught) == 1
    assert session.get_permission_token() == token != old
    assert outcomes_of(emulator) == ["refreshed", "replayed"]


def test_a_fork_during_a_backoff(session: AuthorizationSession, emulator: Emulator, clocks: Clocks) -> None:
    """The child does not sleep the parent's sleep; whoever waited in the parent goes on waiting there."""
    clocks.advance(DEAD)
    gate = hold()
    emulator.faults.add(gate, status(503))
    tokens: list[str] = []
    waiter = threading.Thread(target=lambda: tokens.append(session.get_permission_token()))
    waiter.start()
    assert gate.arrived.wait(TIMEOUT)
    assert in_child(lambda: session.snapshot()["state"]) == "active"
    gate.release()
    waiter.join(TIMEOUT)
    assert [resource_status(emulator, token) for token in tokens] == [200]


def test_a_child_may_close_what_it_inherited(session: AuthorizationSession, emulator: Emulator) -> None:
    """close() in the child neither waits for the parent's exchange nor ends it."""
    gate = emulator.faults.add(hold_answer())
    refresh = threading.Thread(target=session.refresh)
    refresh.start()
    assert gate.arrived.wait(TIMEOUT)
    in_child(session.close)
    gate.release()
    refresh.join(TIMEOUT)
    assert resource_status(emulator, session.get_permission_token()) == 200
    assert outcomes_of(emulator) == ["refreshed"]


def test_forks_while_other_threads_hold_the_locks(
    session: AuthorizationSession, emulator: Emulator, clocks: Clocks
) -> None:
    """No child inherits a lock that nobody in it will ever release."""
    stop = threading.Event()

    def hammer() -> None:
        while not stop.is_set():
            session.invalidate("some-other-token")
            session.snapshot()
            repr(session)

    def refresh_until_stopped() -> None:
        while not stop.is_set():
            session.refresh()

    threads = [threading.Thread(target=hammer) for _ in range(4)]
    threads.append(threading.Thread(target=refresh_until_stopped))
    for thread in threads:
        thread.start()
    try:
        for _ in range(10):
            proof = security_token(emulator, clocks.service)

            def live(proof: str = proof) -> str:
                session.invalidate("some-other-token")
                session.snapshot()
                with AuthorizationSession(emulator.url, OTHER_TOKEN_ID, ["read"], policy=QUICK) as own:
                    own.establish([proof])
                    return own.get_permission_token()

            assert resource_status(emulator, in_child(live)) == 200
    finally:
        stop.set()
        for thread in threads:
            thread.join(TIMEOUT)
    assert resource_status(emulator, session.get_permission_token()) == 200
    assert emulator.statistics.reuse_detected == 0


def test_a_child_of_a_child(session: AuthorizationSession, emulator: Emulator) -> None:
    """Each generation is warned for itself."""

    def fork_again() -> int:
        return len(in_child(lambda: warnings_of(session, "refresh"))) + 10 * len(warnings_of(session, "current_token"))

    assert in_child(fork_again) == 1
    assert outcomes_of(emulator) == ["refreshed"]


def test_keep_alive_begins_anew_in_the_child(session: AuthorizationSession) -> None:
    """The parent's thread is not there; asking again makes the child's own."""
    parents = session.keep_alive()

    def begin() -> bool:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)
            own = session.keep_alive()
            alive = own.is_alive() and own is not parents
            session.close()
        return alive

    assert in_child(begin)
    assert parents.is_alive()


def test_a_child_without_answer_is_told(emulator: Emulator, clocks: Clocks) -> None:
    """Invariant 7 holds in the child: what it asks for itself settles, whatever the parent was doing."""
    with AuthorizationSession(emulator.url, TOKEN_ID, ["read"], policy=QUICK) as first:
        first.establish([security_token(emulator, clocks.service)])
    clocks.advance(DEAD)
    policy = Policy(deadline=0.1, attempt_timeout=0.1)
    with AuthorizationSession.from_snapshot(first.snapshot(), policy=policy) as session:

        def ask() -> str:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", RuntimeWarning)
                with pytest.raises(AttemptError) as caught:
                    session.get_permission_token()
            return type(caught.value).__name__

        with emulator.connections_refused():
            assert in_child(ask) == "RefreshError"
