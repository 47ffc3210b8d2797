# The emulator's pure service behind a `send=` that touches no socket: each exchange takes a known number of turns of
# the scheduler, so that a test can stop the world at every one of them.

from collections.abc import Awaitable, Callable
from random import Random
from time import time

from tenure import Request, Response
from tenure.transports.emulator import AuthorizationService

__all__ = ["TURNS", "MemoryService"]

TURNS = 3  # of the scheduler, before the service acts and again before its answer arrives


class MemoryService:
    """An authorization service in memory.

    Args:
        rest: awaited to let the scheduler take one turn.
        grace: see `AuthorizationService`.

    Attributes:
        begun: how many requests it has been sent.
    """

    url = "https://service.example/authorization/v1"

    def __init__(self, rest: Callable[[], Awaitable[None]], grace: float = 0) -> None:
        self._rest = rest
        self.begun = 0
        self.service = AuthorizationService(grace=grace, random=Random(1))

    async def send(self, request: Request, timeout: float) -> Response:
        """Stand in for a driver's sender."""
        self.begun += 1
        for _ in range(TURNS):
            await self._rest()
        response = self.service.handle(request, time())
        for _ in range(TURNS):
            await self._rest()
        return response

    @property
    def security_token(self) -> str:
        """A proof that `establish` takes."""
        return self.service.security_token(self.service.credentials.username, "credentials", time())

    @property
    def outcomes(self) -> list[str]:
        """What the service did, in order."""
        return [entry.outcome for entry in self.service.journal]
