from pathlib import Path

import pytest

from .board import Board


@pytest.fixture(scope="session")
def source_board(tmp_path_factory: pytest.TempPathFactory) -> Board:
    """A board with the sources."""
    return Board(tmp_path_factory.mktemp("source"))


@pytest.fixture(scope="session")
def compiled_board(tmp_path_factory: pytest.TempPathFactory) -> Board:
    """A board with .mpy files, and no source."""
    folder: Path = tmp_path_factory.mktemp("compiled")
    return Board(folder, compiled=True)
