# What the watches over a single session and the oracle of a fleet (fleet/) have in common: how they complain, and how
# they read a request on the wire.

import json

from tenure import Request

from .rules import InvariantBroken

__all__ = ["InvariantBroken"]


def _request_id(request: Request) -> str:
    return dict(request.headers)["request-id"]


def _refresh_token(request: Request) -> str | None:
    token = json.loads(request.body).get("permissionRefreshToken")
    assert token is None or isinstance(token, str)
    return token
