# How the service's answers look: the envelope, the wrapped tokens, the headers.

import json
from collections.abc import Mapping
from email.utils import formatdate

from ... import Response
from .tokens import ISSUER, SignedToken

__all__ = ["Headers", "TokenPair", "json_answer", "token_object", "token_pair"]

Headers = tuple[tuple[str, str], ...]

TokenPair = dict[str, dict[str, object]]  # the `data` of an answer to issue and refresh; holds secrets


def json_answer(content: Mapping[str, object], now: float, status: int = 200, headers: Headers = ()) -> Response:
    """Return an answer with a JSON body, dated `now` in Unix seconds."""
    standing = (
        ("content-type", "application/json"),
        ("cache-control", "no-store"),
        ("date", formatdate(now, usegmt=True)),
    )
    return Response(status, standing + headers, json.dumps(content).encode())


def token_object(name: str, token: SignedToken) -> dict[str, object]:
    """Return a token the way the wire format wraps it."""
    return {name: token.text, "issuer": ISSUER, "expiresAt": token.expires_at}


def token_pair(permission: SignedToken, refresh: SignedToken) -> TokenPair:
    """Return the data of an answer to issue and refresh."""
    return {
        "permissionToken": token_object("permissionToken", permission),
        "permissionRefreshToken": token_object("permissionRefreshToken", refresh),
    }
