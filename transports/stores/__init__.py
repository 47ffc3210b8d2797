"""Where a session is kept and shared: files, Redis, either of them encrypted, or a store of your own.

`Store` is the contract. `conformance` states it test by test, for whoever writes a store.
"""

# The contract of a store and its errors. A store knows nothing of sessions: it keeps a dict under a key, and lends its
# lease to one holder at a time. Who waits for a lease, and what for, is decided in the core.
#
# The three stores are loaded when they are first named (PEP 562), so that each pulls in its own library only.

from importlib import import_module
from typing import TYPE_CHECKING, Any, Protocol

from ... import Stored

if TYPE_CHECKING:
    from .encrypted import EncryptedStore as EncryptedStore
    from .file import FileStore as FileStore
    from .redis import RedisStore as RedisStore

__all__ = ["Store", "FileStore", "RedisStore", "EncryptedStore", "StoreError", "LeaseLostError"]

_HOMES = {"FileStore": "file", "RedisStore": "redis", "EncryptedStore": "encrypted"}


class StoreError(Exception):
    """The store could not do it, or nobody knows whether it has. The text says why and what to do, without secrets."""


class LeaseLostError(StoreError):
    """The lease is not ours any more: somebody else took it, or the key was deleted. Nothing was changed."""


class Store(Protocol):
    """Keeps states, and lends to one holder at a time the lease without which no state may be changed.

    Objects of one store may be many, in many processes. Each may be shared by sessions and threads. Every operation
    may block, but ends in bounded time, and none waits for a lease. After fork() a child has none of its parent's
    leases.

    A state is a dict that JSON can hold, of a few kilobytes. It holds secrets: they appear in no name, text or repr.
    A `version` is 0 where there is no state, else it changes with every save; only equality means something.

    Raises:
        StoreError: by every operation that fails. What is stored is then as it was, or as it should have become.
        UsageError: an argument is wrong, for instance a ttl that is no positive number, or a lease of another store.
    """

    def load(self, key: str) -> Stored:
        """Return what is stored, without the lease.

        A state that cannot be read is no error: `Stored.problem` says what is wrong and what to do.
        """

    def acquire(self, key: str, ttl: float, version: int | None = None) -> Stored:
        """Return what is stored, with the lease for `ttl` seconds, on the store's clock, if it can be had now.

        It cannot if somebody else has it, or if `version` is given and is not what is stored. Having taken it is
        durable: `Stored.interrupted` tells the next holder if this one never comes to `release` or to a `save` that
        releases. A state that cannot be read hinders nobody from taking the lease.
        """

    def renew(self, lease: Any, ttl: float) -> None:
        """Keep the lease for `ttl` seconds from now, even if it had ended, as long as nobody else took it.

        Raises:
            LeaseLostError: somebody did.
        """

    def save(self, lease: Any, state: dict[str, object], *, release: bool = False) -> int:
        """Store `state`, durably, and return its version; with `release` give back the lease in the same stroke.

        It may be called again with the same lease when it failed: it does not matter whether it was done.

        Raises:
            LeaseLostError: somebody else took the lease, or the key was deleted. What is stored is left alone.
        """

    def release(self, lease: Any) -> None:
        """Give the lease back. It is no error if it is not ours any more."""

    # A store whose leases do not end by themselves while their process lives has one operation more:
    #
    # def abandon(self, lease: Any) -> None:
    #     """Let the lease go without giving it back: the next holder is told that it was interrupted."""

    def delete(self, key: str) -> None:
        """Forget the state and the lease, whoever has it. It is no error if there is none."""


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    globals()[name] = value  # so that this is asked once for each name
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
