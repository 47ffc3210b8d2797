# Schedulers whose turns can be counted, and on whose clock each turn takes one tick: so that a time-out can be made to
# expire at any turn whatever, and none is missed. And the silence that has to follow.
#
# Nothing in here is private to asyncio or trio: a selector of our own, a clock of our own, and an instrument.

import asyncio
import gc
import selectors
import signal
import sys
import warnings
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
import trio
import trio.testing
from tenure import TenureError
from tenure.transports import asyncio as asyncio_driver
from tenure.transports import trio as trio_driver

__all__ = ["TICK", "AsyncioTurns", "Operation", "TrioTurns", "Turns", "interrupt", "silence", "walk", "was_interrupted"]

TICK = 2.0**-20  # seconds that a turn takes; as a power of two, so that sums of it are exact
LAST = 2000  # turns; nothing that is walked through takes as many
ENDLESS = 20_000  # turns; a run that takes as many does not end

Operation = Callable[[], Awaitable[Any]]
Main = Callable[[], Awaitable[Any]]


class Agenda:
    """What is to be done at which turn."""

    def __init__(self) -> None:
        self.turns = 0
        self._due: dict[int, list[Callable[[], object]]] = {}

    def take_turn(self) -> None:
        """One more turn has come."""
        self.turns += 1
        assert self.turns != ENDLESS, "somebody waits for ever"
        for act in self._due.pop(self.turns, ()):
            act()

    def after(self, turns: int, act: Callable[[], object]) -> None:
        """Do something after some turns, before anybody else has the next one."""
        if turns:
            self._due.setdefault(self.turns + turns, []).append(act)
        else:
            act()

    def clear(self) -> None:
        """Do nothing of it any more."""
        self._due.clear()


class TurningSelector(selectors.DefaultSelector):
    """Asked by its loop once a turn."""

    agenda: Agenda

    def select(self, timeout: float | None = None) -> Any:
        self.agenda.take_turn()
        return super().select(timeout)


class TurningLoop(asyncio.SelectorEventLoop):
    """A loop on whose clock each turn takes one tick."""

    def __init__(self) -> None:
        selector = TurningSelector()
        self.agenda = selector.agenda = Agenda()
        super().__init__(selector)

    def time(self) -> float:
        return self.agenda.turns * TICK


class TurningInstrument(trio.abc.Instrument):
    """Makes each turn of a run take one tick on that run's clock."""

    def __init__(self) -> None:
        self.agenda = Agenda()
        self.clock = trio.testing.MockClock()

    def after_io_wait(self, timeout: float) -> None:
        self.clock.jump(TICK)
        self.agenda.take_turn()


class AsyncioTurns:
    """asyncio, turn by turn."""

    name = "asyncio"
    driver: Any = asyncio_driver
    agenda: Agenda
    ways = ("cancel", "wait_for") + (("timeout",) if sys.version_info >= (3, 11) else ())

    def __init__(self) -> None:
        self.complaints: list[object] = []

    @staticmethod
    async def rest() -> None:
        """Take one turn."""
        await asyncio.sleep(0)

    def run(self, main: Main, leftovers: bool = False) -> Any:
        """Run in a loop of its own, by `asyncio.run`; what nobody looks after is complained of."""

        def new_loop() -> TurningLoop:
            loop = TurningLoop()
            loop.set_exception_handler(lambda loop, context: self.complaints.append(str(context)))
            self.agenda = loop.agenda
            return loop

        async def watched() -> Any:
            answer = await main()
            await self.rest()  # the turn in which a pump ends whose callers were woken before it
            assert leftovers or asyncio.all_tasks() == {asyncio.current_task()}
            return answer

        with mock.patch.object(asyncio.events, "new_event_loop", new_loop):
            return asyncio.run(watched())

    async def together(self, operation: Operation, others: list[Operation]) -> list[Any]:
        """Run one as this task and the others beside it; return how the others fared."""
        rest = [asyncio.ensure_future(other()) for other in others]
        await operation()
        return list(await asyncio.gather(*rest, return_exceptions=True))

    async def restlessly(self, main: Main) -> Any:
        """Run while turn follows turn, so that time passes although everybody waits."""
        metronome = asyncio.ensure_future(go_on(self.rest))
        try:
            return await main()
        finally:
            metronome.cancel()
            await asyncio.wait({metronome})

    async def leave(self, way: str, turns: int, operation: Operation) -> bool:
        """Make the caller of an operation leave after some turns; return whether it was made to, or done before."""
        try:
            if way == "cancel":
                await self._cancel(turns, operation)
            elif way == "wait_for":
                await asyncio.wait_for(operation(), turns * TICK)
            elif sys.version_info >= (3, 11):
                async with asyncio.timeout(turns * TICK):
                    await operation()
        except (asyncio.TimeoutError, asyncio.CancelledError):
            return True
        return False

    async def _cancel(self, turns: int, operation: Operation) -> None:
        task = asyncio.ensure_future(operation())
        self.agenda.after(turns, task.cancel)
        try:
            await asyncio.wait({task})
        finally:
            self.agenda.clear()
        await task

    def begin(self, operation: Operation) -> None:
        """Begin something that nobody waits for, whatever it comes to."""
        self._begun = asyncio.ensure_future(operation())
        self._begun.add_done_callback(lambda task: task.cancelled() or task.exception())


class TrioTurns:
    """trio, turn by turn."""

    name = "trio"
    driver: Any = trio_driver
    agenda: Agenda
    ways = ("cancel", "move_on_after", "fail_after")

    def __init__(self) -> None:
        self.complaints: list[object] = []  # there are none: a run ends only when all its tasks have

    @staticmethod
    async def rest() -> None:
        """Take one turn."""
        await trio.lowlevel.checkpoint()

    def run(self, main: Main, leftovers: bool = False) -> Any:
        """Run by `trio.run`."""
        instrument = TurningInstrument()
        self.agenda = instrument.agenda

        async def watched() -> Any:
            async with trio.open_nursery() as self._nursery:
                try:
                    return await main()
                finally:
                    self._nursery.cancel_scope.cancel()

        return trio.run(watched, clock=instrument.clock, instruments=[instrument])

    async def together(self, operation: Operation, others: list[Operation]) -> list[Any]:
        """Run one as this task and the others beside it; return how the others fared."""
        outcomes: list[Any] = []

        async def stay(other: Operation) -> None:
            try:
                outcomes.append(await other())
            except Exception as problem:
                outcomes.append(problem)

        async with trio.open_nursery() as nursery:
            for other in others:
                nursery.start_soon(stay, other)
            await operation()
        return outcomes

    async def restlessly(self, main: Main) -> Any:
        """Run while turn follows turn, so that time passes although everybody waits."""
        self._nursery.start_soon(go_on, self.rest)  # until the end of the run
        return await main()

    async def leave(self, way: str, turns: int, operation: Operation) -> bool:
        """Make the caller of an operation leave after some turns; return whether it was made to, or done before."""
        if way == "fail_after":
            try:
                with trio.fail_after(turns * TICK):
                    await operation()
            except trio.TooSlowError:
                return True
            return False
        scope = trio.move_on_after(turns * TICK) if way == "move_on_after" else trio.CancelScope()
        if way == "cancel":
            self.agenda.after(turns, scope.cancel)
        with scope:
            await operation()
        self.agenda.clear()
        return scope.cancelled_caught

    def begin(self, operation: Operation) -> None:
        """Begin something that nobody waits for, whatever it comes to."""

        async def run() -> None:
            try:
                await operation()
            except TenureError:
                pass

        self._nursery.start_soon(run)


Turns = AsyncioTurns | TrioTurns


def walk(visit: Callable[[int], bool]) -> int:
    """Visit turn after turn until nobody is caught any more; return how many there were."""
    turns = 0
    while visit(turns):
        turns += 1
        assert turns < LAST
    return turns


async def go_on(rest: Callable[[], Awaitable[None]]) -> None:
    """Take turn after turn, as long as any run may take."""
    for _ in range(ENDLESS):
        await rest()
    raise AssertionError("somebody waits for ever")


def open_files() -> int:
    """Return how many files and sockets this process has open."""
    return len(list(Path("/proc/self/fd").iterdir()))


@contextmanager
def silence(world: Turns) -> Iterator[None]:
    """Bear no exception that nobody looks at, no task and no socket that nobody has ended."""
    heard: list[str] = []
    before = open_files()
    with warnings.catch_warnings(), pytest.MonkeyPatch.context() as patch:
        warnings.simplefilter("error")
        patch.setattr(sys, "unraisablehook", lambda unraisable: heard.append(repr(unraisable.exc_value)))
        yield
        gc.collect()
    assert heard == []
    assert not world.complaints, world.complaints
    assert open_files() == before


def interrupt() -> None:
    """Be interrupted as by Ctrl-C."""
    signal.raise_signal(signal.SIGINT)


def was_interrupted(world: Turns, main: Main) -> bool:
    """Run, and return whether Ctrl-C ended the run; trio's nurseries wrap what it raises."""
    try:
        world.run(main, leftovers=True)
    except BaseException as problem:
        if "KeyboardInterrupt" not in repr(problem):
            raise
        return True
    return False
