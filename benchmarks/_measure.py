# Measuring side by side: what is compared takes turns in one process and one run, so that a busy moment of the machine
# meets all of it alike. A ratio is taken within each round, and its spread over the rounds is shown.

import importlib
import os
import platform
import sys
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from random import Random
from statistics import quantiles
from typing import Any

__all__ = ["Spread", "interleave", "interleave_async", "optional", "ratio", "show_machine"]


class Spread:
    """Median and quartiles of some figures; of two already, and never beyond what was measured."""

    def __init__(self, figures: list[float]) -> None:
        self.low, self.median, self.high = quantiles(figures, n=4, method="inclusive")

    def show(self, unit: str, digits: int = 1) -> str:
        """Return it as `median unit (low to high)`."""
        return f"{self.median:.{digits}f} {unit} ({self.low:.{digits}f} to {self.high:.{digits}f})"


def interleave(subjects: Mapping[str, Callable[[], float]], rounds: int, seed: int = 1) -> dict[str, list[float]]:
    """Call each subject once in each round, in an order drawn anew; a subject returns what it has measured.

    The first round is dropped: it warms up.
    """
    figures: dict[str, list[float]] = {name: [] for name in subjects}
    for name, counts in turns(subjects, rounds, seed):
        figure = subjects[name]()
        if counts:
            figures[name].append(figure)
    return figures


async def interleave_async(
    subjects: Mapping[str, Callable[[], Awaitable[float]]], rounds: int, seed: int = 1
) -> dict[str, list[float]]:
    """Do the same with subjects that have to be awaited, in asyncio as in trio."""
    figures: dict[str, list[float]] = {name: [] for name in subjects}
    for name, counts in turns(subjects, rounds, seed):
        figure = await subjects[name]()
        if counts:
            figures[name].append(figure)
    return figures


def turns(names: Iterable[str], rounds: int, seed: int) -> Iterator[tuple[str, bool]]:
    """Give the names in the order in which they have their turns, and whether a turn counts."""
    chance = Random(seed)
    order = list(names)
    for number in range(rounds + 1):
        chance.shuffle(order)
        for name in order:
            yield name, number > 0


def ratio(ours: list[float], theirs: list[float]) -> Spread:
    """Return the spread of the ratios, each of two figures of one round."""
    return Spread([mine / other for mine, other in zip(ours, theirs, strict=True)])


def show_machine() -> None:
    """Print what the figures depend on."""
    switch = getattr(sys, "_is_gil_enabled", lambda: True)
    gil = "" if switch() else ", without the GIL"
    load = f", load {os.getloadavg()[0]:.1f}" if hasattr(os, "getloadavg") else ""
    python = f"{platform.python_implementation()} {platform.python_version()}{gil}"
    print(f"{python}, {platform.system()} {platform.machine()}, {os.cpu_count()} processors{load}")


def optional(name: str) -> Any:
    """Return a module to compare with, or None, having said so, if it is not installed."""
    try:
        return importlib.import_module(name)
    except ImportError:
        print(f"not installed, so left out: {name} (pip install -e '.[bench]' brings all of them)")
        return None
