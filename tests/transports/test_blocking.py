# What only the blocking driver can get wrong: starting its thread, and callers that are interrupted while they do so.

import threading
from collections.abc import Callable

import pytest
from tenure import AttemptError, Policy
from tenure.transports.emulator import Emulator

from .conftest import NewSession
from .drivers import Driver


@pytest.fixture(autouse=True)
def _blocking_only(driver: Driver) -> None:
    if driver.name != "blocking":
        pytest.skip("about the blocking driver alone")


def refuse_next_pump(monkeypatch: pytest.MonkeyPatch, problem: BaseException) -> None:
    """Let the next attempt to start the pump's thread fail, and only that."""
    start: Callable[[threading.Thread], None] = threading.Thread.start
    problems = [problem]

    def start_or_not(thread: threading.Thread) -> None:
        if thread.name == "tenure pump" and problems:
            raise problems.pop()
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", start_or_not)


def test_no_thread_to_be_had(established: NewSession, emulator: Emulator, monkeypatch: pytest.MonkeyPatch) -> None:
    """Invariant 7: a machine without a free thread is a clear error for this caller, and the next one gets through."""
    held = established(emulator)
    refuse_next_pump(monkeypatch, RuntimeError("can't start new thread"))
    with pytest.raises(AttemptError, match="can't start new thread"):
        held.refresh()
    held.refresh()
    assert emulator.statistics.refreshes == 1


def test_a_caller_interrupted_while_it_starts_the_pump(
    established: NewSession, emulator: Emulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Invariant 4: Ctrl-C may come before the thread exists; whoever asks next must find a session that works."""
    held = established(emulator, policy=Policy(deadline=0.1, attempt_timeout=0.1))
    refuse_next_pump(monkeypatch, KeyboardInterrupt())
    with pytest.raises(KeyboardInterrupt):
        held.refresh()
    held.refresh()
    assert emulator.statistics.refreshes == 1
