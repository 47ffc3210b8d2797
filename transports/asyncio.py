# The asyncio driver: tasks, h11 on asyncio's transports, nothing to decide. Compare blocking.py and trio.py beside it.
#
# Every exchange runs in a task of its own, the pump, never in a caller's: a caller that is cancelled leaves at once,
# and the exchange goes on and its answer is taken in (invariant 4). When `asyncio.run` ends it cancels every task, the
# pump too; what has been sent is then still waited for, at most until the exchange's own time-out.

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from functools import partial
from ssl import SSLContext
from time import monotonic
from time import time as wall
from typing import Any, TypeVar

from .. import AMBIGUOUS, Call, Request, Response, SendFailure, SendRequest, Sleep, UsageError
from ._async_session import AsyncSessionBase
from ._asyncio_shield import BoundedSend, CancelledWithReport, in_a_task_of_its_own, in_a_thread
from ._session import LONGEST_NAP, STORE_PATIENCE, SessionBase, failure_of, read_clocks

__all__ = ["AuthorizationSession"]

Answer = TypeVar("Answer")
Send = Callable[[Request, float], Awaitable[Response]]


class AuthorizationSession(AsyncSessionBase):
    """An authorization session for asyncio tasks. Use it from one loop at a time; another loop may follow.

    Cancelling a caller cancels that caller only, and at once.
    """

    __doc__ = f"{__doc__}\n{SessionBase.__doc__}"

    def _set_up(self, send: Send | None, ssl_context: SSLContext | None) -> None:
        if send is None:
            from ._asyncio_streams import StreamSender  # only whoever sends by h11 has to have it

            self._send: BoundedSend = StreamSender(ssl_context)
        else:
            self._send = in_a_task_of_its_own(send)
        self._begin_pumpless()

    def _begin_pumpless(self) -> None:
        self._pump_task: asyncio.Task[None] | None = None
        self._under_way: object = None  # the step of which the core has not been told yet what came of it
        self._waiting: dict[Call | None, set[asyncio.Future[None]]] = {}  # under None: for any change

    async def get_permission_token(self) -> str:
        """Return a permission token that works now. Does not yield to the loop while it is fresh.

        Raises:
            SessionExpiredError: the session is over; establish it anew.
            RefreshError, ProtocolViolationError: no new token in time; try later.
            NotEstablishedError: call `establish` first.
        """
        ready = self._held.ready
        if monotonic() < ready.until_monotonic and wall() < ready.until_wall:
            return ready.permission_token
        await self._wait(self._ask(self._protocol.request_token, read_clocks()))
        token = self._protocol.newest_token()  # rather than the call's own: somebody may have got a newer one by now
        assert token is not None
        return token

    async def keep_alive(self) -> None:
        """Refresh while idle, until cancelled or until `close`. Run it as a task."""
        while not self._is_closed:
            self._leave_dead_loop()
            seconds = self._protocol.seconds_until_due(read_clocks())
            if self._pump_task is not None or seconds is None or seconds > 0:
                # Woken by whatever changes. None: nothing to keep alive until somebody establishes it.
                await self._until_woken(None, min(LONGEST_NAP, seconds or LONGEST_NAP))
            else:
                self._ask(self._protocol.request_token, read_clocks())

    async def close(self) -> None:
        """Send nothing more. Waits for the answer to a request that has left, so that it is not lost."""
        self._leave_dead_loop()
        self._is_closed = True
        if self._pump_task is not None:
            self._pump_task.cancel()
            await asyncio.wait({self._pump_task})
        self._wake()

    # The pump

    def _ask(self, ask: Callable[..., Answer], *arguments: Any) -> Answer:
        self._check()
        self._leave_dead_loop()
        answer = ask(*arguments)
        if self._held.busy and self._pump_task is None:
            # Not made by the loop, whose task factory may start it before it is known here that there is one.
            self._pump_task = asyncio.Task(self._pump(), loop=asyncio.get_running_loop(), name="tenure pump")
            self._pump_task.add_done_callback(self._end_pump)
        self._deliver(self._protocol.take_events())
        return answer

    def _leave_dead_loop(self) -> None:
        """What a loop that is gone had under way has become ambiguous."""
        task = self._pump_task
        if task is None or task.get_loop() is asyncio.get_running_loop():
            return
        if task.get_loop().is_running():
            raise UsageError("this session is in use by the event loop of another thread: give each loop its own")
        left_behind = [future for waiting in self._waiting.values() for future in waiting]
        self._begin_pumpless()
        self._protocol.disown_exchange()
        for future in left_behind:
            if not future.get_loop().is_closed():  # it may only have been stopped, and go on
                future.get_loop().call_soon_threadsafe(_wake_one, future)

    async def _pump(self) -> None:
        """Do what the core asks until it asks for nothing. Only one pump runs at a time; callers merely wait."""
        stop: asyncio.CancelledError | None = None
        while (step := self._next_step(is_ending=stop is not None)) is not None:
            stop = await self._perform(step) or stop
        if stop is not None:
            raise stop

    def _end_pump(self, task: "asyncio.Task[None]") -> None:
        """Called by the loop when a pump is done, even if it was cancelled before its first turn."""
        if not task.cancelled():
            task.exception()  # a bug of ours is the caller's AttemptError; nobody else asks for it
        if self._pump_task is task:  # cancelled, or a bug of ours: nobody may wait for ever
            self._pump_task = self._under_way = None
            self._protocol.disown_exchange()
            self._wake()

    def _next_step(self, is_ending: bool) -> Any:
        if self._pump_task is not asyncio.current_task():
            return None  # this loop was given up, and another one has taken the session over
        if is_ending:
            self._protocol.wind_up()
        step = self._protocol.next_step(read_clocks())
        if step is None:
            self._pump_task = None  # in the same turn: whoever asks next starts the next pump
        self._wake()
        self._deliver(self._protocol.take_events())
        return step

    async def _perform(self, step: Any) -> asyncio.CancelledError | None:
        """Do a step; return the cancellation that came meanwhile, if one did, for what was sent is waited for."""
        cancelled: asyncio.CancelledError | None = None
        self._under_way = None if isinstance(step, Sleep) else step
        report: object = None
        try:
            if isinstance(step, Sleep):
                await asyncio.sleep(step.seconds)
            elif isinstance(step, SendRequest):
                # An answer is taken in on arrival, so that its callers do not wait for this task to wake first.
                timeout = step.seconds_left(read_clocks())
                report = await self._send(step.request, timeout, partial(self._conclude, step))
            else:
                report = await in_a_thread(step.ask, self._store, STORE_PATIENCE)
        except asyncio.CancelledError as stop:
            cancelled = stop
            unknown = SendFailure(AMBIGUOUS, "the sending task was cancelled")
            report = stop.report if isinstance(stop, CancelledWithReport) else unknown
        except Exception as problem:  # whatever a send= or a store may raise
            report = failure_of(step, problem)
        self._conclude(step, failure_of(step, report) if isinstance(report, Exception) else report)
        return cancelled

    def _conclude(self, step: Any, report: object) -> None:
        """Tell the core what came of a step, unless it knows, or another loop has taken over and left it open."""
        if self._under_way is step:
            self._report(step, report, read_clocks())
            self._under_way = None
            self._wake()
            self._deliver(self._protocol.take_events())

    async def _wait(self, call: Call) -> str | None:
        while not call.settled:
            await self._until_woken(call)
        return call.result()

    async def _until_woken(self, call: Call | None, seconds: float | None = None) -> None:
        loop = asyncio.get_running_loop()
        future = loop.create_future()
        waiting = self._waiting.setdefault(call, set())
        waiting.add(future)
        timer = None if seconds is None else loop.call_later(seconds, _wake_one, future)
        try:
            await future
        finally:
            waiting.discard(future)
            if timer is not None:
                timer.cancel()

    def _wake(self) -> None:
        for call in [call for call in self._waiting if call is None or call.settled]:
            for future in self._waiting.pop(call):
                _wake_one(future)


def _wake_one(future: "asyncio.Future[None]") -> None:
    if not future.done() and not future.get_loop().is_closed():
        with suppress(asyncio.InvalidStateError):  # a signal handler, asyncio's for Ctrl-C, has just cancelled it
            future.set_result(None)
