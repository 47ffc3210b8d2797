# What only the blocking driver can get wrong: starting its thread, and callers that are interrupted while they do so.

import threading
from collections.abc import Callable

import pytest
from tenure import AttemptError
from tenure.transports.emulator import Emulator, hold

from .conftest import NewSession
from .drivers import TIMEOUT, BlockingDriver, Driver


@pytest.fixture
def driver() -> Driver:
    """This file is about the blocking driver alone."""
    return BlockingDriver()


def refuse_next_pump(monkeypatch: pytest.MonkeyPatch, problem: BaseException) -> None:
    """Let the next attempt to start the pump's thread fail, and only that."""
    start: Callable[[threading.Thread], None] = threading.Thread.start
    problems = [problem]

    def start_or_not(thread: threading.Thread) -> None:
        if thread.name == "tenure pump" and problems:
            raise problems.pop()
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", start_or_not)


def test_one_pump_at_a_time(established: NewSession, emulator: Emulator, monkeypatch: pytest.MonkeyPatch) -> None:
    """Invariant 1: however many ask while an exchange is under way, one thread carries it out."""
    held = established(emulator)
    gate = emulator.faults.add(hold())
    first = held.start(("refresh",))
    assert gate.arrived.wait(TIMEOUT)
    started: list[str] = []
    start: Callable[[threading.Thread], None] = threading.Thread.start

    def start_and_tell(thread: threading.Thread) -> None:
        started.append(thread.name)
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", start_and_tell)
    others = [held.start(("refresh",)) for _ in range(10)]
    gate.release()
    assert [caller.outcome().error for caller in [first, *others]] == [None] * 11
    # Whoever came when the exchange was over began the next one: at most as many pumps as further exchanges.
    assert started.count("tenure pump") < emulator.statistics.refreshes


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
    held = established(emulator)
    refuse_next_pump(monkeypatch, KeyboardInterrupt())
    with pytest.raises(KeyboardInterrupt):
        held.refresh()
    held.refresh()
    assert emulator.statistics.refreshes == 1
