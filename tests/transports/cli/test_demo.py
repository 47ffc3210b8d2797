import contextlib
import re
import signal
import sys
from collections.abc import Callable

import pytest
from tenure.transports.cli import demo_script, demo_verdict, main
from tenure.transports.cli.demo import DRIVERS

from .helpers import SECRET_LOOK, Tenure, run_tenure


@pytest.mark.once
def test_the_demo_from_end_to_end_with_each_driver() -> None:
    """Piped: exit 0, the story in order, the table without a blemish, plain ASCII in the C locale, no secret."""
    with contextlib.ExitStack() as running:  # all at once: they mostly wait for tokens to grow old
        demos = [running.enter_context(Tenure("demo", "--fast", "--driver", driver, LANG="C")) for driver in DRIVERS]
        outputs = [demo.finish() for demo in demos]
    for driver, (out, err, code) in zip(DRIVERS, outputs, strict=True):
        for _ in range(2):  # its last tokens live for two seconds: a machine that stood still for one spoils the end
            if code == 1:
                out, err, code = run_tenure("demo", "--fast", "--driver", driver, LANG="C")
        assert (err, code) == ("", 0), out
        check_good_output(out, driver)


def check_good_output(out: str, driver: str) -> None:
    assert out.startswith(f"tenure demo, driver: {driver}\n")
    assert out.isascii()
    assert "\x1b" not in out
    assert "\r" not in out
    assert not SECRET_LOOK.search(out)
    times = [float(line.split()[0]) for line in out.splitlines() if re.match(r" *\d+\.\d\d s  ", line)]
    assert times == sorted(times)
    table = dict(re.findall(r"^  ok ([a-z ]+?) +([\d,]+)\b", out, re.MULTILINE))
    assert int(table["tokens handed out"].replace(",", "")) > 1000
    assert table["errors before the end"] == table["tokens refused there"] == table["reuse detected"] == "0"
    assert (table["lost answers survived"], table["told it is over"]) == ("1", "32")
    assert "BROKEN" not in out
    assert out.endswith("  One session, one refresh at a time, and nobody noticed.\n")
    for scene in ("the answer is lost", "answered 503", "hours, to 3 behind", "same moment", "the session is over"):
        assert scene in out


@pytest.mark.once
@pytest.mark.parametrize("driver", DRIVERS)
def test_ctrl_c_ends_the_demo_cleanly(driver: str) -> None:
    """Exit code 130, one word, no traceback."""
    with Tenure("demo", "--driver", driver) as tenure:
        while "established" not in tenure.stdout.readline():
            pass
        _, err, code = tenure.finish(signal.SIGINT)
    assert (err, code) == ("interrupted\n", 130)


@pytest.mark.parametrize(
    ("driver", "need", "extra"),
    [
        ("asyncio", "h11", "asyncio"),
        ("trio", "h11", "trio"),
        ("trio", "trio", "trio"),
        ("all", "trio", "trio"),
    ],
)
def test_a_driver_that_is_not_installed_is_named(
    driver: str, need: str, extra: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """DESIGN.md, Packaging: what is missing is named, with the extra that brings it; nothing is played before."""
    monkeypatch.setitem(sys.modules, need, None)
    assert main(["demo", "--driver", driver]) == 2
    out, error = capsys.readouterr()
    assert out == ""
    assert f" needs {need}, not installed here: pip install 'tenure[{extra}]'\n" in error


@pytest.mark.parametrize("need", ["h11", "trio"])
def test_a_driver_that_is_not_asked_for_is_not_missed(need: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The blocking driver needs nothing of the others."""
    monkeypatch.setitem(sys.modules, need, None)
    monkeypatch.setattr(demo_script, "play", play_nothing)
    assert main(["demo", "--plain"]) == 1  # nothing was shown, but it was begun


def play_nothing(*_: object) -> None:
    pass


def get_stuck(*_: object) -> None:
    raise demo_script.Stuck("a scene did not end")


@pytest.mark.parametrize("play", [play_nothing, get_stuck])
def test_broken_promises_are_exit_code_1(
    play: Callable[..., None], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A run in which nothing was shown, or that got stuck, is no success; the table is printed all the same."""
    monkeypatch.setattr(demo_script, "play", play)
    assert main(["demo", "--plain"]) == 1
    out = capsys.readouterr().out
    assert "tokens handed out" in out
    assert "Callers did not get tokens" in out
    assert ("a scene did not end" in out) is (play is get_stuck)


@pytest.mark.parametrize("broken", [[], ["It is broken."]])
def test_all_drivers_play_in_turn_and_are_told_side_by_side(
    broken: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """--driver all: one table; a broken promise of one driver is enough for exit code 1, and the others still play."""
    verdicts = iter([[], broken, []])
    monkeypatch.setattr(demo_script, "play", play_nothing)
    monkeypatch.setattr(demo_verdict, "broken_promises", lambda facts: next(verdicts))
    assert main(["demo", "--plain", "--driver", "all"]) == (1 if broken else 0)
    out = capsys.readouterr().out
    titles = re.findall(r"^tenure demo, driver: (.*)$", out, re.MULTILINE)
    assert titles == ["blocking, 1 of 3", "asyncio, 2 of 3", "trio, 3 of 3"]
    assert len(re.findall(r"tokens handed out +0 +0 +0$", out, re.MULTILINE)) == 1
    assert ("asyncio: It is broken.\n" in out) is bool(broken)
    assert ("3 drivers, each with one session" in out) is (not broken)
