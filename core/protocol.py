# The authorization session as a pure object: it says which request to send, is told what came back, and knows from that
# which token may be handed out. It does no I/O, reads no clock, draws no chance of its own and holds no lock.
#
# Callers ask (`establish`, `refresh`, `request_token`, …) and get a Call. A driver pumps: it takes the next step, does
# it, reports back, until there is none. In between, one exchange at a time (exchange.py) works off the calls in the
# order in which they came, on what is held (session.py).
#
# Rules that hold everywhere in this file:
# - A public method has either done its work or changed nothing.
# - A step that was handed out and has no report yet blocks every other one (invariant 1).
# - Nothing here is thread-safe but reading `held.ready`, `newest_token()` and `unverified_claims()`: each reads one
#   attribute, which is replaced whole. A driver holds its lock around everything else.
#
# Not settled: a resource server that refuses every token makes each `invalidate` cause a refresh. That is one request a
# refusal, never more at once, but nothing slows it down.

from . import steps
from .calls import ESTABLISH, LOAD, REFRESH, VERIFY, Call
from .checks import check_list, check_text, check_token_id, check_url
from .dialects.claims import read_unverified_claims
from .dialects.spatium import SPATIUM
from .errors import SnapshotError, UsageError
from .events import TokenInvalidated
from .exchange import CutShortError, Exchange, abandoned
from .policy import Policy
from .session import NEVER, Session
from .snapshot import read_snapshot
from .states import ACTIVE, EXCHANGE_BEGUN, EXCHANGE_ENDED, EXCHANGE_TABLE, IDLE, next_state
from .steps import Instant

__all__ = ["AuthorizationProtocol"]


DEFAULT_POLICY = Policy()


class AuthorizationProtocol:
    """One authorization session, sans I/O.

    Args:
        url: base url of the service, such as `https://host/authorization/v1`.
        token_id: names this session among the account's parallel ones; stable over restarts (a UUID).
        permissions: what to ask for, a list of strings.
        random_bytes: returns that many bytes of good randomness, as `os.urandom` does.
        policy: when to refresh and how to retry.
        dialect: how the service is spoken to; Spatium's by default.
        allow_http: permit plain http to other machines. Whoever listens on that network can then take the session.
        stored: ask the driver for the steps that share the session through a store.

    Raises:
        UsageError: an argument is unfit; the text says which and why.

    Attributes:
        held: what is held of the session (session.py), to read only. Any thread may read `held.ready`, the token that
            may be handed out with no further thought.
    """

    # fmt: off
    __slots__ = ("held", "_activity", "_calls", "_dialect", "_exchange", "_handed_out", "_is_winding_up", "_step",
                 "_stored", "_wake_at", "__weakref__")
    # fmt: on

    def __init__(
        self,
        url: str,
        token_id: str,
        permissions: "Iterable[str]",
        *,
        random_bytes: "Callable[[int], bytes]",
        policy: "Policy | None" = None,
        dialect: "SpatiumDialect | None" = None,
        allow_http: bool = False,
        stored: bool = False,
    ) -> None:
        self.held = Session(
            check_url(url, allow_http),
            check_token_id(token_id),
            check_list("permissions", permissions),
            policy or DEFAULT_POLICY,
            random_bytes,
        )
        self._dialect = dialect or SPATIUM
        self._stored = stored
        self._activity = IDLE
        self._calls: tuple[Call, ...] = ()  # the first one is being worked off
        self._exchange: Steps[None] | None = None
        self._step: Step | None = None
        self._handed_out = False
        self._is_winding_up = False
        self._wake_at = NEVER  # monotonic; end of a Sleep

    # What callers ask

    def verify_credentials(self, username: str, password: str) -> Call:
        """Ask for a security token; the settled call's `result()` returns it (WIRE.md, Requests)."""
        check_text("username", username)
        check_text("password", password)
        url = self.held.url
        return self._ask(
            Call(VERIFY, lambda request_id: self._dialect.verify_credentials(url, username, password, request_id))
        )

    def establish(self, security_tokens: "Iterable[str]") -> Call:
        """Ask for the first pair of a session for an account, or of a session that replaces this one."""
        tokens = check_list("security_tokens", security_tokens)
        url, token_id, permissions = self.held.url, self.held.token_id, self.held.permissions
        return self._ask(
            Call(
                ESTABLISH,
                lambda request_id: self._dialect.issue_by_factors(url, token_id, permissions, tokens, request_id),
            )
        )

    def establish_by_key(self, merchant_key: str) -> Call:
        """Ask for the first pair of a session for a merchant, by the merchant's key."""
        check_text("merchant_key", merchant_key)
        url, token_id, permissions = self.held.url, self.held.token_id, self.held.permissions
        return self._ask(
            Call(
                ESTABLISH,
                lambda request_id: self._dialect.issue_by_key(url, token_id, permissions, merchant_key, request_id),
            )
        )

    def refresh(self) -> Call:
        """Ask for the next pair. While that is pending, everybody gets the same call (invariant 5)."""
        call = self._join_refresh()
        call.by_hand = True
        return call

    def request_token(self, now: Instant) -> Call:
        """Ask for a permission token that works. Once the call has settled well, it is `newest_token()`.

        The call has settled already if the current token still works, even if a refresh of it is due: that then begins
        behind the caller's back.
        """
        held = self.held
        held.latest = now
        if not held.is_usable(now):
            return self._join_refresh()
        if held.is_due(now):
            self._ask(Call(REFRESH, urgent=False, generation=held.generation))
        held.publish(now)
        call = Call(REFRESH)
        call.settle()
        return call

    def load(self) -> Call:
        """Ask for what the store holds, without its lease. Only with `stored=True`."""
        if not self._stored:
            raise UsageError("load() needs a store: make the protocol with stored=True")
        return self._ask(Call(LOAD))

    def invalidate(self, token: str) -> bool:
        """Take note that a resource server refused `token`; return True if it is the current one.

        The current one is not handed out again, so the next request for a token waits for a refresh. One that has been
        replaced since is ignored: its successor has not been refused.
        """
        held = self.held
        check_text("token", token)
        if held.invalidated or token != self.newest_token():
            return False
        held.invalidated = True
        held.publish(held.latest)
        held.record(TokenInvalidated(held.token_id, held.latest))
        return True

    # What may be read at any time

    @property
    def state(self) -> str:
        """UNESTABLISHED, ACTIVE or EXPIRED."""
        return self.held.state

    @property
    def activity(self) -> str:
        """IDLE or EXCHANGING."""
        return self._activity

    @property
    def token_id(self) -> str:
        """Which session this is."""
        return self.held.token_id

    @property
    def generation(self) -> int:
        """How many pairs this session has had."""
        return self.held.generation

    def fresh_token(self, now: Instant) -> "str | None":
        """Return the token that may be handed out with no further thought, or None: then `request_token`."""
        ready = self.held.ready
        if now.monotonic < ready.until_monotonic and now.wall < ready.until_wall:
            return ready.permission_token
        return None

    def newest_token(self) -> "str | None":
        """Return the newest permission token, however old it is, or None before the first."""
        pair = self.held.pair
        return None if pair is None else pair.grant.permission_token

    def unverified_claims(self) -> "UnverifiedClaims | None":
        """Return what the newest permission token says of itself, NOT verified, or None if it does not say."""
        token = self.newest_token()
        return None if token is None else read_unverified_claims(token)

    def seconds_until_due(self, now: Instant) -> "float | None":
        """Return after how many seconds an idle session wants a refresh: 0 if now, None if none can help."""
        return self.held.seconds_until_due(now)

    def snapshot(self) -> "dict[str, object]":
        """Return the session as a dict that JSON can hold. It holds both tokens: keep it as secret as they are."""
        return self.held.to_snapshot(self.held.latest)

    @classmethod
    def from_snapshot(
        cls,
        snapshot: "Mapping[str, object]",
        now: Instant,
        *,
        random_bytes: "Callable[[int], bytes]",
        policy: "Policy | None" = None,
        dialect: "SpatiumDialect | None" = None,
        allow_http: bool = False,
        stored: bool = False,
    ) -> "AuthorizationProtocol":
        """Return the session that `snapshot()` saved, as if it had lived on. The arguments are those of the class.

        Raises:
            SnapshotError: the snapshot is damaged, foreign, or from a newer version of this library.
        """
        saved = read_snapshot(snapshot, now)
        try:
            protocol = cls(
                saved.url,
                saved.token_id,
                saved.permissions,
                random_bytes=random_bytes,
                policy=policy,
                dialect=dialect,
                allow_http=allow_http,
                stored=stored,
            )
        except UsageError as problem:
            raise SnapshotError(f"the snapshot cannot be used: {problem.message}") from None
        held = protocol.held
        held.state = saved.state  # where this object begins, not a transition
        held.pair = saved.pair
        held.ambiguous = saved.ambiguous
        held.was_presented = True
        held.expiry = (held.expiry[0], saved.ambiguous)
        held.latest = now
        held.invalidated = saved.invalidated
        held.publish(now)
        return protocol

    # What a driver does

    def next_step(self, now: Instant) -> "Step | None":
        """Return what to do now, or None if there is nothing, or if the step handed out last has no report yet.

        After a `Sleep`, call this again; it needs no report.
        """
        self.held.latest = now
        while True:
            step = self._step
            if step is None:
                if not self._calls:
                    return None
                self._begin(now)
            elif self._handed_out:
                return None  # invariant 1
            elif self._is_winding_up and isinstance(step, (steps.SendRequest, steps.Sleep)):
                self._resume(CutShortError(), now)
            elif isinstance(step, steps.Sleep):
                left = self._wake_at - now.monotonic
                if left > 0:
                    return steps.Sleep(left)
                self._resume((None, now), now)
            else:
                self._handed_out = True
                return step

    def receive_response(self, response: steps.Response, now: Instant) -> None:
        """Report the answer to a `SendRequest`, whatever its status."""
        self._receive("response", response, now)

    def receive_failure(self, failure: steps.SendFailure, now: Instant) -> None:
        """Report that a step could not be done, or that nobody knows whether it was."""
        self._receive("failure", failure, now)

    def receive_state(self, stored: "Stored", now: Instant) -> None:
        """Report what the store holds after a `LoadState` or an `AcquireLease`."""
        self._receive("state", stored, now)

    def receive_done(self, now: Instant, version: "int | None" = None) -> None:
        """Report that a `SaveState` is durable (and which version it is), or a lease renewed or given back."""
        self._receive("done", version, now)

    def wind_up(self) -> None:
        """Begin nothing more, since the driver is to end. Go on taking steps until there is none.

        What has been sent is still awaited, what has come is still saved, and a lease is given back. Every call that
        takes more than that settles with an error. Whoever asks after the last step begins anew.
        """
        under_way = self._calls[: 0 if self._exchange is None else 1]
        for call in self._calls[len(under_way) :]:
            call.settle(abandoned())
        self._calls = under_way
        self._is_winding_up = self.held.busy = bool(under_way)
        self.held.publish(self.held.latest)  # nobody refreshes any more behind the callers' backs

    def disown_exchange(self) -> None:
        """Forget what is under way, without an outcome: after fork() it belongs to the parent.

        Every call under way settles with an error. The pair stays; if its refresh token was being presented, that
        counts as ambiguous.
        """
        if self._exchange is not None:
            self._exchange.close()  # settles the call
            self._end()
        self.wind_up()

    def take_events(self) -> "list[Event]":
        """Return the events since the last call, oldest first. They hold no secret."""
        taken, self.held.events = self.held.events, ()
        return list(taken)

    # Bookkeeping

    def _join_refresh(self) -> Call:
        for call in self._calls:
            if call.kind == REFRESH and not call.settled:  # settled: its lease is being given back
                call.urgent = True
                call.asked_at = self.held.latest
                return call
        call = Call(REFRESH, generation=self.held.generation)
        # An establish under way may yet bring a pair, and so may another process.
        if self.held.state != ACTIVE and not self._calls and not self._stored:
            call.settle(self.held.lack_of_tokens())
            return call
        return self._ask(call)

    def _ask(self, call: Call) -> Call:
        self._calls = self._calls + (call,)  # noqa: RUF005  # MicroPython has no (*tuple,)
        self.held.busy = True
        return call

    def _begin(self, now: Instant) -> None:
        self._activity = next_state(EXCHANGE_TABLE, self._activity, EXCHANGE_BEGUN)
        exchange = Exchange
        if self._stored:
            from .shared import SharedExchange  # only whoever shares a session has to have it

            exchange = SharedExchange
        self._exchange = exchange(self.held, self._dialect, self._calls[0]).run(now)
        self._resume(None, now)

    def _resume(self, reply: "tuple[Any, Instant] | CutShortError | None", now: Instant) -> None:
        """Run the exchange to its next step, or to its end."""
        exchange = self._exchange
        assert exchange is not None
        self._step = None
        try:
            if isinstance(reply, CutShortError):
                self._step = exchange.throw(reply)
            else:
                self._step = next(exchange) if reply is None else exchange.send(reply)
        except StopIteration:
            pass
        finally:  # also if our own code fails: a session must not stay stuck in an exchange
            self._handed_out = False
            if self._step is None:
                self._end()
        if isinstance(self._step, steps.Sleep):
            self._wake_at = now.monotonic + self._step.seconds

    def _end(self) -> None:
        self._activity = next_state(EXCHANGE_TABLE, self._activity, EXCHANGE_ENDED)
        self._exchange = self._step = None
        self._calls = self._calls[1:]
        self.held.busy = bool(self._calls)
        if self._is_winding_up:
            self.wind_up()  # for what was asked meanwhile
        self.held.publish(self.held.latest)

    def _receive(self, report: str, reply: object, now: Instant) -> None:
        if not self._handed_out or self._step is None or report not in self._step.reports:
            raise UsageError("there is no step under way that this could report on: call next_step() first")
        self.held.latest = now
        self._resume((reply, now), now)

    def __repr__(self) -> str:
        return f"<AuthorizationProtocol {self.token_id}: {self.state}, {self.activity}>"


TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from typing import Any

    from .dialects.claims import UnverifiedClaims
    from .dialects.spatium import SpatiumDialect
    from .events import Event
    from .exchange import Step, Steps
    from .store_steps import Stored
