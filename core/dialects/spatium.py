# The Spatium dialect: the only place that knows the service's words (WIRE.md). It builds requests and reads answers;
# what follows from an answer is decided in protocol.py.
#
# Inferred, not documented: the path and the body of a refresh. Both are arguments.

import json

from ..checks import check_text, is_header_safe
from ..errors import UsageError
from ..steps import MAX_BODY, Request
from ..tokens import Grant
from ..verdicts import GRANTED, REFUSED, TEMPORARY, VIOLATION, Verdict
from .claims import read_span
from .http_date import parse_http_date

__all__ = ["SPATIUM", "SpatiumDialect", "MAX_TOKEN_LENGTH", "REFUSED_STATUSES", "TEMPORARY_STATUSES"]

MAX_TOKEN_LENGTH = 16 * 1024  # characters; longer ones do not fit the header limits of common servers anyway
MAX_LIFETIME = 100 * 365 * 86400  # seconds; beyond it, one of the two clocks is not counting from 1970
SMALLEST_MILLISECONDS = 100_000_000_000  # as seconds, this is the year 5138

REFUSED_STATUSES = (400, 401, 403, 404, 410)
TEMPORARY_STATUSES = (408, 425, 429)  # and every 5xx


class NotTheEnvelope(Exception):
    """The body of a successful answer is not what WIRE.md promises; the text says in which way."""


class SpatiumDialect:
    """Builds the requests and reads the answers of a Spatium authorization service. Holds no state.

    Args:
        refresh_path: path of the refresh operation below the base url.
        refresh_body: turns (refresh token, token id, permissions) into the JSON object to send.

    Raises:
        UsageError: the path does not begin with a slash or is not visible ASCII, or the body is not callable.
    """

    def __init__(
        self,
        *,
        refresh_path: str = "/api/permission/refresh",
        refresh_body: "Callable[[str, str, tuple[str, ...]], Mapping[str, object]] | None" = None,
    ) -> None:
        if check_text("refresh_path", refresh_path)[:1] != "/" or not is_header_safe(refresh_path):
            raise UsageError("refresh_path must be a path that begins with a slash, as in /api/permission/refresh")
        if refresh_body is not None and not callable(refresh_body):
            raise UsageError("refresh_body must be a function of (refresh token, token id, permissions)")
        self.refresh_path = refresh_path
        self.refresh_body = refresh_body or _refresh_body

    def verify_credentials(self, url: str, username: str, password: str, request_id: str) -> Request:
        """Return the request that turns user name and password into a security token."""
        body = {"username": username, "password": password}
        return _post(url + "/api/security-factor/credentials", body, request_id)

    def issue_by_factors(
        self,
        url: str,
        token_id: str,
        permissions: "tuple[str, ...]",
        security_tokens: "tuple[str, ...]",
        request_id: str,
    ) -> Request:
        """Return the request that turns security tokens into the first pair of an account's session."""
        body = {
            "tokenId": token_id,
            "permissions": list(permissions),
            "securityTokens": list(security_tokens),
        }
        return _post(url + "/api/permission/issue-by-factors", body, request_id)

    def issue_by_key(
        self, url: str, token_id: str, permissions: "tuple[str, ...]", merchant_key: str, request_id: str
    ) -> Request:
        """Return the request that turns a merchant's key into the first pair of a session without an account."""
        body = {"tokenId": token_id, "permissions": list(permissions), "merchantKey": merchant_key}
        return _post(url + "/api/permission/issue-by-key", body, request_id)

    def refresh(
        self, url: str, token_id: str, permissions: "tuple[str, ...]", refresh_token: str, request_id: str
    ) -> Request:
        """Return the request that turns a refresh token into the next pair."""
        body = self.refresh_body(refresh_token, token_id, permissions)
        return _post(url + self.refresh_path, body, request_id)

    def read_security_token(self, response: "Response", request_id: str, wall: int) -> Verdict:
        """Judge the answer to `verify_credentials`; what is granted is the security token."""
        verdict = _judge_status(response, wall)
        if verdict is not None:
            return verdict
        try:
            data = _read_envelope(response, request_id)
            token = data.get("securityToken")
            if isinstance(token, dict):  # accepted, the way the other tokens are wrapped
                token = token.get("securityToken")
            return Verdict(GRANTED, "verified", response.status, _fit_token("securityToken", token))
        except NotTheEnvelope as problem:
            return Verdict(VIOLATION, str(problem), response.status)

    def read_grant(self, response: "Response", request_id: str, wall: int, replayed: bool = False) -> Verdict:
        """Judge the answer to an issue or a refresh; what is granted is a `Grant`.

        Args:
            response: the answer.
            request_id: the request id that was sent and must come back.
            wall: this machine's wall clock, seconds; used only where the answer does not tell the server's time.
            replayed: the request had been sent before, so this may be the answer to that earlier time: then a
                permission token that has expired in between is no reason to reject the refresh token beside it.
        """
        verdict = _judge_status(response, wall)
        if verdict is not None:
            return verdict
        try:
            data = _read_envelope(response, request_id)
            permission = _read_token(data, "permissionToken", response, wall, replayed)
            refresh = _read_token(data, "permissionRefreshToken", response, wall, False)
        except NotTheEnvelope as problem:
            return Verdict(VIOLATION, str(problem), response.status)
        grant = Grant(permission[0], permission[1], refresh[0], refresh[1])
        return Verdict(GRANTED, "granted", response.status, grant)


def _refresh_body(refresh_token: str, token_id: str, permissions: "tuple[str, ...]") -> "Mapping[str, object]":
    return {"permissionRefreshToken": refresh_token}


def _post(url: str, body: "Mapping[str, object]", request_id: str) -> Request:
    headers = (
        ("content-type", "application/json"),
        ("accept", "application/json"),
        ("request-id", request_id),
    )
    return Request("POST", url, headers, json.dumps(body).encode("utf-8"))


def _judge_status(response: "Response", wall: int) -> "Verdict | None":
    """Return the verdict that the HTTP status alone gives, or None for a success whose body has to be read."""
    status = response.status
    if 200 <= status < 300:
        return None
    if status in REFUSED_STATUSES:
        return Verdict(REFUSED, f"the service answered {status}", status)
    if status in TEMPORARY_STATUSES or 500 <= status < 600:
        return Verdict(TEMPORARY, f"the service answered {status}", status, None, _retry_after(response, wall))
    if 300 <= status < 400:
        # Invariant 9: a refresh token goes to the configured origin only.
        return Verdict(VIOLATION, f"the service answered {status}, a redirect, which is never followed", status)
    return Verdict(VIOLATION, f"the service answered {status}, which the protocol does not know", status)


def _retry_after(response: "Response", wall: int) -> "float | None":
    """Return the seconds of a `Retry-After` header, in either form (RFC 9110, section 10.2.3), or None."""
    text = (response.header("retry-after") or "").strip()
    if text and all(digit in "0123456789" for digit in text):  # str.isdigit would take "²" as well
        return float(text[:9])
    date = parse_http_date(text)
    if date is None:
        return None
    server_time = parse_http_date(response.header("date"))
    return float(max(0, date - (wall if server_time is None else server_time)))


def _read_envelope(response: "Response", request_id: str) -> "dict[str, object]":
    """Return the `data` of a successful answer."""
    if len(response.body) > MAX_BODY:
        raise NotTheEnvelope(f"the answer is longer than {MAX_BODY} bytes")
    try:
        text = response.body.decode("utf-8")
    except UnicodeError:
        raise NotTheEnvelope("the answer is not UTF-8") from None
    try:
        envelope = json.loads(text)
    except (ValueError, RuntimeError, MemoryError):  # the latter two: nested too deep for the parser
        raise NotTheEnvelope("the answer is not JSON") from None
    if not isinstance(envelope, dict):
        raise NotTheEnvelope("the answer is JSON, but not an object")
    echoed = envelope.get("requestId")
    if not isinstance(echoed, str):
        raise NotTheEnvelope("the answer has no requestId")
    if echoed.lower() != request_id:
        raise NotTheEnvelope("the answer's requestId is not ours: it belongs to some other request")
    data = envelope.get("data")
    if not isinstance(data, dict):
        raise NotTheEnvelope("the answer has no object named data")
    return data


def _read_token(
    data: "dict[str, object]", name: str, response: "Response", wall: int, replayed: bool
) -> "tuple[str, int]":
    """Return the token `name` and its lifetime in seconds."""
    wrapped = data.get(name)
    if not isinstance(wrapped, dict):
        raise NotTheEnvelope(f"the answer has no object named {name}")
    token = _fit_token(name, wrapped.get(name))
    expires_at = _fit_time(name, wrapped.get("expiresAt"))
    # DESIGN.md, Lifetimes: the token's own word first, then the server's clock, and this machine's only if there is
    # nothing else.
    span = read_span(token)
    server_time = parse_http_date(response.header("date")) if span is None or replayed else None
    if span is not None:
        began, lifetime = span
    else:
        began = wall if server_time is None else server_time
        lifetime = expires_at - began
    if expires_at <= began and not replayed:
        raise NotTheEnvelope(f"the expiresAt of {name} is already past")
    if replayed and server_time is not None:  # issued some time ago; a date hides up to a second
        lifetime = min(lifetime, expires_at - server_time - 1)
    lifetime = max(lifetime, 0)
    if lifetime > MAX_LIFETIME:
        raise NotTheEnvelope(f"the lifetime of {name} is more than a hundred years: is the clock set?")
    return token, lifetime


def _fit_token(name: str, token: object) -> str:
    """Return `token` if it is fit for a header (invariant 10)."""
    if not isinstance(token, str) or not token:
        raise NotTheEnvelope(f"{name} is missing or not a string")
    if len(token) > MAX_TOKEN_LENGTH:
        raise NotTheEnvelope(f"{name} is longer than {MAX_TOKEN_LENGTH} characters")
    if not is_header_safe(token):
        raise NotTheEnvelope(f"{name} holds spaces, line breaks or other characters unfit for a header")
    return token


def _fit_time(name: str, value: object) -> int:
    """Return an `expiresAt` as whole seconds."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise NotTheEnvelope(f"the expiresAt of {name} is missing or not a number")
    if not value > 0:  # also catches NaN
        raise NotTheEnvelope(f"the expiresAt of {name} is not a positive number")
    if value >= SMALLEST_MILLISECONDS:
        raise NotTheEnvelope(f"the expiresAt of {name} is not in seconds (milliseconds?)")
    return int(value)


SPATIUM = SpatiumDialect()  # as documented; it holds no state, so one is enough for all sessions


TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from ..steps import Response
