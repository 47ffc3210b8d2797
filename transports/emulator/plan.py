# Which fault befalls which request.

from threading import Lock
from typing import TypeVar

from .faults import Fault
from .journal import KINDS, REFRESH

__all__ = ["ANY", "FaultPlan"]

ANY = "any"

AnyFault = TypeVar("AnyFault", bound=Fault)


class Planned:
    """Faults that befall requests of a kind together."""

    def __init__(self, faults: tuple[Fault, ...], kind: str, times: int | None) -> None:
        self.faults = faults
        self.kind = kind
        self.times = times  # how many requests are still to be befallen; None is without end

    def matches(self, kind: str) -> bool:
        """Tell whether it is about requests of that kind."""
        return self.kind in (ANY, kind)


class FaultPlan:
    """The faults to come. Safe to change from any thread while the server runs.

    A request suffers all standing faults of its kind, and besides the first of those that are counted, which is
    thereby consumed: counted faults befall successive requests in the order in which they were added.
    """

    def __init__(self) -> None:
        self._lock = Lock()
        self._planned: list[Planned] = []

    def __repr__(self) -> str:
        return f"<FaultPlan, {self.pending} to come>"

    @property
    def pending(self) -> int:
        """How many requests the counted faults are still waiting for."""
        with self._lock:
            return sum(planned.times or 0 for planned in self._planned)

    def add(self, fault: AnyFault, *more: Fault, kind: str = REFRESH, times: int | None = 1) -> AnyFault:
        """Plan a fault, or several that befall the same request, in that order.

        Args:
            fault: made by one of the functions of faults.py.
            more: faults for the same request.
            kind: "credentials", "issue", "refresh", "resource", "unknown" or "any".
            times: how many requests; None for all until it is removed.

        Returns:
            The first fault, so that `gate = emulator.faults.add(hold())` reads well.
        """
        if kind != ANY and kind not in KINDS:
            raise ValueError(f"kind must be one of {', '.join(KINDS)} or {ANY}")
        if times is not None and times < 1:
            raise ValueError("times must be positive, or None for always")
        with self._lock:
            self._planned.append(Planned((fault, *more), kind, times))
        return fault

    def remove(self, fault: Fault) -> None:
        """Forget a fault, and those added together with it; nothing happens if it is not planned any more."""
        with self._lock:
            self._planned = [planned for planned in self._planned if fault not in planned.faults]

    def clear(self) -> None:
        """Forget all faults. What holds a request already goes on holding it."""
        with self._lock:
            self._planned = []

    def take(self, kind: str) -> list[Fault]:
        """Return the faults of a request that has just come."""
        with self._lock:
            matching = [planned for planned in self._planned if planned.matches(kind)]
            taken = [fault for planned in matching if planned.times is None for fault in planned.faults]
            counted = next((planned for planned in matching if planned.times is not None), None)
            if counted is not None and counted.times is not None:
                taken += counted.faults
                counted.times -= 1
                if not counted.times:
                    self._planned.remove(counted)
            return taken
