# The core on MicroPython, without a network: on_board/check_core.py, run there.

import re
import runpy

import pytest

from .board import SCRIPTS, Board

CHECKS = sorted(re.findall(r"^def (check_\w+)", (SCRIPTS / "check_core.py").read_text("utf-8"), re.MULTILINE))


def test_core_runs_from_source_with_a_heap_of_256k(source_board: Board) -> None:
    """DESIGN.md, Numbers to reach: 256 KiB from source. Every check of the script passes, without a warning."""
    outcome = source_board.run("check_core", heap="256k")
    assert outcome.is_clean, outcome
    assert outcome.lines == [f"ok {name}" for name in CHECKS]


def test_core_runs_compiled_with_a_heap_of_128k(compiled_board: Board) -> None:
    """DESIGN.md, Numbers to reach: 128 KiB from compiled .mpy files. Every check of the script passes."""
    outcome = compiled_board.run("check_core", heap="128k")
    assert outcome.is_clean, outcome
    assert outcome.lines == [f"ok {name}" for name in CHECKS]


def test_the_same_checks_pass_here(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """Whatever fails on MicroPython alone is MicroPython's doing; whatever fails here too is the core's."""
    monkeypatch.setattr("sys.argv", ["check_core"])
    runpy.run_path(str(SCRIPTS / "check_core.py"), run_name="__main__")
    assert capsys.readouterr().out.splitlines() == [f"ok {name}" for name in CHECKS]
