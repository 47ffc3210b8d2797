# What happened, for people and logs. An event holds no secret, so it may be shown to whoever may see a log.
#
# The core only collects events; a driver takes them with `take_events()` and delivers them when it holds no lock, so
# that a listener may use the session.

# fmt: off
__all__ = [
    "Event", "SessionEstablished", "TokenRotated", "StateAdopted", "TokenInvalidated", "AttemptFailed",
    "SessionExpired",
]
# fmt: on


class Event:
    """Something that happened to a session. `str(event)` is a line for a log.

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

    text = "established"


class TokenRotated(Event):
    """A refresh has brought the next pair."""

    text = "refreshed"


class StateAdopted(Event):
    """A pair that another process had obtained was taken from the store; nothing was sent."""

    text = "took over a newer pair from the store"


class TokenInvalidated(Event):
    """A resource server refused the current token, so it is not handed out any more."""

    text = "a resource server refused the current token"


class AttemptFailed(Event):
    """One attempt failed. While the current token works, no caller notices.

    Attributes:
        reason: a few words. retry_in: seconds until the next attempt at the earliest, or None if there is none.
        status: the HTTP status, or None if there was no answer.
    """

    def __init__(
        self, token_id: str, at: "Instant", reason: str, retry_in: "float | None", status: "int | None"
    ) -> None:
        super().__init__(token_id, at)
        self.reason = reason
        self.retry_in = retry_in
        self.status = status
        after = "" if retry_in is None else f"; next attempt in {retry_in:.1f} s at the earliest"
        self.text = f"attempt failed: {reason}{after}"


class SessionExpired(Event):
    """The refresh token has expired or was refused. Nothing is sent until the session is established anew.

    Attributes:
        reason: a few words. ambiguous: True if an earlier refresh was cut off, so that its answer may be lost.
    """

    def __init__(self, token_id: str, at: "Instant", reason: str, ambiguous: bool) -> None:
        super().__init__(token_id, at)
        self.reason = reason
        self.ambiguous = ambiguous
        self.text = f"over: {reason}"


TYPE_CHECKING = False
if TYPE_CHECKING:
    from .steps import Instant
