# The asyncio driver as the suite sees it: a loop on a thread of its own, and each method run to its end on it.

import asyncio
import inspect
import threading
from collections.abc import Callable, Coroutine, Mapping
from concurrent.futures import Future
from typing import Any

from tenure import Request
from tenure.transports.asyncio import AuthorizationSession

from .drivers import TIMEOUT, Caller, Driver, HeldSession, Outcome, Step

__all__ = ["AsyncioDriver"]


class LoopThread:
    """A running loop that coroutines can be handed to from any thread."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        threading.Thread(target=self.loop.run_forever, name="loop", daemon=True).start()

    def submit(self, coroutine: Coroutine[Any, Any, Any]) -> "Future[Any]":
        return asyncio.run_coroutine_threadsafe(coroutine, self.loop)


_loop_thread: list[LoopThread] = []


def loop_thread() -> LoopThread:
    """Return the loop of all tests; it begins with the first that needs it."""
    if not _loop_thread:
        _loop_thread.append(LoopThread())
    return _loop_thread[0]


class AsyncioCaller(Caller):
    def __init__(self, coroutine: Coroutine[Any, Any, tuple[Any, ...]]) -> None:
        self._future = loop_thread().submit(coroutine)

    @property
    def done(self) -> bool:
        return self._future.done()

    def outcome(self) -> Outcome:
        error = self._future.exception(TIMEOUT)
        return Outcome(error=error) if error is not None else Outcome(self._future.result())


class AsyncioSession(HeldSession):
    enter, exit = "__aenter__", "__aexit__"

    def call(self, name: str, *arguments: Any) -> Any:
        return loop_thread().submit(self._call(name, *arguments)).result(TIMEOUT)

    async def _call(self, name: str, *arguments: Any) -> Any:
        answer = getattr(self.session, name)(*arguments)
        return await answer if inspect.isawaitable(answer) else answer

    def start(self, *steps: Step) -> Caller:
        async def run() -> tuple[Any, ...]:
            return tuple([await self._call(*step) for step in steps])

        return AsyncioCaller(run())

    def leave(self, moment: threading.Event, name: str, *arguments: Any) -> None:
        async def call_and_leave() -> bool:
            task = asyncio.ensure_future(self._call(name, *arguments))
            await asyncio.to_thread(moment.wait, TIMEOUT)
            task.cancel()
            await asyncio.wait({task})
            return task.cancelled()

        assert loop_thread().submit(call_and_leave()).result(TIMEOUT), "the caller was not cancelled"

    def keep_alive(self) -> Caller:
        return self.start(("keep_alive",))


class AsyncioDriver(Driver):
    name = "asyncio"
    clock_modules = ("tenure.transports._session", "tenure.transports.asyncio")
    nap = "tenure.transports.asyncio.LONGEST_NAP"

    def make(self, url: Any, token_id: Any, permissions: Any, **options: Any) -> HeldSession:
        return AsyncioSession(AuthorizationSession(url, token_id, permissions, **options))

    def restore(self, snapshot: Mapping[str, object], **options: Any) -> HeldSession:
        return AsyncioSession(AuthorizationSession.from_snapshot(snapshot, **options))

    def sender(self, send: Callable[[Request, float], Any]) -> Any:
        async def send_on_a_thread(request: Request, timeout: float) -> Any:
            return await asyncio.to_thread(send, request, timeout)

        return send_on_a_thread
