# The seam between the demo and the drivers: what a crowd of callers has to do, whatever it is made of.
#
# A crowd is a file of its own, imported only when it plays, so that a driver that is not installed is not missed. The
# methods are called from the main thread and block; a crowd of tasks runs its event loop in a thread of its own.

import http.client
from contextlib import AbstractContextManager
from random import Random
from typing import NamedTuple, Protocol
from urllib.parse import urlsplit

from ... import Policy
from .demo_record import Record

__all__ = ["Crowd", "Pauses", "Stage", "open_crowd", "use_token"]

PERMISSIONS = ("read",)
RESOURCE_TIMEOUT = 10.0  # seconds


class Stage(NamedTuple):
    """Where a crowd plays: the service's url, its protected resource, the policy, and where to report."""

    url: str
    resource_url: str
    policy: Policy
    record: Record


class Crowd(Protocol):
    """Callers that share one session. Each asks for a token, reports it, uses some of them, pauses, asks again.

    A caller ends when it is told that the session is over, and goes on after any other error.
    """

    def establish(self, username: str, password: str) -> None:
        """Verify the credentials and establish the session."""

    def begin(self) -> None:
        """Let all callers ask for tokens."""

    def rest(self, seconds: float) -> bool:
        """Let all callers finish what they are doing and rest; return False if one does not within `seconds`."""

    def resume(self) -> None:
        """Let all that rest ask at the same moment."""


def open_crowd(driver: str, stage: Stage) -> AbstractContextManager[Crowd]:
    """Return the crowd for a driver; leaving its context ends every caller and closes the session."""
    if driver == "blocking":
        from .demo_blocking import ThreadCrowd

        return ThreadCrowd(stage)
    if driver == "asyncio":
        from .demo_asyncio import AsyncioCrowd

        return AsyncioCrowd(stage)
    if driver == "trio":
        from .demo_trio import TrioCrowd

        return TrioCrowd(stage)
    raise ValueError(f"there is no crowd for the driver {driver}")


class Pauses:
    """How long one caller pauses between two tokens, and which of its tokens it uses."""

    def __init__(self, caller: int) -> None:
        self._random = Random(caller)  # noqa: S311  not a secret

    def next(self) -> float:
        """Return seconds."""
        return self._random.uniform(0.005, 0.02)

    def uses_token(self) -> bool:
        """Return True for one token in 25."""
        return self._random.random() < 0.04


def use_token(resource_url: str, token: str) -> int:
    """Ask for the protected resource and return the status; OSError or HTTPException if there is no answer. Blocks."""
    parts = urlsplit(resource_url)
    connection = http.client.HTTPConnection(str(parts.hostname), parts.port, timeout=RESOURCE_TIMEOUT)
    try:
        connection.request("GET", parts.path, headers={"authorization": f"Bearer {token}"})
        return connection.getresponse().status
    finally:
        connection.close()
