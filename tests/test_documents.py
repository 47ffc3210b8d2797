# What the documents say is run, compared and counted: a README that nobody runs rots.

import os
import re
import runpy
import subprocess
import sys
from pathlib import Path

import pytest
from tenure import AttemptError, AuthorizationProtocol, Policy, ProtocolViolationError, RefreshError
from tenure.transports.emulator import Emulator, Fault, not_http, oversize, redirect, truncate

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


@pytest.mark.parametrize(
    ("fault", "expected"),
    [
        (truncate(), RefreshError),
        (not_http(), RefreshError),
        (oversize(), ProtocolViolationError),
        (redirect("/elsewhere", 302), ProtocolViolationError),
    ],
    ids=["truncate", "not_http", "oversize", "redirect"],
)
def test_the_driver_that_is_printed_survives_bad_answers(
    fault: Fault, expected: type[AttemptError], tmp_path: Path
) -> None:
    """core/README, Drive it: an answer that breaks off is reported too, so its call settles and a later one works."""
    script = tmp_path / "example.py"
    script.write_text(blocks(CORE_README, "python")[0])
    driver = runpy.run_path(str(script))
    run, policy = driver["run"], Policy(deadline=1, backoff_cap=0.05)
    with Emulator(grace=30) as service:
        protocol = AuthorizationProtocol(
            service.url, "5f0c1cf5-8a2b-4f0e-9c39-2f0f4f9b1a57", ["read"], random_bytes=os.urandom, policy=policy
        )
        run(protocol, protocol.establish_by_key(service.merchant_key))
        token = protocol.newest_token()
        service.faults.add(fault, times=None)
        with pytest.raises(expected):
            run(protocol, protocol.refresh())
        service.faults.clear()
        run(protocol, protocol.refresh())
        assert protocol.newest_token() not in (token, None)


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
