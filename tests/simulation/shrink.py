# Makes a failing life small: takes out operations and faults, and makes what is left simpler, as long as the same rule
# still breaks. Then the life can be told to people.

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any, TypeVar

from .chart import draw_story
from .network import ANSWERED, FATES
from .plan import SIGNED, Fated, Operation, Plan, Settings
from .rules import InvariantBroken
from .world import World

__all__ = ["broken_by", "explain", "live_and_complain", "shrink"]

AnyPlan = TypeVar("AnyPlan")
Worlds = Callable[[Any], Any]
Step = Callable[[Any, str, Worlds], Any]

# What a setting may be replaced by, the simplest first. Lifetimes come last: they move everything else.
SIMPLER: dict[str, tuple[Any, ...]] = {
    "answers": (SIGNED,),
    "server_offset": (0.0,),
    "grace": (0, 60),
    "trouble": (0.0,),
    "restarts": (False,),
    "refresh_lifetime": (600, 6000),
    "permission_lifetime": (60,),
}

# The same for an operation.
SIMPLER_NAMES = {
    "burst": ("get_token",),
    "get_token_in_a_hurry": ("get_token", "refresh"),
    "keep_alive": ("get_token", "refresh"),
    "establish_by_key": ("establish",),
    "establish_badly": ("establish", "get_token"),
    "verify": ("get_token", "refresh"),
    "verify_badly": ("get_token", "refresh", "verify"),
}


def broken_by(plan: object, world: Worlds = World) -> str | None:
    """Return the rule that breaks in this life (or what else goes wrong), or None."""
    return _end_of(world(plan))


def shrink(plan: AnyPlan, world: Worlds = World) -> AnyPlan:
    """Return a smaller plan in which the same rule breaks, none of whose parts can be left out or made simpler.

    Args:
        plan: of a life in which something breaks.
        world: makes the world in which a plan is lived. Of a plan for any other world than a single session's, only
            operations and faults are taken out; it needs seed, settings, operations and calm for that.
    """
    rule = broken_by(plan, world)
    assert rule is not None, "nothing breaks in this life"
    steps: tuple[Step, ...] = STEPS if isinstance(plan, Plan) else (_without_operations, _without_faults)
    while True:
        smaller: Any = plan
        for step in steps:
            smaller = step(smaller, rule, world)
        if smaller == plan:
            return plan
        plan = smaller


def live_and_complain(world: Any) -> str:
    """Live a life; return what goes wrong in it."""
    try:
        world.run()
    except Exception as broken:
        return str(broken) or repr(broken)
    return ""


def explain(plan: Plan, and_again: str = "") -> str:
    """Return the story of a shrunk life, for people, and the command that shows it again."""
    world = World(shrink(plan))
    broken: Exception | None = None
    try:
        world.run()
    except Exception as problem:
        broken = problem
    assert broken is not None
    story = draw_story(world.history.entries, broken, world.plan.settings)
    return f"{story}\n\nAgain: {and_again or f'python -m tests.simulation --lives 1 --first {plan.seed}'}"


def _end_of(world: Any) -> str | None:
    try:
        world.run()
    except InvariantBroken as broken:
        return broken.rule
    except Exception as problem:
        return type(problem).__name__  # a bug as well, but not the same
    return None


def _first_that_breaks(plan: Plan, candidates: Iterable[Plan], rule: str, world: Worlds) -> Plan:
    """Return the first candidate in which the rule breaks, or the plan itself."""
    return next((tried for tried in candidates if tried != plan and broken_by(tried, world) == rule), plan)


def _without_operations(plan: Any, rule: str, world: Worlds) -> Any:
    """Leave out runs of operations: half of them first, then ever shorter ones."""
    size = len(plan.operations)
    while size:
        begin = 0
        while begin < len(plan.operations):
            tried = replace(plan, operations=plan.operations[:begin] + plan.operations[begin + size :])
            if broken_by(tried, world) == rule:
                plan = tried
            else:
                begin += size
        size //= 2
    return plan


def _without_faults(plan: Any, rule: str, world: Worlds) -> Any:
    """Let requests simply be answered: all of them first, then ever shorter runs."""
    lived = world(plan)
    _end_of(lived)
    size = lived.requests
    while size:
        for begin in range(0, lived.requests, size):
            tried = replace(plan, calm=plan.calm | set(range(begin, min(begin + size, lived.requests))))
            if tried != plan and broken_by(tried, world) == rule:
                plan = tried
        size //= 2
    return plan


def _with_known_fates(plan: Plan, rule: str, world: Worlds) -> Plan:
    """Write the fates that are more than an answer into the plan: from now on they can be moved."""
    lived = world(plan)
    _end_of(lived)
    known = {number: fated for number, fated in enumerate(lived.client.fated) if fated.name != ANSWERED}
    return _first_that_breaks(plan, [replace(plan, fates=known)], rule, world)


def _with_simpler_fates(plan: Plan, rule: str, world: Worlds) -> Plan:
    """Let one request after the other be answered, or else befall it something simpler."""
    for number in sorted(plan.fates or {}):
        assert plan.fates is not None
        now = plan.fates[number]
        simpler = (Fated(name, now.chance) for name in list(FATES)[: list(FATES).index(now.name)])
        candidates = (replace(plan, fates={**plan.fates, number: fate}) for fate in simpler)
        plan = _first_that_breaks(plan, candidates, rule, world)
    return plan


def _without_requests(plan: Plan, rule: str, world: Worlds) -> Plan:
    """Leave out requests, alone or with an operation that causes some, so that the others keep their fates."""
    plan = _first_that_breaks(plan, (replace(plan, fates=fates) for fates in _shorter(plan.fates or {})), rule, world)
    for at in reversed(range(len(plan.operations))):
        rest = plan.operations[:at] + plan.operations[at + 1 :]
        shorter = (replace(plan, operations=rest, fates=fates) for fates in _shorter(plan.fates or {}))
        plan = _first_that_breaks(plan, shorter, rule, world)
    return plan


def _shorter(fates: Mapping[int, Fated]) -> Iterator[dict[int, Fated]]:
    """Propose fates in which a few requests in a row have never been."""
    for length in (8, 4, 3, 2, 1):
        for begin in range(max(fates, default=-1) - length + 1, -1, -1):
            left = {number: fate for number, fate in fates.items() if not begin <= number < begin + length}
            yield {number - length * (number > begin): fate for number, fate in left.items()}


def _calmer(plan: Plan, rule: str, world: Worlds) -> Plan:
    """Make the world calmer."""
    plan = _first_that_breaks(plan, [replace(plan, is_prompt=True)], rule, world)
    for name, values in SIMPLER.items():
        now = getattr(plan.settings, name)
        values = values[: values.index(now)] if now in values else values
        changed: Iterator[Settings] = (replace(plan.settings, **{name: value}) for value in values)
        plan = _first_that_breaks(plan, (replace(plan, settings=settings) for settings in changed), rule, world)
    return plan


def _simpler(plan: Plan, rule: str, world: Worlds) -> Plan:
    """Make one operation after the other simpler, the bursts smaller and the times rounder."""
    for at in range(len(plan.operations)):
        plan = _first_that_breaks(plan, _with_simpler_operation(plan, at), rule, world)
    return plan


def _with_simpler_operation(plan: Plan, at: int) -> Iterator[Plan]:
    """Propose plans in which the `at`th operation is simpler, or earlier with all that follow."""
    operation, rest = plan.operations[at], plan.operations[at + 1 :]
    before = plan.operations[at - 1].at if at else 0.0
    lifetime = float(plan.settings.permission_lifetime)
    rounded = float(int(operation.at))
    for when in (before, before + 0.01, before + 1, before + lifetime, before + 2 * lifetime, rounded, rounded + 1):
        if before <= when < operation.at:
            gain = operation.at - when
            moved = tuple(replace(each, at=each.at - gain) for each in (operation, *rest))
            yield replace(plan, operations=plan.operations[:at] + moved)
    for name in SIMPLER_NAMES.get(operation.name, ()):
        yield _with_operation(plan, at, replace(operation, name=name, size=1))
    for size in (1, 2, operation.size // 2):
        if 0 < size < operation.size:
            yield _with_operation(plan, at, replace(operation, size=size))


def _with_operation(plan: Plan, at: int, operation: Operation) -> Plan:
    return replace(plan, operations=(*plan.operations[:at], operation, *plan.operations[at + 1 :]))


# A long life breaks in many places, so a calm one probably breaks as well: that comes first.
STEPS: tuple[Step, ...] = (
    _calmer,
    _without_operations,
    _with_known_fates,
    _with_simpler_fates,
    _without_requests,
    _simpler,
)
