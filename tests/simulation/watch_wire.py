# Watches the wire: what is sent, what comes back, what the server does about it (invariants 1, 2, 4, 5, 6, 9).
#
# It reads requests and answers as anybody on the wire could. It does not ask the core how it reckons.

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tenure import Call, Response

from .ledger import Ledger
from .network import Letter, Report
from .secrets import Secrets
from .watch_callers import Caller

__all__ = ["REFUSALS", "WireWatch"]

REFUSALS = (400, 401, 403, 404, 410)  # WIRE.md: with these a service ends a session
ORIGIN = "https://service.example/authorization/v1/api/"


Pair = tuple[str, str] | None  # permission token, refresh token
Waiting = Mapping[Call, Sequence[Caller]]  # in the order in which they asked


@dataclass
class Presented:
    """A refresh token that was presented to the server."""

    request_id: str
    has_answer: bool = False  # the server's own yes or no has reached the client
    rotated_at: float | None = None  # by the server's clock


@dataclass
class WireWatch:
    """Each method is told a fact when it happens, and raises `InvariantBroken`."""

    ledger: Ledger
    secrets: Secrets
    grace: float
    in_flight: Letter | None = None
    presented: dict[str, Presented] = field(default_factory=dict)  # by refresh token
    contents: dict[str, tuple[str, bytes]] = field(default_factory=dict)  # by request id
    grace_lost_at: float = -math.inf  # by the server's clock
    is_again: bool = False  # what is in flight, or was last, had been sent before
    was_refused: bool = False  # the last answer was the server's own refusal of a refresh

    # The client's side

    def sent(self, letter: Letter, waiting: Waiting) -> None:
        """The client sends a request, while these callers wait, in the order in which they asked."""
        ledger = self.ledger
        ledger.checked.update(["1", "2", "9"])
        if self.in_flight is not None:
            ledger.fail("1", "a request is sent while another one is in flight")
        self.in_flight = letter
        request = letter.request
        if not request.url.startswith(ORIGIN):
            ledger.fail("9", f"a request is sent to {request.url}, which nobody has configured")
        self.secrets.look_at(request.url)
        if self.contents.setdefault(letter.request_id, (request.url, request.body)) != (request.url, request.body):
            ledger.fail("2", "one request id is used for two different requests")
        self.is_again = ledger.note_sent(letter.request_id)
        if letter.refresh_token is None:
            self._judge_turn(letter, waiting)
        else:
            self._judge_presented(letter.refresh_token, letter.request_id, waiting)

    def _judge_turn(self, letter: Letter, waiting: Waiting) -> None:
        """An establish waits until those who asked before it have their outcome; so does a verification."""
        self.ledger.checked["6"] += 1
        first = next(iter(waiting), None)
        if first is not None and not letter.kind.startswith(first.kind):
            name = waiting[first][0].name
            self.ledger.fail("6", f"a request to {letter.kind} is sent while '{name}', who asked before, still waits")

    def _judge_presented(self, token: str, request_id: str, waiting: Waiting) -> None:
        ledger, now = self.ledger, self.ledger.clocks.client()
        pair = ledger.told
        if pair is None or token != pair.refresh_token:
            ledger.fail("2", "a refresh token is presented that is not the one received last")
        elif token not in self.presented:
            ledger.checked["5"] += 1
            if not ledger.has_reason and ledger.is_early(pair, now) and not _somebody_insists(waiting):
                age = now.monotonic - pair.asked_at.monotonic
                ledger.fail("5", f"a pair {age:.1f} s old that lives {pair.lifetime} s is refreshed: nobody needs that")
        seen = self.presented.setdefault(token, Presented(request_id))
        if seen.has_answer:
            ledger.fail("2", "a refresh token is presented although an answer for it has been received")
        if seen.request_id != request_id:
            ledger.fail("2", "a refresh token is presented again with another request id")

    def reported(self, report: Report, is_clear: bool, token: str | None) -> None:
        """The driver reports what came of the request in flight.

        Args:
            report: what it tells the core.
            is_clear: whether that is the server's own answer to this request.
            token: the permission token in it.
        """
        letter = self.in_flight
        assert letter is not None
        self.in_flight = None
        self.was_refused = False
        if not is_clear or not isinstance(report, Response):
            return
        if letter.refresh_token is not None:
            self.was_refused = report.status in REFUSALS
            self.presented[letter.refresh_token].has_answer = self.was_refused or report.status == 200
        if token is not None:
            self.ledger.note_told(token, self.is_again)

    def cut_off(self) -> None:
        """Whoever sent the request in flight is no more."""
        self.in_flight = None

    def consumed(self, held: Pair, held_before: Pair) -> None:
        """The core has dealt with a report; it holds this pair now, and held that one before."""
        ledger, told = self.ledger, self.ledger.told
        ledger.checked["4"] += 1
        if held is None:
            if held_before is None and told is not None:  # else it is lost: whose fault that is, others know
                ledger.fail("4", "a pair has reached the client and is not held")
            return
        pair = ledger.issued.get(held[0])
        if pair is None or pair.refresh_token != held[1]:
            ledger.fail("10", "a token is held that the server did not send like this")
        elif pair is not told and held == held_before:
            ledger.fail("4", "a pair has reached the client and is not held")
        elif pair is not told:
            ledger.fail("6", "the answer to an older request has overwritten a newer pair")

    def saved(self, snapshot: dict[str, Any]) -> None:
        """This is what a new process would begin with."""
        told, pair = self.ledger.told, snapshot["pair"]
        if told is None:
            return
        if pair is None or (pair["permission_token"], pair["refresh_token"]) != told.tokens:
            self.ledger.fail("4", "a pair has reached the client and is not saved")

    # The server's side

    def acted(self, letter: Letter, outcome: str, data: dict[str, Any]) -> None:
        """The server acted on a request, and answers with `data`."""
        now = self.ledger.clocks.server()
        if letter.refresh_token is not None:
            seen = self.presented[letter.refresh_token]
            if outcome == "reuse":
                self._judge_reuse(seen, now)
            elif seen.rotated_at is None and outcome == "refreshed":
                seen.rotated_at = now
        if "securityToken" in data:
            self.secrets.add(data["securityToken"])
        if "permissionToken" in data:
            token, refresh_token = (data[name][name] for name in ("permissionToken", "permissionRefreshToken"))
            if token not in self.ledger.issued:
                self.secrets.add(token, refresh_token)
            self.ledger.note_issued(letter.request_id, data)
            self.ledger.issued[token].is_replay |= outcome == "replayed"

    def _judge_reuse(self, seen: Presented, now: float) -> None:
        """Reuse is what this library exists to avoid; it is excused only where no grace window could have helped."""
        if seen.rotated_at is None or seen.rotated_at <= self.grace_lost_at:
            return  # the server has forgotten what it promised
        if self.grace > 0 and now - seen.rotated_at < self.grace:
            self.ledger.fail("2", "the server detects reuse although its grace window is open")


def _somebody_insists(waiting: Waiting) -> bool:
    """Tell whether somebody waits for a refresh, needed or not."""
    return any(caller.by_hand for callers in waiting.values() for caller in callers)
