import pytest
from tenure.transports.cli.exits import CommandError
from tenure.transports.cli.serve_faults import FAULTS, plan_faults
from tenure.transports.emulator import REFRESH, FaultPlan


def befallen(*texts: str, requests: int = 6) -> list[str]:
    """Return the names of the faults that befall each of some refreshes."""
    plan = FaultPlan()
    plan_faults(plan, texts)
    return ["+".join(fault.name for fault in plan.take(REFRESH)) for _ in range(requests)]


@pytest.mark.parametrize(
    ("texts", "names"),
    [
        ([], ["", "", "", "", "", ""]),
        (["lose_answer"], ["lose_answer", "", "", "", "", ""]),
        (["lose_answer@3"], ["", "", "lose_answer", "", "", ""]),
        (["503@5", "lose_answer@2"], ["", "lose_answer", "", "", "status", ""]),
        (["reset_after@2", "truncate@3"], ["", "reset_after", "truncate", "", "", ""]),
        (["latency@2", "lose_answer@2"], ["", "latency+lose_answer", "", "", "", ""]),
    ],
)
def test_faults_befall_the_refresh_they_are_meant_for(texts: list[str], names: list[str]) -> None:
    """NAME@N is the Nth refresh, whatever the order in which they are given."""
    assert befallen(*texts) == names


@pytest.mark.parametrize("name", list(FAULTS))
def test_every_name_makes_the_fault_of_that_name(name: str) -> None:
    """What --help offers exists, and the journal calls it the same."""
    assert befallen(name, requests=1) == [name]


@pytest.mark.parametrize("text", ["", "lost", "lose_answer@", "lose_answer@0", "lose_answer@-1", "503@x", "99", "²03"])
def test_nonsense_is_refused_with_what_there_is(text: str) -> None:
    """Exit code 2, and nothing is planned."""
    plan = FaultPlan()
    with pytest.raises(CommandError) as refused:
        plan_faults(plan, ["lose_answer", text])
    assert refused.value.exit_code == 2
    assert plan.pending == 0
