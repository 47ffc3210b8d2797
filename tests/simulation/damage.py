# Answers that no client may take for whole, made from whole ones.

import json
from collections.abc import Callable
from random import Random
from typing import Any

from tenure import Response

__all__ = ["damage"]

WRAPPED = ("permissionToken", "permissionRefreshToken")


def damage(rng: Random, answer: Response) -> Response:
    """Return the answer with its body damaged in one of many ways. An error keeps its status: that is the verdict."""
    if answer.status != 200:
        return answer
    body = rng.choice([_cut, _garble, _bury, _misname, _spoil_token, _spoil_time, _bloat])(rng, answer.body)
    return Response(200, answer.headers, body)


def _cut(rng: Random, body: bytes) -> bytes:
    return body[: rng.randrange(len(body))]


def _garble(rng: Random, body: bytes) -> bytes:
    return b"\xff" + body


def _bury(rng: Random, body: bytes) -> bytes:
    return rng.choice([b"[" + body + b"]", b"[" * 100_000, b"null", b"0", b"{}"])


def _bloat(rng: Random, body: bytes) -> bytes:
    return body + b" " * 1024 * 1024


def _misname(rng: Random, body: bytes) -> bytes:
    """Name something otherwise, or echo the request id of another request."""
    content = json.loads(body)
    name = rng.choice(["requestId", "data"])
    content["other"] = content.pop(name)
    if name == "requestId":
        content |= rng.choice([{}, {"requestId": None}, {"requestId": "00000000-0000-4000-8000-000000000000"}])
    return json.dumps(content).encode()


def _spoil_token(rng: Random, body: bytes) -> bytes:
    """Put something into the place of a token that is none, or that no header can hold (invariant 10)."""
    content = json.loads(body)
    spoil: Callable[[str], Any] = rng.choice(
        [
            lambda token: "",
            lambda token: None,
            lambda token: 7,
            lambda token: [token],
            lambda token: token + " ",
            lambda token: token + "\r\nx-evil: 1",
            lambda token: "\t" + token,
            lambda token: token + "\x7f",
            lambda token: token + "é",
            lambda token: token + "\ud800",
            lambda token: (token * 16_385)[:16_385],
        ]
    )
    data = content["data"]
    if "securityToken" in data:
        data["securityToken"] = spoil(data["securityToken"])
    else:
        name = rng.choice(WRAPPED)
        data[name][name] = spoil(data[name][name])
    return json.dumps(content).encode()


def _spoil_time(rng: Random, body: bytes) -> bytes:
    """Spoil an `expiresAt`; where there is none, the whole."""
    content = json.loads(body)
    if "securityToken" in content["data"]:
        return b"{}"
    name = rng.choice(WRAPPED)
    spoilt = rng.choice([None, "1800000000", True, -1, 0, float("nan"), float("inf"), 1_800_000_000_000])
    content["data"][name]["expiresAt"] = spoilt
    return json.dumps(content).encode()
