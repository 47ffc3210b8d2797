# The server's side of a simulated world: the emulator's pure service, in whatever disguise, that restarts, forgets, and
# has a clock of its own.

import json
from collections import Counter
from random import Random
from typing import Any

from tenure import Response
from tenure.transports.emulator import AuthorizationService

from .clocks import Clocks
from .disguise import Disguise
from .history import NETWORK, SERVER, History
from .network import Letter
from .plan import Settings
from .watch_wire import WireWatch

__all__ = ["PASSWORD", "USER", "FarEnd"]

USER = "ada"
PASSWORD = "correct-horse-battery"  # of an account that exists in the simulation only


class FarEnd:
    """The server, and how it looks from outside."""

    def __init__(
        self, settings: Settings, rng: Random, clocks: Clocks, history: History, seen: Counter[tuple[str, str]]
    ) -> None:
        self.service = AuthorizationService(
            {USER: PASSWORD},
            permission_lifetime=settings.permission_lifetime,
            refresh_lifetime=settings.refresh_lifetime,
            security_lifetime=10**9,
            grace=settings.grace,
            random=rng,
        )
        self.clocks = clocks
        self.history = history
        self.seen = seen
        self.watch: WireWatch | None = None  # there is one once there is a session
        self.disguise = Disguise(settings.answers)
        self.down_until = 0.0  # true time
        self.newest_arrived = -1  # number of a request
        self.answers: dict[str, list[Response]] = {}  # by request id
        self.good_answers: list[tuple[str, Response]] = []  # with the request id

    def arrive(self, letter: Letter) -> Response:
        """The server gets a request; whoever sent it may be long gone."""
        self._count_order(letter)
        self.history.note(NETWORK, describe(letter, self.history), SERVER)
        if self.clocks.true < self.down_until:
            self.history.note(NETWORK, "x the server is away: 503")
            self.seen["server", "away"] += 1
            return Response(503, (), b"away")
        response = self.service.handle(self.disguise.undo(letter.request), self.clocks.server())
        response = self.disguise.put_on(response)
        outcome = self.service.journal[-1].outcome
        self.seen["server", outcome] += 1
        data = json.loads(response.body)["data"] if response.status == 200 else {}
        self._remember(letter, response, data)
        self.history.note(SERVER, f"{response.status} {outcome}{pair_in(data, self.history)}", NETWORK)
        if self.watch is not None:
            self.watch.acted(letter, outcome, data)
        return response

    def is_own_answer(self, told: object, letter: Letter) -> bool:
        """Tell whether this is what the server itself has answered to this request."""
        return any(told is answer for answer in self.answers.get(letter.request_id, ()))

    def earlier_answers(self, letter: Letter, begin: int) -> list[Response]:
        """Return the good answers so far; those to this very request only from the `begin`th on."""
        answers = enumerate(self.good_answers)
        return [answer for at, (request_id, answer) in answers if at >= begin or request_id != letter.request_id]

    def restart(self, away: float, forgets: bool) -> None:
        """Be away for so many seconds, and maybe come back without what was remembered for the grace window."""
        self.down_until = max(self.down_until, self.clocks.true + away)
        self.seen["server", "restarts"] += 1
        self.history.note(SERVER, f"restarts, away for {away:.1f} s{', forgets its grace window' * forgets}")
        if forgets:
            for family in self.service._families.select(None):
                family._rotations.clear()

    def set_clock(self, jump: float) -> None:
        """Somebody sets the server's clock."""
        self.clocks.server_offset += jump
        self.seen["clock jumps", f"server's, {'ahead' if jump > 0 else 'back'}"] += 1
        self.history.note(SERVER, f"its clock is set by {jump:+.1f} s")

    def _count_order(self, letter: Letter) -> None:
        if letter.number < self.newest_arrived:
            self.seen["network", "requests that arrive out of order"] += 1
        self.newest_arrived = max(self.newest_arrived, letter.number)

    def _remember(self, letter: Letter, response: Response, data: dict[str, Any]) -> None:
        self.answers.setdefault(letter.request_id, []).append(response)
        if response.status == 200:
            self.good_answers.append((letter.request_id, response))
        if "permissionToken" in data:
            self.history.name_pair(
                data["permissionToken"]["permissionToken"], data["permissionRefreshToken"]["permissionRefreshToken"]
            )


def describe(letter: Letter, history: History) -> str:
    """Return a request in a few words."""
    what = letter.kind if letter.refresh_token is None else f"refresh with {history.name(letter.refresh_token)}"
    return f"{what} ({history.name_request(letter.request_id)})"


def pair_in(data: dict[str, Any], history: History) -> str:
    """Return the names of the pair in the data of an answer, for the end of a remark."""
    if "permissionToken" not in data:
        return ""
    tokens = data["permissionToken"]["permissionToken"], data["permissionRefreshToken"]["permissionRefreshToken"]
    return ": " + ", ".join(history.name(token) for token in tokens)
