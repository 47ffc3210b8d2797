# What is going to happen in a simulated life, drawn beforehand. Each operation and each request has a source of chance
# of its own, made from the seed and its number: taking one thing out leaves the chance of the others as it was.

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from random import Random
from typing import NamedTuple

__all__ = ["OPERATION", "PROTOCOL", "REQUEST", "SERVICE", "Fated", "Operation", "Plan", "Settings", "chance"]

PLAN, PROTOCOL, SERVICE, OPERATION, REQUEST = range(5)

SIGNED = "signed"  # JWTs, as the emulator makes them
UNDATED = "undated"  # JWTs, and answers without a Date header
OPAQUE = "opaque"  # tokens that say nothing of themselves, of any length and any visible characters
BARE = "bare"  # opaque tokens and no Date: there is `expiresAt` and nothing else


def chance(seed: int, kind: int, index: int = 0) -> Random:
    """Return the source of chance of one thing."""
    return Random((seed * 8 + kind) * 2**24 + index)


@dataclass(frozen=True)
class Settings:
    """What kind of world it is. As it stands: a calm one."""

    permission_lifetime: int = 60  # seconds, and so are all times
    refresh_lifetime: int = 600
    grace: int = 0
    trouble: float = 0.0  # probability that a request goes wrong
    server_offset: float = 0.0  # by which the server's clock is ahead of the true time
    answers: str = SIGNED
    operations: int = 40
    burst: int = 1  # callers at once, at most
    clocks_jump: bool = False  # the client's
    crashes: bool = False
    restarts: bool = False  # a crash may be that of the whole machine, which is off for a while
    server_trouble: bool = False  # restarts, and a clock that is set
    leaving: bool = False  # callers do not always wait

    @classmethod
    def draw(cls, rng: Random) -> "Settings":
        """Return settings by chance, with the calm and the extreme ones among them."""
        lifetime = rng.choice([2, 5, 60, 900])
        answers = rng.choice([SIGNED, SIGNED, SIGNED, UNDATED, OPAQUE, BARE])
        # Without Date nobody can know how old a replayed answer is, and without iat only the wall clock is left.
        return cls(
            permission_lifetime=lifetime,
            refresh_lifetime=lifetime * rng.choice([2, 10, 3000]),
            grace=0 if answers in (UNDATED, BARE) else rng.choice([0, 0, 5, 60, 100_000]),
            trouble=rng.choice([0.0, 0.1, 0.3, 0.7]),
            server_offset=0.0 if answers == BARE else rng.choice([0.0, 0.0, 7200.0, -7200.0, 86400.0 * 400]),
            answers=answers,
            operations=rng.randrange(10, 80),
            burst=rng.choices([1, 3, 20, 200, 1000], [40, 40, 14, 5, 1])[0],
            clocks_jump=answers != BARE and rng.random() < 0.4,
            crashes=rng.random() < 0.3,
            restarts=True,
            server_trouble=rng.random() < 0.3,
            leaving=rng.random() < 0.5,
        )

    def server_clock_may_be_set(self) -> bool:
        """Tell whether a server whose clock is set keeps its promises, so that the client can be judged by them."""
        return self.grace == 0 and self.answers in (SIGNED, UNDATED)


@dataclass(frozen=True)
class Operation:
    """Something that somebody does at true time `at`.

    Attributes:
        index: the number of its source of chance.
        at: seconds of true time.
        name: of a method of `World`.
        size: how many callers, how many times; what it counts is the operation's business.
    """

    index: int
    at: float
    name: str
    size: int = 1


class Fated(NamedTuple):
    """What becomes of a request: the name of a fate, and the number of its source of chance."""

    name: str
    chance: int


@dataclass(frozen=True)
class Plan:
    """A whole life, before it is lived.

    Attributes:
        seed: all chance comes from it.
        settings: the world.
        operations: in the order of their times.
        fates: what becomes of the requests, by their numbers; those that are not in it are answered. None leaves all of
            that to chance.
        is_prompt: whether an answer to which nothing happens takes a moment of fixed length.
        crash_after: the process crashes when so many things have happened.
    """

    seed: int
    settings: Settings
    operations: tuple[Operation, ...]
    fates: Mapping[int, Fated] | None = None
    is_prompt: bool = False
    crash_after: int | None = None

    @classmethod
    def draw(cls, seed: int, settings: Settings | None = None) -> "Plan":
        """Return the plan of a seed: bursts around the token's expiry, and times of quiet."""
        rng = chance(seed, PLAN)
        settings = settings or Settings.draw(rng)
        return cls(seed, settings, (Operation(0, 0.0, "establish"), *_draw_operations(rng, settings)))


def _draw_operations(rng: Random, settings: Settings) -> Iterator[Operation]:
    weights = _weights(settings)
    names = rng.choices(list(weights), list(weights.values()), k=settings.operations)
    when = 0.0
    for index, name in enumerate(names, 1):
        when += rng.choice([0.0, 0.0, 0.01, 1.0, rng.uniform(0, 1.3 * settings.permission_lifetime)])
        size = rng.randrange(2, settings.burst + 1) if name == "burst" else rng.randrange(1, 6)
        yield Operation(index, when, name, size)


def _weights(settings: Settings) -> dict[str, float]:
    """Return how often each operation comes up, of a hundred or so."""
    weights = {
        "get_token": 48.0,
        "refresh": 7.0,
        "invalidate": 6.0,
        "establish": 5.0,
        "establish_badly": 3.0,
        "establish_by_key": 1.0,
        "verify": 3.0,
        "verify_badly": 1.0,
        "keep_alive": 2.0,
    }
    if settings.burst > 1:
        weights["burst"] = 6.0
    if settings.leaving:
        weights |= {"leave": 5.0, "leave_all": 2.0, "get_token_in_a_hurry": 5.0, "loop_dies": 1.0}
    if settings.crashes:
        weights["crash"] = 4.0
    if settings.server_trouble:
        weights["restart_server"] = 3.0
        if settings.server_clock_may_be_set():
            weights["set_server_clock"] = 3.0
    if settings.clocks_jump:
        weights |= {"set_wall_clock": 4.0, "suspend": 3.0, "monotonic_jump": 2.0}
    return weights
