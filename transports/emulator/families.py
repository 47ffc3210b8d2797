# Rotation, reuse and grace: what becomes of a session when one of its refresh tokens is presented.
#
# A family is all the pairs that descend from one issue. Exactly one generation of it is current; presenting the
# current one makes the next, presenting an earlier one means that two parties hold the session, and nobody can tell
# which of them is the thief: so the family ends (RFC 9700, section 4.14.2). The grace window excuses one innocent
# cause, an answer that was lost: the same question, asked again soon, gets the same answer.
#
# Not known here: tokens, HTTP, clocks. The grace window is reckoned on the clock handed in, and not on the clock
# that the service shows: a duration must not change because that one is moved about. An answer is given again even
# when its refresh token has been used in the meantime: the question was the same, and presenting a used token is
# judged when it happens.

from collections.abc import Iterable
from typing import NamedTuple

from .answers import TokenPair

__all__ = [
    "Families",
    "Family",
    "Grace",
    "Principal",
    "ACTIVE",
    "SUPERSEDED",
    "EXPIRED",
    "REVOKED",
    "ROTATE",
    "REPLAY",
    "REUSE",
    "REFUSE",
]

# What a family can be. Only an active one can be refreshed, and there is no way back.
ACTIVE = "active"
SUPERSEDED = "superseded"  # issued again under the same token id: its refresh token is void, nobody did wrong
EXPIRED = "expired"  # by hand, as if its refresh token had expired
REVOKED = "revoked"  # by hand or by reuse: its permission tokens are refused as well

# What becomes of a refresh token that is presented.
ROTATE = "rotate"  # it is the current one: make the next pair
REPLAY = "replay"  # it was used, but within the grace window: give the same answer again
REUSE = "reuse"  # it was used: the family has just been revoked
REFUSE = "refuse"  # its family is no longer active


class Principal(NamedTuple):
    """Whom a session belongs to: an account, or (with no account id) a merchant. Both ids are UUIDs."""

    account_id: str | None
    merchant_id: str


class Grace(NamedTuple):
    """For how many seconds a used refresh token is excused (0: never), and whether for any request id."""

    seconds: float
    any_request_id: bool


class Rotation(NamedTuple):
    """What was answered to a refresh token when it was used."""

    request_id: str
    wall: float
    answer: TokenPair

    def __repr__(self) -> str:
        return f"<Rotation by request {self.request_id}>"


class Family:
    """One session.

    Args:
        id: UUID of the family; a new one for every issue.
        owner: a `Principal`.
        token_id: the UUID the client chose.
        permissions: what was asked for at issue.

    Attributes:
        state: ACTIVE, SUPERSEDED, EXPIRED or REVOKED.
        generation: of the refresh token that is current; 1 after the issue.
        permission_tokens: how many were made so far; each bears its number.
        permission_tokens_refused: those up to this number are refused.
    """

    def __init__(self, id: str, owner: Principal, token_id: str, permissions: Iterable[str]) -> None:  # noqa: A002
        self.id = id
        self.owner = owner
        self.token_id = token_id
        self.permissions = tuple(permissions)
        self.state = ACTIVE
        self.generation = 1
        self.permission_tokens = 0
        self.permission_tokens_refused = 0
        self._rotations: dict[int, Rotation] = {}  # by the generation that was used up, oldest first

    def __repr__(self) -> str:
        return f"<Family {self.id}, {self.state}, generation {self.generation}>"

    def present(self, generation: int, request_id: str, wall: float, grace: Grace) -> str:
        """Judge a refresh token of this family.

        Returns:
            ROTATE (the caller then calls `rotate`), REPLAY (see `answer_to`), REUSE (the family is revoked)
            or REFUSE.
        """
        if self.state != ACTIVE:
            return REFUSE
        if generation == self.generation:
            return ROTATE
        if self._is_excused(self._rotations.get(generation), request_id, wall, grace):
            return REPLAY
        self.state = REVOKED
        return REUSE

    def rotate(self, answer: TokenPair, request_id: str, wall: float, grace: Grace) -> None:
        """Use up the current generation, and remember the answer as long as the grace window may ask for
        it."""
        while self._rotations:
            oldest = next(iter(self._rotations))
            if wall - self._rotations[oldest].wall <= grace.seconds:
                break
            del self._rotations[oldest]
        self._rotations[self.generation] = Rotation(request_id, wall, answer)
        self.generation += 1

    def answer_to(self, generation: int) -> TokenPair:
        """Return what was answered when this generation was used; KeyError if that is forgotten."""
        return self._rotations[generation].answer

    def next_permission_token(self) -> int:
        """Return the number of the next permission token."""
        self.permission_tokens += 1
        return self.permission_tokens

    def accepts_permission_token(self, number: int) -> bool:
        """Tell whether a permission token of this family is still good, its expiry aside."""
        return self.state != REVOKED and number > self.permission_tokens_refused

    @staticmethod
    def _is_excused(rotation: Rotation | None, request_id: str, wall: float, grace: Grace) -> bool:
        if rotation is None or grace.seconds <= 0 or wall - rotation.wall > grace.seconds:
            return False
        return grace.any_request_id or request_id == rotation.request_id


class Families:
    """All sessions of a service. Nothing is forgotten, however old: a clock may be set back."""

    def __init__(self) -> None:
        self._by_id: dict[str, Family] = {}
        self._current: dict[tuple[Principal, str], Family] = {}

    def __len__(self) -> int:
        return len(self._by_id)

    def open(self, family: Family) -> None:
        """Add a family; the one that its owner has under the same token id is superseded."""
        before = self._current.get((family.owner, family.token_id))
        if before is not None and before.state == ACTIVE:
            before.state = SUPERSEDED
        self._by_id[family.id] = self._current[family.owner, family.token_id] = family

    def get(self, family_id: str) -> Family | None:
        """Return a family by its id, in whatever state it is."""
        return self._by_id.get(family_id)

    def select(self, token_id: str | None) -> list[Family]:
        """Return the families under a token id, of whichever owner; all of them for None."""
        families = list(self._by_id.values())  # at once: another thread may add to it
        return [each for each in families if token_id is None or each.token_id == token_id.lower()]
