# Answers rewritten on their way, so that a service of another make stands at the other end: tokens that say nothing of
# themselves, of odd lengths and with odd characters, answers without a date.

import json
from hashlib import sha256

from tenure import Request, Response

from .plan import BARE, OPAQUE, UNDATED

__all__ = ["Disguise"]

# What a header can hold and a careless client cannot: quotes, escapes, brackets, what URLs and JSON take for special.
ODD_CHARACTERS = "!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~"
LENGTHS = (0, 0, 0, 0, 8, 200, 4_000, 16_384)  # the last is the longest that the client takes


class Disguise:
    """Turns the emulator's answers into those of the service to play, and the requests back."""

    def __init__(self, answers: str) -> None:
        self._is_opaque = answers in (OPAQUE, BARE)
        self._is_undated = answers in (UNDATED, BARE)
        self._real: dict[str, str] = {}  # the emulator's token by the opaque one

    def put_on(self, response: Response) -> Response:
        """Return what the client gets."""
        headers, body = response.headers, response.body
        if self._is_undated:
            headers = tuple(header for header in headers if header[0] != "date")
        if self._is_opaque and response.status == 200:
            content = json.loads(body)
            for name in ("permissionToken", "permissionRefreshToken"):
                if name in content["data"]:
                    real = content["data"][name][name]
                    content["data"][name][name] = opaque = _opaque(real)
                    self._real[opaque] = real
            body = json.dumps(content).encode()
        return Response(response.status, headers, body)

    def real(self, token: str) -> str:
        """Return the emulator's token behind one that a client holds."""
        return self._real.get(token, token)

    def undo(self, request: Request) -> Request:
        """Return what the emulator gets."""
        if not self._real:
            return request
        content = json.loads(request.body)
        token = content.get("permissionRefreshToken")
        if token not in self._real:
            return request
        content["permissionRefreshToken"] = self._real[token]
        return Request(request.method, request.url, request.headers, json.dumps(content).encode())


def _opaque(token: str) -> str:
    """Return a token that says nothing, unlike any other; always the same for the same one."""
    digest = sha256(token.encode())
    text = digest.hexdigest()
    missing = LENGTHS[digest.digest()[0] % len(LENGTHS)] - len(text)
    return text + (ODD_CHARACTERS * (missing // len(ODD_CHARACTERS) + 1))[: max(missing, 0)]
