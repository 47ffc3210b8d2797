# Faults by name, as `tenure serve --fault` takes them: NAME, or NAME@N for the Nth refresh.

from collections.abc import Callable, Iterable

from ..emulator import (
    Fault,
    FaultPlan,
    garbage,
    latency,
    lose_answer,
    not_http,
    reset_after,
    reset_before,
    status,
    truncate,
)
from .exits import UNUSABLE, CommandError

__all__ = ["plan_faults"]

FAULTS: dict[str, Callable[[], Fault]] = {
    "lose_answer": lose_answer,
    "reset_before": reset_before,
    "reset_after": reset_after,
    "truncate": truncate,
    "garbage": garbage,
    "not_http": not_http,
    "latency": lambda: latency(2.0),
}
RETRY_AFTER = 1  # seconds, asked for by a status that is temporary
LAST_REFRESH = 10_000  # that a fault may be asked for: each one before it takes room in the plan


def plan_faults(plan: FaultPlan, texts: Iterable[str]) -> None:
    """Plan what the texts ask for, all at once or, with a `CommandError`, nothing."""
    asked: dict[int, list[Fault]] = {}
    for text in texts:
        name, at, place = text.partition("@")
        asked.setdefault(_read_number(place if at else "1", text), []).append(_make(name, text))
    before = 0
    for number, faults in sorted(asked.items()):
        if number - before > 1:
            plan.add(Fault(""), times=number - before - 1)  # those in between fare well
        plan.add(*faults)
        before = number


def _make(name: str, text: str) -> Fault:
    if name in FAULTS:
        return FAULTS[name]()
    if len(name) == 3 and name.isascii() and name.isdecimal() and name >= "200":
        temporary = name in ("408", "425", "429") or name >= "500"
        return status(int(name), RETRY_AFTER if temporary else None)
    raise CommandError(f"--fault {text}: it must be one of {', '.join(FAULTS)}, or a status from 200 to 999", UNUSABLE)


def _read_number(number: str, text: str) -> int:
    if number.isdecimal() and 1 <= int(number[:9]) <= LAST_REFRESH:
        return int(number)
    raise CommandError(f"--fault {text}: behind the @ goes a number from 1 to {LAST_REFRESH}", UNUSABLE)
