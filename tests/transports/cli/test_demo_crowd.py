import asyncio
import gc
import subprocess
import sys
import threading
import time
from collections.abc import Iterator

import pytest
from tenure import Policy
from tenure.transports.cli.demo import DRIVERS
from tenure.transports.cli.demo_crowd import Pauses, Stage, open_crowd, use_token
from tenure.transports.cli.demo_record import Record
from tenure.transports.emulator import RESOURCE, Emulator, hold

from .helpers import TIMEOUT


class CountingRecord(Record):
    """A record on which a test can wait for tokens."""

    def __init__(self, callers: int) -> None:
        super().__init__(callers, time.monotonic)
        self.tokens = threading.Semaphore(0)

    def got(self, caller: int, token: str) -> None:
        super().got(caller, token)
        self.tokens.release()

    def wait_for_more(self) -> None:
        """Wait until 50 more tokens were handed out."""
        for _ in range(50):
            assert self.tokens.acquire(timeout=TIMEOUT)


OURS = ("tenure demo", "tenure pump")  # the watchdog of all sessions in a process stays, by design


def crowd_threads() -> list[threading.Thread]:
    for thread in threading.enumerate():
        if thread.name == "tenure pump":
            thread.join(TIMEOUT)  # it has done its work, and may be on its way out
    return [thread for thread in threading.enumerate() if thread.name.startswith(OURS)]


@pytest.fixture(params=DRIVERS)
def driver(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def emulator() -> Iterator[Emulator]:
    with Emulator() as running:
        yield running


@pytest.fixture
def record() -> CountingRecord:
    return CountingRecord(4)


@pytest.fixture
def stage(emulator: Emulator, record: CountingRecord) -> Stage:
    return Stage(emulator.url, emulator.resource_url, Policy(), record)


def test_a_crowd_asks_rests_and_asks_again(
    driver: str, emulator: Emulator, record: CountingRecord, stage: Stage
) -> None:
    """The seam's contract: whoever rests does nothing at all; nothing is left behind."""
    with open_crowd(driver, stage) as crowd:
        crowd.establish(*emulator.credentials)
        crowd.begin()
        record.wait_for_more()
        assert crowd.rest(TIMEOUT)
        so_far = record.summary()
        assert {doing for doing, _ in record.view(0).callers} == {"resting"}
        assert record.summary() == so_far
        crowd.resume()
        record.wait_for_more()
        assert crowd.rest(TIMEOUT)  # whoever is sent home in the middle of a use need not hear what came of it
        assert {doing for doing, _ in record.view(0).callers} == {"resting"}
    assert crowd_threads() == []
    seen = record.summary()
    assert (seen.errors, seen.refused, seen.distinct_tokens) == ((), 0, 1)
    assert len(emulator.journal.of(RESOURCE)) == seen.used


def test_callers_end_when_they_are_told_that_it_is_over(
    driver: str, emulator: Emulator, record: CountingRecord, stage: Stage
) -> None:
    """Each of them is told once, and goes."""
    emulator.service.permission_lifetime = 1  # soon dead, and then callers ask for the next one
    with open_crowd(driver, stage) as crowd:
        crowd.establish(*emulator.credentials)
        record.let_it_end()
        emulator.service.revoke()
        crowd.begin()
        assert record.wait_for(lambda: record.told_over() == record.callers, TIMEOUT)
        assert crowd.rest(TIMEOUT)
    assert record.summary().errors == ()
    assert crowd_threads() == []


def test_a_crowd_that_never_began_leaves_nothing_behind(driver: str, stage: Stage) -> None:
    """Ctrl-C may come at any time."""
    with open_crowd(driver, stage):
        pass
    assert crowd_threads() == []


def test_a_crowd_that_rests_can_be_sent_home(
    driver: str, emulator: Emulator, record: CountingRecord, stage: Stage
) -> None:
    """Ctrl-C may come while everybody rests, too."""
    with open_crowd(driver, stage) as crowd:
        crowd.establish(*emulator.credentials)
        crowd.begin()
        assert crowd.rest(TIMEOUT)
    assert crowd_threads() == []


def test_an_error_is_reported_and_the_caller_goes_on(driver: str, record: CountingRecord, stage: Stage) -> None:
    """What callers see is what the demo is about: nothing is swallowed."""
    with open_crowd(driver, stage) as crowd:
        crowd.begin()  # before establish: NotEstablishedError for everybody, again and again
        assert record.wait_for(lambda: len(record._errors) > 2 * record.callers, TIMEOUT)
    assert set(record.summary().errors) == {"NotEstablishedError"}


def test_who_does_not_come_to_rest_is_noticed(
    driver: str, emulator: Emulator, record: CountingRecord, stage: Stage
) -> None:
    """The seam's contract: False if a caller does not rest in time; it can be waited for again, and go on."""
    gate = emulator.faults.add(hold(), kind=RESOURCE)
    with open_crowd(driver, stage) as crowd:
        crowd.establish(*emulator.credentials)
        crowd.begin()
        assert gate.arrived.wait(TIMEOUT)
        assert not crowd.rest(0.01)
        gate.release()
        assert crowd.rest(TIMEOUT)
        crowd.resume()
        record.wait_for_more()
    assert record.summary().errors == ()


def test_ctrl_c_before_the_loop_has_heard_leaves_no_coroutine(
    emulator: Emulator, stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ctrl-C reaches the main thread on its way to the loop; a coroutine nobody awaits would be told of on stderr."""

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    with open_crowd("asyncio", stage) as crowd:
        crowd.establish(*emulator.credentials)
        with monkeypatch.context() as patched:
            patched.setattr(asyncio.BaseEventLoop, "call_soon_threadsafe", interrupt)
            for work in (crowd.begin, lambda: crowd.rest(TIMEOUT)):
                with pytest.raises(KeyboardInterrupt):
                    work()
        gc.collect()  # the suite takes a warning for an error


def test_the_trio_crowd_needs_nothing_of_asyncio() -> None:
    """Who chose trio has no second event loop in the process."""
    program = """
import sys
from tenure import Policy
from tenure.transports.cli.demo_crowd import Stage, open_crowd
from tenure.transports.cli.demo_record import Record
from tenure.transports.emulator import Emulator
with Emulator() as emulator:
    record = Record(2, lambda: 0.0)
    with open_crowd("trio", Stage(emulator.url, emulator.resource_url, Policy(), record)) as crowd:
        crowd.establish(*emulator.credentials)
        crowd.begin()
        assert record.wait_for(lambda: record.newest_in_hand() == 1, 60)
assert "trio" in sys.modules
assert "asyncio" not in sys.modules
"""
    subprocess.run([sys.executable, "-W", "error", "-c", program], check=True, timeout=TIMEOUT)


def test_using_a_token_tells_what_the_resource_says(emulator: Emulator) -> None:
    """A refused token is seen as such."""
    assert use_token(emulator.resource_url, "nonsense") == 401


def test_pauses_are_short_but_no_busy_loop() -> None:
    """5 to 20 ms, and a part of the tokens is used."""
    pauses = Pauses(1)
    assert all(0.005 <= pauses.next() <= 0.02 for _ in range(100))
    assert 10 <= sum(pauses.uses_token() for _ in range(1000)) <= 90


def test_an_unknown_driver_is_refused(stage: Stage) -> None:
    """argparse does not let one through; a programmer may."""
    with pytest.raises(ValueError, match="curio"):
        open_crowd("curio", stage)
