# The demo's crowd for the trio driver: one task for each caller. Compare demo_asyncio.py beside it.
#
# trio runs in a thread of its own, and everything but the thread is touched there only. Nothing of asyncio is imported.

import threading
from typing import TYPE_CHECKING
from uuid import uuid4

import trio

from ... import SessionExpiredError
from ..trio import AuthorizationSession
from .demo_crowd import PERMISSIONS, Pauses, Stage, use_token

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = ["TrioCrowd"]


class TrioCrowd:
    """Tasks of trio that share one session."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self._record = stage.record
        self._session = AuthorizationSession(
            stage.url, str(uuid4()), PERMISSIONS, policy=stage.policy, listener=stage.record.listen
        )
        self._thread = threading.Thread(target=lambda: trio.run(self._live), name="tenure demo loop", daemon=True)
        self._is_up = threading.Event()
        self._busy = 0  # callers that neither rest nor have ended
        self._quiet = trio.Event()  # set while that is 0; made anew each time
        self._quiet.set()
        self._gate = trio.Event()  # callers rest while it is not set; made anew each time
        self._gate.set()

    def establish(self, username: str, password: str) -> None:
        """Verify the credentials and establish the session."""
        trio.from_thread.run(self._establish, username, password, trio_token=self._trio)

    def begin(self) -> None:
        """Start all tasks."""
        trio.from_thread.run_sync(self._begin, trio_token=self._trio)

    def rest(self, seconds: float) -> bool:
        """Stop all tasks at the gate."""
        return trio.from_thread.run(self._rest, seconds, trio_token=self._trio)

    def resume(self) -> None:
        """Open the gate."""
        trio.from_thread.run_sync(lambda: self._gate.set(), trio_token=self._trio)

    def __enter__(self) -> "Self":
        self._thread.start()
        self._is_up.wait()
        return self

    def __exit__(self, *exception: object) -> None:
        self._trio.run_sync_soon(self._nursery.cancel_scope.cancel)
        self._thread.join(self._stage.policy.deadline)

    # In trio

    async def _live(self) -> None:
        async with self._session, trio.open_nursery() as self._nursery:
            self._trio = trio.lowlevel.current_trio_token()
            self._is_up.set()
            await trio.sleep_forever()  # until it is cancelled, and all callers with it

    async def _establish(self, username: str, password: str) -> None:
        await self._session.establish([await self._session.verify_credentials(username, password)])

    def _begin(self) -> None:
        self._busy = self._record.callers
        self._quiet = trio.Event()
        for caller in range(self._record.callers):
            self._nursery.start_soon(self._call, caller)

    async def _rest(self, seconds: float) -> bool:
        if self._gate.is_set():
            self._gate = trio.Event()
        with trio.move_on_after(seconds):
            await self._quiet.wait()
        return not self._busy

    async def _call(self, caller: int) -> None:
        pauses = Pauses(caller)
        while True:
            await self._pass_gate(caller)
            try:
                self._record.asks(caller)
                token = await self._session.get_permission_token()
                self._record.got(caller, token)
                if pauses.uses_token():
                    self._record.used(await trio.to_thread.run_sync(use_token, self._stage.resource_url, token))
            except Exception as problem:  # whatever it is, it is what the demo is about
                self._record.failed(caller, problem)
                if isinstance(problem, SessionExpiredError):
                    self._leave()
                    return
            await trio.sleep(pauses.next())

    async def _pass_gate(self, caller: int) -> None:
        """Wait while everybody is to rest."""
        if self._gate.is_set():
            return
        self._record.rests(caller)
        self._leave()
        while not self._gate.is_set():  # it may have been closed again before our turn came
            await self._gate.wait()
        if not self._busy:
            self._quiet = trio.Event()
        self._busy += 1

    def _leave(self) -> None:
        """One caller less that is busy."""
        self._busy -= 1
        if not self._busy:
            self._quiet.set()
