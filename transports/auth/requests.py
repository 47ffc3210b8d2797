# A session's token on the requests that `requests` sends: requests.get(url, auth=session.auth()).

from collections.abc import Iterable
from typing import IO, TYPE_CHECKING, Any
from urllib.parse import urlsplit

from ... import UsageError

try:
    import requests
    from requests.auth import AuthBase
except ImportError as problem:
    raise ImportError("this needs requests, which is not installed: pip install 'tenure[requests]'") from problem

if TYPE_CHECKING:
    from ..blocking import AuthorizationSession

__all__ = ["BearerAuth"]

DEFAULT_PORTS = {"https": 443, "http": 80}


class BearerAuth(AuthBase):
    """Adds `Authorization: Bearer …` (RFC 6750, section 2.1) to requests for the chosen origins, and to no others.

    An answer of 401 means that the server refused this very token: it is invalidated, and the request is sent once
    more with the next one, if its body can be sent again. Safe to share between threads.

    Args:
        session: where the tokens come from.
        origins: urls; scheme, host and port count, the rest does not.

    Raises:
        UsageError: an origin has no scheme or host. Sending raises what `get_permission_token` raises.
    """

    def __init__(self, session: "AuthorizationSession", origins: Iterable[str]) -> None:
        self._session = session
        self._origins = frozenset(_origin(url) for url in origins)
        if not all(self._origins):
            raise UsageError("each origin must have a scheme and a host, as in https://api.example.com")

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        """Put the token on `request`, if it goes to one of the origins."""
        if _origin(request.url) in self._origins:
            token = self._session.get_permission_token()
            request.headers["Authorization"] = f"Bearer {token}"
            once = _Once(self._session, token, _position(request.body))
            request.register_hook("response", once.handle)  # type: ignore[no-untyped-call]
        return request

    def __eq__(self, other: object) -> bool:
        same = isinstance(other, BearerAuth) and other._session is self._session
        return same and isinstance(other, BearerAuth) and other._origins == self._origins

    def __hash__(self) -> int:
        return hash((id(self._session), self._origins))


class _Once:
    """What one request needs to be sent once more, and only once."""

    def __init__(self, session: "AuthorizationSession", token: str, position: int | None) -> None:
        self._session = session
        self._token: str | None = token
        self._position = position

    def handle(self, answer: requests.Response, **options: Any) -> requests.Response:
        refused, sent = self._token, answer.request.headers.get("Authorization")
        if answer.status_code != 401 or refused is None or sent != f"Bearer {refused}":
            return answer  # also after a redirect to another origin, where requests takes the header off
        self._token = None
        self._session.invalidate(refused)
        request = answer.request.copy()
        body: Any = request.body
        if self._position is not None:
            body.seek(self._position)
        elif not isinstance(body, (str, bytes, type(None))):
            return answer  # a stream that has been read cannot be sent again
        request.headers["Authorization"] = f"Bearer {self._session.get_permission_token()}"
        _ = answer.content  # read to the end, so that the connection may be used again
        answer.close()
        again: requests.Response = answer.connection.send(request, **options)
        again.history.append(answer)
        again.request = request
        return again


def _origin(url: str | None) -> tuple[str, str, int] | None:
    try:
        parts = urlsplit(url or "")
        port = parts.port or DEFAULT_PORTS.get(parts.scheme)
    except ValueError:
        return None
    if not parts.hostname or port is None:
        return None
    return parts.scheme, parts.hostname, port


def _position(body: IO[bytes] | str | bytes | None) -> int | None:
    """Return where a file-like body begins, or None if it cannot be rewound."""
    try:
        return body.tell()  # type: ignore[union-attr]
    except (AttributeError, OSError):
        return None
