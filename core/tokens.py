# A pair of tokens, and what two clocks say of its age.
#
# A lifetime is a length of time, and the server's idea of "now" does not matter. The permission token's is counted from
# the moment the request was SENT: the server cannot have issued it earlier. This file never sees an absolute expiry:
# the dialect turns it into a lifetime (WIRE.md, Answers).
#
# Wall readings are whole seconds, so a difference of two of them may be off by one either way. A wall clock is believed
# only when time has passed beyond that doubt; the monotonic clock is the exact one, and the wall clock is there to
# notice what it missed (suspend).

from .steps import Instant

__all__ = ["Grant", "TokenPair", "ReadyToken", "NOTHING_READY"]


class Grant:
    """What a successful answer grants: two tokens and how long each of them lives, in seconds."""

    __slots__ = ("permission_token", "permission_lifetime", "refresh_token", "refresh_lifetime")

    def __init__(
        self, permission_token: str, permission_lifetime: float, refresh_token: str, refresh_lifetime: float
    ) -> None:
        self.permission_token = permission_token
        self.permission_lifetime = permission_lifetime
        self.refresh_token = refresh_token
        self.refresh_lifetime = refresh_lifetime

    def __repr__(self) -> str:
        return f"<Grant for {self.permission_lifetime:.0f} s, refresh token for {self.refresh_lifetime:.0f} s>"


class TokenPair:
    """A permission token, the refresh token behind it, and since when they count. Immutable by convention.

    Attributes:
        grant: the two tokens and their lifetimes.
        since: the `Instant` from which the permission token's lifetime counts: its request was sent. Counting from
            here, a token is never taken for younger than it is.
        arrived: the `Instant` at which the answer came. The refresh token's lifetime counts from here, so that a
            session is never declared over while its refresh token lives.
        stale_after: seconds after `since` at which an early refresh is due.
        dead_after: seconds after `since` at which the permission token is not handed out any more.
        request_id: the one request id under which this refresh token is ever presented (invariant 2). It is drawn
            when the pair arrives and saved with it, so even a copy of the session in another process presents the
            same one, and a server with a grace window answers both with the same successor.
        generation: 1 for the first pair of a session, one more for each successor.
    """

    __slots__ = ("grant", "since", "arrived", "stale_after", "dead_after", "request_id", "generation")

    def __init__(
        self,
        grant: Grant,
        since: Instant,
        arrived: Instant,
        stale_after: float,
        dead_after: float,
        request_id: str,
        generation: int,
    ) -> None:
        self.grant = grant
        self.since = since
        self.arrived = arrived
        self.stale_after = stale_after
        self.dead_after = dead_after
        self.request_id = request_id
        self.generation = generation

    def is_like(self, other: "TokenPair") -> bool:
        """Return True if both hold one refresh token under one request id: the one is a copy of the other."""
        return self.grant.refresh_token == other.grant.refresh_token and self.request_id == other.request_id

    def is_stale(self, now: Instant) -> bool:
        """Return True once either clock says that an early refresh is due."""
        return clocks_past(self.since, self.stale_after, now) > 0

    def is_dead(self, now: Instant) -> bool:
        """Return True once either clock says that the permission token must not be handed out any more."""
        return clocks_past(self.since, self.dead_after, now) > 0

    def is_over(self, now: Instant) -> bool:
        """Return True once both clocks agree that the refresh token has expired; a single one may be wrong."""
        return clocks_past(self.arrived, self.grant.refresh_lifetime, now) == 2

    def ready_for(self, seconds: float) -> "ReadyToken":
        """Return the permission token, ready to be handed out until `seconds` after `since`."""
        return ReadyToken(
            self.grant.permission_token, self.since.monotonic + seconds, self.since.wall + wall_seconds(seconds)
        )

    def __repr__(self) -> str:
        return f"<TokenPair {self.generation}: {self.grant!r}>"


class ReadyToken:
    """A token that may be handed out with no further question while both clocks read less than its bounds.

    One immutable object, replaced as a whole: a thread that reads it without a lock never sees a new bound with an old
    token.

    Attributes:
        permission_token: the token, or "" in `NOTHING_READY`.
        until_monotonic: seconds on the monotonic clock.
        until_wall: seconds on the wall clock.
    """

    __slots__ = ("permission_token", "until_monotonic", "until_wall")

    def __init__(self, permission_token: str, until_monotonic: float, until_wall: float) -> None:
        self.permission_token = permission_token
        self.until_monotonic = until_monotonic
        self.until_wall = until_wall

    def __repr__(self) -> str:
        return f"<ReadyToken until {self.until_monotonic:.3f} s monotonic, {self.until_wall} s wall>"


NOTHING_READY = ReadyToken("", float("-inf"), float("-inf"))


def wall_seconds(seconds: float) -> int:
    """Return by how much two wall readings must differ before `seconds` have passed for sure: up to 2 s more."""
    return int(seconds) + 2


def clocks_past(since: Instant, seconds: float, now: Instant) -> int:
    """Return how many of the two clocks say that `seconds` have passed from `since` to `now`: 0, 1 or 2."""
    by_monotonic = now.monotonic - since.monotonic >= seconds
    by_wall = now.wall - since.wall >= wall_seconds(seconds)
    return by_monotonic + by_wall
