# The core on MicroPython, without a network: on_board/check_core.py and check_shared.py, run there.

import re
import runpy

import pytest

from .board import SCRIPTS, Board

pytestmark = pytest.mark.once

NAMES = ("check_core", "check_shared")


def lines(script: str) -> "list[str]":
    """Return what a script prints if all goes well."""
    checks = re.findall(r"^def (check_\w+)", (SCRIPTS / f"{script}.py").read_text("utf-8"), re.MULTILINE)
    return [f"ok {name}" for name in sorted(checks)]


@pytest.mark.parametrize("script", NAMES)
def test_core_runs_from_source_with_a_heap_of_256k(script: str, source_board: Board) -> None:
    """DESIGN.md, Numbers to reach: 256 KiB from source. Every check of the script passes, without a warning."""
    outcome = source_board.run(script, heap="256k")
    assert outcome.is_clean, outcome
    assert outcome.lines == lines(script)


@pytest.mark.parametrize("script", NAMES)
def test_core_runs_compiled_with_a_heap_of_128k(script: str, compiled_board: Board) -> None:
    """DESIGN.md, Numbers to reach: 128 KiB from compiled .mpy files. Every check of the script passes."""
    outcome = compiled_board.run(script, heap="128k")
    assert outcome.is_clean, outcome
    assert outcome.lines == lines(script)


@pytest.mark.parametrize("script", NAMES)
def test_the_same_checks_pass_here(
    script: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Whatever fails on MicroPython alone is MicroPython's doing; whatever fails here too is the core's."""
    monkeypatch.setattr("sys.argv", [script])
    runpy.run_path(str(SCRIPTS / f"{script}.py"), run_name="__main__")
    assert capsys.readouterr().out.splitlines() == lines(script)
