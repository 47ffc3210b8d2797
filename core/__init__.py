"""tenure: the client side of refresh-token authorization, sans I/O.

A driver from `tenure.transports` holds a session for an application; `AuthorizationProtocol` is for those who drive it
themselves (README.md beside this file says how).
"""

# fmt: off
from .calls import ESTABLISH, LOAD, REFRESH, VERIFY, Call
from .dialects.claims import UnverifiedClaims, read_unverified_claims
from .dialects.spatium import SpatiumDialect
from .errors import (
    AttemptError, EstablishError, NotEstablishedError, ProtocolViolationError, RefreshError, RefusedError,
    SessionExpiredError, SnapshotError, TenureError, UsageError,
)
from .events import (
    AttemptFailed, Event, SessionEstablished, SessionExpired, StateAdopted, TokenInvalidated, TokenRotated,
)
from .policy import Policy
from .protocol import AuthorizationProtocol
from .states import ACTIVE, EXCHANGING, EXPIRED, IDLE, UNESTABLISHED
from .steps import (
    AMBIGUOUS, MAX_BODY, NOT_SENT, STORE_FAILED, AcquireLease, Instant, LoadState, ReleaseLease, Request, Response,
    SaveState, SendFailure, SendRequest, Sleep,
)
from .tokens import ReadyToken
from .verdicts import Verdict

__all__ = [
    "AuthorizationProtocol", "Call", "Instant", "Policy", "ReadyToken", "SpatiumDialect", "Verdict",
    "UnverifiedClaims", "read_unverified_claims",
    # what the core asks of a driver, and what a driver reports
    "SendRequest", "Sleep", "LoadState", "AcquireLease", "SaveState", "ReleaseLease",
    "Request", "Response", "SendFailure", "NOT_SENT", "AMBIGUOUS", "STORE_FAILED", "MAX_BODY",
    # errors, see errors.py
    "TenureError", "UsageError", "NotEstablishedError", "SnapshotError", "AttemptError", "RefreshError",
    "EstablishError", "ProtocolViolationError", "RefusedError", "SessionExpiredError",
    # events, see events.py
    "Event", "SessionEstablished", "TokenRotated", "StateAdopted", "TokenInvalidated", "AttemptFailed",
    "SessionExpired",
    # states, and kinds of calls
    "UNESTABLISHED", "ACTIVE", "EXPIRED", "IDLE", "EXCHANGING", "ESTABLISH", "REFRESH", "VERIFY", "LOAD",
]
