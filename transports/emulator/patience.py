# Waiting that ends when the server closes: latencies, drips and holds all wait here, and nowhere else.

from threading import Event, Lock

__all__ = ["Interrupted", "Patience"]


class Interrupted(Exception):
    """The server is closing: whoever waits on behalf of a client stops doing so."""


class Patience:
    """The waiting of one run of the server, from its start to its stop."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._waiting: set[Event] = set()
        self._over = False

    def check(self) -> None:
        """Raise `Interrupted` if the server closes."""
        with self._lock:
            if self._over:
                raise Interrupted

    def pause(self, seconds: float) -> None:
        """Wait so many seconds; `Interrupted` if the server closes before they are over."""
        self.wait(Event(), seconds)

    def wait(self, event: Event, seconds: float | None = None) -> None:
        """Wait for an event of the waiter's own, at most so many seconds; `Interrupted` if the server closes."""
        with self._lock:
            if self._over:
                raise Interrupted
            self._waiting.add(event)
        event.wait(seconds)
        with self._lock:
            self._waiting.discard(event)
            if self._over:
                raise Interrupted

    def end(self) -> None:
        """Interrupt all who wait, and all who will."""
        with self._lock:
            self._over = True
            for event in self._waiting:
                event.set()
