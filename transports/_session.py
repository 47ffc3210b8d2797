# What the drivers have in common: making a session, and what needs no waiting. How each world waits is its own file's.

import os
import threading
from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager, nullcontext
from ssl import SSLContext
from time import monotonic
from time import time as wall
from typing import TYPE_CHECKING, Any

from .. import (
    AMBIGUOUS,
    LEASE_LOST,
    STORE_FAILED,
    AuthorizationProtocol,
    Event,
    Instant,
    Policy,
    Response,
    SendFailure,
    SendRequest,
    SpatiumDialect,
    Stored,
    UnverifiedClaims,
    UsageError,
)
from ._forking import survive_fork, warn_of_fork
from ._listening import Listener, deliver

if TYPE_CHECKING:
    from typing_extensions import Self

    from .stores import Store

__all__ = ["LONGEST_NAP", "MAX_INTERIM", "STORE_PATIENCE", "SessionBase", "failure_of", "read_clocks"]

LONGEST_NAP = 60.0  # seconds; keep_alive looks at the clocks this often: suspend stops the one it sleeps by
MAX_INTERIM = 16  # 1xx answers before the real one (RFC 9110, section 15.2); more are an attack
STORE_PATIENCE = 15.0  # seconds that a store may take for one operation before its callers are told


class SessionBase:
    """The part of an `AuthorizationSession` that is the same in every world.

    Args:
        url, token_id, permissions, policy, dialect, allow_http: see `AuthorizationProtocol`.
        store: shares the session with other processes and saves it for the next (`tenure.transports.stores`).
        send: turns (`Request`, time-out in seconds) into a `Response`, or raises `SendFailure`; any other exception
            counts as an ambiguous outcome. By default the driver sends by itself, on a new connection each time.
        ssl_context: what the driver's own sender trusts; by default what the system trusts.
        listener: is given each `Event`; the logger "tenure" is, too.

    Raises:
        UsageError: an argument is unfit; the text says which and why.
    """

    def __init__(
        self,
        url: str,
        token_id: str,
        permissions: Iterable[str],
        *,
        policy: Policy | None = None,
        store: "Store | None" = None,
        send: Callable[..., Any] | None = None,
        ssl_context: SSLContext | None = None,
        listener: Listener | None = None,
        dialect: SpatiumDialect | None = None,
        allow_http: bool = False,
    ) -> None:
        protocol = AuthorizationProtocol(
            url,
            token_id,
            permissions,
            random_bytes=os.urandom,
            policy=policy,
            dialect=dialect,
            allow_http=allow_http,
            stored=store is not None,
        )
        self._take(protocol, store, send, ssl_context, listener)

    @classmethod
    def from_snapshot(
        cls,
        snapshot: Mapping[str, object],
        *,
        policy: Policy | None = None,
        store: "Store | None" = None,
        send: Callable[..., Any] | None = None,
        ssl_context: SSLContext | None = None,
        listener: Listener | None = None,
        dialect: SpatiumDialect | None = None,
        allow_http: bool = False,
    ) -> "Self":
        """Return the session that `snapshot()` saved. Only one of the two may live on: they share a refresh token.

        Raises:
            SnapshotError: the snapshot is damaged, foreign, or from a newer version of this library.
        """
        protocol = AuthorizationProtocol.from_snapshot(
            snapshot,
            read_clocks(),
            random_bytes=os.urandom,
            policy=policy,
            dialect=dialect,
            allow_http=allow_http,
            stored=store is not None,
        )
        session = cls.__new__(cls)
        session._take(protocol, store, send, ssl_context, listener)
        return session

    def _take(
        self,
        protocol: AuthorizationProtocol,
        store: "Store | None",
        send: Callable[..., Any] | None,
        ssl_context: SSLContext | None,
        listener: Listener | None,
    ) -> None:
        if send is not None and ssl_context is not None:
            raise UsageError("ssl_context= is for the driver's own sender; a send= of yours has to bring its own")
        if store is not None and not callable(getattr(store, "acquire", None)):
            raise UsageError("store= must be a store, such as FileStore(directory) of tenure.transports.stores")
        self._protocol = protocol
        self._store = store
        self._held = protocol.held
        self._listener = listener
        self._lock = threading.Lock()
        self._guard: AbstractContextManager[Any] = nullcontext()  # held around every use of the protocol
        self._is_closed = False
        self._is_forked = False
        self._set_up(send, ssl_context)
        survive_fork(self)

    def _set_up(self, send: Callable[..., Any] | None, ssl_context: SSLContext | None) -> None:
        """Make what this world needs for waiting and sending."""
        raise NotImplementedError  # each driver has its own

    def current_token(self) -> str | None:
        """Return the fresh token, or None. Never waits and never begins a refresh."""
        ready = self._held.ready
        if monotonic() < ready.until_monotonic and wall() < ready.until_wall:
            return ready.permission_token
        return None

    def invalidate(self, token: str) -> None:
        """Say that a resource server refused `token` (401): unless it was replaced, it is not handed out again."""
        with self._guard:
            self._protocol.invalidate(token)
            events = self._protocol.take_events()
        self._deliver(events)

    def unverified_claims(self) -> UnverifiedClaims | None:
        """Return what the newest permission token says of itself, NOT verified, or None if it is opaque."""
        return self._protocol.unverified_claims()

    def snapshot(self) -> dict[str, object]:
        """Return the session as a dict that JSON can hold. It holds both tokens: keep it as secret as they are."""
        with self._guard:
            return self._protocol.snapshot()

    def _check(self) -> None:
        """Called before anything is asked, by a method that a public method calls."""
        if self._is_closed:
            raise UsageError("this session object is closed: make a new one, from its snapshot() for instance")
        if self._is_forked:
            self._is_forked = False
            warn_of_fork()

    def _forget_parent(self) -> None:
        """Called in a forked child: what is under way belongs to the parent, and so do the locks."""
        self._lock = threading.Lock()
        self._begin_pumpless()
        self._is_forked = self._held.pair is not None
        self._protocol.disown_exchange()

    def _begin_pumpless(self) -> None:
        """Make what belongs to the pump and to those who wait for it."""
        raise NotImplementedError  # each driver has its own

    def _patience(self) -> float:
        """Return how many seconds an exchange may take to end that is not begun anew."""
        return self._held.policy.attempt_timeout + (0.0 if self._store is None else 3 * STORE_PATIENCE)

    def _report(self, step: Any, report: object, now: Instant) -> None:
        """Tell the core what came of a step, whatever a send= or a store has returned."""
        if isinstance(report, SendFailure):
            self._protocol.receive_failure(report, now)
        elif isinstance(step, SendRequest):
            if isinstance(report, Response) and (type(report.status), type(report.body)) == (int, bytes):
                self._protocol.receive_response(report, now)
            else:
                nonsense = f"send= returned no sound Response, but {type(report).__name__}"
                self._protocol.receive_failure(SendFailure(AMBIGUOUS, nonsense), now)
        elif "state" not in step.reports:
            self._protocol.receive_done(now, report if isinstance(report, int) else None)
        elif isinstance(report, Stored):
            self._protocol.receive_state(report, now)
        else:
            nonsense = f"the store returned no Stored, but {type(report).__name__}"
            self._protocol.receive_failure(SendFailure(STORE_FAILED, nonsense), now)

    def _deliver(self, events: Iterable[Event]) -> None:
        deliver(events, self._listener)

    def __repr__(self) -> str:
        return f"<{type(self).__module__}.{type(self).__name__} {self._held.token_id}: {self._held.state}>"


def failure_of(step: Any, problem: BaseException) -> SendFailure:
    """Return what to report of a step that ended with `problem`. The unknown is ambiguous: a request may have left."""
    if isinstance(problem, SendFailure):
        return problem
    name = type(problem).__name__
    if isinstance(step, SendRequest):
        return SendFailure(AMBIGUOUS, f"the sender failed with {name}")
    from .stores import LeaseLostError, StoreError

    error: BaseException | None = problem
    while error is not None:  # its frames hold the lease, and with it a file's lock, until the garbage collector comes
        error.__traceback__ = None
        error = error.__context__
    # A store's own words hold no secret; those of anything else may.
    words = str(problem) if isinstance(problem, StoreError) else f"it failed with {name}"
    return SendFailure(LEASE_LOST if isinstance(problem, LeaseLostError) else STORE_FAILED, words)


def read_clocks() -> Instant:
    """Return now, on this machine's two clocks."""
    return Instant(monotonic(), wall())
