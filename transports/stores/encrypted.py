# Any store, encrypted at rest, with Fernet (AES-128-CBC and HMAC-SHA256) of the library cryptography.
#
# - The key of the session is encrypted together with its state, so that whoever may write to the store, but has no
#   encryption key, cannot give one session the state of another. He can put back an older state of the same session,
#   or delete it: that is not noticed here.
# - A state that lies in the store in clear is not accepted: anybody might have put it there.
# - Versions, leases and ages are the inner store's, in clear. A ciphertext also tells when it was made, and its length.

import json
from collections.abc import Iterable
from typing import Any

from ... import Stored, UsageError
from . import Store
from ._arguments import check_key, check_state, encode

try:
    from cryptography.fernet import Fernet, InvalidToken, MultiFernet
except ImportError as problem:
    raise ImportError(
        "EncryptedStore needs cryptography, which is not installed: pip install 'tenure[encryption]'"
    ) from problem

__all__ = ["EncryptedStore"]

FIELD = "fernet"  # the only one of a state in the inner store


class EncryptedLease:
    """A lease of the inner store, and what it is the lease of."""

    __slots__ = ("key", "inner")

    def __init__(self, key: str, inner: Any) -> None:
        self.key = key
        self.inner = inner


class EncryptedStore:
    """Keeps states encrypted in another store. See `Store`.

    To replace a key, put the new one in front, everywhere; when each state has been saved once more, take the old one
    away. To come from a store in clear, establish the sessions anew.

    Args:
        store: where they are kept.
        keys: Fernet keys, such as `generate_key()` gives. The first encrypts, each may decrypt.

    Raises:
        UsageError: there is no key, or one that is none.
    """

    def __init__(self, store: Store, keys: "Iterable[str | bytes]") -> None:
        if isinstance(store, type) or not callable(getattr(store, "acquire", None)):
            raise UsageError("store must be a store, such as FileStore(directory)")
        if isinstance(keys, str | bytes) or not isinstance(keys, Iterable):
            raise UsageError("keys must be a list of keys, even of a single one")
        try:
            self._fernet = MultiFernet([Fernet(key) for key in keys])
        except (ValueError, TypeError):  # its text may quote the key
            raise UsageError("keys must be one or more Fernet keys: EncryptedStore.generate_key() makes one") from None
        self._store = store

    @staticmethod
    def generate_key() -> str:
        """Return a new key. Keep it as secret as the sessions, and not beside them."""
        return Fernet.generate_key().decode("ascii")

    def load(self, key: str) -> Stored:
        """See `Store.load`."""
        check_key(key)
        return self._decrypted(key, self._store.load(key))

    def acquire(self, key: str, ttl: float, version: int | None = None) -> Stored:
        """See `Store.acquire`."""
        check_key(key)
        return self._decrypted(key, self._store.acquire(key, ttl, version))

    def renew(self, lease: Any, ttl: float) -> None:
        """See `Store.renew`."""
        self._store.renew(_opened(lease).inner, ttl)

    def save(self, lease: Any, state: dict[str, object], *, release: bool = False) -> int:
        """See `Store.save`."""
        own = _opened(lease)
        check_state(state)
        token = self._fernet.encrypt(encode({"key": own.key, "state": state}))
        return self._store.save(own.inner, {FIELD: token.decode("ascii")}, release=release)

    def release(self, lease: Any) -> None:
        """See `Store.release`."""
        self._store.release(_opened(lease).inner)

    def abandon(self, lease: Any) -> None:
        """Let the lease go without giving it back (see `Store`), if the inner store can."""
        abandon = getattr(self._store, "abandon", None)
        if abandon is not None:
            abandon(_opened(lease).inner)

    def delete(self, key: str) -> None:
        """See `Store.delete`."""
        self._store.delete(key)

    def _decrypted(self, key: str, stored: Stored) -> Stored:
        """Return what is stored, in clear."""
        state, problem = None, stored.problem
        if stored.state is not None:
            state, problem = self._open(key, stored.state)
        lease = None if stored.lease is None else EncryptedLease(key, stored.lease)
        return Stored(
            state, stored.version, lease=lease, interrupted=stored.interrupted, age=stored.age, problem=problem
        )

    def _open(self, key: str, sealed: "dict[str, object]") -> "tuple[dict[str, object] | None, str | None]":
        """Return the state in clear, or what is wrong."""
        token = sealed.get(FIELD)
        if not isinstance(token, str):
            return None, "what is stored is not encrypted, and so not to be trusted: establish the session anew"
        try:
            content = json.loads(self._fernet.decrypt(token))
            owner, state = content["key"], dict(content["state"].items())
        except InvalidToken:
            remedy = "add the key that it was encrypted with, or establish the session anew"
            return None, f"what is stored cannot be decrypted with any of the keys: {remedy}"
        except (ValueError, LookupError, TypeError, AttributeError):  # encrypted, or put there, by something else
            return None, "what is stored was not encrypted by this library: establish the session anew"
        if owner != key:
            return None, "what is stored belongs to another session: somebody put it here; establish the session anew"
        return state, None

    def __repr__(self) -> str:
        return f"<{type(self).__name__} on {self._store!r}>"


def _opened(lease: Any) -> EncryptedLease:
    if not isinstance(lease, EncryptedLease):
        raise UsageError(f"lease must be one that this store gave, not {type(lease).__name__}")
    return lease
