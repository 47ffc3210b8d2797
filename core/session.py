# What is held of one session: its state, its pair of tokens, and what may be handed out right now.
#
# Every change of state goes through `install` and `expire` and so through the tables in states.py. This file sends
# nothing and waits for nothing: exchange.py decides what to ask of the service, and tells this file what came of it.

import binascii

from . import errors, events
from .snapshot import read_snapshot, write_snapshot
from .states import ACTIVE, EXPIRED, EXPIRY_ADOPTED, SESSION_TABLE, STATE_ADOPTED, UNESTABLISHED, next_state
from .steps import Instant
from .tokens import NOTHING_READY, TokenPair

__all__ = ["Session"]

MAX_EVENTS = 64  # kept for a driver that never takes them; the oldest go first
NEVER = float("-inf")
CLOCK_DOUBT = 10  # seconds by which a store's clock may be off when another replica takes over
SHORTEST_WAIT = 0.001  # seconds; by rounding a token may be due and not yet stale: nobody shall run in circles then
BEGINNING = Instant(0, 0)
EXPIRED_LONG_AGO = ("its refresh token has expired", False)


class Session:
    """The holdings of one authorization session. For the protocol only; its arguments have been checked."""

    # fmt: off
    __slots__ = ("url", "token_id", "permissions", "policy", "random_bytes", "state", "pair", "ready", "invalidated",
                 "ambiguous", "was_presented", "expiry", "failures", "not_before", "busy", "latest", "events",
                 "version", "unsaved")
    # fmt: on

    def __init__(
        self,
        url: str,
        token_id: str,
        permissions: "tuple[str, ...]",
        policy: "Policy",
        random_bytes: "Callable[[int], bytes]",
    ) -> None:
        self.url = url
        self.token_id = token_id
        self.permissions = permissions
        self.policy = policy
        self.random_bytes = random_bytes
        self.state = UNESTABLISHED
        self.pair: TokenPair | None = None
        self.ready = NOTHING_READY
        self.invalidated = False  # a resource server refused the current permission token
        self.ambiguous = False  # a request that voids the current refresh token was sent; what came of it is not known
        # The current refresh token may have been presented before, here or by whoever held a copy of it: the next
        # answer may be that of the earlier time. An establish in doubt makes `ambiguous` true, and not this.
        self.was_presented = False
        self.expiry = EXPIRED_LONG_AGO  # why it is over; was that after an ambiguous outcome?
        self.failures = 0  # in a row
        self.not_before = NEVER  # monotonic; no refresh is sent earlier (cool-down)
        self.busy = False  # calls are waiting or being worked off
        self.latest = BEGINNING
        self.events: tuple[events.Event, ...] = ()
        self.version: int | None = None  # of what the store held when it was last looked at; None: never yet
        self.unsaved: TokenPair | None = None  # granted, but the store could not take it; nobody has seen it

    @property
    def generation(self) -> int:
        """How many pairs this session has had."""
        return 0 if self.pair is None else self.pair.generation

    def is_dead(self, now: Instant) -> bool:
        """Return True if there is no permission token, or if either clock says that it is too old."""
        return self.pair is None or self.pair.is_dead(now)

    def is_usable(self, now: Instant) -> bool:
        """Return True if the current permission token may be handed out, fresh or stale."""
        return not self.invalidated and not self.is_dead(now)

    def is_due(self, now: Instant) -> bool:
        """Return True if the current token still works and it is time to begin an early refresh."""
        if self.pair is None or self.state != ACTIVE or self.busy:
            return False
        return self._wants_another(self.pair, now) and now.monotonic >= self.not_before

    def _wants_another(self, pair: TokenPair, now: Instant) -> bool:
        """Is the pair stale, or replaced by one that nobody sees before it is saved?"""
        return self.unsaved not in (None, pair) or pair.is_stale(now)

    def seconds_until_due(self, now: Instant) -> "float | None":
        """Return after how many seconds a refresh is wanted, whoever asks or not; None if none can help."""
        if self.pair is None or self.state != ACTIVE:
            return None
        wait = 0.0
        if self.is_usable(now) and not self._wants_another(self.pair, now):
            due_at = self.pair.since.monotonic + min(self.pair.stale_after, self.pair.dead_after)
            wait = max(due_at - now.monotonic, SHORTEST_WAIT)
        return max(wait, self.not_before - now.monotonic)

    def next_pair(self, grant: "Grant", since: Instant, now: Instant) -> TokenPair:
        """Return the pair that `grant`, asked for at `since`, makes now; it is not the current one yet."""
        lifetime = grant.permission_lifetime
        stale_after = self.policy.stale_after(lifetime, self.chance())
        dead_after = self.policy.dead_after(lifetime)
        return TokenPair(grant, since, now, stale_after, dead_after, self.new_request_id(), self.generation + 1)

    def install(self, event: str, pair: TokenPair, happened: "type[events.Event]", now: Instant) -> None:
        """Make `pair` the current one."""
        self.state = next_state(SESSION_TABLE, self.state, event)
        self.pair = pair
        self.invalidated = self.ambiguous = self.was_presented = False
        self.failures = 0
        self.not_before = NEVER
        self.record(happened(self.token_id, now))
        self.publish(now)

    def expire(self, event: str, reason: str, now: Instant) -> None:
        """Take note that the refresh token is of no use any more."""
        self.state = next_state(SESSION_TABLE, self.state, event)
        self.expiry = (reason, self.ambiguous)
        self.record(events.SessionExpired(self.token_id, now, reason, self.ambiguous))

    def doubt(self, ambiguous: bool) -> None:
        """Take note that the current refresh token may have been presented by somebody who never told."""
        if ambiguous and self.pair is not None:
            self.ambiguous = self.was_presented = True

    def cool_down(self, delay: float, now: Instant) -> None:
        """Let no refresh begin for `delay` seconds."""
        self.not_before = now.monotonic + delay

    def publish(self, now: Instant) -> None:
        """Work out anew what may be handed out without asking. Every change of what that depends on ends here."""
        pair = self.pair
        if pair is None or self.invalidated:
            self.ready = NOTHING_READY
            return
        until = pair.dead_after
        if self.state == ACTIVE and not self.busy:  # nothing is under way: somebody has to ask at the right time
            wants_another = self._wants_another(pair, now)
            due = self.not_before - pair.since.monotonic if wants_another else pair.stale_after
            until = min(until, max(due, 0.0))
        self.ready = pair.ready_for(until)

    def lack_of_tokens(self, status: "int | None" = None) -> "errors.TenureError":
        """Return the error for whoever wants a token where no refresh can bring one."""
        if self.state == UNESTABLISHED:
            return errors.NotEstablishedError(
                "the session is not established: call establish() or establish_by_key() first"
            )
        reason, ambiguous = self.expiry
        lost = "; an earlier refresh was cut off, so its answer may have been lost" if ambiguous else ""
        text = f"the session is over: {reason}{lost}. Establish it anew"
        return errors.SessionExpiredError(text, status=status, ambiguous=ambiguous)

    def to_snapshot(self, now: Instant, pair: "TokenPair | None" = None) -> "dict[str, object]":
        """Return the session as a dict, as it is or as it will be with `pair`."""
        held = (self.state, self.pair, self.ambiguous, self.invalidated)
        is_held = pair is None or pair is self.pair
        state, kept, ambiguous, invalidated = held if is_held else (ACTIVE, pair, False, False)
        return write_snapshot(self.url, self.token_id, self.permissions, state, kept, ambiguous, invalidated, now)

    def adopt(
        self, state: "dict[str, object]", now: Instant, age: "float | None" = None, asked_at: "Instant | None" = None
    ) -> "tuple[str, bool] | None":
        """Take over what a stored state knows and we do not; see `read_snapshot` for its age.

        Returns:
            State and doubt, as they are stored, of the pair that is held now; None if that is not the stored one.

        Raises:
            SnapshotError: the state is damaged, or not this session's.
        """
        saved = read_snapshot(state, now, age, asked_at)
        if saved.url != self.url or saved.token_id != self.token_id:
            raise errors.SnapshotError("the store holds another session's state under this session's key")
        pair, held = saved.pair, self.pair
        is_held = pair is not None and held is not None and pair.is_like(held)
        if pair is None or not (is_held or self._is_superseded(saved, age)):
            return None  # nothing, or an old replica
        is_before = is_held and held is not self.unsaved  # older than what is unsaved, whatever the store's clock says
        if self.unsaved is not None and (
            saved.state == EXPIRED or (not is_before and _comes_after(self.unsaved, pair, age, False))
        ):
            self.unsaved = None  # somebody has saved its like, has established anew, or has found that it is over
        if not is_held:
            # A jitter of our own, so that those who share the pair do not march in step.
            pair.stale_after = self.policy.stale_after(pair.grant.permission_lifetime, self.chance())
            self.install(STATE_ADOPTED, pair, events.StateAdopted, now)
            self.was_presented = True
            self.invalidated = saved.invalidated
            self.publish(now)
        self.doubt(saved.ambiguous)
        if saved.state == EXPIRED != self.state:
            self.expire(EXPIRY_ADOPTED, "its refresh token was refused or has expired, as another process found", now)
        return saved.state, saved.ambiguous

    def _is_superseded(self, saved: "Saved", age: "float | None") -> bool:
        """Does a stored pair, which is not ours, come after it?

        Of the same generation the stored one was saved under the lease, and ours was not, or its save was lost. A lower
        one may be an old replica, or begin a session that was established anew by a process that knew nothing of ours.
        """
        held, pair = self.pair, saved.pair
        return (
            held is None or pair is None or _comes_after(held, pair, age, True) or self.state == EXPIRED != saved.state
        )

    def record(self, event: events.Event) -> None:
        """Keep an event for the driver to take."""
        self.events = (self.events + (event,))[-MAX_EVENTS:]  # noqa: RUF005  # MicroPython has no (*tuple,)

    def chance(self) -> float:
        """Return a random number in [0, 1)."""
        return int.from_bytes(self.random_bytes(3), "big") / 0x1000000

    def new_request_id(self) -> str:
        """Return a random UUID (RFC 9562, version 4)."""
        raw = bytearray(self.random_bytes(16))
        raw[6] = raw[6] & 0x0F | 0x40
        raw[8] = raw[8] & 0x3F | 0x80
        digits = binascii.hexlify(raw).decode()
        return "-".join([digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:]])


def _comes_after(held: TokenPair, pair: TokenPair, age: "float | None", heeds_wall: bool) -> bool:
    """Does `pair`, stored `age` seconds ago, come after `held`? Its generation says so, or else that it began later.

    The monotonic clock misses it if the machine has slept, but never errs the other way. So what is stored nowhere is
    not given up because somebody has set the wall clock.
    """
    later_by = pair.since.monotonic - held.since.monotonic
    if heeds_wall:
        later_by = max(later_by, pair.since.wall - held.since.wall)
    return pair.generation >= held.generation or (age is not None and later_by > CLOCK_DOUBT)


TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from .policy import Policy
    from .snapshot import Saved
    from .tokens import Grant
