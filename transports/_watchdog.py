# One thread that ends what takes too long. A timer thread for each exchange would cost more than the rest of the
# driver.

import heapq
import os
import threading
from collections.abc import Callable
from itertools import count
from time import monotonic

__all__ = ["watch"]


class Watch:
    """A promise to call something at a time, unless it is kept from it before.

    Attributes:
        grace: seconds from when the time is found to be up until it is called.
    """

    def __init__(self, act: Callable[[], None], grace: float) -> None:
        self._act: Callable[[], None] | None = act
        self.grace = grace

    def end(self) -> None:
        """Nothing needs to be done any more."""
        self._act = None

    def act(self) -> None:
        """The time has come."""
        act = self._act
        if act is not None:
            act()


class Watchdog:
    """Watches over any number of exchanges. Its daemon thread begins with the first and then lives on."""

    def __init__(self) -> None:
        self._changed = threading.Condition(threading.Lock())
        self._agenda: list[tuple[float, int, Watch]] = []
        self._order = count()
        self._thread: threading.Thread | None = None

    def watch(self, seconds: float, act: Callable[[], None], grace: float = 0.0) -> Watch:
        """Call `act` in `seconds`, on the watchdog's thread, unless the watch is ended before. It must not block.

        Args:
            seconds, act: see above.
            grace: seconds more, from when it is found that the others have passed: if the process was stopped
                meanwhile, whoever is watched gets that long to end what would have been done by now.

        Raises:
            RuntimeError: the thread cannot be started. It is tried again for the next watch.
        """
        watch = Watch(act, grace)
        with self._changed:
            if self._thread is None:
                thread = threading.Thread(target=self._run, name="tenure watchdog", daemon=True)
                thread.start()
                self._thread = thread
            self._enter(seconds, watch)
        return watch

    def _enter(self, seconds: float, watch: Watch) -> None:
        entry = (monotonic() + seconds, next(self._order), watch)
        heapq.heappush(self._agenda, entry)
        if self._agenda[0] is entry:
            self._changed.notify()

    def _run(self) -> None:
        while True:
            with self._changed:
                while not self._agenda or self._agenda[0][0] > monotonic():
                    self._changed.wait(self._agenda[0][0] - monotonic() if self._agenda else None)
                _, _, watch = heapq.heappop(self._agenda)
                grace, watch.grace = watch.grace, 0.0
                if grace:
                    self._enter(grace, watch)
                    continue
            watch.act()


_dogs = [Watchdog()]


def watch(seconds: float, act: Callable[[], None], grace: float = 0.0) -> Watch:
    """Call `act` in `seconds`, on another thread, unless the returned watch is ended before: see `Watchdog.watch`."""
    return _dogs[0].watch(seconds, act, grace)


def _after_fork() -> None:
    _dogs[0] = Watchdog()  # the thread has stayed behind in the parent, and a lock may be held there


if hasattr(os, "register_at_fork"):  # not on Windows, which has no fork
    os.register_at_fork(after_in_child=_after_fork)
