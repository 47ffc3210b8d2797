# What the core asks of a driver, and what a driver reports back. One step at a time, never two.
#
# This file knows nothing of tokens, policies or states. A Request carries secrets in its body, so nothing here shows a
# body or a header in its repr. A driver knows HOW to do a step; whether to do it is the core's business.

# fmt: off
__all__ = [
    "Instant", "Request", "Response", "SendFailure", "SendRequest", "Sleep", "LoadState", "AcquireLease", "SaveState",
    "ReleaseLease", "Stored", "NOT_SENT", "AMBIGUOUS", "STORE_FAILED", "MAX_BODY",
]
# fmt: on

MAX_BODY = 1024 * 1024  # bytes; a pair of tokens is a few kilobytes, so whatever is longer is not an answer to us

# How sending can fail. Whoever cannot tell says AMBIGUOUS: the unknown may have reached the server.
NOT_SENT = "not sent"  # refused, DNS, TLS handshake: the server cannot have seen the request
AMBIGUOUS = "ambiguous"  # time-out or reset after the first byte may have left: the server may have acted on it
STORE_FAILED = "store failed"  # the store could not be reached, or its lease is not to be had


class Instant:
    """One moment, read from two clocks, because either alone lies.

    Attributes:
        monotonic: seconds on a clock that is never set, such as `time.monotonic()`. Suspend may stop it.
        wall: whole seconds since a fixed epoch, such as `int(time.time())`. Anybody may set it.
    """

    __slots__ = ("monotonic", "wall")

    def __init__(self, monotonic: float, wall: float) -> None:
        self.monotonic = monotonic
        # Whole seconds: single-precision floats (boards) cannot hold a fraction of today's Unix time anyway.
        self.wall = int(wall)

    def __repr__(self) -> str:
        return f"Instant(monotonic={self.monotonic}, wall={self.wall})"


class Request:
    """An HTTP request to send exactly as it is, on a connection of its own, without following redirects.

    Attributes:
        method: `"POST"`.
        url: absolute URL, no secret in it.
        headers: (name, value) pairs, names in lower case. The driver adds `host`, `content-length` and the like.
        body: bytes. Holds secrets: do not log it.
    """

    __slots__ = ("method", "url", "headers", "body")

    def __init__(self, method: str, url: str, headers: "tuple[tuple[str, str], ...]", body: bytes) -> None:
        self.method = method
        self.url = url
        self.headers = headers
        self.body = body

    def __repr__(self) -> str:
        return f"<Request {self.method} {self.url}, {len(self.body)} bytes>"


class Response:
    """An HTTP response as it came, whatever its status.

    Args:
        status: the status code, 100 to 999.
        headers: (name, value) pairs, or a mapping; names in any case.
        body: bytes, at most `MAX_BODY` + 1 of them: that is enough to see that an answer is too long.
    """

    __slots__ = ("status", "headers", "body")

    def __init__(self, status: int, headers: "Mapping[str, str] | Iterable[tuple[str, str]]", body: bytes) -> None:
        pairs = headers.items() if hasattr(headers, "items") else headers
        self.status = status
        self.headers = tuple([(str(name).lower(), str(value)) for name, value in pairs])
        self.body = body

    def header(self, name: str) -> "str | None":
        """Return the first value of the header `name` (lower case), or None."""
        for key, value in self.headers:
            if key == name:
                return value
        return None

    def __repr__(self) -> str:
        return f"<Response {self.status}, {len(self.body)} bytes>"


class SendFailure(Exception):
    """There is no answer. A driver passes it to `receive_failure`; a `send=` callable raises it.

    Args:
        kind: `NOT_SENT` only if the server cannot have seen the request, else `AMBIGUOUS`.
        reason: a few words for people, without secrets: "connection refused", "timed out after 10 s".
    """

    def __init__(self, kind: str, reason: str) -> None:
        super().__init__(kind, reason)
        self.kind = kind
        self.reason = reason

    def __str__(self) -> str:
        return f"{self.kind}: {self.reason}"


class SendRequest:
    """Send `request`, and report with `receive_response` or `receive_failure`.

    Attributes:
        request: the `Request` to send.
        timeout: seconds for the whole exchange, from resolving the name to the last byte of the answer.
    """

    __slots__ = ("request", "timeout")

    def __init__(self, request: Request, timeout: float) -> None:
        self.request = request
        self.timeout = timeout

    def __repr__(self) -> str:
        return f"<SendRequest {self.request.url}, timeout {self.timeout:.3f} s>"


class Sleep:
    """Call `next_step` again after `seconds`, or sooner: an early call is answered with the rest of the sleep."""

    __slots__ = ("seconds",)

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds


class Stored:
    """What a store holds under a key, as it was at one moment.

    Attributes:
        state: the dict that was saved last, or None if there is none. Holds secrets.
        version: changes with every save; 0 if there is no state. Only equality means something.
        lease: the store's own proof that the lease is ours now, or None if it is not.
        interrupted: the lease before this one ended by itself: its holder may have sent a request and never told.
        age: seconds since the state was saved, on a clock of the store's that all who share it agree on, or None.
        problem: why there is a state that cannot be read, in words without secrets, or None.
    """

    __slots__ = ("state", "version", "lease", "interrupted", "age", "problem")

    def __init__(
        self,
        state: "dict[str, object] | None",
        version: int,
        *,
        lease: "Any" = None,
        interrupted: bool = False,
        age: "float | None" = None,
        problem: "str | None" = None,
    ) -> None:
        self.state = state
        self.version = version
        self.lease = lease
        self.interrupted = interrupted
        self.age = age
        self.problem = problem

    def __repr__(self) -> str:
        return f"<Stored version {self.version}{', leased' if self.lease is not None else ''}>"


class LoadState:
    """Read the state of `key` from the store, without its lease, and report it with `receive_state`."""

    __slots__ = ("key",)

    def __init__(self, key: str) -> None:
        self.key = key


class AcquireLease:
    """Take the lease of `key` in the store for `ttl` seconds and report its state with `receive_state`."""

    __slots__ = ("key", "ttl")

    def __init__(self, key: str, ttl: float) -> None:
        self.key = key
        self.ttl = ttl


class SaveState:
    """Save `state` (a snapshot, it holds secrets) durably under the lease; report with `receive_done`."""

    __slots__ = ("key", "state")

    def __init__(self, key: str, state: "dict[str, object]") -> None:
        self.key = key
        self.state = state


class ReleaseLease:
    """Give the lease of `key` back; report with `receive_done`, always: a lease also ends by itself."""

    __slots__ = ("key",)

    def __init__(self, key: str) -> None:
        self.key = key


TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from typing import Any
