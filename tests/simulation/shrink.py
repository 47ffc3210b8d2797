# Makes a failing life small: takes out operations and faults as long as the same invariant still breaks.

from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from typing import Any, TypeVar

from .chart import draw_chart
from .oracle import InvariantBroken
from .plan import Plan
from .world import World

__all__ = ["broken_by", "explain", "live_and_complain", "shrink"]

AnyPlan = TypeVar("AnyPlan")  # with seed, settings, operations and calm
Worlds = Callable[[Any], Any]  # makes the world in which a plan is lived


def broken_by(plan: object, world: Worlds = World) -> str | None:
    """Return the number of the invariant that breaks in this life (or what else goes wrong), or None."""
    try:
        world(plan).run()
    except InvariantBroken as broken:
        return broken.number
    except Exception as problem:
        return type(problem).__name__  # a bug as well, but not the same
    return None


def shrink(plan: AnyPlan, world: Worlds = World) -> AnyPlan:
    """Return a smaller plan in which the same invariant breaks, none of whose parts can be left out."""
    number = broken_by(plan, world)
    assert number is not None, "nothing breaks in this life"
    while True:
        smaller = _without_faults(_without_operations(plan, number, world), number, world)
        if smaller == plan:
            return plan
        plan = smaller


def explain(plan: Plan) -> str:
    """Return the chart of a shrunk life, and how to live it again."""
    small = shrink(plan)
    world = World(small)
    text = live_and_complain(world)
    replay = f"python -m tests.simulation --lives 1 --first {plan.seed}"
    return f"{draw_chart(world.history.entries)}\n\nseed {plan.seed}: {text}\n{small.settings}\nagain: {replay}"


def live_and_complain(world: Any) -> str:
    """Live a life; return what goes wrong in it."""
    try:
        world.run()
    except Exception as broken:
        return str(broken) or repr(broken)
    return ""


def _without_operations(plan: Any, number: str, world: Worlds) -> Any:
    """Leave out runs of operations: half of them first, then ever shorter ones."""
    size = len(plan.operations)
    while size:
        begin = 0
        while begin < len(plan.operations):
            kept = plan.operations[:begin] + plan.operations[begin + size :]
            tried = replace(plan, operations=kept)
            if broken_by(tried, world) == number:
                plan = tried
            else:
                begin += size
        size //= 2
    return plan


def _without_faults(plan: Any, number: str, world: Worlds) -> Any:
    """Let requests be answered one by one."""
    lived = world(plan)
    with suppress(Exception):  # it is known to break
        lived.run()
    for request in range(lived.requests):
        tried = replace(plan, calm=plan.calm | {request})
        if request not in plan.calm and broken_by(tried, world) == number:
            plan = tried
    return plan
