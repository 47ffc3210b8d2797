# The trio driver: tasks, h11 on trio's streams, and nothing to decide. Compare blocking.py and asyncio.py beside it.
#
# Every exchange runs in a system task, the pump, never in a caller's: a caller that is cancelled leaves at once, and
# the exchange goes on and its answer is taken in (invariant 4). `trio.run` ends when that is done, at most at the
# exchange's own time-out. Nothing of asyncio is imported, and no exception leaves the pump.

import logging
from collections.abc import Awaitable, Callable
from contextlib import suppress
from ssl import SSLContext
from typing import TYPE_CHECKING, Any, TypeVar

from .. import Call, Request, Response, SendRequest, Sleep, UsageError
from ._async_session import AsyncSessionBase
from ._session import LONGEST_NAP, STORE_PATIENCE, SessionBase, failure_of

try:
    import trio
except ImportError as problem:
    raise ImportError("this driver needs trio, which is not installed: pip install 'tenure[trio]'") from problem

from ._trio_runs import RunsClock, goes_on  # needs trio, as the next one does
from ._trio_shield import in_a_thread, shielded

if TYPE_CHECKING:
    from typing_extensions import Self

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
        self._clock = RunsClock()

    def _begin_pumpless(self) -> None:
        self._run: trio.lowlevel.TrioToken | None = None  # which uses the session, or did
        self._pump_scope: trio.CancelScope | None = None
        self._under_way: object = None  # the step of which the core has not been told yet what came of it
        self._waiting: dict[Call | None, trio.Event] = {}  # under None: for any change

    async def __aenter__(self) -> "Self":
        await trio.lowlevel.checkpoint()
        return self

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
            await self._wait(self._ask(self._protocol.request_token, self._clock.now()))
            token = self._protocol.newest_token()  # not the call's own: somebody may have got a newer one by now
            assert token is not None
        return token

    def current_token(self) -> str | None:
        """Return the fresh token, or None. Never waits and never begins a refresh."""
        ready = self._held.ready
        return ready.permission_token if self._clock.is_before(ready.until_monotonic, ready.until_wall) else None

    async def keep_alive(self, *, task_status: "trio.TaskStatus[None]" = trio.TASK_STATUS_IGNORED) -> None:
        """Refresh while idle, until cancelled or until `close`. For `nursery.start` or `nursery.start_soon`."""
        task_status.started()
        while not self._is_closed:
            self._leave_dead_run()
            seconds = self._protocol.seconds_until_due(self._clock.now())
            if self._pump_scope is not None or seconds is None or seconds > 0:
                # Woken by whatever changes. None: nothing to keep alive until somebody establishes it.
                with trio.move_on_after(min(LONGEST_NAP, seconds or LONGEST_NAP)):
                    await self._waiter(None).wait()
            else:
                self._ask(self._protocol.request_token, self._clock.now())
        await trio.lowlevel.checkpoint()

    async def close(self) -> None:
        """Send nothing more. Waits for the answer to a request that has left, so that it is not lost."""
        self._leave_dead_run()
        self._is_closed = True
        with trio.CancelScope(shield=True):  # bounded by the time-out of the exchange under way
            while self._pump_scope is not None:
                self._pump_scope.cancel()
                await self._waiter(None).wait()
        self._wake()
        await trio.lowlevel.checkpoint()

    # The pump

    @trio.lowlevel.enable_ki_protection  # Ctrl-C between the start of a pump and the note of it would make it two
    def _ask(self, ask: Callable[..., Answer], *arguments: Any) -> Answer:
        self._check()
        self._leave_dead_run()
        answer = ask(*arguments)
        if self._held.busy and self._pump_scope is None:
            self._start_pump()
        self._deliver(self._protocol.take_events())
        return answer

    def _leave_dead_run(self) -> None:
        """What a run that is gone had under way has become ambiguous."""
        run = trio.lowlevel.current_trio_token()
        if run is not self._run and (self._pump_scope is not None or self._waiting):
            if self._run is not None and goes_on(self._run):
                raise UsageError("this session is in use by the trio.run of another thread: give each run its own")
            self._begin_pumpless()
            self._protocol.disown_exchange()
        self._run = run

    def _start_pump(self) -> None:
        scope = trio.CancelScope()
        try:
            trio.lowlevel.spawn_system_task(self._pump, scope, name="tenure pump")
        except BaseException:  # the run takes no more tasks, since it ends
            self._protocol.disown_exchange()
            raise
        self._pump_scope = scope

    async def _pump(self, scope: trio.CancelScope) -> None:
        """Do what the core asks until it asks for nothing. Only one pump runs at a time; callers merely wait."""
        try:
            with scope:
                while (step := self._next_step(scope)) is not None:
                    await self._perform(step)
        except trio.Cancelled:
            raise
        except BaseException:  # a bug of ours, or sys.exit() in a listener: neither must end the whole run
            logging.getLogger("tenure").exception("the pump failed")
        finally:
            if self._pump_scope is scope:  # and no run that came after its own was given up has taken over
                self._pump_scope = None
                if self._held.busy:  # cancelled before its first step, or a bug of ours: nobody may wait for ever
                    self._protocol.disown_exchange()
                self._wake()

    def _next_step(self, scope: trio.CancelScope) -> Any:
        if self._pump_scope is not scope or self._run is not trio.lowlevel.current_trio_token():
            return None  # this run was given up, and another one may have taken the session over
        if trio.current_effective_deadline() == float("-inf"):  # cancelled
            self._protocol.wind_up()
        step = self._protocol.next_step(self._clock.now())
        self._wake()
        self._deliver(self._protocol.take_events())
        return step

    async def _perform(self, step: Any) -> None:
        if isinstance(step, Sleep):
            with suppress(trio.Cancelled):  # the next step sees to it
                await trio.sleep(step.seconds)
            return
        self._under_way = step
        try:
            if isinstance(step, SendRequest):
                report: object = await self._send(step.request, step.seconds_left(self._clock.now()))
            else:
                report = await in_a_thread(step.ask, self._store, STORE_PATIENCE)
        except trio.Cancelled:
            raise
        except BaseException as problem:  # whatever a send= or a store may raise
            report = failure_of(step, problem)
        if self._under_way is step:
            self._report(step, report, self._clock.now())
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
