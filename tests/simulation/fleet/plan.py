# What is going to happen in the life of a fleet, drawn beforehand. As for a single process: each operation and each
# journey (of a request to the server or of a question to the store) has a source of chance of its own.

from dataclasses import dataclass
from random import Random

from ..plan import OPAQUE, PLAN, SIGNED, chance

__all__ = ["DRIVER", "FILE", "REDIS", "STORE", "FleetPlan", "Operation", "Settings"]

DRIVER, STORE = 5, 6  # kinds of chance, beside those of a single process

REDIS = "redis"  # many machines; leases end by the store's clock
FILE = "file"  # one machine; a lease is held by the kernel until its process dies

# What the client library of a Redis does when an answer is lost.
NO_RETRY = "does not ask again"
REMEMBERED = "asks again, and the store knows that it has done it"
FORGOTTEN = "asks again, and the store has forgotten that it has done it"


@dataclass(frozen=True)
class Settings:
    """What kind of world it is."""

    store: str
    processes: int
    machines: int
    permission_lifetime: int
    refresh_lifetime: int
    grace: int
    operations: int
    trouble: float = 0.0  # probability that a request goes wrong
    store_trouble: float = 0.0  # probability that a question to the store goes wrong
    store_timeout: float = 2.0  # seconds after which a client gives up on the store
    retry: str = NO_RETRY
    crashes: bool = False
    pauses: bool = False
    clock_trouble: bool = False
    suspends: bool = False
    outages: bool = False  # store away, machine cut off from it, server away
    losses: bool = False  # store emptied, rolled back, damaged
    leaving: bool = False
    blind: bool = False  # on_store_failure="refresh"
    server_offset: float = 0.0
    wall_spread: float = 0.0  # seconds by which the machines' wall clocks may be off
    answers: str = SIGNED

    @classmethod
    def draw(cls, rng: Random) -> "Settings":
        """Return settings by chance, with the calm and the extreme ones among them."""
        lifetime = rng.choice([5, 60, 900])
        store = rng.choice([REDIS, REDIS, FILE])
        return cls(
            store=store,
            processes=rng.randrange(2, 6),
            machines=1 if store == FILE else rng.randrange(1, 4),
            permission_lifetime=lifetime,
            refresh_lifetime=lifetime * rng.choice([10, 3000]),
            grace=rng.choice([0, 0, 5, 60, 100_000, 100_000]),
            operations=rng.randrange(6, 28),
            trouble=rng.choice([0.0, 0.0, 0.1, 0.3]),
            store_trouble=rng.choice([0.0, 0.0, 0.05, 0.3]),
            retry=rng.choice([NO_RETRY, REMEMBERED, FORGOTTEN]),
            crashes=rng.random() < 0.5,
            pauses=rng.random() < 0.4,
            clock_trouble=rng.random() < 0.25,
            suspends=rng.random() < 0.25,
            outages=rng.random() < 0.3,
            losses=rng.random() < 0.15,
            leaving=rng.random() < 0.3,
            blind=rng.random() < 0.1,
            server_offset=rng.choice([0.0, 0.0, 7200.0, -7200.0]),
            wall_spread=rng.choice([0.0, 0.0, 4 * 3600.0]),
            answers=rng.choice([SIGNED, SIGNED, OPAQUE]),
        )


@dataclass(frozen=True)
class Operation:
    """Something that happens to, or in, a process at true time `at`; `index` numbers its source of chance."""

    index: int
    at: float
    name: str
    process: int


@dataclass(frozen=True)
class FleetPlan:
    """A whole life, before it is lived. `calm` are the numbers of journeys that nothing happens to."""

    seed: int
    settings: Settings
    operations: tuple[Operation, ...]
    calm: frozenset[int] = frozenset()

    @classmethod
    def draw(cls, seed: int, settings: Settings | None = None) -> "FleetPlan":
        """Return the plan of a seed: rushes around the expiries, faults in their midst, and times of quiet."""
        rng = chance(seed, PLAN)
        settings = settings or Settings.draw(rng)
        operations = [Operation(0, 0.0, "establish", rng.randrange(settings.processes))]
        names, weights = zip(*_weights(settings), strict=True)
        when = 0.0
        for index in range(1, settings.operations + 1):
            when += rng.choice([0.0, 0.0, 0.01, 1.0, 20.0, rng.uniform(0, 1.3 * settings.permission_lifetime)])
            name = rng.choices(names, weights)[0]
            operations.append(Operation(index, when, name, rng.randrange(settings.processes)))
        return cls(seed, settings, tuple(operations))


def _weights(settings: Settings) -> list[tuple[str, int]]:
    """Return what may happen, and how often in relation to the rest."""
    return [
        ("get_token", 30),
        ("rush", 14),
        ("burst", 4),
        ("keep_alive", 3),
        ("refresh", 5),
        ("invalidate", 4),
        ("establish", 3),
        ("establish_badly", 2),
        ("leave", 6 * settings.leaving),
        ("kill", 4 * settings.crashes),
        ("kill_at_a_point", 8 * settings.crashes),
        ("end", 4 * settings.crashes),
        ("end_at_a_point", 8 * settings.crashes),
        ("start", 12 * settings.crashes),
        ("pause", 4 * settings.pauses),
        ("pause_at_a_point", 8 * settings.pauses),
        ("set_wall_clock", 5 * settings.clock_trouble),
        ("suspend", 3 * settings.suspends),
        ("suspend_at_a_point", 4 * settings.suspends),
        ("store_away", 4 * settings.outages),
        ("cut_off", 4 * settings.outages),
        ("cut_off_at_a_point", 4 * settings.outages),
        ("server_away", 3 * settings.outages),
        ("store_emptied", 2 * settings.losses),
        ("store_rolled_back", 2 * settings.losses),
        ("store_damaged", 2 * settings.losses),
    ]
