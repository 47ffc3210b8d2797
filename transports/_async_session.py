# What the asyncio and the trio driver have in common: the coroutines that only ask and wait. Nothing in here knows
# either world; how to ask, wait and pump is each driver's own.

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, TypeVar

from .. import Call
from ._session import SessionBase

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = ["AsyncSessionBase"]

Answer = TypeVar("Answer")


class AsyncSessionBase(SessionBase):
    """An authorization session for tasks. Cancelling a caller cancels that caller only, and at once."""

    def _ask(self, ask: Callable[..., Answer], *arguments: Any) -> Answer:
        raise NotImplementedError  # each driver has its own

    async def _wait(self, call: Call) -> str | None:
        raise NotImplementedError  # each driver has its own

    async def close(self) -> None:
        """Send nothing more. Waits for the answer to a request that has left, so that it is not lost."""
        raise NotImplementedError  # each driver has its own

    async def verify_credentials(self, username: str, password: str) -> str:
        """Prove user name and password; return the security token that `establish` wants.

        Raises:
            RefusedError: they are wrong.
            EstablishError, ProtocolViolationError: no sensible answer in time; try later.
        """
        call = self._ask(self._protocol.verify_credentials, username, password)
        del password  # a traceback that shows variables must not show this one
        token = await self._wait(call)
        assert token is not None
        return token

    async def establish(self, security_tokens: Iterable[str]) -> None:
        """Establish the session with security tokens, or replace the one there is. Waits until that is done.

        Raises:
            RefusedError: the security tokens were refused or are not enough. An earlier session stays as it was.
            EstablishError, ProtocolViolationError: no sensible answer in time; likewise.
            UsageError: an argument is unfit; nothing was sent.
        """
        call = self._ask(self._protocol.establish, security_tokens)
        del security_tokens
        await self._wait(call)

    async def establish_by_key(self, merchant_key: str) -> None:
        """Establish the session with a merchant's key. In all else like `establish`."""
        call = self._ask(self._protocol.establish_by_key, merchant_key)
        del merchant_key
        await self._wait(call)

    async def refresh(self) -> None:
        """Refresh now, or join the refresh that is under way. Raises what `get_permission_token` raises."""
        await self._wait(self._ask(self._protocol.refresh))

    async def __aenter__(self) -> "Self":
        return self

    async def __aexit__(self, *exception: object) -> None:
        await self.close()
