# The trio driver: tasks, h11 on trio's streams, and nothing to decide. Compare blocking.py and asyncio.py beside it.
#
# Every exchange runs in a system task, the pump, never in a caller's: a caller that is cancelled leaves at once, and
# the exchange goes on and its answer is taken in (invariant 4). `trio.run` ends when that is done, at most at the
# exchange's own time-out. Nothing of asyncio is imported, and no exception leaves the pump.

import logging
from collections.abc import Awaitable, Callable
from ssl import SSLContext
from time import time as wall
from typing import Any, TypeVar

from .. import AMBIGUOUS, Call, Instant, Request, Response, SendFailure, SendRequest, Sleep
from ._async_session import AsyncSessionBase
from ._session import LONGEST_NAP, STORE_PATIENCE, SessionBase, begins_more, failure_of, read_clocks

try:
    import trio
except ImportError as problem:
    raise ImportError("this driver needs trio, which is not installed: pip install 'tenure[trio]'") from problem

from ._trio_shield import in_a_thread, shielded  # needs trio

__all__ = ["AuthorizationSession"]

Answer = TypeVar("Answer")
Send = Callable[[Request, float], Awaitable[Response]]


class AuthorizationSession(AsyncSessionBase):
    """An authorization session for trio tasks. Use it within one `trio.run` at a time; another one may follow.

    Every async method is a checkpoint. Cancelling a caller cancels that caller only, and at once. Time is trio's clock,
    so a `MockClock` makes tokens expire as well.
    """

    __doc__ = f"{__doc__}\n{SessionBase.__doc__}"

    def _set_up(self, send: Send | None, ssl_context: SSLContext | None) -> None:
        if send is None:
            from ._trio_streams import StreamSender  # only whoever sends by h11 has to have it

            self._send: Send = StreamSender(ssl_context)
        else:
            self._send = shielded(send)
        self._begin_pumpless()
        self._clock: trio.abc.Clock | None = None
        self._shift = 0.0  # what makes the clocks of successive runs one monotonic clock
        self._lead = 0.0  # by which that clock is ahead of the system's: a MockClock may have jumped

    def _begin_pumpless(self) -> None:
        self._pump_scope: trio.CancelScope | None = None
        self._waiting: dict[Call | None, trio.Event] = {}  # under None: for any change

    async def get_permission_token(self) -> str:
        """Return a permission token that works now. Only a checkpoint while it is fresh.

        Raises:
            SessionExpiredError: the session is over; establish it anew.
            RefreshError, ProtocolViolationError: no new token in time; try later.
            NotEstablishedError: call `establish` first.
        """
        await trio.lowlevel.checkpoint()
        token = self.current_token()
        if token is None:
            await self._wait(self._ask(self._protocol.request_token, self._now()))
            token = self._protocol.newest_token()  # not the call's own: somebody may have got a newer one by now
            assert token is not None
        return token

    def current_token(self) -> str | None:
        """Return the fresh token, or None. Never waits and never begins a refresh."""
        ready = self._held.ready
        if self._monotonic() < ready.until_monotonic and wall() < ready.until_wall:
            return ready.permission_token
        return None

    async def keep_alive(self, *, task_status: "trio.TaskStatus[None]" = trio.TASK_STATUS_IGNORED) -> None:
        """Refresh while idle, until cancelled or until `close`. For `nursery.start` or `nursery.start_soon`."""
        task_status.started()
        while not self._is_closed:
            seconds = self._protocol.seconds_until_due(self._now())
            if self._pump_scope is not None or seconds is None or seconds > 0:
                # Woken by whatever changes. None: nothing to keep alive until somebody establishes it.
                with trio.move_on_after(min(LONGEST_NAP, seconds or LONGEST_NAP)):
                    await self._waiter(None).wait()
            else:
                self._ask(self._protocol.request_token, self._now())
        await trio.lowlevel.checkpoint()

    async def close(self) -> None:
        """Send nothing more. Waits for the answer to a request that has left, so that it is not lost."""
        self._is_closed = True
        with trio.CancelScope(shield=True):  # bounded by the time-out of the exchange under way
            while self._pump_scope is not None:
                self._pump_scope.cancel()
                await self._waiter(None).wait()
        self._wake()
        await trio.lowlevel.checkpoint()

    # The pump

    def _ask(self, ask: Callable[..., Answer], *arguments: Any) -> Answer:
        self._check()
        answer = ask(*arguments)
        if self._held.busy and self._pump_scope is None:
            scope = trio.CancelScope()
            trio.lowlevel.spawn_system_task(self._pump, scope, name="tenure pump")  # fails where the run has ended
            self._pump_scope = scope
        self._deliver(self._protocol.take_events())
        return answer

    async def _pump(self, scope: trio.CancelScope) -> None:
        """Do what the core asks until it asks for nothing. Only one pump runs at a time; callers merely wait."""
        try:
            with scope:
                while (step := self._next_step()) is not None:
                    if trio.current_effective_deadline() == float("-inf") and begins_more(step):
                        break  # cancelled
                    await self._perform(step)
        except trio.Cancelled:
            raise
        except BaseException:  # a bug of ours, or sys.exit() in a listener: neither must end the whole run
            logging.getLogger("tenure").exception("the pump failed")
        finally:
            self._pump_scope = None
            if self._held.busy:  # cancelled, or a bug of ours: nobody may wait for ever
                self._protocol.disown_exchange()
            self._wake()

    def _next_step(self) -> Any:
        step = self._protocol.next_step(self._now())
        self._wake()
        self._deliver(self._protocol.take_events())
        return step

    async def _perform(self, step: Any) -> None:
        if isinstance(step, Sleep):
            await trio.sleep(step.seconds)
            return
        report: object = SendFailure(AMBIGUOUS, "the sending task was cancelled")
        try:
            if isinstance(step, SendRequest):
                report = await self._send(step.request, step.seconds_left(self._now()))
            else:
                report = await in_a_thread(step.ask, self._store, STORE_PATIENCE)
        except trio.Cancelled:
            raise
        except BaseException as problem:  # whatever a send= or a store may raise
            report = failure_of(step, problem)
        finally:
            self._report(step, report, self._now())
            self._wake()

    async def _wait(self, call: Call) -> str | None:
        if call.settled:
            await trio.lowlevel.checkpoint()
        while not call.settled:
            await self._waiter(call).wait()
        return call.result()

    def _waiter(self, call: Call | None) -> trio.Event:
        return self._waiting.setdefault(call, trio.Event())

    def _wake(self) -> None:
        for call in [call for call in self._waiting if call is None or call.settled]:
            self._waiting.pop(call).set()

    def _monotonic(self) -> float:
        try:
            clock = trio.lowlevel.current_clock()
        except RuntimeError:  # outside of a run, where current_token() may be asked as well
            return read_clocks().monotonic + self._lead
        if clock is not self._clock:  # another run: its clock begins anywhere
            self._clock = clock
            self._shift = read_clocks().monotonic + self._lead - monotonic()
        return monotonic() + self._shift

    def _now(self) -> Instant:
        now = self._monotonic()
        self._lead = now - read_clocks().monotonic
        return Instant(now, wall())


def monotonic() -> float:
    """Return seconds on the clock of this run."""
    return trio.current_time()
