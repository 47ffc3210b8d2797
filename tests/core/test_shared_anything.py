# shared.py: whatever the store and the service do, in whatever order, what has to hold does.

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tenure import AMBIGUOUS, NOT_SENT, SessionExpiredError, TenureError

from .fleet import Fleet, Process
from .partner import PERMISSION_LIFETIME

FAULTS = st.lists(st.sampled_from(["", "", "fails", "unheard", "lost"]), max_size=6)
STORE_FAULTS = st.fixed_dictionaries(
    {"load": FAULTS, "acquire": FAULTS, "renew": FAULTS, "save": FAULTS, "release": FAULTS}
)
ANSWERS = st.lists(st.sampled_from(["", "", NOT_SENT, AMBIGUOUS, "lost", 429, 503, 402]), max_size=6)
DEEDS = st.tuples(
    st.integers(0, 2),
    st.sampled_from(
        ["get_token", "get_token", "refresh", "establish", "load", "invalidate", "wind_up", "disown", "die"]
    ),
    st.sampled_from([0, 1, 20, PERMISSION_LIFETIME]),
    STORE_FAULTS,
    ANSWERS,
)
LONGEST = 30 + 10 + 3 * 30  # seconds: the deadline, an attempt begun in time, and backoffs where a pair cannot be saved


def do(process: Process, deed: str) -> "TenureError | None":
    """Do one thing, to its end, and return its error; it settles in bounded time (invariant 7)."""
    protocol, began = process.protocol, process.store.seconds
    if deed == "invalidate":
        protocol.invalidate(protocol.newest_token() or "none")
        return None
    if deed == "establish":
        call = process.ask_to_establish(process.now())
    elif deed == "load":
        call = protocol.load()
    elif deed == "refresh":
        call = protocol.refresh()
    else:
        call = protocol.request_token(process.now())
    if deed in ("wind_up", "disown", "die"):
        for _ in range(3):
            step = process.next_step()
            if step is not None:
                process.perform(step)
        if deed == "wind_up":
            protocol.wind_up()
        else:
            process.next_step()
            protocol.disown_exchange()
    process.run(call)
    assert process.store.seconds - began <= LONGEST
    return call.error


@pytest.mark.once
@settings(max_examples=300)
@given(st.lists(DEEDS, min_size=1, max_size=12), st.booleans())
def test_no_spent_token_is_presented(
    deeds: "list[tuple[int, str, int, dict[str, list[str]], list[int | str]]]", has_clock: bool
) -> None:
    """Invariants 1, 2 and 8: with a grace window that never ends, the service never detects reuse, which would be a
    token presented under two request ids, or one whose successor has been used. And in the end all have one token.

    Only an establish that failed may have ended the session: what it voids is all that the others have.
    """
    fleet = Fleet(grace=1e9)
    fleet.store.has_clock = has_clock
    fleet.established()
    processes = [fleet.start(looks=False) for _ in range(3)]
    may_be_over = False
    for number, deed, gap, faults, answers in deeds:
        fleet.store.faults = {operation: list(queue) for operation, queue in faults.items()}
        processes[number].answers = list(answers)
        error = do(processes[number], deed)
        may_be_over = may_be_over or (deed == "establish" and error is not None)
        processes[number].answers.clear()
        if deed == "die":
            processes[number] = fleet.start(looks=False)
        fleet.pass_time(gap)
    fleet.store.faults.clear()
    fleet.pass_time(4000)  # every lease has ended, every cool-down and every token
    error = processes[0].get_token().error
    if error is not None:
        assert may_be_over
        assert isinstance(error, SessionExpiredError)
        assert error.ambiguous
        assert do(processes[0], "establish") is None
    for process in processes:
        assert process.get_token().error is None
        assert process.protocol.fresh_token(process.now())
    assert len({process.protocol.newest_token() for process in processes}) == 1
    assert processes[0].lease_is_free()
    assert fleet.service.statistics.reuse_detected == 0
