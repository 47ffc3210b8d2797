# The drivers as their tests see them: each behind one small adapter of plain blocking functions, so that one suite
# tests them all.
#
# To add a driver, write a `HeldSession` for its world (how a method is run to its end, how one is begun on the side,
# how a caller is made to leave) and a `Driver` that makes it, and put the driver into DRIVERS in
# conftest.py.

import signal
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, NamedTuple

from tenure import Request
from tenure.transports import blocking

__all__ = ["BlockingDriver", "Caller", "Driver", "HeldSession", "Outcome", "TIMEOUT"]

TIMEOUT = 20.0  # seconds; never reached unless a test fails

Step = tuple[Any, ...]  # a method's name and its arguments


class Outcome(NamedTuple):
    """How a caller fared: what its methods returned, or what one of them raised."""

    values: tuple[Any, ...] = ()
    error: BaseException | None = None

    @property
    def value(self) -> Any:
        """What the last method returned, None if one raised."""
        return self.values[-1] if self.values else None


class Caller(ABC):
    """Somebody who has called a method on the side."""

    @property
    @abstractmethod
    def done(self) -> bool:
        """Whether the method has returned or raised."""

    @abstractmethod
    def outcome(self) -> Outcome:
        """Wait for it."""


class HeldSession(ABC):
    """One session of some driver.

    Attributes:
        session: the driver's own object.
    """

    enter, exit = "__enter__", "__exit__"

    def __init__(self, session: Any) -> None:
        self.session = session

    @abstractmethod
    def call(self, name: str, *arguments: Any) -> Any:
        """Run the method of that name to its end."""

    @abstractmethod
    def start(self, *steps: Step) -> Caller:
        """Begin to run some methods one after the other, as one caller."""

    @abstractmethod
    def leave(self, moment: threading.Event, name: str, *arguments: Any) -> None:
        """Call a method, and leave it when the moment has come, the way a caller does in this world."""

    @abstractmethod
    def keep_alive(self) -> Caller:
        """Begin to keep the session alive, until it is closed."""

    def gather(self, count: int, *steps: Step) -> list[Outcome]:
        """Let so many callers run the steps at the same time, and return how they fared."""
        callers = [self.start(*steps) for _ in range(count)]
        return [caller.outcome() for caller in callers]

    # What the drivers offer, with its types

    def verify_credentials(self, username: str, password: str) -> str:
        token = self.call("verify_credentials", username, password)
        assert isinstance(token, str)
        return token

    def establish(self, security_tokens: Any) -> None:
        assert self.call("establish", security_tokens) is None

    def establish_by_key(self, merchant_key: Any) -> None:
        assert self.call("establish_by_key", merchant_key) is None

    def get_permission_token(self) -> str:
        token = self.call("get_permission_token")
        assert isinstance(token, str)
        return token

    def refresh(self) -> None:
        assert self.call("refresh") is None

    def invalidate(self, token: Any) -> None:
        assert self.call("invalidate", token) is None

    def close(self) -> None:
        self.call("close")

    def current_token(self) -> str | None:
        token = self.session.current_token()  # never a coroutine: for those who count nanoseconds
        assert token is None or isinstance(token, str)
        return token

    def snapshot(self) -> dict[str, Any]:
        snapshot = self.call("snapshot")
        assert isinstance(snapshot, dict)
        return snapshot

    def __enter__(self) -> "HeldSession":
        assert self.call(self.enter) is self.session
        return self

    def __exit__(self, *exception: object) -> None:
        assert not self.call(self.exit, *exception)  # it swallows nothing


class Driver(ABC):
    """Makes the sessions of one driver.

    Attributes:
        name: for the ids of tests.
        clock_modules: the modules whose `monotonic` and `wall` the driver reads.
        nap: the module and the name of the number of seconds for which `keep_alive` sleeps at most.
    """

    name: str
    clock_modules: tuple[str, ...]
    nap: str

    @abstractmethod
    def make(self, url: Any, token_id: Any, permissions: Any, **options: Any) -> HeldSession:
        """Make a session; the options are those of the driver's class."""

    @abstractmethod
    def restore(self, snapshot: Mapping[str, object], **options: Any) -> HeldSession:
        """Make a session of a snapshot."""

    @abstractmethod
    def sender(self, send: Callable[[Request, float], Any]) -> Any:
        """Turn a plain function into what this driver takes as `send=`."""


# --- threads ---


class ThreadCaller(Caller):
    def __init__(self, run: Callable[[], tuple[Any, ...]]) -> None:
        self._outcome: Outcome | None = None
        self._thread = threading.Thread(target=self._run, args=(run,), name="caller", daemon=True)
        self._thread.start()

    def _run(self, run: Callable[[], tuple[Any, ...]]) -> None:
        try:
            self._outcome = Outcome(run())
        except BaseException as error:
            self._outcome = Outcome(error=error)

    @property
    def done(self) -> bool:
        return self._outcome is not None

    def outcome(self) -> Outcome:
        self._thread.join(TIMEOUT)
        assert self._outcome is not None, "the caller still waits"
        return self._outcome


class BlockingSession(HeldSession):
    def call(self, name: str, *arguments: Any) -> Any:
        return getattr(self.session, name)(*arguments)

    def start(self, *steps: Step) -> Caller:
        return ThreadCaller(lambda: tuple([self.call(*step) for step in steps]))

    def leave(self, moment: threading.Event, name: str, *arguments: Any) -> None:
        with interrupted_at(moment):
            try:
                self.call(name, *arguments)
            except KeyboardInterrupt:
                return
        raise AssertionError("the caller was not interrupted")

    def keep_alive(self) -> Caller:
        thread = self.session.keep_alive()
        assert self.session.keep_alive() is thread  # asked again, it begins nothing new

        def wait() -> tuple[Any, ...]:
            thread.join(TIMEOUT)
            assert not thread.is_alive()
            return ()

        return ThreadCaller(wait)


class BlockingDriver(Driver):
    name = "blocking"
    clock_modules = ("tenure.transports._session", "tenure.transports.blocking")
    nap = "tenure.transports.blocking.LONGEST_NAP"

    def make(self, url: Any, token_id: Any, permissions: Any, **options: Any) -> HeldSession:
        return BlockingSession(blocking.AuthorizationSession(url, token_id, permissions, **options))

    def restore(self, snapshot: Mapping[str, object], **options: Any) -> HeldSession:
        return BlockingSession(blocking.AuthorizationSession.from_snapshot(snapshot, **options))

    def sender(self, send: Callable[[Request, float], Any]) -> Any:
        return send


@contextmanager
def interrupted_at(moment: threading.Event) -> Iterator[None]:
    """Send this thread, the main one, a signal when the moment has come; it raises KeyboardInterrupt, as Ctrl-C."""
    main = threading.main_thread()
    assert threading.current_thread() is main, "only the main thread is interrupted by signals"
    is_over = threading.Event()

    def interrupt() -> None:
        moment.wait(TIMEOUT)
        if not is_over.is_set():
            signal.pthread_kill(main.ident or 0, signal.SIGUSR1)

    def raise_interrupt(number: int, frame: object) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGUSR1, raise_interrupt)
    thread = threading.Thread(target=interrupt, daemon=True)
    thread.start()
    try:
        yield
    finally:
        is_over.set()
        moment.set()
        thread.join(TIMEOUT)
        signal.signal(signal.SIGUSR1, before)
