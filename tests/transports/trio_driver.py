# The trio driver as the suite sees it: a run on a thread of its own, and each method run to its end in it.

import inspect
import threading
from collections.abc import Awaitable, Callable, Mapping
from concurrent.futures import Future
from typing import Any

import trio
from tenure import Request
from tenure.transports.trio import AuthorizationSession

from .drivers import TIMEOUT, Caller, Driver, HeldSession, Outcome, Step

__all__ = ["TrioDriver"]

Function = Callable[[], Awaitable[Any]]


class RunThread:
    """A run that async functions can be handed to from any thread."""

    def __init__(self) -> None:
        self._stands = threading.Event()
        self.thread = threading.Thread(target=trio.run, args=(self._main,), name="run", daemon=True)
        self.thread.start()
        assert self._stands.wait(TIMEOUT)

    async def _main(self) -> None:
        async with trio.open_nursery() as nursery:
            self._nursery = nursery
            self._token = trio.lowlevel.current_trio_token()
            self._stands.set()
            await trio.sleep_forever()

    def submit(self, function: Function) -> "Future[Any]":
        future: Future[Any] = Future()

        async def run() -> None:
            try:
                future.set_result(await function())
            except BaseException as error:
                future.set_exception(error)

        self._token.run_sync_soon(self._nursery.start_soon, run)
        return future


_run_thread: list[RunThread] = []


def run_thread() -> RunThread:
    """Return the run of all tests; it begins with the first that needs it."""
    if not _run_thread:
        _run_thread.append(RunThread())
    return _run_thread[0]


class TrioCaller(Caller):
    def __init__(self, function: Function) -> None:
        self._future = run_thread().submit(function)

    @property
    def done(self) -> bool:
        return self._future.done()

    def outcome(self) -> Outcome:
        error = self._future.exception(TIMEOUT)
        return Outcome(error=error) if error is not None else Outcome(self._future.result())


class TrioSession(HeldSession):
    enter, exit = "__aenter__", "__aexit__"

    def call(self, name: str, *arguments: Any) -> Any:
        return run_thread().submit(lambda: self._call(name, *arguments)).result(TIMEOUT)

    async def _call(self, name: str, *arguments: Any) -> Any:
        answer = getattr(self.session, name)(*arguments)
        return await answer if inspect.isawaitable(answer) else answer

    def current_token(self) -> str | None:
        # No coroutine either, but only within the run the clock is the run's.
        in_run = threading.current_thread() is run_thread().thread
        token = self.session.current_token() if in_run else self.call("current_token")
        assert token is None or isinstance(token, str)
        return token

    def start(self, *steps: Step) -> Caller:
        async def run() -> tuple[Any, ...]:
            return tuple([await self._call(*step) for step in steps])

        return TrioCaller(run)

    def leave(self, moment: threading.Event, name: str, *arguments: Any) -> None:
        async def call_and_leave() -> bool:
            async with trio.open_nursery() as nursery:
                scope = trio.CancelScope()

                async def call() -> None:
                    with scope:
                        await self._call(name, *arguments)

                nursery.start_soon(call)
                await trio.to_thread.run_sync(moment.wait, TIMEOUT)
                scope.cancel()
            return scope.cancelled_caught

        assert run_thread().submit(call_and_leave).result(TIMEOUT), "the caller was not cancelled"

    def keep_alive(self) -> Caller:
        return self.start(("keep_alive",))


class TrioDriver(Driver):
    name = "trio"
    clock_modules = ("tenure.transports._session", "tenure.transports._trio_runs")
    nap = "tenure.transports.trio.LONGEST_NAP"

    def make(self, url: Any, token_id: Any, permissions: Any, **options: Any) -> HeldSession:
        return TrioSession(AuthorizationSession(url, token_id, permissions, **options))

    def restore(self, snapshot: Mapping[str, object], **options: Any) -> HeldSession:
        return TrioSession(AuthorizationSession.from_snapshot(snapshot, **options))

    def sender(self, send: Callable[[Request, float], Any]) -> Any:
        async def send_on_a_thread(request: Request, timeout: float) -> Any:
            return await trio.to_thread.run_sync(send, request, timeout, abandon_on_cancel=True)

        return send_on_a_thread
