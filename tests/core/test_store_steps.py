# store_steps.py: what the core asks of a store, and what a store answers.

import pytest
from tenure import AbandonLease, AcquireLease, LoadState, ReleaseLease, RenewLease, SaveState, Stored

STEPS = [
    (LoadState("key"), ("load", ("key",), {}), "state"),
    (AcquireLease("key", 15.0, 3), ("acquire", ("key", 15.0, 3), {}), "state"),
    (RenewLease("lease", 15.0), ("renew", ("lease", 15.0), {}), "done"),
    (SaveState("lease", {"a": 1}), ("save", ("lease", {"a": 1}), {"release": True}), "done"),
    (ReleaseLease("lease"), ("release", ("lease",), {}), "done"),
    (AbandonLease("lease"), ("abandon", ("lease",), {}), "done"),
]
Step = LoadState | AcquireLease | RenewLease | SaveState | ReleaseLease | AbandonLease
Asked = tuple[str, tuple[object, ...], dict[str, object]]


class Recorder:
    """A store that tells how it was asked."""

    def __getattr__(self, name: str) -> object:
        return lambda *arguments, **named: (name, arguments, named)


@pytest.mark.parametrize(("step", "asked", "report"), STEPS, ids=[type(step).__name__ for step, _, _ in STEPS])
def test_step_asks_the_store_and_says_how_to_report(step: Step, asked: Asked, report: str) -> None:
    """README, Drive it: a driver calls `ask(store)` and reports what it returns; a store may always fail."""
    assert step.ask(Recorder()) == asked
    assert step.reports == (report, "failure")


def test_store_without_abandon_is_not_asked() -> None:
    """Its leases end by themselves."""
    step = AbandonLease("lease")
    assert step.ask(object()) is None
    assert step.ask(Recorder()) == ("abandon", ("lease",), {})


def test_stored_is_a_state_with_a_version() -> None:
    """All else is unknown unless the store says so."""
    stored = Stored({"a": 1}, 3)
    assert (stored.state, stored.version, stored.lease, stored.interrupted) == ({"a": 1}, 3, None, False)
    assert (stored.age, stored.problem) == (None, None)
    full = Stored(None, 0, lease=0, interrupted=True, age=1.5, problem="damaged")
    assert (full.lease, full.interrupted, full.age, full.problem) == (0, True, 1.5, "damaged")


@pytest.mark.parametrize(("lease", "shown"), [(None, "<Stored version 3>"), ("hunter2", "<Stored version 3, leased>")])
def test_stored_shows_no_secret(lease: "str | None", shown: str) -> None:
    """Invariant 9: neither the state nor the lease."""
    assert repr(Stored({"token": "hunter2"}, 3, lease=lease)) == shown
