# What can go wrong with an answer that the service has given: its HTTP form and its body. The rest is in faults.py.

import json
from collections.abc import Callable
from typing import Any

from .exchange import RESET, Exchange
from .faults import Fault

__all__ = [
    "chunked",
    "drop_field",
    "garbage",
    "mutate",
    "no_date_header",
    "not_http",
    "oversize",
    "set_field",
    "set_header",
    "truncate",
    "wrong_content_length",
    "NOT_JSON",
    "NOT_UTF8",
    "NOT_AN_OBJECT",
]

# Bodies for `garbage`.
NOT_JSON = b"<html><body><h1>It works!</h1></body></html>"
NOT_UTF8 = b'{"requestId": "\xff\xfe\xc3(", "data": {}}'
NOT_AN_OBJECT = b'["requestId", "data"]'

# --- HTTP ---


def truncate(keep: int | None = None, *, reset: bool = False) -> Fault:
    """Close (or reset) the connection after `keep` bytes of the body, half of it by default."""

    def cut(exchange: Exchange) -> None:
        length = len(exchange.response.body) if exchange.response is not None else 0
        exchange.body_limit = length // 2 if keep is None else keep
        if reset:
            exchange.ending = RESET

    return Fault("truncate", after=cut)


def wrong_content_length(value: "int | str") -> Fault:
    """Send the whole body, but another Content-Length: a larger or smaller number, or nonsense."""

    def claim(exchange: Exchange) -> None:
        exchange.content_length = str(value)

    return Fault("wrong_content_length", after=claim)


def chunked(size: int = 16) -> Fault:
    """Send the body in chunks of so many bytes. No fault at all: every client must read it."""

    def cut(exchange: Exchange) -> None:
        exchange.chunk_size = size

    return Fault("chunked", after=cut)


def not_http(content: bytes = b"SSH-2.0-OpenSSH_9.6\r\n") -> Fault:
    """Let the service act, then send these bytes and nothing that looks like HTTP."""

    def speak(exchange: Exchange) -> None:
        exchange.raw = content

    return Fault("not_http", after=speak)


def set_header(name: str, value: str | None) -> Fault:
    """Set a header of the answer, or with None leave it out. Content-Length: see `wrong_content_length`."""

    def change(exchange: Exchange) -> None:
        exchange.set_header(name.lower(), value)

    return Fault("set_header", after=change)


def no_date_header() -> Fault:
    """Leave the Date header out, as servers without a clock do."""
    return set_header("date", None)


# --- bodies ---


def oversize(size: int = 10_000_000) -> Fault:
    """Let the service act, then blow its answer up to so many bytes; it stays valid JSON, so only its size is wrong."""

    def pad(exchange: Exchange) -> None:
        if exchange.response is not None:
            exchange.replace_body(exchange.response.body.ljust(size))

    return Fault("oversize", after=pad)


def garbage(content: bytes = NOT_JSON, content_type: str | None = None) -> Fault:
    """Let the service act, then answer with its status and this body: NOT_JSON, NOT_UTF8, NOT_AN_OBJECT or any."""

    def spoil(exchange: Exchange) -> None:
        exchange.replace_body(content)
        if content_type is not None:
            exchange.set_header("content-type", content_type)

    return Fault("garbage", after=spoil)


def mutate(change: Callable[[dict[str, Any]], object]) -> Fault:
    """Let the service act, then change its answer's JSON.

    Args:
        change: called with the JSON object; changes it, or returns another one to take its place.
    """

    def rewrite(exchange: Exchange) -> None:
        if exchange.response is not None:
            content = json.loads(exchange.response.body)
            changed = change(content)
            exchange.replace_body(json.dumps(content if changed is None else changed).encode())

    return Fault("mutate", after=rewrite)


def set_field(path: str, value: object) -> Fault:
    """Set one field of the answer's JSON, such as `set_field("data.permissionToken.expiresAt", "soon")`."""

    def change(content: dict[str, Any]) -> None:
        parent, name = _parent_of(content, path)
        parent[name] = value

    return mutate(change)


def drop_field(path: str) -> Fault:
    """Leave one field out of the answer's JSON, such as `drop_field("data.permissionToken.expiresAt")`."""

    def change(content: dict[str, Any]) -> None:
        parent, name = _parent_of(content, path)
        del parent[name]

    return mutate(change)


def _parent_of(content: dict[str, Any], path: str) -> tuple[dict[str, Any], str]:
    *parents, name = path.split(".")
    for parent in parents:
        content = content[parent]
    return content, name
