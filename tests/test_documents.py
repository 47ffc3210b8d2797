# What the documents say is run, compared and counted: a README that nobody runs rots.

import re
import subprocess
import sys
from pathlib import Path

import pytest

from .diagram import diagram

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()
CORE_README = (ROOT / "core" / "README.md").read_text()
STORES_README = (ROOT / "transports" / "stores" / "README.md").read_text()


def blocks(text: str, language: str) -> list[str]:
    """Return the fenced blocks of one language."""
    return re.findall(rf"^```{language}\n(.*?)^```", text, flags=re.DOTALL | re.MULTILINE)


@pytest.mark.once
@pytest.mark.parametrize(
    "code",
    [code for text in (README, CORE_README, STORES_README) for code in blocks(text, "python")],
    ids=lambda code: code.split("\n")[0][:40],
)
def test_every_example_runs_as_it_stands(code: str, tmp_path: Path) -> None:
    """README: the examples run as they stand, in a process of their own."""
    script = tmp_path / "example.py"
    script.write_text(code)
    result = subprocess.run(
        [sys.executable, "-W", "error", str(script)], capture_output=True, text=True, timeout=60, check=False
    )
    assert result.returncode == 0, result.stderr
    assert result.stderr == ""
    assert result.stdout


def test_the_first_example_has_ten_lines() -> None:
    """README: ten lines are enough for a session that works."""
    lines = [line for line in blocks(README, "python")[0].splitlines() if line.strip()]
    assert len(lines) <= 10


def test_the_diagram_is_the_tables() -> None:
    """core/README.md shows the tables of core/states.py: python -m tests.diagram prints it anew."""
    assert blocks(CORE_README, "mermaid") == [diagram() + "\n"]


def test_every_file_a_document_names_is_there() -> None:
    """A link that leads nowhere is worse than none."""
    for document in ROOT.glob("**/*.md"):
        if any(part.startswith(".") or part in ("node_modules", "build") for part in document.relative_to(ROOT).parts):
            continue
        for target in re.findall(r"\]\(([^)#:]+)\)", document.read_text()):
            assert (document.parent / target).exists(), f"{document}: {target}"
