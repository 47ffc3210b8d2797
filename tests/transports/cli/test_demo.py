import re
import signal
from collections.abc import Callable

import pytest
from tenure.transports.cli import demo_script, main

from .helpers import SECRET_LOOK, Tenure, run_tenure


def test_the_demo_from_end_to_end() -> None:
    """Piped: exit 0, the story in order, the table without a blemish, plain ASCII in the C locale, no secret."""
    out, err, code = run_tenure("demo", "--fast", LANG="C")
    assert (err, code) == ("", 0), out
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


def test_ctrl_c_ends_the_demo_cleanly() -> None:
    """Exit code 130, one word, no traceback."""
    with Tenure("demo") as tenure:
        while "established" not in tenure.stdout.readline():
            pass
        _, err, code = tenure.finish(signal.SIGINT)
    assert (err, code) == ("interrupted\n", 130)


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
