# What the core asks of a driver, and what a driver reports back. One step at a time, never two. What it asks of a store
# is in store_steps.py.
#
# This file knows nothing of tokens, policies or states. A Request carries secrets in its body, so nothing here shows a
# body or a header in its repr. A driver knows HOW to do a step; whether to do it is the core's business.

# fmt: off
__all__ = [
    "Instant", "Request", "Response", "SendFailure", "SendRequest", "Sleep", "NOT_SENT", "AMBIGUOUS", "STORE_FAILED",
    "LEASE_LOST", "MAX_BODY",
]
# fmt: on

MAX_BODY = 1024 * 1024  # bytes; a pair of tokens is a few kilobytes, so whatever is longer is not an answer to us

# Seconds that a request has at least to be answered, unless the policy gives less. One that is sent and then cut off
# may have been acted on, and may cost the session: rather let callers wait that much longer, or send nothing.
SHORTEST_TIMEOUT = 1.0


def latest_start(timeout: float) -> float:
    """Return how many seconds of `timeout` may have passed when the first byte leaves.

    What is left is for the answer: half a second, or half of a time-out below one second.
    """
    return timeout - min(SHORTEST_TIMEOUT, timeout) / 2


# How sending can fail. Whoever cannot tell says AMBIGUOUS: the unknown may have reached the server.
NOT_SENT = "not sent"  # refused, DNS, TLS handshake: the server cannot have seen the request
AMBIGUOUS = "ambiguous"  # time-out or reset after the first byte may have left: the server may have acted on it
STORE_FAILED = "store failed"  # the store could not do it, or nobody knows whether it has
LEASE_LOST = "lease lost"  # somebody else has taken the lease: nothing was saved


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
        until: reading of the monotonic clock at which the lease ends. No byte of the request may leave behind it.
        until_wall: the same for the wall clock, which goes on while a machine sleeps.
    """

    __slots__ = ("request", "timeout", "until", "until_wall")
    reports = ("response", "failure")

    def __init__(
        self, request: Request, timeout: float, until: float = float("inf"), until_wall: float = float("inf")
    ) -> None:
        self.request = request
        self.timeout = timeout
        self.until = until
        self.until_wall = until_wall

    def seconds_left(self, now: Instant) -> float:
        """Return the time-out for a driver that begins only now, after a pause of the process, say.

        Raises:
            SendFailure: it is too late to begin. Report it.
        """
        left = min(self.timeout, self.until - now.monotonic, self.until_wall - now.wall)
        if left < min(self.timeout, SHORTEST_TIMEOUT):
            raise SendFailure(NOT_SENT, "this process was paused until its lease had ended, or nearly so")
        return left

    def __repr__(self) -> str:
        return f"<SendRequest {self.request.url}, timeout {self.timeout:.3f} s>"


class Sleep:
    """Call `next_step` again after `seconds`, or sooner: an early call is answered with the rest of the sleep."""

    __slots__ = ("seconds",)
    reports = ()

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds


TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
