"""tenure: the client side of refresh-token authorization, sans I/O.

A driver from `tenure.transports` holds a session for an application; `AuthorizationProtocol` is for those who drive it
themselves (README.md beside this file says how).
"""

# A name is loaded from its file when it is first used (PEP 562), so that whoever imports this package pays only for
# what is used: `import tenure` costs next to nothing, and who wants an error class does not load the machine.

# fmt: off
_HOMES = {
    "protocol": ("AuthorizationProtocol",),
    "calls": ("Call", "ESTABLISH", "REFRESH", "VERIFY", "LOAD"),
    "policy": ("Policy",),
    "tokens": ("ReadyToken",),
    "verdicts": ("Verdict",),
    "dialects.spatium": ("SpatiumDialect",),
    "dialects.claims": ("UnverifiedClaims", "read_unverified_claims"),
    "states": ("UNESTABLISHED", "ACTIVE", "EXPIRED", "IDLE", "EXCHANGING"),
    # what the core asks of a driver, and what a driver reports
    "steps": (
        "Instant", "SendRequest", "Sleep", "Request", "Response", "SendFailure", "NOT_SENT", "AMBIGUOUS",
        "STORE_FAILED", "LEASE_LOST", "MAX_BODY",
    ),
    "store_steps": ("Stored", "LoadState", "AcquireLease", "RenewLease", "SaveState", "ReleaseLease",
                    "AbandonLease"),
    "errors": (
        "TenureError", "UsageError", "NotEstablishedError", "SnapshotError", "AttemptError", "RefreshError",
        "EstablishError", "ProtocolViolationError", "RefusedError", "SessionExpiredError",
    ),
    "events": (
        "Event", "SessionEstablished", "TokenRotated", "StateAdopted", "TokenInvalidated", "AttemptFailed",
        "SessionExpired",
    ),
}

TYPE_CHECKING = False
if TYPE_CHECKING:  # the same for those who read without running; a test compares the two
    from .calls import ESTABLISH as ESTABLISH, LOAD as LOAD, REFRESH as REFRESH, VERIFY as VERIFY, Call as Call
    from .dialects.claims import UnverifiedClaims as UnverifiedClaims, read_unverified_claims as read_unverified_claims
    from .dialects.spatium import SpatiumDialect as SpatiumDialect
    from .errors import (
        AttemptError as AttemptError, EstablishError as EstablishError, NotEstablishedError as NotEstablishedError,
        ProtocolViolationError as ProtocolViolationError, RefreshError as RefreshError, RefusedError as RefusedError,
        SessionExpiredError as SessionExpiredError, SnapshotError as SnapshotError, TenureError as TenureError,
        UsageError as UsageError,
    )
    from .events import (
        AttemptFailed as AttemptFailed, Event as Event, SessionEstablished as SessionEstablished,
        SessionExpired as SessionExpired, StateAdopted as StateAdopted, TokenInvalidated as TokenInvalidated,
        TokenRotated as TokenRotated,
    )
    from .policy import Policy as Policy
    from .protocol import AuthorizationProtocol as AuthorizationProtocol
    from .states import (
        ACTIVE as ACTIVE, EXCHANGING as EXCHANGING, EXPIRED as EXPIRED, IDLE as IDLE, UNESTABLISHED as UNESTABLISHED,
    )
    from .steps import (
        AMBIGUOUS as AMBIGUOUS, LEASE_LOST as LEASE_LOST, MAX_BODY as MAX_BODY, NOT_SENT as NOT_SENT,
        STORE_FAILED as STORE_FAILED, Instant as Instant, Request as Request, Response as Response,
        SendFailure as SendFailure, SendRequest as SendRequest, Sleep as Sleep,
    )
    from .store_steps import (
        AbandonLease as AbandonLease, AcquireLease as AcquireLease, LoadState as LoadState,
        ReleaseLease as ReleaseLease, RenewLease as RenewLease,
        SaveState as SaveState, Stored as Stored,
    )
    from .tokens import ReadyToken as ReadyToken
    from .verdicts import Verdict as Verdict

    __all__: list[str]
else:
    __all__ = [name for names in _HOMES.values() for name in names]

    def __getattr__(name):
        if name in _HOMES:  # a file of ours: MicroPython asks here before it looks for one
            return __import__(__name__ + "." + name, None, None, (name,))
        for home, names in _HOMES.items():
            if name in names:
                value = getattr(__import__(__name__ + "." + home, None, None, (name,)), name)
                globals()[name] = value  # so that this is asked once for each name
                return value
        raise AttributeError(f"module '{__name__}' has no attribute '{name}'")

    def __dir__():
        return sorted(set(list(globals()) + __all__))
# fmt: on
