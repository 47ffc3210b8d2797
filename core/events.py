# What happened, for people and logs. An event holds no secret, so it may be shown to anybody who may see a log.
#
# The core only collects events; a driver takes them with `take_events()` and delivers them when it holds no lock, so
# that a listener may use the session.

__all__ = [
    "Event",
    "SessionEstablished",
    "TokenRotated",
    "StateAdopted",
    "TokenInvalidated",
    "AttemptFailed",
    "SessionExpired",
]


class Event:
    """Something that happened to a session.

    Attributes:
        token_id: which session.
        at: the `Instant` at which it happened.
    """

    __slots__ = ("token_id", "at")
    text = ""

    def __init__(self, token_id: str, at: "Instant") -> None:
        self.token_id = token_id
        self.at = at

    def __str__(self) -> str:
        return f"session {self.token_id}: {self.text}"

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self}>"


class SessionEstablished(Event):
    """`establish()` or `establish_by_key()` has brought a first pair."""

    __slots__ = ()
    text = "established"


class TokenRotated(Event):
    """A refresh has brought the next pair."""

    __slots__ = ()
    text = "refreshed"


class StateAdopted(Event):
    """A pair that another process had obtained was taken from the store; nothing was sent."""

    __slots__ = ()
    text = "took over a newer pair from the store"


class TokenInvalidated(Event):
    """A resource server refused the current token, so it is not handed out any more."""

    __slots__ = ()
    text = "the current token was refused by a resource server"


class AttemptFailed(Event):
    """One attempt failed. Unless the session's callers are waiting, none of them notices.

    Attributes:
        reason: a few words, no secret in them.
        retry_in: seconds until the next attempt at the earliest, or None if this was the last one.
        status: the HTTP status, or None if there was no answer.
    """

    __slots__ = ("reason", "retry_in", "status")

    def __init__(
        self, token_id: str, at: "Instant", reason: str, retry_in: "float | None", status: "int | None"
    ) -> None:
        super().__init__(token_id, at)
        self.reason = reason
        self.retry_in = retry_in
        self.status = status

    def __str__(self) -> str:
        after = "" if self.retry_in is None else f"; next attempt in {self.retry_in:.1f} s at the earliest"
        return f"session {self.token_id}: attempt failed: {self.reason}{after}"


class SessionExpired(Event):
    """The refresh token has expired or was refused. Nothing is sent until the session is established anew.

    Attributes:
        reason: a few words, no secret in them.
        ambiguous: True if an earlier refresh was cut off, so that its answer may have been lost.
    """

    __slots__ = ("reason", "ambiguous")

    def __init__(self, token_id: str, at: "Instant", reason: str, ambiguous: bool) -> None:
        super().__init__(token_id, at)
        self.reason = reason
        self.ambiguous = ambiguous

    def __str__(self) -> str:
        return f"session {self.token_id}: over: {self.reason}"


TYPE_CHECKING = False
if TYPE_CHECKING:
    from .steps import Instant
