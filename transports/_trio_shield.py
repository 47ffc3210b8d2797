# How an exchange outlives the cancellation of the task it runs in (invariant 4), in trio: what must not be cut off runs
# shielded, and is bounded in time by something else. Compare _asyncio_shield.py.

import contextlib
from collections.abc import Awaitable, Callable
from typing import Any

import trio

from .. import AMBIGUOUS, STORE_FAILED, Request, Response, SendFailure
from ._watchdog import watch

__all__ = ["in_a_thread", "shielded"]

GRACE = 1.0  # seconds that a send= or a store of the user's may exceed its time-out before it is given up

Send = Callable[[Request, float], Awaitable[Response]]


def shielded(send: Send) -> Send:
    """Return `send` as something that is bounded in time and that the end of the run does not cut off."""

    async def bounded(request: Request, timeout: float) -> Response:
        limit = trio.CancelScope(shield=True)
        with trio.CancelScope(shield=True) as work:
            trio.lowlevel.spawn_system_task(_limit, work, limit, timeout, name="tenure time-out")
            try:
                return await send(request, timeout)
            finally:
                limit.cancel()
        raise SendFailure(AMBIGUOUS, "send= exceeded its time-out")

    return bounded


async def _limit(work: trio.CancelScope, own: trio.CancelScope, seconds: float) -> None:
    """Cancel `work` when its time is up, and GRACE more has passed since that was found: if the process was stopped
    meanwhile, what has come has to make its way through the work. Until `own` is cancelled."""
    with own:
        await trio.sleep(seconds)
        await trio.sleep(GRACE)
        work.cancel()


async def in_a_thread(ask: Callable[..., Any], store: Any, seconds: float) -> Any:
    """Return `ask(store)`, called on a worker thread, whoever is cancelled meanwhile.

    Raises:
        SendFailure: it has taken longer than `seconds`, and is given up. These are real seconds: a `MockClock` does
            not know that a thread is at work.
    """
    run = trio.lowlevel.current_trio_token()

    def give_up() -> None:
        # The run has ended; or, an OSError, its host has given it up, and with it the socket that would wake it.
        with contextlib.suppress(trio.RunFinishedError, OSError):
            run.run_sync_soon(scope.cancel)

    with trio.CancelScope(shield=True) as scope:
        limit = watch(seconds, give_up, GRACE)
        try:
            # Not with trio's own limiter: its slots may all be held by threads that wait for what is being saved here.
            slot = trio.CapacityLimiter(1)
            return await trio.to_thread.run_sync(ask, store, limiter=slot, abandon_on_cancel=True)
        finally:
            limit.end()
    raise SendFailure(STORE_FAILED, "it has taken too long")
