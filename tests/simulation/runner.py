# Lives many lives, in this process or in several, with a progress bar on a terminal. Ctrl-C ends it early, and what has
# been seen so far stays.

import signal
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from contextlib import AbstractContextManager, nullcontext
from itertools import count

from .plan import Plan
from .world import World

__all__ = ["Run", "Seen", "live"]

CHUNK = 100  # lives that a process lives at a stretch

Seen = Counter[tuple[str, str]]
Live = Callable[[range], tuple[int, Seen, int | None]]  # see `live`, which is for a single session
Tick = Callable[[float, str], None]  # how much is done, from 0 to 1; how fast


def live(seeds: range) -> tuple[int, Seen, int | None]:
    """Live these lives; return how many, what was seen, and the seed of the first one that fails."""
    seen: Seen = Counter()
    for lived, seed in enumerate(seeds, 1):
        world = World(Plan.draw(seed))
        try:
            world.run()
        except KeyboardInterrupt:
            raise
        except Exception:
            return lived, seen, seed
        seen.update(world.seen)
        seen.update({("checks", rule): times for rule, times in world.ledger.checked.items()})
        seen["lives", "requests"] += world.client.requests
        seen["lives", f"ended {world.client.protocol.state}"] += 1
    return len(seeds), seen, None


class Run:
    """A long run.

    Attributes:
        lived: how many lives.
        seen: what was seen, by group and name.
        failed: the seed of a life that fails, or None.
        took: seconds.
        was_interrupted: by Ctrl-C.
    """

    def __init__(
        self, first: int, lives: int | None, minutes: float | None, jobs: int, other: Live | None = None
    ) -> None:
        self.first = first
        self.lives = lives
        self.minutes = minutes
        self.jobs = jobs
        self._live = other or live
        self.lived = 0
        self.seen: Seen = Counter()
        self.failed: int | None = None
        self.took = 0.0
        self.was_interrupted = False
        self._began = 0.0

    def live(self) -> None:
        """Live until all is lived, the time is up, something fails or somebody presses Ctrl-C."""
        self._began = time.monotonic()
        try:
            with progress() as tick:
                for lived, seen, failed in self._results():
                    self.lived += lived
                    self.seen.update(seen)
                    self.took = time.monotonic() - self._began
                    tick(self._done(), f"{self.lived:,} lives, {self.speed:,.0f} lives/s")
                    if failed is not None:
                        self.failed = failed
                        break
        except KeyboardInterrupt:
            self.was_interrupted = True

    @property
    def speed(self) -> float:
        """Lives per second."""
        return self.lived / max(self.took, 1e-9)

    def _done(self) -> float:
        if self.minutes is not None:
            return min(1.0, self.took / (60 * self.minutes))
        return self.lived / max(1, self.lives or 0)

    def _chunks(self) -> Iterator[range]:
        end = None if self.lives is None else self.first + self.lives
        for begin in count(self.first, CHUNK):
            is_late = self.minutes is not None and time.monotonic() - self._began >= 60 * self.minutes
            if is_late or (end is not None and begin >= end):
                return
            yield range(begin, begin + CHUNK if end is None else min(begin + CHUNK, end))

    def _results(self) -> Iterator[tuple[int, Seen, int | None]]:
        if self.jobs == 1:
            yield from map(self._live, self._chunks())
            return
        with ProcessPoolExecutor(self.jobs, initializer=leave_interrupts_to_the_parent) as pool:
            waiting: list[Future[tuple[int, Seen, int | None]]] = []
            try:
                for chunk in self._chunks():
                    waiting.append(pool.submit(self._live, chunk))
                    if len(waiting) >= 2 * self.jobs:  # enough for all to be busy, and no more in memory
                        yield waiting.pop(0).result()
                while waiting:
                    yield waiting.pop(0).result()
            finally:
                pool.shutdown(wait=True, cancel_futures=True)


def leave_interrupts_to_the_parent() -> None:
    """Ctrl-C reaches all processes of a terminal; only the first one shall act on it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def progress() -> AbstractContextManager[Tick]:
    """Return a progress bar on a terminal, and something that shows nothing elsewhere."""
    if not sys.stderr.isatty():
        return nullcontext(lambda done, speed: None)
    return Bar()


class Bar:
    """A bar with the lives, the speed and the time left."""

    def __init__(self) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

        self._progress = Progress(
            BarColumn(),
            TextColumn("{task.percentage:>3.0f} %"),
            TextColumn("{task.description}"),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(elapsed_when_finished=False),
            console=Console(stderr=True),
        )
        self._task = self._progress.add_task("", total=1.0)

    def __enter__(self) -> Tick:
        self._progress.start()
        return lambda done, speed: self._progress.update(self._task, completed=done, description=speed)

    def __exit__(self, *error: object) -> None:
        self._progress.stop()
