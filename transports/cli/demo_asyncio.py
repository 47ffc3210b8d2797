# The demo's crowd for the asyncio driver: one task for each caller. Compare demo_trio.py beside it.
#
# The event loop runs in a thread of its own, and everything but the thread is touched there only.

import asyncio
import threading
from collections.abc import Callable, Coroutine, Sequence
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any, TypeVar
from uuid import uuid4

from ... import SessionExpiredError
from ..asyncio import AuthorizationSession
from .demo_crowd import PERMISSIONS, Pauses, Stage, use_token

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = ["AsyncioCrowd"]

Answer = TypeVar("Answer")


class AsyncioCrowd:
    """Tasks of asyncio that share one session."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self._record = stage.record
        self._session = AuthorizationSession(
            stage.url, str(uuid4()), PERMISSIONS, policy=stage.policy, listener=stage.record.listen
        )
        self._thread = threading.Thread(target=lambda: asyncio.run(self._live()), name="tenure demo loop", daemon=True)
        self._is_up = threading.Event()
        self._callers: list[asyncio.Task[None]] = []
        self._busy = 0  # callers that neither rest nor have ended
        self._quiet = asyncio.Event()  # set while that is 0
        self._quiet.set()
        self._gate = asyncio.Event()  # callers rest while it is not set
        self._gate.set()
        self._over = asyncio.Event()

    def establish(self, username: str, password: str) -> None:
        """Verify the credentials and establish the session."""
        self._run(self._establish, username, password)

    def begin(self) -> None:
        """Start all tasks."""
        self._run(self._begin)

    def rest(self, seconds: float) -> bool:
        """Stop all tasks at the gate."""
        return self._run(self._rest, seconds)

    def resume(self) -> None:
        """Open the gate."""
        self._loop.call_soon_threadsafe(self._gate.set)

    def __enter__(self) -> "Self":
        self._thread.start()
        self._is_up.wait()
        return self

    def __exit__(self, *exception: object) -> None:
        self._loop.call_soon_threadsafe(self._over.set)
        self._thread.join(self._stage.policy.deadline)

    def _run(self, work: Callable[..., Coroutine[Any, Any, Answer]], *arguments: Any) -> Answer:
        # Not asyncio.run_coroutine_threadsafe: Ctrl-C just before it would leave a coroutine that nobody awaits.
        answer: Future[Answer] = Future()
        self._loop.call_soon_threadsafe(self._start, work, arguments, answer)
        return answer.result()

    # In the loop

    def _start(
        self, work: Callable[..., Coroutine[Any, Any, Answer]], arguments: Sequence[Any], answer: Future[Answer]
    ) -> None:
        self._work = asyncio.create_task(self._answer(work, arguments, answer))  # the loop alone would not hold it

    async def _answer(
        self, work: Callable[..., Coroutine[Any, Any, Answer]], arguments: Sequence[Any], answer: Future[Answer]
    ) -> None:
        try:
            answer.set_result(await work(*arguments))
        except BaseException as problem:
            answer.set_exception(problem)

    async def _live(self) -> None:
        async with self._session:
            self._loop = asyncio.get_running_loop()
            self._is_up.set()
            await self._over.wait()
            for caller in self._callers:
                caller.cancel()
            await asyncio.gather(*self._callers, return_exceptions=True)

    async def _establish(self, username: str, password: str) -> None:
        await self._session.establish([await self._session.verify_credentials(username, password)])

    async def _begin(self) -> None:
        self._callers = [asyncio.create_task(self._call(caller)) for caller in range(self._record.callers)]
        self._busy = len(self._callers)
        self._quiet.clear()

    async def _rest(self, seconds: float) -> bool:
        self._gate.clear()
        try:
            await asyncio.wait_for(self._quiet.wait(), seconds)
        except asyncio.TimeoutError:
            return False
        return True

    async def _call(self, caller: int) -> None:
        pauses = Pauses(caller)
        while True:
            await self._pass_gate(caller)
            try:
                self._record.asks(caller)
                token = await self._session.get_permission_token()
                self._record.got(caller, token)
                if pauses.uses_token():
                    self._record.used(await asyncio.to_thread(use_token, self._stage.resource_url, token))
            except Exception as problem:  # whatever it is, it is what the demo is about
                self._record.failed(caller, problem)
                if isinstance(problem, SessionExpiredError):
                    self._leave()
                    return
            await asyncio.sleep(pauses.next())

    async def _pass_gate(self, caller: int) -> None:
        """Wait while everybody is to rest."""
        if self._gate.is_set():
            return
        self._record.rests(caller)
        self._leave()
        while not self._gate.is_set():  # it may have been closed again before our turn came
            await self._gate.wait()
        self._busy += 1
        self._quiet.clear()

    def _leave(self) -> None:
        """One caller less that is busy."""
        self._busy -= 1
        if not self._busy:
            self._quiet.set()
