# What becomes of a question on its way to the store and back. What becomes of a request to the server is drawn by
# ../network.py; both are journeys, told in true times.

from collections.abc import Callable
from random import Random
from typing import Any, NamedTuple

from tenure import LEASE_LOST, STORE_FAILED, SendFailure

from .plan import FILE, NO_RETRY, Settings
from .store import LeaseLost

__all__ = ["Journey", "StoreFate", "act", "draw_store_fate", "failed"]


class Journey(NamedTuple):
    """Something is under way from `milestones[0]` to `milestones[-1]` (true times); then `report()` says what of it."""

    milestones: list[float]
    report: Callable[[], Any]


class StoreFate(NamedTuple):
    """What becomes of one question.

    Attributes:
        name: for the history.
        arrivals: seconds after it was asked at which the store gets it.
        told_after: seconds after it was asked at which the client has an answer, or gives up.
        is_told: whether the store's last answer reaches the client.
    """

    name: str
    arrivals: tuple[float, ...]
    told_after: float
    is_told: bool


def draw_store_fate(rng: Random, settings: Settings, trouble: float) -> StoreFate:
    """Return what becomes of a question when the store is there."""
    there, back = rng.uniform(0.0002, 0.01), rng.uniform(0.0002, 0.01)
    if rng.random() >= trouble:
        return StoreFate("answered", (there,), there + back, is_told=True)
    timeout = settings.store_timeout
    if settings.store == FILE:
        if rng.random() < 0.3:
            slow = rng.uniform(0, timeout)
            return StoreFate("slow disk", (slow,), slow, is_told=True)
        return StoreFate("input/output error", (), there, is_told=False)
    fates = [
        StoreFate("slow", (timeout * 0.6,), timeout * rng.uniform(0.6, 1), is_told=True),
        StoreFate("refused", (), there, is_told=False),
        StoreFate("question lost", (), timeout, is_told=False),
        StoreFate("late", (timeout + rng.uniform(0, 3 * timeout),), timeout, is_told=False),
    ]
    if settings.retry == NO_RETRY:
        fates.append(StoreFate("answer lost", (there,), rng.choice([there + back, timeout]), is_told=False))
    else:
        again = there + rng.uniform(0, timeout / 2)
        fates.append(StoreFate("answer lost, asked again", (there, again), again + back, is_told=True))
    return rng.choice(fates)


def act(step: Any, view: Any) -> Any:
    """Let the store do it; return what it answers."""
    try:
        return step.ask(view)
    except LeaseLost:
        return SendFailure(LEASE_LOST, "somebody else has the lease")


def failed(reason: str) -> SendFailure:
    """Return what a driver reports when the store could not be asked, or did not answer."""
    return SendFailure(STORE_FAILED, reason)
