# The demo's crowd for the blocking driver: one thread for each caller.

import threading
from typing import TYPE_CHECKING
from uuid import uuid4

from ... import SessionExpiredError
from ..blocking import AuthorizationSession
from .demo_crowd import PERMISSIONS, Pauses, Stage, use_token

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = ["ThreadCrowd"]


class ThreadCrowd:
    """Threads that share one session."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self._record = stage.record
        self._session = AuthorizationSession(
            stage.url, str(uuid4()), PERMISSIONS, policy=stage.policy, listener=stage.record.listen
        )
        self._threads = [
            threading.Thread(target=self._call, args=(caller,), name=f"tenure demo caller {caller}", daemon=True)
            for caller in range(stage.record.callers)
        ]
        self._gate = threading.Condition()
        self._resting_asked = False
        self._resting = 0
        self._ended = 0
        self._over = threading.Event()  # every pause waits on it, so that all of them end at once

    def establish(self, username: str, password: str) -> None:
        """Verify the credentials and establish the session."""
        self._session.establish([self._session.verify_credentials(username, password)])

    def begin(self) -> None:
        """Start all threads."""
        for thread in self._threads:
            thread.start()

    def rest(self, seconds: float) -> bool:
        """Stop all threads at the gate."""
        with self._gate:
            self._resting_asked = True
            return self._gate.wait_for(lambda: self._resting + self._ended == len(self._threads), seconds)

    def resume(self) -> None:
        """Open the gate."""
        with self._gate:
            self._resting_asked = False
            self._gate.notify_all()

    def __enter__(self) -> "Self":
        return self

    def __exit__(self, *exception: object) -> None:
        self._over.set()
        self.resume()
        self._session.close()
        for thread in self._threads:
            if thread.ident is not None:
                thread.join(self._stage.policy.deadline)

    def _call(self, caller: int) -> None:
        pauses = Pauses(caller)
        try:
            while self._pass_gate(caller):
                try:
                    self._record.asks(caller)
                    token = self._session.get_permission_token()
                    self._record.got(caller, token)
                    if pauses.uses_token():
                        self._record.used(use_token(self._stage.resource_url, token))
                except Exception as problem:  # whatever it is, it is what the demo is about
                    if self._over.is_set():
                        return  # the demo was interrupted, and the session closed under us
                    self._record.failed(caller, problem)
                    if isinstance(problem, SessionExpiredError):
                        return
                self._over.wait(pauses.next())
        finally:
            with self._gate:
                self._ended += 1
                self._gate.notify_all()

    def _pass_gate(self, caller: int) -> bool:
        """Wait while everybody is to rest; return False if it is time to go."""
        with self._gate:
            if self._resting_asked:
                self._record.rests(caller)
                self._resting += 1
                self._gate.notify_all()
                self._gate.wait_for(lambda: not self._resting_asked)
                self._resting -= 1
        return not self._over.is_set()
