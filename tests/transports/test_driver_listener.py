# The contract of every driver: what a listener hears, and what the log says.

import logging
from typing import Any

import pytest
from tenure import Event, SessionEstablished, SessionExpired, SessionExpiredError, TokenRotated
from tenure.transports.emulator import Emulator, status

from .conftest import NewSession
from .driver_helpers import DEAD, PERMISSIONS, TOKEN_ID, Clocks, Log, Recorder, resource_status, security_token
from .drivers import Driver


def test_the_listener_hears_what_happens_in_order(established: NewSession, emulator: Emulator) -> None:
    """Events tell people what happened to which session."""
    heard = Recorder()
    held = established(emulator, listener=heard)
    heard.wait_for(SessionEstablished)
    held.refresh()
    heard.wait_for(TokenRotated)
    emulator.faults.add(status(401))
    with pytest.raises(SessionExpiredError):
        held.refresh()
    heard.wait_for(SessionExpired)
    assert [type(event) for event in heard.events] == [SessionEstablished, TokenRotated, SessionExpired]
    assert {event.token_id for event in heard.events} == {TOKEN_ID}


def test_a_listener_that_raises_harms_nobody(established: NewSession, emulator: Emulator, clocks: Clocks) -> None:
    """A listener is a guest: its failure is logged, and the session goes on."""

    def listen(event: Event) -> None:
        raise ZeroDivisionError("the listener's own trouble")

    with Log() as log:
        held = established(emulator, listener=listen)
        held.refresh()
        clocks.advance(DEAD)
        assert resource_status(emulator, held.get_permission_token()) == 200
        assert "ZeroDivisionError" in log.wait_for("the listener failed on TokenRotated")


def test_a_listener_may_use_the_session(driver: Driver, emulator: Emulator, clocks: Clocks) -> None:
    """Events are delivered without a lock held, so a listener may look at the session."""
    seen: list[Any] = []
    heard = Recorder()

    def listen(event: Event) -> None:
        seen.append(held.session.snapshot() if driver.name == "blocking" else held.current_token())
        heard(event)

    held = driver.make(emulator.url, TOKEN_ID, PERMISSIONS, listener=listen)
    with held:
        held.establish([security_token(emulator, clocks.service)])
        heard.wait_for(SessionEstablished)
    assert len(seen) == 1


def test_events_are_logged(established: NewSession, emulator: Emulator, caplog: pytest.LogCaptureFixture) -> None:
    """The logger "tenure" gets every event; what needs attention is a warning."""
    caplog.set_level(logging.INFO, "tenure")
    heard = Recorder()
    held = established(emulator, listener=heard)
    emulator.faults.add(status(401))
    with pytest.raises(SessionExpiredError):
        held.refresh()
    heard.wait_for(SessionExpired)
    levels = [(record.name, record.levelname) for record in caplog.records if record.name.startswith("tenure")]
    assert levels == [("tenure", "INFO"), ("tenure", "WARNING")]
