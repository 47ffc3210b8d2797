# The blocking driver: threads, `requests`, and nothing to decide.
#
# Every exchange runs on a daemon thread, the pump, never in a caller's own: a caller that is interrupted (Ctrl-C, a
# signal) leaves, and the exchange goes on and its answer is taken in (invariant 4).

import threading
import time
from collections.abc import Callable
from ssl import SSLContext
from time import monotonic
from time import time as wall
from typing import TYPE_CHECKING, Any, TypeVar

from .. import AttemptError, Call, Request, Response, SendRequest, Sleep, UsageError
from ._blocking_session import BlockingSessionBase
from ._session import LONGEST_NAP, STORE_PATIENCE, SessionBase, failure_of, read_clocks

if TYPE_CHECKING:
    from .auth.requests import BearerAuth

__all__ = ["AuthorizationSession"]

GRACE = 1.0  # seconds that a send= of the user's may exceed its time-out before its callers are told
Answer = TypeVar("Answer")
Send = Callable[[Request, float], Response]


class AuthorizationSession(BlockingSessionBase):
    """An authorization session for threads. Every method may be called from any thread at any time."""

    __doc__ = f"{__doc__}\n{SessionBase.__doc__}"

    def _set_up(self, send: Send | None, ssl_context: SSLContext | None) -> None:
        if send is None:
            from ._requests import RequestsSender, shared_sender  # only whoever sends by requests has to have it

            send = shared_sender() if ssl_context is None else RequestsSender(ssl_context)
        self._send: Send = send
        self._begin_pumpless()

    def _begin_pumpless(self) -> None:
        # Always entered as the lock itself: Ctrl-C within the Python code of Condition.__enter__ would leave it locked.
        self._guard = self._lock
        self._changed = threading.Condition(self._lock)
        self._pump_thread: threading.Thread | None = None
        self._overdue_at = float("inf")  # monotonic; when a send= has taken longer than it may
        self._kept_alive: threading.Thread | None = None

    def get_permission_token(self) -> str:
        """Return a permission token that works now. Takes no lock while it is fresh, and waits only if it is dead.

        Raises:
            SessionExpiredError: the session is over; establish it anew.
            RefreshError, ProtocolViolationError: no new token in time; try later.
            NotEstablishedError: call `establish` first.
        """
        ready = self._held.ready
        if monotonic() < ready.until_monotonic and wall() < ready.until_wall:
            return ready.permission_token
        self._wait(self._ask(self._protocol.request_token, read_clocks()))
        token = self._protocol.newest_token()  # rather than the call's own: somebody may have got a newer one by now
        assert token is not None
        return token

    def auth(self, *origins: str) -> "BearerAuth":
        """Return an auth object for `requests` that serves these origins; by default the service's own."""
        from .auth.requests import BearerAuth

        return BearerAuth(self, origins or (self._held.url,))

    def keep_alive(self) -> threading.Thread:
        """Refresh while idle, on a daemon thread, until `close`. Called again, it returns the same thread."""
        with self._lock:
            if self._kept_alive is None or not self._kept_alive.is_alive():
                self._kept_alive = threading.Thread(target=self._stay_alive, name="tenure keep_alive", daemon=True)
                self._kept_alive.start()
            return self._kept_alive

    def close(self) -> None:
        """Send nothing more. Waits for the answer to a request that has left, so that it is not lost."""
        with self._lock:
            self._is_closed = True
            self._protocol.wind_up()
            self._changed.notify_all()
        self._wait_until_idle()

    def _wait_until_idle(self) -> None:
        """Wait for what is under way, at most for as long as an exchange may take."""
        with self._lock:
            self._changed.wait_for(lambda: self._pump_thread is None, self._patience())

    # The pump

    def _ask(self, ask: Callable[..., Answer], *arguments: Any) -> Answer:
        with self._lock:
            self._check()
            answer = ask(*arguments)
            if self._held.busy and self._pump_thread is None:
                self._start_pump()
            events = self._protocol.take_events()
        self._deliver(events)
        return answer

    def _start_pump(self) -> None:
        thread = threading.Thread(target=self._pump, name="tenure pump", daemon=True)
        try:
            self._pump_thread = thread
            thread.start()
        except BaseException as problem:
            # There are no more threads, the interpreter is shutting down, or Ctrl-C came first. Should the thread have
            # begun all the same, it finds itself unwanted: it takes no step before we give the lock back.
            self._pump_thread = None
            self._protocol.disown_exchange()
            if isinstance(problem, RuntimeError):
                raise AttemptError(f"could not begin the exchange: {problem}", retry_after=1) from None
            raise

    def _pump(self) -> None:
        """Do what the core asks until it asks for nothing. Only one pump runs at a time; callers merely wait."""
        try:
            while (step := self._next_step()) is not None:
                self._perform(step)
        except BaseException:  # a bug of ours or of a listener's thread hook: the callers must not wait for ever
            with self._lock:
                self._pump_thread = None
                self._protocol.disown_exchange()
                self._changed.notify_all()
            raise

    def _next_step(self) -> Any:
        with self._lock:
            if self._pump_thread is not threading.current_thread():
                return None  # whoever started this one was interrupted in it
            step = self._protocol.next_step(read_clocks())
            if step is None:
                self._pump_thread = None  # under the same lock: whoever asks next starts the next pump
            self._changed.notify_all()
            events = self._protocol.take_events()
        self._deliver(events)
        return step

    def _perform(self, step: Any) -> None:
        if isinstance(step, Sleep):
            with self._lock:
                self._changed.wait_for(lambda: self._is_closed, step.seconds)
            return
        try:
            if isinstance(step, SendRequest):
                timeout = step.seconds_left(read_clocks())
                self._overdue_at = monotonic() + timeout + GRACE
                report: object = self._send(step.request, timeout)
            else:
                self._overdue_at = monotonic() + STORE_PATIENCE
                report = step.ask(self._store)
        except BaseException as problem:  # whatever a send= or a store may raise
            report = failure_of(step, problem)
        with self._lock:
            self._overdue_at = float("inf")
            self._report(step, report, read_clocks())
            self._changed.notify_all()

    def _wait(self, call: Call) -> str | None:
        """Wait until `call` is settled, or until a send= or a store of the user's has exceeded its time-out."""
        looks = 0  # in a row that found it overdue: one alone may be due to a pause of the whole process
        with self._lock:
            while not self._changed.wait_for(lambda: call.settled, GRACE):
                looks = looks + 1 if monotonic() > self._overdue_at else 0
                if looks > 1:
                    text = "the exchange is still under way: send= or the store exceeds its time"
                    raise AttemptError(text, ambiguous=True)
        return call.result()

    def _stay_alive(self) -> None:
        while True:
            with self._lock:
                if self._is_closed:
                    return
                seconds = self._protocol.seconds_until_due(read_clocks())
                if self._pump_thread is not None or seconds is None or seconds > 0:
                    # Woken by whatever changes. None: nothing to keep alive until somebody establishes it.
                    self._changed.wait(min(LONGEST_NAP, seconds or LONGEST_NAP))
                    continue
            try:
                self._ask(self._protocol.request_token, read_clocks())
            except (AttemptError, UsageError):  # no thread to be had right now, or closed meanwhile
                time.sleep(GRACE)
