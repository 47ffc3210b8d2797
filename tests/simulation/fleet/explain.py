# Tells what went wrong in a life of a fleet: the shortest history in which it does, as a sequence chart.

from ..shrink import live_and_complain, shrink
from .plan import FleetPlan
from .world import FleetWorld

__all__ = ["explain"]


def explain(plan: FleetPlan, and_again: str | None = None) -> str:
    """Return the chart of a shrunk life, and how to live it again."""
    small = shrink(plan, FleetWorld)
    world = FleetWorld(small)
    text = live_and_complain(world)
    replay = and_again or f"python -m tests.simulation.fleet --lives 1 --first {plan.seed}"
    return f"{world.history.draw()}\n>> Here it breaks: {text}\n\n{small.settings}\nAgain: {replay}"
