# What the tests of the drivers need besides an adapter: clocks that can be moved, a listener that can be waited for,
# and a user of the protected resource.

import base64
import http.client
import json
import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

from tenure import Event, Policy
from tenure.transports.emulator import Emulator, Fault

from .drivers import TIMEOUT

TOKEN_ID = "11111111-1111-4111-8111-111111111111"
OTHER_TOKEN_ID = "22222222-2222-4222-8222-222222222222"
PERMISSIONS = ["read"]

# Retries that a test can wait for; the limits are never reached, however busy the machine is.
QUICK = Policy(deadline=60, attempt_timeout=30, backoff_base=0.01, backoff_cap=0.05)

# Seconds; how the emulator of the fixtures issues permission tokens, and what QUICK makes of that.
LIFETIME = 1000
STALE = 850  # after this time a refresh is due, and the token still works
DEAD = 995  # after this time the session does not hand it out any more, and the service still accepts it


class Clocks:
    """The client's two clocks and the service's: they run, and a test can move them."""

    def __init__(self) -> None:
        self.wall_offset = 0.0  # by which the client's wall clock is wrong
        self._monotonic_now, self._wall_now = time.monotonic, time.time
        self._moved = (0.0, self._monotonic_now(), 1.0)  # seconds ahead, as of when, and how fast; read at once

    def advance(self, seconds: float) -> None:
        """Let time pass for everybody."""
        self._moved = (self._ahead() + seconds, self._monotonic_now(), self._moved[2])

    @contextmanager
    def hurried(self, factor: float = 600) -> Iterator[None]:
        """Let the clocks run faster: what goes on failing until a deadline ends soon, and no deadline is ever short."""
        self._moved = (self._ahead(), self._monotonic_now(), factor)
        try:
            yield
        finally:
            self._moved = (self._ahead(), self._monotonic_now(), 1.0)

    def _ahead(self) -> float:
        seconds, since, factor = self._moved
        return seconds + (self._monotonic_now() - since) * (factor - 1)

    def monotonic(self) -> float:
        return self._monotonic_now() + self._ahead()

    def wall(self) -> float:
        return self.service() + self.wall_offset

    def service(self) -> float:
        """Return Unix time on the service's clock."""
        return self._wall_now() + self._ahead()


class Recorder:
    """A listener that keeps what it hears and can be waited for."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        self._changed = threading.Condition()

    def __call__(self, event: Event) -> None:
        with self._changed:
            self.events.append(event)
            self._changed.notify_all()

    def of(self, kind: type[Event]) -> list[Any]:
        """Return the events of a kind."""
        with self._changed:
            return [event for event in self.events if isinstance(event, kind)]

    def wait_for(self, kind: type[Event], count: int = 1) -> Any:
        """Wait until there are so many events of a kind, and return the newest of them."""

        def heard() -> bool:
            return sum(isinstance(event, kind) for event in self.events) >= count

        with self._changed:
            assert self._changed.wait_for(heard, TIMEOUT), f"no {kind.__name__} in time: {self.events}"
            return [event for event in self.events if isinstance(event, kind)][-1]


class Log(logging.Handler):
    """What was logged, to be waited for; use it as a context manager around what logs."""

    def __init__(self, name: str = "tenure") -> None:
        super().__init__()
        self._logger = logging.getLogger(name)
        self._texts: list[str] = []
        self._changed = threading.Condition()

    def __enter__(self) -> "Log":
        self._logger.addHandler(self)
        return self

    def __exit__(self, *exception: object) -> None:
        self._logger.removeHandler(self)

    def emit(self, record: logging.LogRecord) -> None:
        with self._changed:
            self._texts.append(self.format(record))
            self._changed.notify_all()

    def wait_for(self, words: str) -> str:
        """Wait until a record has these words in it, and return all that was logged."""
        with self._changed:
            assert self._changed.wait_for(lambda: any(words in text for text in self._texts), TIMEOUT)
            return "\n".join(self._texts)


class Witness(Fault):
    """No fault at all: keeps the requests as they arrived."""

    def __init__(self) -> None:
        super().__init__("witness", before=lambda exchange: self.requests.append(exchange.request))
        self.requests: list[Any] = []

    def headers(self, name: str) -> list[str]:
        """Return the values of a header over all requests."""
        return [value for request in self.requests for key, value in request.headers if key.lower() == name]


def security_token(emulator: Emulator, clock: Callable[[], float] = time.time, factor: str = "credentials") -> str:
    """Return a security token of the emulator's first account."""
    return emulator.service.security_token(emulator.credentials.username, factor, clock())


def resource_status(emulator: Emulator, token: str) -> int:
    """Present a permission token to the protected resource, and return the status of the answer."""
    address = urlsplit(emulator.resource_url)
    connection = http.client.HTTPConnection(str(address.hostname), address.port, timeout=TIMEOUT)
    try:
        connection.request("GET", address.path, headers={"authorization": f"Bearer {token}"})
        answer = connection.getresponse()
        answer.read()
        return answer.status
    finally:
        connection.close()


def token_number(token: str) -> int:
    """Return which one of its session's permission tokens this is, as the emulator counts them."""
    head = token.split(".")[0]
    number = json.loads(base64.urlsafe_b64decode(head + "=" * (-len(head) % 4)))["number"]
    assert isinstance(number, int)
    return number


def outcomes_of(emulator: Emulator, kind: str = "refresh") -> list[str]:
    """Return what became of the requests of a kind, in order."""
    return [entry.outcome for entry in emulator.journal.of(kind)]


def until(condition: Callable[[], bool]) -> None:
    """Let other threads run until something that no event tells of has happened."""
    ends_at = time.monotonic() + TIMEOUT
    while not condition():
        assert time.monotonic() < ends_at, "it does not happen"
        time.sleep(0)
