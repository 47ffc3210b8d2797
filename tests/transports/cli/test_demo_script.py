import pytest
from tenure.transports.cli import demo_script
from tenure.transports.cli.demo_record import Record
from tenure.transports.cli.demo_script import FAILURES, FAST, UNHURRIED, Script, Stuck, play
from tenure.transports.emulator import Emulator

PACES = {"unhurried": UNHURRIED, "fast": FAST}
SLACK = 0.5  # seconds that a busy machine may take for what needs none


@pytest.mark.parametrize("name", PACES)
def test_no_token_is_used_that_the_service_may_refuse(name: str) -> None:
    """The service reckons in whole seconds: a token of n seconds is good for n - 1, whatever goes wrong meanwhile."""
    pace = PACES[name]
    policy = pace.policy()
    latest = policy.stale_after(pace.lifetime, chance=0.0)
    retries = FAILURES * max(1.0, policy.backoff_base)  # Retry-After: 1; the backoff of two failures is below that
    assert policy.backoff(FAILURES, chance=0.999) <= 1.0
    assert latest + retries + SLACK <= pace.lifetime - 1
    assert latest + retries + SLACK <= policy.dead_after(pace.lifetime)


@pytest.mark.parametrize("name", PACES)
def test_the_last_tokens_are_put_down_while_they_are_fresh(name: str) -> None:
    """So that nothing is refreshed any more, and the refresh token can expire."""
    pace = PACES[name]
    earliest = pace.policy().stale_after(pace.last_lifetime, chance=1.0)
    assert pace.stampede_latency + pace.last_work < earliest
    assert pace.last_refresh_lifetime >= pace.last_lifetime


class IdleCrowd:
    """A crowd that never does anything."""

    def __init__(self, rests: bool) -> None:
        self.rests = rests

    def establish(self, username: str, password: str) -> None:
        pass

    def begin(self) -> None:
        pass

    def resume(self) -> None:
        pass

    def rest(self, seconds: float) -> bool:
        return self.rests


def test_a_session_that_does_not_go_on_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    """The script does not wait for ever, and says what it waited for."""
    monkeypatch.setattr(demo_script, "PATIENCE", 0)
    with Emulator() as emulator, pytest.raises(Stuck, match="had no successor"):
        play(emulator, IdleCrowd(True), Record(2, lambda: 0.0), FAST)


def test_callers_that_do_not_rest_are_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Otherwise the refresh token would never expire."""
    script = Script(Emulator(), IdleCrowd(False), Record(2, lambda: 0.0), FAST._replace(last_work=0))
    with pytest.raises(Stuck, match="rest"):
        script.the_end()


def test_callers_that_are_not_told_are_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    """The end is an event as well."""
    monkeypatch.setattr(demo_script, "PATIENCE", 0)
    script = Script(Emulator(), IdleCrowd(True), Record(2, lambda: 0.0), FAST._replace(last_work=0))
    script.record.pair_came_at = float("-inf")
    with pytest.raises(Stuck, match="told"):
        script.the_end()
