# What is going to happen in a simulated life, drawn beforehand. Each operation and each request has a source of chance
# of its own, made from the seed and its number: taking one thing out leaves the chance of the others as it was.

from dataclasses import dataclass
from random import Random

__all__ = ["OPERATION", "PROTOCOL", "REQUEST", "SERVICE", "Operation", "Plan", "Settings", "chance"]

PLAN, PROTOCOL, SERVICE, OPERATION, REQUEST = range(5)

SIGNED = "signed"  # JWTs, as the emulator makes them
UNDATED = "undated"  # JWTs, and answers without a Date header
OPAQUE = "opaque"  # tokens that say nothing of themselves
BARE = "bare"  # opaque tokens and no Date: there is `expiresAt` and nothing else


def chance(seed: int, kind: int, index: int = 0) -> Random:
    """Return the source of chance of one thing."""
    return Random((seed * 8 + kind) * 2**24 + index)


@dataclass(frozen=True)
class Settings:
    """What kind of world it is."""

    permission_lifetime: int
    refresh_lifetime: int
    grace: int
    trouble: float  # probability that a request goes wrong
    clock_trouble: bool
    crashes: bool
    server_offset: float
    operations: int
    answers: str = SIGNED
    server_trouble: bool = False  # restarts, and a clock that is set
    leaving: bool = False  # callers do not always wait
    burst: int = 1  # callers at once, at most

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
            clock_trouble=answers != BARE and rng.random() < 0.4,
            crashes=rng.random() < 0.3,
            server_offset=0.0 if answers == BARE else rng.choice([0.0, 0.0, 7200.0, -7200.0, 86400.0 * 400]),
            operations=rng.randrange(10, 80),
            answers=answers,
            server_trouble=rng.random() < 0.3,
            leaving=rng.random() < 0.5,
            burst=rng.choice([1, 1, 3, 3, 20, 200]),
        )


@dataclass(frozen=True)
class Operation:
    """Something that somebody does at true time `at`; `index` is the number of its source of chance."""

    index: int
    at: float
    name: str


@dataclass(frozen=True)
class Plan:
    """A whole life, before it is lived. `calm` are the numbers of requests that nothing happens to."""

    seed: int
    settings: Settings
    operations: tuple[Operation, ...]
    calm: frozenset[int] = frozenset()

    @classmethod
    def draw(cls, seed: int, settings: Settings | None = None) -> "Plan":
        """Return the plan of a seed: bursts around the token's expiry, and times of quiet."""
        rng = chance(seed, PLAN)
        settings = settings or Settings.draw(rng)
        operations = [Operation(0, 0.0, "establish")]
        when = 0.0
        for index in range(1, settings.operations + 1):
            when += rng.choice([0.0, 0.0, 0.01, 1.0, rng.uniform(0, 1.3 * settings.permission_lifetime)])
            operations.append(Operation(index, when, _draw_name(rng, settings)))
        return cls(seed, settings, tuple(operations))


def _draw_name(rng: Random, settings: Settings) -> str:
    draw = rng.random()
    if draw < 0.48:
        return "get_token"
    if draw < 0.52:
        return "burst" if settings.burst > 1 else "get_token"
    if draw < 0.56:
        return "keep_alive"
    if draw < 0.64:
        return "refresh"
    if draw < 0.70:
        return "invalidate"
    if draw < 0.76:
        return "establish"
    if draw < 0.79:
        return "establish_badly"
    if draw < 0.86 and settings.leaving:
        return rng.choice(["leave", "leave", "leave_all"])
    if draw < 0.90 and settings.crashes:
        return "crash"
    if draw < 0.94 and settings.server_trouble:
        settable = settings.grace == 0 and settings.answers in (SIGNED, UNDATED)
        return rng.choice(["restart_server", "disturb_server_clock"]) if settable else "restart_server"
    return "disturb_clocks" if settings.clock_trouble else "get_token"
