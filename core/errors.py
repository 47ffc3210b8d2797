# What can go wrong, sorted by what the caller should do next. The class is the advice; the attributes are the facts.
#
#   TenureError
#   ├── UsageError                  mend the call: an argument is wrong, and nothing has changed
#   │   ├── NotEstablishedError     call establish() first
#   │   └── SnapshotError           this saved state cannot be restored
#   ├── AttemptError                try later: what you had before is untouched
#   │   ├── RefreshError            no new token right now; it is still your session
#   │   ├── EstablishError          no session right now; an earlier one stays as it was
#   │   └── ProtocolViolationError  the answer made no sense; the tokens are untouched
#   ├── RefusedError                prove the security factors again: the service refused what was presented
#   └── SessionExpiredError         establish anew
#
# A message never contains a token, a password, a key or any text a server sent. Facts that a program wants are
# attributes, because MicroPython keeps no __cause__ and a chained traceback could print an answer's text.

# fmt: off
__all__ = [
    "TenureError", "UsageError", "NotEstablishedError", "SnapshotError", "AttemptError", "RefreshError",
    "EstablishError", "ProtocolViolationError", "RefusedError", "SessionExpiredError",
]
# fmt: on


class TenureError(Exception):
    """The root of every error of this library.

    Attributes:
        message: what went wrong and what to do, in one or two sentences without secrets.
        retry_after: seconds after which another attempt makes sense, or None where time does not help.
        status: the HTTP status that was the verdict, or None if there was no answer.
        ambiguous: True if a request may have been acted on without its answer arriving (RFC 9110, section 9.2.2).
    """

    def __init__(
        self,
        message: str,
        *,
        retry_after: "float | None" = None,
        status: "int | None" = None,
        ambiguous: bool = False,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.retry_after = retry_after
        self.status = status
        self.ambiguous = ambiguous

    def copy(self) -> "TenureError":
        """Return an equal error that has never been raised.

        Many callers share one outcome, and a shared exception object would collect the traceback of each.
        """
        return type(self)(self.message, retry_after=self.retry_after, status=self.status, ambiguous=self.ambiguous)


class UsageError(TenureError):
    """An argument is wrong. Nothing was sent and nothing has changed; mend the call."""


class NotEstablishedError(UsageError):
    """A token was asked for before the session was established. Call `establish()` first."""


class SnapshotError(UsageError):
    """A saved state is damaged, foreign or from a newer version, and was not restored."""


class AttemptError(TenureError):
    """The attempt failed and what you had before is untouched. Try later, see `retry_after`."""


class RefreshError(AttemptError):
    """No new token could be had in time. It is still your session; try later."""


class EstablishError(AttemptError):
    """The session could not be established in time. A session established earlier stays as it was."""


class ProtocolViolationError(AttemptError):
    """The answer was not what the protocol promises (a captive portal? a wrong url?). The tokens are untouched."""


class RefusedError(TenureError):
    """The service refused what was presented. Prove the security factors again and present new tokens."""


class SessionExpiredError(TenureError):
    """The session is over: its refresh token is expired, spent or revoked. Establish it anew."""
