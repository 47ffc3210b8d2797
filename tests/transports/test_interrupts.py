# Ctrl-C at every turn of the async drivers' runs, and at every instruction of the blocking driver's callers. Afterwards
# the same session works, in the next run or for the next caller, and the server has seen no refresh token twice.
# With the drivers' own senders: test_turns_over_sockets.py.

import dis
import sys
import threading
from collections.abc import Callable
from random import Random
from time import time
from types import FrameType
from typing import Any

import pytest
from tenure import Request, Response
from tenure.transports.blocking import AuthorizationSession
from tenure.transports.emulator import AuthorizationService

from .driver_helpers import QUICK, TOKEN_ID
from .drivers import TIMEOUT, BlockingSession, ThreadCaller
from .memory_service import TURNS, MemoryService
from .turns import AsyncioTurns, TrioTurns, Turns, interrupt, silence, walk, was_interrupted

OPERATIONS = ("establish", "establish_by_key", "get_permission_token", "refresh", "close", "keep_alive")
NEVER_DONE = 4 * TURNS + 12  # turns after which an operation without end has been through all it does


@pytest.fixture(params=[AsyncioTurns, TrioTurns], ids=["asyncio", "trio"])
def world(request: pytest.FixtureRequest) -> Turns:
    made: Turns = request.param()
    return made


@pytest.mark.parametrize("name", OPERATIONS)
def test_ctrl_c_at_every_turn_of_a_run(world: Turns, name: str) -> None:
    """Invariant 4: whatever it interrupts, with zero, one and many others waiting, the session goes on in a new run."""

    def visit(others: int, turns: int) -> bool:
        service = MemoryService(world.rest, grace=60)
        session = world.driver.AuthorizationSession(service.url, TOKEN_ID, ["read"], send=service.send, policy=QUICK)
        arguments = {"establish": ([service.security_token],), "establish_by_key": (service.service.merchant_key,)}

        async def main() -> None:
            await session.establish([service.security_token])
            session.invalidate(await session.get_permission_token())
            service.begun = 0
            for _ in range(others):
                world.begin(session.get_permission_token)
            if name == "close":  # has something to wait for
                world.begin(session.get_permission_token)
                while not service.begun:
                    await world.rest()
            world.agenda.after(turns + 1, interrupt)
            await getattr(session, name)(*arguments.get(name, ()))
            world.agenda.clear()

        was_early = was_interrupted(world, lambda: world.restlessly(main))
        heir = session
        if name == "close" and session._is_closed:
            heir = world.driver.AuthorizationSession.from_snapshot(session.snapshot(), send=service.send, policy=QUICK)
        # An establish that a send= of the user's was cut off in is asked for again: no grace window is for it.
        again = name if name in arguments else "refresh"
        world.run(lambda: getattr(heir, again)(*arguments.get(again, ())))
        assert world.run(heir.get_permission_token)
        assert service.service.statistics.reuse_detected == 0
        return was_early and turns < NEVER_DONE

    with silence(world):
        for others in (0, 1, 8):
            turns = walk(lambda turns, others=others: visit(others, turns))  # type: ignore[misc]
            assert turns > 2 * TURNS


class Interruption:
    """Raises KeyboardInterrupt in this thread, at one of the places where the library's code can be hit by a signal.

    Those are where a function begins, where what a call has returned is about to be stored or dropped, and where a loop
    begins again. No CPython looks for signals between the end of a `with` block and the release of its lock.

    Args:
        place: which of them, counted from 0.
    """

    def __init__(self, place: int) -> None:
        self._left = place
        self._last: dict[FrameType, str] = {}  # the instruction of each frame that came before
        self.was_early = False

    def __enter__(self) -> "Interruption":
        self._before = sys.gettrace()
        sys._getframe().f_trace_opcodes = True  # CPython 3.12 counts no opcodes unless a frame wants them beforehand
        sys.settrace(self._trace)
        return self

    def __exit__(self, kind: type[BaseException] | None, *rest: object) -> bool:
        sys.settrace(self._before)
        self._last.clear()
        self.was_early = kind is KeyboardInterrupt
        return self.was_early

    def _trace(self, frame: FrameType, event: str, argument: object) -> Any:
        if not frame.f_globals.get("__name__", "").startswith("tenure"):
            return None
        frame.f_trace_opcodes = True
        if event == "opcode" and self._is_place(frame):
            self._left -= 1
            if self._left < 0:
                sys.settrace(None)
                raise KeyboardInterrupt
        return self._trace

    def _is_place(self, frame: FrameType) -> bool:
        previous = self._last.get(frame, "")
        this = self._last[frame] = dis.opname[frame.f_code.co_code[frame.f_lasti]]
        has_called = previous.startswith("CALL") and this.startswith(("STORE", "POP_TOP"))
        return not previous or this.startswith(("JUMP_BACKWARD", "JUMP_ABSOLUTE")) or has_called


class PlainService:
    """The pure service behind a `send=` for threads."""

    url = MemoryService.url

    def __init__(self) -> None:
        self.service = AuthorizationService(grace=0, random=Random(1))
        self._gate = threading.Event()
        self._gate.set()
        self._arrived = threading.Event()

    def send(self, request: Request, timeout: float) -> Response:
        self._arrived.set()
        assert self._gate.wait(TIMEOUT)
        return self.service.handle(request, time())

    def hold_next(self) -> threading.Event:
        """Keep the next requests until `release`; the event tells that one has arrived."""
        self._arrived.clear()
        self._gate.clear()
        return self._arrived

    def release(self) -> float:
        """Let go what is kept; return how many seconds its answer may take."""
        self._gate.set()
        return TIMEOUT


@pytest.mark.parametrize("name", ["get_permission_token", "refresh", "close", "keep_alive", "invalidate", "snapshot"])
def test_ctrl_c_at_every_place_of_a_threads_call(name: str) -> None:
    """Invariants 4 and 7: an interrupted caller leaves no lock locked, nobody waiting, and no exchange undone."""

    def visit(place: int) -> bool:
        service = PlainService()
        session = AuthorizationSession(service.url, TOKEN_ID, ["read"], send=service.send, policy=QUICK)
        session.establish_by_key(service.service.merchant_key)
        token = session.get_permission_token()
        session.invalidate(token)
        rest()
        with Interruption(place) as interruption:
            getattr(session, name)(*([token] if name == "invalidate" else []))
        if session._is_closed:
            session = AuthorizationSession.from_snapshot(session.snapshot(), send=service.send, policy=QUICK)
        assert in_time(session.get_permission_token) != token
        in_time(session.refresh)
        in_time(session.close)
        assert service.service.statistics.reuse_detected == 0
        return interruption.was_early

    assert walk(visit) > 2


def rest() -> None:
    """Wait until no pump runs, so that the next caller has to start one."""
    for thread in threading.enumerate():
        if thread.name == "tenure pump":
            thread.join(TIMEOUT)


def in_time(ask: Callable[[], Any]) -> Any:
    """Ask on a thread, so that a session that hangs fails the test instead of hanging it."""
    return ThreadCaller(lambda: (ask(),)).outcome().value


def test_ctrl_c_while_the_pumps_thread_begins(monkeypatch: pytest.MonkeyPatch) -> None:
    """Invariant 1: a thread that begins although its starter was interrupted is not a second pump beside the next."""
    service = PlainService()
    session = AuthorizationSession(service.url, TOKEN_ID, ["read"], send=service.send, policy=QUICK)
    session.establish_by_key(service.service.merchant_key)
    rest()
    start: Callable[[threading.Thread], None] = threading.Thread.start
    pumps: list[threading.Thread] = []

    def start_late(thread: threading.Thread) -> None:
        if thread.name != "tenure pump" or pumps:
            return start(thread)
        pumps.append(thread)
        raise KeyboardInterrupt  # as `start` does when it waits for the new thread, which the system has made already

    monkeypatch.setattr(threading.Thread, "start", start_late)
    with pytest.raises(KeyboardInterrupt):
        session.refresh()
    sent = service.hold_next()
    asked = BlockingSession(session).start(("refresh",))
    assert sent.wait(TIMEOUT)
    start(pumps[0])
    pumps[0].join(TIMEOUT)  # it has nothing to do, although an exchange is under way
    assert not pumps[0].is_alive()
    monkeypatch.setattr(
        session, "_patience", lambda: service.release() or TIMEOUT
    )  # asked when close() is about to wait
    session.close()
    assert session._held.generation == 2  # close() has waited for the real pump
    assert asked.outcome().error is None
    assert service.service.statistics.refreshes == 1
