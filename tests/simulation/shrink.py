# Makes a failing life small: takes out operations and faults as long as the same invariant still breaks.

from contextlib import suppress
from dataclasses import replace

from .chart import draw_chart
from .oracle import InvariantBroken
from .plan import Operation, Plan
from .world import World

__all__ = ["broken_by", "explain", "shrink"]


def broken_by(plan: Plan) -> str | None:
    """Return the number of the invariant that breaks in this life (or what else goes wrong), or None."""
    try:
        World(plan).run()
    except InvariantBroken as broken:
        return broken.number
    except Exception as problem:
        return type(problem).__name__  # a bug as well, but not the same
    return None


def shrink(plan: Plan) -> Plan:
    """Return a smaller plan in which the same invariant breaks, none of whose parts can be left out."""
    number = broken_by(plan)
    assert number is not None, "nothing breaks in this life"
    while True:
        smaller = _without_faults(_without_operations(plan, number), number)
        if smaller == plan:
            return plan
        plan = smaller


def explain(plan: Plan) -> str:
    """Return the chart of a shrunk life, and how to live it again."""
    small = shrink(plan)
    world = World(small)
    text = ""
    try:
        world.run()
    except Exception as broken:
        text = str(broken) or repr(broken)
    replay = f"python -m tests.simulation --lives 1 --first {plan.seed}"
    return f"{draw_chart(world.history.entries)}\n\nseed {plan.seed}: {text}\n{small.settings}\nagain: {replay}"


def _without_operations(plan: Plan, number: str) -> Plan:
    """Leave out runs of operations: half of them first, then ever shorter ones."""
    size = len(plan.operations)
    while size:
        begin = 0
        while begin < len(plan.operations):
            kept: tuple[Operation, ...] = plan.operations[:begin] + plan.operations[begin + size :]
            tried = replace(plan, operations=kept)
            if broken_by(tried) == number:
                plan = tried
            else:
                begin += size
        size //= 2
    return plan


def _without_faults(plan: Plan, number: str) -> Plan:
    """Let requests be answered one by one."""
    world = World(plan)
    with suppress(Exception):  # it is known to break
        world.run()
    for request in range(world.requests):
        tried = replace(plan, calm=plan.calm | {request})
        if request not in plan.calm and broken_by(tried) == number:
            plan = tried
    return plan
