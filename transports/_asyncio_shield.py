# How an exchange outlives the cancellation of the task it runs in (invariant 4).
#
# `asyncio.run` ends by cancelling every task, so there is no task in which an exchange would be safe. What has been
# sent is therefore waited for in spite of a cancellation, at most until its time-out; the cancellation is passed on
# when the exchange is over, with the outcome on board.

import asyncio
import sys
from collections.abc import Awaitable, Callable

from .. import AMBIGUOUS, Request, Response, SendFailure

__all__ = ["CancelledWithReport", "cancellations_of", "in_a_task_of_its_own", "take_back_one"]

GRACE = 1.0  # seconds that a send= of the user's may exceed its time-out before it is given up

Send = Callable[[Request, float], Awaitable[Response]]


class CancelledWithReport(asyncio.CancelledError):
    """The task was cancelled while the answer was on its way; `report` is what came of it."""

    def __init__(self, report: Response | SendFailure) -> None:
        super().__init__()
        self.report = report


def in_a_task_of_its_own(send: Send) -> Send:
    """Return `send` as something that is bounded in time and that only the end of the loop can cancel."""

    async def bounded(request: Request, timeout: float) -> Response:
        clock = asyncio.get_running_loop().time
        ends_at = clock() + timeout + GRACE
        task = asyncio.ensure_future(send(request, timeout))
        was_cancelled = False
        while not task.done() and clock() < ends_at:
            try:
                await asyncio.wait({task}, timeout=ends_at - clock())
            except asyncio.CancelledError:
                was_cancelled = True
        if not task.done():
            task.add_done_callback(lambda late: late.cancelled() or late.exception())  # so that nobody misses it
            task.cancel()
        report = _report_of(task)
        if was_cancelled:
            raise CancelledWithReport(report)
        if isinstance(report, SendFailure):
            raise report
        return report

    return bounded


def _report_of(task: "asyncio.Future[Response]") -> Response | SendFailure:
    if not task.done():
        return SendFailure(AMBIGUOUS, "send= exceeded its time-out")
    if task.cancelled():
        return SendFailure(AMBIGUOUS, "send= was cancelled")
    problem = task.exception()
    if problem is None:
        return task.result()
    if isinstance(problem, SendFailure):
        return problem
    return SendFailure(AMBIGUOUS, f"the sender failed with {type(problem).__name__}")


def cancellations_of(task: "asyncio.Task[object]") -> int:
    """Return how many cancellations `task` owes an answer to. Python 3.10 does not count them, and neither do we."""
    return task.cancelling() if sys.version_info >= (3, 11) else 0


def take_back_one(task: "asyncio.Task[object]") -> int:
    """Take back a cancellation of our own; return how many are left, which somebody else has asked for.

    In Python 3.10 that is none: a cancellation that comes in the same turn of the loop as ours is missed there.
    """
    return task.uncancel() if sys.version_info >= (3, 11) else 0
