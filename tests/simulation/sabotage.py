# What every way to break something needs: the table of them, and a memory.

from collections.abc import Callable
from typing import Any

import pytest

__all__ = ["BREAKS", "Break", "Memory", "Patch", "breaks"]

Patch = pytest.MonkeyPatch
Break = Callable[[Patch], None]
BREAKS: dict[str, tuple[Break, str]] = {}  # by name: what to do, and the rule that it breaks


def breaks(rule: str) -> Callable[[Break], Break]:
    """Enter a way to break a rule into the table."""

    def enter(break_it: Break) -> Break:
        BREAKS[break_it.__name__] = break_it, rule
        return break_it

    return enter


class Memory(dict[int, tuple[object, Any]]):
    """What a break remembers of an object. It keeps the object, so that no other one gets its id."""

    def of(self, thing: object, first: Any) -> Any:
        """Return what is remembered, or remember `first`."""
        return self.setdefault(id(thing), (thing, first))[1]
