# How an exchange outlives the cancellation of the task it runs in (invariant 4).
#
# `asyncio.run` ends by cancelling every task, so there is no task in which an exchange would be safe. What has been
# sent is therefore waited for in spite of a cancellation, at most until its time-out; the cancellation is passed on
# when the exchange is over, with the outcome on board.

import asyncio
import sys
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

from .. import AMBIGUOUS, STORE_FAILED, Request, Response, SendFailure

__all__ = [
    "BoundedSend",
    "CancelledWithReport",
    "Take",
    "cancellations_of",
    "in_a_task_of_its_own",
    "in_a_thread",
    "on_a_new_thread",
    "take_back_one",
]

GRACE = 1.0  # seconds that a send= or a store of the user's may exceed its time-out before it is given up

Answer = TypeVar("Answer")
Send = Callable[[Request, float], Awaitable[Response]]
Take = Callable[[Response], None]
BoundedSend = Callable[[Request, float, Take], Awaitable[Response]]  # may pass on an answer before it returns it


class CancelledWithReport(asyncio.CancelledError):
    """The task was cancelled meanwhile; `report` is what came of the step all the same: an answer, or an exception."""

    def __init__(self, report: object) -> None:
        super().__init__()
        self.report = report


def in_a_task_of_its_own(send: Send) -> BoundedSend:
    """Return `send` as something that is bounded in time and that only the end of the loop can cancel."""

    async def bounded(request: Request, timeout: float, take: Take) -> Response:
        task = asyncio.ensure_future(send(request, timeout))
        late = SendFailure(AMBIGUOUS, "send= exceeded its time-out")
        response: Response = await _outlast(task, timeout, late)
        return response

    return bounded


async def in_a_thread(ask: Callable[[Any], Any], store: Any, seconds: float) -> Any:
    """Return `ask(store)`, called on a worker thread; raise what it raises, or SendFailure if it takes too long.

    Raises:
        CancelledWithReport: cancelled meanwhile, and this is what came of it.
    """
    working = on_a_new_thread(ask, store)  # a future and no task: `asyncio.run` cancels tasks when it ends
    return await _outlast(working, seconds, SendFailure(STORE_FAILED, "it has taken too long"))


def on_a_new_thread(ask: Callable[..., Answer], *arguments: object) -> "asyncio.Future[Answer]":
    """Begin to call `ask(*arguments)` on a thread of its own.

    Not on one of the loop's: they may all be held by callers who wait for what is being fetched here.

    Raises:
        RuntimeError: the thread cannot be started.
    """
    executor = ThreadPoolExecutor(1, thread_name_prefix="tenure")
    try:
        return asyncio.get_running_loop().run_in_executor(executor, ask, *arguments)
    finally:
        executor.shutdown(wait=False)  # the thread ends with its work


async def _outlast(work: "asyncio.Future[Any]", seconds: float, late: SendFailure) -> Any:
    """Wait for `work` whoever is cancelled, so many seconds, and GRACE from when it is found that they have passed: if
    the process was stopped meanwhile, what has come has to make its way through the work."""
    clock = asyncio.get_running_loop().time
    was_cancelled = False
    for patience in (seconds, GRACE):
        ends_at = clock() + patience
        while not work.done() and clock() < ends_at:
            try:
                await asyncio.wait({work}, timeout=ends_at - clock())
            except asyncio.CancelledError:
                was_cancelled = True
    if not work.done():
        work.add_done_callback(lambda ended: ended.cancelled() or ended.exception())  # so that nobody misses it
        work.cancel()
        report: object = late
    elif work.cancelled():
        report = SendFailure(late.kind, "it was cancelled")
    else:
        report = work.exception() or work.result()
    if isinstance(report, BaseException) and not isinstance(report, Exception):
        report = SendFailure(late.kind, f"the sender failed with {type(report).__name__}")  # it ends nothing but itself
    if was_cancelled:
        raise CancelledWithReport(report)
    if isinstance(report, Exception):
        raise report
    return report


def cancellations_of(task: "asyncio.Task[object]") -> int:
    """Return how many cancellations `task` owes an answer to. Python 3.10 does not count them, and neither do we."""
    return task.cancelling() if sys.version_info >= (3, 11) else 0


def take_back_one(task: "asyncio.Task[object]") -> int:
    """Take back a cancellation of our own; return how many are left, which somebody else has asked for.

    In Python 3.10 that is none: a cancellation that comes in the same turn of the loop as ours is missed there.
    """
    return task.uncancel() if sys.version_info >= (3, 11) else 0
