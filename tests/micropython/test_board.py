# The helper: what is on a board, and how it says that something is wrong.

from pathlib import Path

import pytest

from .board import Board, find_tool

pytestmark = pytest.mark.once


def test_source_board_holds_the_core_and_nothing_else_of_the_package(source_board: Board) -> None:
    """The core vendors as a folder: its modules, its dialects, and neither drivers nor tools."""
    folders = {path.name for path in (source_board.folder / "tenure").iterdir() if path.is_dir()}
    assert folders == {"dialects"}
    assert (source_board.folder / "tenure" / "protocol.py").is_file()


def test_compiled_board_holds_no_source(compiled_board: Board) -> None:
    """A source left behind would be what is measured: MicroPython prefers it."""
    assert list(compiled_board.folder.rglob("*.py")) == []
    assert (compiled_board.folder / "tenure" / "protocol.mpy").is_file()


def test_run_of_a_script_that_fails_is_not_clean(source_board: Board) -> None:
    """A check that fails must not look like one that passes."""
    outcome = source_board.run("talk")  # without its arguments
    assert outcome.status != 0
    assert not outcome.is_clean
    assert "IndexError" in outcome.complaints


def test_heap_is_as_small_as_asked_for(source_board: Board) -> None:
    """If the option went unheard, every heap would do."""
    outcome = source_board.run("check_core", heap="40k")
    assert "MemoryError" in outcome.complaints


def test_tool_that_is_missing_is_an_error_that_names_the_remedy(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Missing MicroPython must fail, not skip."""
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(RuntimeError, match=r"pip install 'tenure\[dev\]'"):
        find_tool("no-such-tool")
