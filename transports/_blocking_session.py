# What a thread asks of a session: the methods that only ask and wait. How to ask, wait and pump is blocking.py's. The
# same for tasks is in _async_session.py.

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, TypeVar

from .. import Call
from ._session import SessionBase

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = ["BlockingSessionBase"]

Answer = TypeVar("Answer")


class BlockingSessionBase(SessionBase):
    """An authorization session for threads. Every method may be called from any thread at any time."""

    def _ask(self, ask: Callable[..., Answer], *arguments: Any) -> Answer:
        raise NotImplementedError  # the driver's own

    def _wait(self, call: Call) -> str | None:
        raise NotImplementedError  # the driver's own

    def close(self) -> None:
        """Send nothing more. Waits for the answer to a request that has left, so that it is not lost."""
        raise NotImplementedError  # the driver's own

    def verify_credentials(self, username: str, password: str) -> str:
        """Prove user name and password; return the security token that `establish` wants.

        Raises:
            RefusedError: they are wrong.
            EstablishError, ProtocolViolationError: no sensible answer in time; try later.
        """
        call = self._ask(self._protocol.verify_credentials, username, password)
        del password  # a traceback that shows variables must not show this one
        token = self._wait(call)
        assert token is not None
        return token

    def establish(self, security_tokens: Iterable[str]) -> None:
        """Establish the session with security tokens, or replace the one there is. Waits until that is done.

        Raises:
            RefusedError: the security tokens were refused or are not enough. An earlier session stays as it was.
            EstablishError, ProtocolViolationError: no sensible answer in time; likewise.
            UsageError: an argument is unfit; nothing was sent.
        """
        call = self._ask(self._protocol.establish, security_tokens)
        del security_tokens
        self._wait(call)

    def establish_by_key(self, merchant_key: str) -> None:
        """Establish the session with a merchant's key. In all else like `establish`."""
        call = self._ask(self._protocol.establish_by_key, merchant_key)
        del merchant_key
        self._wait(call)

    def refresh(self) -> None:
        """Refresh now, or join the refresh that is under way. Raises what `get_permission_token` raises."""
        self._wait(self._ask(self._protocol.refresh))

    def __enter__(self) -> "Self":
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()
