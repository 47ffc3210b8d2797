# A session as a dict that JSON can hold, and back. The dict holds both tokens: whoever stores it keeps a secret.
#
# A monotonic reading means nothing in another process, so wall readings and ages are saved. Where a store can say how
# long ago that was, the ages are believed and no wall clock is needed: the machines that share a store may disagree
# about the hour. Elsewhere what the monotonic clock could say is rebuilt from the wall clock, see `_by_the_wall`.

from .checks import check_list, check_text, is_header_safe
from .errors import SnapshotError, UsageError
from .steps import Instant
from .tokens import Grant, TokenPair

__all__ = ["FORMAT", "VERSION", "write_snapshot", "read_snapshot"]

FORMAT = "tenure session"
VERSION = 1


def write_snapshot(
    url: str,
    token_id: str,
    permissions: "tuple[str, ...]",
    state: str,
    pair: "TokenPair | None",
    ambiguous: bool,
    invalidated: bool,
    now: Instant,
) -> "dict[str, object]":
    """Return the session, as it is at `now`, as a dict of strings, numbers, booleans, lists and dicts."""
    saved: dict[str, object] | None = None
    if pair is not None:
        saved = {
            "permission_token": pair.grant.permission_token,
            "permission_lifetime": pair.grant.permission_lifetime,
            "refresh_token": pair.grant.refresh_token,
            "refresh_lifetime": pair.grant.refresh_lifetime,
            "since": pair.since.wall,
            "arrived": pair.arrived.wall,
            # The older of what two clocks say for the permission token, the younger for the refresh token.
            "since_age": max(0.0, now.monotonic - pair.since.monotonic, now.wall - pair.since.wall - 1),
            "arrived_age": max(0.0, now.monotonic - pair.arrived.monotonic),
            "stale_after": pair.stale_after,
            "dead_after": pair.dead_after,
            "request_id": pair.request_id,
            "generation": pair.generation,
        }
    return {
        "format": FORMAT,
        "version": VERSION,
        "url": url,
        "token_id": token_id,
        "permissions": list(permissions),
        "state": state,
        "ambiguous": ambiguous,
        "invalidated": invalidated,
        "pair": saved,
    }


def read_snapshot(
    snapshot: object, now: Instant, age: "float | None" = None, asked_at: "Instant | None" = None
) -> "Saved":
    """Return what `write_snapshot` was given; it was `age` seconds old, if that is known, between `asked_at` and now.

    Raises:
        SnapshotError: it is not a snapshot of ours, is from a newer version, or is damaged.
    """
    if not isinstance(snapshot, dict) or snapshot.get("format") != FORMAT:
        raise SnapshotError("this is not a snapshot of a tenure session")
    version = snapshot.get("version")
    if isinstance(version, bool) or not isinstance(version, int) or version < 1:
        raise SnapshotError("the snapshot is damaged: version is not a number from 1 up")
    if version > VERSION:
        raise SnapshotError(
            f"the snapshot is of version {version} and this library reads up to version {VERSION}: upgrade tenure"
        )
    try:
        return Saved(snapshot, now, age, asked_at)
    except UsageError as problem:
        raise SnapshotError(f"the snapshot is damaged: {problem.message}") from None


class Saved:
    """The fields of a snapshot, checked."""

    __slots__ = ("url", "token_id", "permissions", "state", "ambiguous", "invalidated", "pair")

    def __init__(
        self, snapshot: "dict[str, object]", now: Instant, age: "float | None", asked_at: "Instant | None" = None
    ) -> None:
        self.url = check_text("url", snapshot.get("url"))
        self.token_id = check_text("token_id", snapshot.get("token_id"))
        self.permissions = check_list("permissions", snapshot.get("permissions"))
        self.state = check_text("state", snapshot.get("state"))
        self.ambiguous = _truth(snapshot, "ambiguous")
        self.invalidated = _truth(snapshot, "invalidated")
        pair = snapshot.get("pair")
        self.pair: TokenPair | None = None if pair is None else _revive(pair, now, age, asked_at or now)
        if self.state not in ("unestablished", "active", "expired"):
            raise UsageError("state is none of unestablished, active, expired")
        if self.pair is None if self.state == "active" else self.pair and self.state == "unestablished":
            raise UsageError("state and pair do not fit together")


def _revive(pair: object, now: Instant, age: "float | None", asked_at: Instant) -> TokenPair:
    """Rebuild a pair."""
    if not isinstance(pair, dict):
        raise UsageError("pair must be an object")
    grant = Grant(
        _token(pair, "permission_token"),
        _number(pair, "permission_lifetime"),
        _token(pair, "refresh_token"),
        _number(pair, "refresh_lifetime"),
    )
    since, arrived, dead_after = _number(pair, "since"), _number(pair, "arrived"), _number(pair, "dead_after")
    since_age, arrived_age = _number(pair, "since_age"), _number(pair, "arrived_age")
    if age is None:
        begin, came = _by_the_wall(since, arrived, dead_after, now)
    else:
        # The answer may have waited for this process to run. The older for the permission token, as in write_snapshot.
        begin, came = _ago(since_age + age, asked_at), _ago(arrived_age + age, now)
    return TokenPair(
        grant,
        begin,
        came,
        _number(pair, "stale_after"),
        dead_after,
        _token(pair, "request_id"),
        int(_number(pair, "generation")),
    )


def _ago(seconds: float, now: Instant) -> Instant:
    """Return the moment that many seconds before `now`, on both clocks."""
    return Instant(now.monotonic - seconds, now.wall - int(seconds))


def _by_the_wall(since: float, arrived: float, dead_after: float, now: Instant) -> "tuple[Instant, Instant]":
    """Return since when the pair counts, and when it came, believing the wall clock only as far as it does no harm."""
    elapsed = now.wall - since
    # A wall clock that ran backwards, now or on the answer's way, cannot say how old the permission token is: take it
    # as dead, by more than rounding could undo. That the refresh token is over needs the word of two clocks, and the
    # monotonic one knows nothing of the time before now.
    passed = dead_after + 1 if elapsed < 0 or arrived < since else min(elapsed, dead_after + 1)
    return Instant(now.monotonic - passed, since), Instant(now.monotonic, arrived)


def _token(pair: "dict[str, object]", name: str) -> str:
    text = check_text(name, pair.get(name))
    if not is_header_safe(text):
        raise UsageError(f"{name} holds spaces or characters unfit for a header")
    return text


def _truth(snapshot: "dict[str, object]", name: str) -> bool:
    value = snapshot.get(name)
    if not isinstance(value, bool):
        raise UsageError(f"{name} must be true or false")
    return value


def _number(pair: "dict[str, object]", name: str) -> float:
    """Return a number from 0 up; `not (…)` also catches NaN."""
    value = pair.get(name)
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value < 1e15:
        raise UsageError(f"{name} must be a number from 0 up")
    return value
