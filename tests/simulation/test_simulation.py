# The proof: many random lives of a session, and no rule broken. And the proof of the proof: the core is broken on
# purpose in many ways, and the simulation sees each of them.
import sys
from collections.abc import Iterator
from dataclasses import replace

import pytest
from tenure import ACTIVE

from .breaks import BREAKS
from .network import FATES
from .plan import Operation, Plan, Settings
from .rules import RULES, InvariantBroken
from .runner import live
from .shrink import broken_by, explain, shrink
from .world import World

LIVES = 2000
CHUNK = 250
FIRST = sys.version_info.minor * LIVES  # each Python that the gate tests on lives other lives
FIRSTS = [FIRST, *(pytest.param(FIRST + lived, marks=pytest.mark.once) for lived in range(CHUNK, LIVES, CHUNK))]

# What must have happened in each chunk of lives, or they prove nothing. One thing is too rare for that: a crash while
# the client waits for its next attempt. The tests with a crash at any moment have it.
EVENTS = [
    ("operations", "establish by key"),
    ("operations", "verify"),
    ("operations", "verify badly"),
    ("operations", "keep alive"),
    ("operations", "invalidate"),
    ("callers", "asked in bursts"),
    ("callers", "left while a request was in flight"),
    ("callers", "left while waiting for the next attempt"),
    ("callers", "crashes, idle"),
    ("callers", "crashes, a request was in flight"),
    ("callers", "event loops that ended, a request was in flight"),
    ("callers", "got SessionExpiredError"),
    ("callers", "got RefreshError"),
    ("clock jumps", "wall, ahead"),
    ("clock jumps", "wall, back"),
    ("clock jumps", "monotonic, ahead"),
    ("clock jumps", "monotonic, stands still (suspend)"),
    ("clock jumps", "monotonic, begins anew (restart)"),
    ("clock jumps", "server's, ahead"),
    ("clock jumps", "server's, back"),
    ("network", "requests that arrive out of order"),
    ("server", "restarts"),
    ("server", "away"),
    ("server", "issued"),
    ("server", "refreshed"),
    ("server", "replayed"),
    ("server", "reuse"),
    ("server", "refused"),
    ("lives", "ended unestablished"),
    ("lives", "ended active"),
    ("lives", "ended expired"),
    *(("network", name) for name in FATES),
    *(("checks", rule) for rule in RULES),
]


@pytest.mark.parametrize("first", FIRSTS)
def test_no_invariant_is_broken(first: int) -> None:
    """All rules of rules.py, over lives with calm and troubled networks, clocks and servers.

    And eventful ones: a simulation in which nothing happens proves nothing.
    """
    _, seen, failed = live(range(first, first + CHUNK))
    if failed is not None:
        pytest.fail(explain(Plan.draw(failed)))
    assert [": ".join(event) for event in EVENTS if not seen[event]] == []


def test_a_life_can_be_replayed() -> None:
    """All chance comes from the seed."""
    first, second = World(Plan.draw(7)), World(Plan.draw(7))
    first.run()
    second.run()
    assert first.history.entries == second.history.entries


def crashes_of(plan: Plan) -> Iterator[tuple[int, World]]:
    """Live a life again and again, with a crash after each thing that happens in it."""
    whole = World(plan)
    whole.run()
    for moment in range(1, whole.happenings + 1):
        world = World(replace(plan, crash_after=moment))
        try:
            world.run()
        except InvariantBroken as broken:
            pytest.fail(f"crash after {moment} things: {broken}")
        yield moment, world


@pytest.mark.parametrize("seed", [0, *(pytest.param(seed, marks=pytest.mark.once) for seed in range(1, 4))])
@pytest.mark.parametrize("grace", [0, 100_000])
def test_crash_at_any_moment_of_a_troubled_life_breaks_no_rule(seed: int, grace: int) -> None:
    """Invariants 2 and 4: what was saved is enough to go on; every moment is tried, not a sample."""
    plan = Plan.draw(seed, Settings(permission_lifetime=5, grace=grace, trouble=0.5, operations=25, burst=3))
    assert sum(1 for _ in crashes_of(plan)) > 25


def test_crash_at_any_moment_loses_no_session_while_the_grace_window_is_open() -> None:
    """What the server's grace window can give back is got back, whatever the process was doing when it died."""
    names = ("establish", "get_token", "refresh", "get_token", "invalidate", "get_token", "get_token")
    operations = tuple(Operation(number, 50.0 * number, name) for number, name in enumerate(names))
    plan = Plan(3, Settings(grace=100_000), operations, fates={}, is_prompt=True)
    established_after = 3  # things: somebody asks, the server answers, the client is told
    for moment, world in crashes_of(plan):
        if moment >= established_after:
            assert world.client.protocol.state == ACTIVE, moment
            assert world.seen["server", "reuse"] == 0, moment


@pytest.mark.once
@pytest.mark.parametrize("name", BREAKS)
def test_a_broken_core_is_noticed(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each way to break a rule is seen within a few hundred lives, as that rule, and shrinks to a short history."""
    break_it, rule = BREAKS[name]
    break_it(monkeypatch)
    plan = next((plan for plan in map(Plan.draw, range(500)) if broken_by(plan) is not None), None)
    assert plan is not None, "nobody noticed"
    assert broken_by(plan) == rule
    small = shrink(plan)
    assert broken_by(small) == rule
    assert len(small.operations) <= (12 if name.endswith("deadline") else 6)  # an outage has to last until then


def test_every_rule_is_broken_on_purpose_in_some_way() -> None:
    """A rule that cannot be seen to break is not checked."""
    assert {rule for _, rule in BREAKS.values()} == set(RULES)
