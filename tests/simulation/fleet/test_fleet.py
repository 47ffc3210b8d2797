# The proof: many random lives of fleets that share a session, and no invariant broken. And the proof of the proof: the
# core, the drivers and the store are broken on purpose in many ways, and the simulation sees each of them.

import sys
from collections import Counter
from itertools import count

import pytest

from ..oracle import InvariantBroken
from ..shrink import broken_by, shrink
from .breaks import BREAKS, Break
from .explain import explain
from .plan import FILE, REDIS, FleetPlan, Operation, Settings
from .verdicts import AMBIGUOUS, CUT_OFF, OVER, UNTRUSTED
from .world import FleetWorld

LIVES = 600
CHUNK = 200
FIRST = sys.version_info.minor * LIVES  # each Python that the gate tests on lives other lives
FIRSTS = [FIRST, *(pytest.param(FIRST + lived, marks=pytest.mark.once) for lived in range(CHUNK, LIVES, CHUNK))]
MOST = 500  # lives in which a break must be seen


@pytest.mark.parametrize("first", FIRSTS)
def test_no_invariant_is_broken(first: int) -> None:
    """Invariants 1 to 9 over processes, machines, and stores that fail.

    And over eventful lives: a simulation in which nothing happens proves nothing. Every outcome, fault and loss occurs.
    """
    seen: Counter[tuple[str, str]] = Counter()
    reasons: Counter[str] = Counter()
    for seed in range(first, first + CHUNK):
        world = FleetWorld(FleetPlan.draw(seed))
        try:
            world.run()
        except InvariantBroken as broken:
            pytest.fail(f"{broken}\n{explain(world.plan)}")
        seen.update(world.seen())
        reasons.update(world.verdicts.all_reasons)
    assert min(seen["server", each] for each in ("issued", "refreshed", "replayed", "reuse", "refused")) > 1
    assert min(seen["checked", f"invariant {number}"] for number in range(1, 10)) > CHUNK / 10
    lost = ("answer lost", "answer lost, asked again", "late")
    assert min(seen["on its way", f"store: {each}"] for each in lost) > 1
    assert min(reasons[each] for each in (AMBIGUOUS, CUT_OFF, OVER, UNTRUSTED)) > 0


@pytest.mark.once
def test_a_life_can_be_replayed() -> None:
    """All chance comes from the seed."""
    for seed in range(10):
        first, second = FleetWorld(FleetPlan.draw(seed)), FleetWorld(FleetPlan.draw(seed))
        first.run()
        second.run()
        assert first.history.entries == second.history.entries


@pytest.mark.parametrize("store", [REDIS, FILE])
def test_all_callers_in_all_processes_at_one_expiry_cause_one_refresh(store: str) -> None:
    """Invariant 5: five processes, twenty expiries; nothing goes wrong."""
    machines = 1 if store == FILE else 3
    settings = Settings(store, 5, machines, 900, 900 * 3000, 0, 0, wall_spread=14400.0)
    moments = [0.0] + [50.0 + 910.0 * expiry for expiry in range(20)]
    names = ["establish"] + ["rush"] * 20
    operations = tuple(Operation(*each, 0) for each in zip(count(), moments, names, strict=False))
    world = FleetWorld(FleetPlan(1, settings, operations))
    world.run_operations()
    assert world.service.statistics.refreshes == 19
    assert world.service.statistics.reuse_detected == 0


@pytest.mark.once
@pytest.mark.parametrize("break_it", BREAKS, ids=lambda broken: broken.__name__)
def test_what_is_broken_is_noticed(break_it: Break, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each way to break an invariant is seen, as that invariant, and shrinks to a short history."""
    number, settings = BREAKS[break_it]
    break_it(monkeypatch)
    for seed in range(MOST):
        plan = FleetPlan.draw(seed, settings)
        if broken_by(plan, FleetWorld) == number:
            break
    else:
        pytest.fail("nobody noticed")
    small = shrink(plan, FleetWorld)
    assert broken_by(small, FleetWorld) == number
    assert len(small.operations) <= 8
