import pytest
from tenure.transports.emulator import ANY, FaultPlan, hold, latency, lose_answer, status


@pytest.fixture
def plan():
    return FaultPlan()


def test_a_fault_befalls_one_request_of_its_kind(plan):
    """By default the next refresh, and no other."""
    fault = plan.add(lose_answer())
    assert plan.take("issue") == []
    assert plan.take("refresh") == [fault]
    assert plan.take("refresh") == []


def test_counted_faults_befall_successive_requests(plan):
    """In the order in which they were added, each as often as it was said."""
    first, second = lose_answer(), status(503)
    plan.add(first, times=2)
    plan.add(second)
    assert plan.pending == 3
    assert [plan.take("refresh") for _ in range(4)] == [[first], [first], [second], []]
    assert plan.pending == 0


def test_faults_added_together_befall_together(plan):
    """In the order given."""
    slow, lost = latency(1), lose_answer()
    assert plan.add(slow, lost) is slow
    assert plan.take("refresh") == [slow, lost]


def test_standing_faults_befall_every_request_besides(plan):
    """They come first, are never consumed, and go when they are removed."""
    standing, counted = latency(1), lose_answer()
    plan.add(counted)
    plan.add(standing, kind=ANY, times=None)
    assert plan.take("resource") == [standing]
    assert plan.take("refresh") == [standing, counted]
    plan.remove(standing)
    assert plan.take("refresh") == []


def test_remove_and_clear(plan):
    """Removing what is not planned any more is no error."""
    first, second, third = lose_answer(), lose_answer(), lose_answer()
    for each in (first, second, third):
        plan.add(each)
    plan.remove(second)
    assert plan.take("refresh") == [first]
    plan.remove(first)
    plan.clear()
    assert plan.pending == 0
    assert plan.take("refresh") == []


def test_add_returns_the_fault(plan):
    """So that a hold can be planned and kept in one line."""
    gate = plan.add(hold())
    assert not gate.arrived.is_set()


@pytest.mark.parametrize("options", [{"kind": "refreshes"}, {"times": 0}, {"times": -1}])
def test_nonsense_is_refused(plan, options):
    """A plan that could never come true is a mistake of the test."""
    with pytest.raises(ValueError, match="must be"):
        plan.add(lose_answer(), **options)
