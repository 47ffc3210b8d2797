# What the server did to a fleet, and whether a session that is lost was lost for a reason that README.md lists.

import json
from typing import Any

from tenure import ACTIVE, Request, Response

from ..oracle import _refresh_token, _request_id
from .oracle import FleetOracle, Issued, Presented

__all__ = ["Verdicts"]

UNTRUSTED = "the store lost what it held, or a process went on without it"
PAUSED = "a process was stopped between its last look at the lease and the first byte, or both its clocks lied"
AMBIGUOUS = "an outcome was ambiguous, and the grace window was not open (any more)"
CUT_OFF = "an establish was cut off after the server had acted: it voids the refresh token before it"
OVER = "the lifetime of the refresh token is over"
DAMAGED = "what the store holds cannot be read"
NEVER = "it was never established"


class Verdicts:
    """Judges what the server does. `reasons` are those for which the session may be lost now."""

    def __init__(self, oracle: FleetOracle, grace: float) -> None:
        self.oracle = oracle
        self.grace = grace
        self.newest_saved = -1
        self.reasons: set[str] = {NEVER}
        self.all_reasons: set[str] = set()
        self.excused: set[str] = set()  # request ids that a process sent which was stopped in the window

    def acted(self, request: Request, response: Response, outcome: str) -> None:
        """The server acted on `request`."""
        token = _refresh_token(request)
        if token is not None:
            seen = self.oracle.presented[token]
            if outcome == "reuse":
                self._judge_reuse(request, seen)
            elif outcome == "refreshed" and seen.rotated_at is None:
                seen.rotated_at = self.oracle.time.server()
        if response.status != 200:
            return
        data = json.loads(response.body).get("data", {})
        if "permissionToken" not in data:
            return
        permission_token = data["permissionToken"]["permissionToken"]
        if outcome == "replayed":
            self.oracle.replayed.add(permission_token)
        if permission_token not in self.oracle.issued:
            self._note_issued(permission_token, _request_id(request), data, is_first=token is None)

    def _judge_reuse(self, request: Request, seen: Presented) -> None:
        """Reuse is what this library exists to avoid. It is the clients' fault unless they could not know better."""
        oracle = self.oracle
        is_open = seen.rotated_at is not None and oracle.time.server() - seen.rotated_at < self.grace
        if not oracle.is_trusted:
            self._add(UNTRUSTED)
        elif is_open:
            oracle.fail(2, "the server detects reuse although its grace window is open")
        elif _request_id(request) in self.excused:
            self._add(PAUSED)
        else:
            self._add(AMBIGUOUS)
            oracle.reused.append(request)

    def _note_issued(self, token: str, request_id: str, data: dict[str, Any], is_first: bool) -> None:
        oracle = self.oracle
        refresh_token = data["permissionRefreshToken"]["permissionRefreshToken"]
        oracle.secrets += [token, refresh_token]
        server_now = int(oracle.time.server())
        issued = Issued(
            len(oracle.issued),
            refresh_token,
            [machine.client() for machine in oracle.machines],
            data["permissionToken"]["expiresAt"] - server_now,
            data["permissionRefreshToken"]["expiresAt"] - server_now,
            oracle.time.now,
            oracle.first_sent[request_id],
            is_first,
        )
        oracle.issued[token] = oracle.by_refresh_token[refresh_token] = issued
        if is_first:
            self._add(CUT_OFF)  # until it is saved

    def was_saved(self, state: dict[str, Any]) -> None:
        """The store has written a state: an establish of which the pair is durable has mended everything."""
        self.reasons.discard(DAMAGED)
        issued = self.oracle.issued[state["pair"]["permission_token"]]
        newest_first = max(pair.order for pair in self.oracle.issued.values() if pair.is_first)
        is_untouched = issued.refresh_token not in self.oracle.presented
        if issued.is_first and issued.order >= newest_first and is_untouched and state["state"] == ACTIVE:
            self.reasons.clear()
        if issued.order < self.newest_saved:  # a pair that somebody still had from before; see the oracle's invariant 6
            self._add(UNTRUSTED)
        self.newest_saved = max(self.newest_saved, issued.order)

    def damaged(self) -> None:
        """Somebody damaged what the store holds."""
        self._add(DAMAGED)

    def lost_trust(self) -> None:
        """The store broke its promises."""
        self.oracle.is_trusted = False
        self._add(UNTRUSTED)

    def may_be_lost(self) -> set[str]:
        """Return the reasons for which the session may be lost now."""
        saved = [self.oracle.issued[token] for token in self.oracle.saved]
        newest = max(saved, key=lambda pair: pair.order, default=None)
        if newest is not None and self.oracle.time.now - newest.true_born_at >= newest.refresh_lifetime - 1:
            self._add(OVER)
        return self.reasons

    def _add(self, reason: str) -> None:
        self.reasons.add(reason)
        self.all_reasons.add(reason)
