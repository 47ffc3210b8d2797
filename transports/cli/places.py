# Where things are kept: profiles in the platform's config directory, sessions in a directory (the platform's state
# directory, unless another is chosen) or in Redis. Secrets that a store needs come from the environment alone.

import os
from pathlib import Path
from typing import TYPE_CHECKING

from ... import UsageError
from .exits import UNUSABLE, CommandError
from .needs import require

if TYPE_CHECKING:
    from ..stores import Store

__all__ = ["STORE_KEY_VARIABLE", "check_place", "config_directory", "describe_place", "is_encrypted", "open_store"]

CONFIG_VARIABLE = "TENURE_CONFIG_DIR"
STATE_VARIABLE = "TENURE_STATE_DIR"
REDIS_PASSWORD_VARIABLE = "TENURE_REDIS_PASSWORD"
STORE_KEY_VARIABLE = "TENURE_STORE_KEY"
REDIS = ("redis", "rediss")


def config_directory() -> Path:
    """Return where profiles are."""
    return _directory(CONFIG_VARIABLE, "user_config_dir")


def check_place(text: str) -> str:
    """Return a place for sessions as a profile holds it: an absolute path, or a url without a password."""
    scheme, separator, rest = text.partition("://")
    if not separator:
        return str(Path(text).absolute())
    if scheme not in REDIS:
        raise CommandError("--store is a directory, or redis://host:port/db, or rediss://... for TLS", UNUSABLE)
    if ":" in rest.rpartition("@")[0] or "password" in rest.partition("?")[2].lower():
        raise CommandError(
            f"--store must not hold a password, which everybody on this machine could read among the arguments: "
            f"leave it out and set {REDIS_PASSWORD_VARIABLE} (the user's name may stay, as in redis://ann@host)",
            UNUSABLE,
        )
    return text


def describe_place(place: str | None) -> str:
    """Return where a profile's session is kept, for people."""
    return place or str(_directory(STATE_VARIABLE, "user_state_dir") / "sessions")


def is_encrypted() -> bool:
    """Return True if the environment holds keys to encrypt with."""
    return bool(os.environ.get(STORE_KEY_VARIABLE))


def open_store(place: str | None) -> "Store":
    """Return the store at a place of `check_place`, encrypted if there are keys. Nothing is asked of it yet."""
    place = describe_place(place)
    store = _open_redis(check_place(place)) if "://" in place else _open_directory(place)
    return _encrypt(store) if is_encrypted() else store


def _open_directory(place: str) -> "Store":
    require(["filelock"], "file")
    from ..stores import FileStore

    return FileStore(place)


def _open_redis(url: str) -> "Store":
    require(["redis"], "redis")
    from ..stores import RedisStore

    try:
        return RedisStore.from_url(_with_password(url, os.environ.get(REDIS_PASSWORD_VARIABLE)))
    except UsageError as problem:
        raise CommandError(f"--store is of no use: {problem.message}", UNUSABLE) from None


def _with_password(url: str, password: str | None) -> str:
    if not password:
        return url
    from urllib.parse import quote

    scheme, _, rest = url.partition("://")
    user, _, host = rest.rpartition("@")
    return f"{scheme}://{user}:{quote(password, safe='')}@{host}"


def _encrypt(store: "Store") -> "Store":
    require(["cryptography"], "encryption")
    from ..stores import EncryptedStore

    keys = [key.strip() for key in os.environ[STORE_KEY_VARIABLE].split(",")]
    try:
        return EncryptedStore(store, keys)
    except UsageError as problem:
        raise CommandError(f"{STORE_KEY_VARIABLE} is of no use: {problem.message}", UNUSABLE) from None


def _directory(variable: str, kind: str) -> Path:
    given = os.environ.get(variable)
    if given:
        return Path(given).absolute()
    try:
        import platformdirs
    except ImportError:
        require(["platformdirs"])
        raise  # it is there, and broken
    return Path(getattr(platformdirs, kind)("tenure", False))
