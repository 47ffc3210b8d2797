# Who watches the simulated world and complains when an invariant of the design is broken. It works from what went over
# the wire, what callers got and what the clocks said; it does not ask the core how it reckons.

import json
import math
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from tenure import (
    EXPIRED,
    REFRESH,
    AuthorizationProtocol,
    Call,
    Event,
    Instant,
    Request,
    Response,
    SessionEstablished,
    SessionExpiredError,
    TokenRotated,
)

from .clocks import Clocks

__all__ = ["InvariantBroken", "Oracle"]


class InvariantBroken(AssertionError):
    """An invariant does not hold. The text begins with its number."""

    def __init__(self, number: int, text: str) -> None:
        super().__init__(f"invariant {number}: {text}")
        self.number = str(number)


@dataclass
class Presented:
    """A refresh token that was presented to the server."""

    request_ids: set[str] = field(default_factory=set)
    has_clear_answer: bool = False  # the server's own yes or no has reached the client
    maybe_rotated_at: float | None = None  # by the server's clock, when the server rotated it


@dataclass
class Issued:
    """A permission token that the server issued."""

    order: int
    born_at: Instant  # what the client's clocks read when the server issued it
    lifetime: int
    refresh_lifetime: int
    true_born_at: float
    true_asked_at: float  # when the request that brought it was first sent


class Oracle:
    """Checks invariants 1 to 7, 9 and 10 (DESIGN.md). Each method is told a fact when it happens."""

    def __init__(self, clocks: Clocks, secrets: list[str], clocks_are_set: bool) -> None:
        self.clocks = clocks
        self.secrets = secrets
        self.in_flight: Request | None = None
        self.presented: dict[str, Presented] = {}
        self.issued: dict[str, Issued] = {}
        self.first_sent: dict[str, float] = {}  # true time, by request id
        self.newest_handed_out = -1
        self.clocks_are_set = clocks_are_set  # then a token may look dead at any time: every refresh has a reason
        self.was_replayed = False
        self.has_reason = True  # somebody refreshed by hand, invalidated or crashed since the last pair
        self.shown = 0
        self.told: str | None = None  # the newest permission token that reached the client whole
        self.checked: Counter[int] = Counter()
        self.grace_lost_at = -math.inf  # by the server's clock

    def fail(self, invariant: int, text: str) -> None:
        raise InvariantBroken(invariant, text)

    # The wire

    def sent(self, request: Request, held: str | None) -> None:
        """The driver was told to send `request`; `held` is the newest permission token."""
        self.checked.update([1, 2])
        if self.in_flight is not None:
            self.fail(1, "a request is sent while another one is in flight")
        self.in_flight = request
        request_id = _request_id(request)
        self.first_sent.setdefault(request_id, self.clocks.true)
        token = _refresh_token(request)
        if token is None:
            return
        if token not in self.presented:
            self._judge_need(held)
        seen = self.presented.setdefault(token, Presented())
        if seen.has_clear_answer:
            self.fail(2, "a refresh token is presented although an answer for it has been received")
        if seen.request_ids - {request_id}:
            self.fail(2, "a refresh token is presented again with another request id")
        seen.request_ids.add(request_id)

    def _judge_need(self, held: str | None) -> None:
        """A refresh nobody needs is one too many: the callers at an expiry share one."""
        self.checked.update([5])
        issued = self.issued.get(held or "")
        if issued is None:
            self.fail(10, "a token is held that the server did not issue")
            return
        if not self.has_reason and self.clocks.true - issued.true_asked_at < 0.6 * issued.lifetime:
            self.fail(5, "a token is refreshed that has just been obtained")

    def reported(self, report: object, is_clear: bool) -> None:
        """The driver reported what came of the request in flight."""
        assert self.in_flight is not None
        token = _refresh_token(self.in_flight)
        if token is not None and is_clear and isinstance(report, Response):
            self.presented[token].has_clear_answer = report.status < 500
        self.in_flight = None
        if is_clear and isinstance(report, Response) and report.status == 200:
            token = json.loads(report.body).get("data", {}).get("permissionToken", {}).get("permissionToken")
            self.told = token or self.told

    def consumed(self, held: str | None) -> None:
        """The core has dealt with a report; `held` is the newest permission token it knows."""
        self.checked[4] += 1
        if self.told is not None and held != self.told:
            self.fail(4, "a pair has reached the client and is not held")

    def acted(self, request: Request, response: Response, outcome: str, grace: float) -> None:
        """The server acted on `request`."""
        token = _refresh_token(request)
        self.was_replayed |= outcome == "replayed"
        if token is not None:
            seen = self.presented[token]
            if outcome == "reuse":
                self._judge_reuse(seen, grace)
            elif seen.maybe_rotated_at is None and outcome == "refreshed":
                seen.maybe_rotated_at = self.clocks.server()
        if response.status == 200:
            self._note_issued(_request_id(request), json.loads(response.body).get("data", {}))

    def _judge_reuse(self, seen: Presented, grace: float) -> None:
        """Reuse is what this library exists to avoid. It is the client's fault unless it could not know better."""
        rotated_at = seen.maybe_rotated_at
        if rotated_at is not None and rotated_at <= self.grace_lost_at:
            return  # the server has forgotten what it promised
        if rotated_at is not None and grace > 0 and self.clocks.server() - rotated_at < grace:
            self.fail(2, "the server detects reuse although its grace window is open")

    def _note_issued(self, request_id: str, data: dict[str, Any]) -> None:
        if "permissionToken" not in data:
            return
        token = data["permissionToken"]["permissionToken"]
        refresh_token = data["permissionRefreshToken"]["permissionRefreshToken"]
        self.secrets += [token, refresh_token]
        server_now = int(self.clocks.server())
        self.issued.setdefault(
            token,
            Issued(
                len(self.issued),
                self.clocks.client(),
                data["permissionToken"]["expiresAt"] - server_now,
                data["permissionRefreshToken"]["expiresAt"] - server_now,
                self.clocks.true,
                self.first_sent[request_id],
            ),
        )

    # The callers

    def handed_out(self, token: str | None, asked_at: Instant) -> None:
        """A caller that asked at `asked_at` gets `token` now."""
        self.checked.update([3, 10])
        if not isinstance(token, str) or not token or any(not "!" <= character <= "~" for character in token):
            self.fail(10, "a token unfit for a header is handed out")
            return
        issued = self.issued.get(token)
        if issued is None:
            self.fail(10, "a token is handed out that the server did not issue")
            return
        by_monotonic = asked_at.monotonic - issued.born_at.monotonic >= issued.lifetime
        by_wall = asked_at.wall - issued.born_at.wall > issued.lifetime
        if by_monotonic and by_wall:
            self.fail(3, "a token is handed out that was dead by both clocks when it was asked for")
        if issued.order < self.newest_handed_out:
            self.fail(3, "an older token is handed out than somebody has already got")
        self.newest_handed_out = issued.order

    def settled(self, call: Call, protocol: AuthorizationProtocol, before: tuple[str, int]) -> None:
        """`call` has settled; `before` is (state, generation) as it was when the exchange before this one ended."""
        self.checked.update([6])
        if call.error is None:
            return
        if call.kind != REFRESH and before != (protocol.state, protocol.generation):
            self.fail(6, f"a failed call to {call.kind} changed the session from {before}")
        if isinstance(call.error, SessionExpiredError) and protocol.state != EXPIRED:
            self.fail(7, "a caller is told that the session is over while it is not")
        self._look_for_secrets(f"{call!r} {call.error!r} {call.error}")

    def expired_unasked(self, token: str | None) -> None:
        """The core declared the session over without asking the server."""
        issued = self.issued[token or ""]
        if self.clocks.true - issued.true_born_at < issued.refresh_lifetime - 1:
            self.fail(7, "a session is declared over although its refresh token lives")

    def happened(self, event: Event) -> None:
        """An event was delivered."""
        if isinstance(event, (TokenRotated, SessionEstablished)):
            # A replayed pair may have died while nobody received it.
            self.has_reason = self.clocks_are_set or self.was_replayed
            self.was_replayed = False
        self._look_for_secrets(f"{event!r} {event}")

    def rest(self, protocol: AuthorizationProtocol, calls: list[tuple[Call, str]]) -> None:
        """Nothing is under way any more."""
        for call, who in calls:
            if not call.settled:
                self.fail(7, f"{who} waits for ever")
        if protocol.next_step(self.clocks.client()) is not None:
            self.fail(7, "there is something to do although nobody asked")
        self._look_for_secrets(repr(protocol) + repr(protocol.held.pair) + repr(protocol.held.ready))

    def overdue(self, who: str, waited: float, bound: float) -> None:
        """A call settled after `waited` seconds on the client's monotonic clock."""
        self.checked.update([7])
        if waited > bound:
            self.fail(7, f"{who} waited {waited:.1f} s, more than the {bound:.1f} s that are promised")

    def shown_to_people(self, text: str) -> None:
        """Some text that may end in a log."""
        self._look_for_secrets(text)

    def _look_for_secrets(self, text: str) -> None:
        self.checked.update([9])
        self.shown += 1
        if any(secret in text for secret in self.secrets):
            self.fail(9, "a secret is shown")


def _request_id(request: Request) -> str:
    return dict(request.headers)["request-id"]


def _refresh_token(request: Request) -> str | None:
    token = json.loads(request.body).get("permissionRefreshToken")
    assert token is None or isinstance(token, str)
    return token
