# What an answer means, once a dialect has read it. Four kinds; what follows from each is decided in protocol.py.

__all__ = ["Verdict", "GRANTED", "REFUSED", "TEMPORARY", "VIOLATION"]

GRANTED = "granted"  # here is what was asked for
REFUSED = "refused"  # the service has understood and says no
TEMPORARY = "temporary"  # not now: ask again later
VIOLATION = "violation"  # this is not an answer that the protocol knows


class Verdict:
    """A judged answer, or (kinds NOT_SENT and AMBIGUOUS of steps.py) the lack of one.

    Attributes:
        kind: one of the four kinds above.
        reason: a few words for an error message. Holds nothing that the server wrote.
        status: the HTTP status.
        granted: what was asked for (a `Grant` or a security token) if `kind` is GRANTED, else None. Secret.
        retry_after: seconds the server asked for if `kind` is TEMPORARY, else None.
        replayed: the request had been sent before, so this may be the answer to that earlier time.
    """

    __slots__ = ("kind", "reason", "status", "granted", "retry_after", "replayed")

    def __init__(
        self,
        kind: str,
        reason: str,
        status: "int | None" = None,
        granted: "Any" = None,
        retry_after: "float | None" = None,
    ) -> None:
        self.kind = kind
        self.reason = reason
        self.status = status
        self.granted = granted
        self.retry_after = retry_after
        self.replayed = False

    def __repr__(self) -> str:
        return f"<Verdict {self.kind}: {self.reason}>"


TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any
