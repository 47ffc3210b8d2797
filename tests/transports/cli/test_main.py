import subprocess
import sys
from importlib.metadata import version

import pytest
from tenure.transports import cli
from tenure.transports.cli import main
from tenure.transports.cli.exits import CommandError

from .helpers import run_tenure

ARGUMENTS = {"completion": ["bash"]}  # that a command cannot do without


@pytest.mark.parametrize("command", list(cli.COMMANDS))
def test_help_of_a_command_needs_no_extra(
    command: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Whoever has not installed the extra yet can read what a command does."""
    monkeypatch.setenv("COLUMNS", "80")
    for need in cli.COMMANDS[command].needs:
        monkeypatch.setitem(sys.modules, need, None)
    with pytest.raises(SystemExit) as end:
        main([command, "--help"])
    assert end.value.code == 0
    out = capsys.readouterr().out
    assert f"usage: tenure {command}" in out
    assert max(map(len, out.splitlines())) <= 80


def test_help_names_every_command_and_exit_code(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """DESIGN.md, The command line; exit codes are documented where people look."""
    monkeypatch.setenv("COLUMNS", "80")
    with pytest.raises(SystemExit) as end:
        main(["--help"])
    assert end.value.code == 0
    out = capsys.readouterr().out
    for name, command in cli.COMMANDS.items():
        assert f"  {name:<11} {command.summary}" in out
    assert "exit codes:\n  0 " in out
    assert max(map(len, out.splitlines())) <= 80


def test_version_is_the_distributions(capsys: pytest.CaptureFixture[str]) -> None:
    """One version number, in a plain file (STYLE: Documents)."""
    with pytest.raises(SystemExit) as end:
        main(["--version"])
    assert end.value.code == 0
    assert capsys.readouterr().out == f"tenure {version('tenure')}\n"


def test_without_a_command_help_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    """Exit code 2: there is nothing to begin with."""
    assert main([]) == 2
    assert "commands:" in capsys.readouterr().err


@pytest.mark.parametrize(
    "arguments",
    [
        ["nonsense"],
        ["demo", "--driver", "curio"],
        ["demo", "more"],
        ["serve", "--port", "65536"],
        ["serve", "--port", "-1"],
        ["serve", "--permission-lifetime", "0"],
        ["serve", "--permission-lifetime", "1.5"],
        ["serve", "--grace", "-1"],
        ["serve", "--clock-offset", "nan"],
        ["serve", "--password", "not-here"],
    ],
)
def test_wrong_options_are_exit_code_2(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """Exit code 2, with the usage; in particular there is no option that takes a secret (invariant 9)."""
    with pytest.raises(SystemExit) as end:
        main(arguments)
    assert end.value.code == 2
    assert "usage: tenure" in capsys.readouterr().err


@pytest.mark.parametrize(("command", "need"), [(n, need) for n, c in cli.COMMANDS.items() for need in c.needs])
def test_missing_extra_is_named(
    command: str, need: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """DESIGN.md, Packaging: what is missing is named, with the extra that brings it; exit code 2."""
    monkeypatch.setitem(sys.modules, need, None)
    assert main([command, *ARGUMENTS.get(command, ())]) == 2
    error = capsys.readouterr().err
    assert error == f"tenure {command}: this needs {need}, not installed here: pip install 'tenure[cli]'\n"


@pytest.mark.parametrize(
    ("raised", "code", "text"),
    [
        (CommandError("no good"), 1, "tenure demo: no good\n"),
        (CommandError("not like this", 2), 2, "tenure demo: not like this\n"),
        (KeyboardInterrupt(), 130, "interrupted\n"),
    ],
)
def test_how_a_command_ends_is_its_exit_code(
    raised: BaseException, code: int, text: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The exit codes of `tenure --help`; no traceback."""

    def fail(options: object) -> None:
        raise raised

    monkeypatch.setattr("tenure.transports.cli.demo.run", fail)
    assert main(["demo"]) == code
    assert capsys.readouterr().err == text


def test_module_runs_like_the_script() -> None:
    """`python -m tenure.transports.cli` is the same command line."""
    assert run_tenure("--version") == (f"tenure {version('tenure')}\n", "", 0)


def test_commands_are_imported_lazily() -> None:
    """Parsing pulls in no command and nothing that an extra brings."""
    program = """
import sys
from tenure.transports.cli import main
main([])
print(*sys.modules)
"""
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    loaded = set(run.stdout.split())
    assert "tenure.transports.cli" in loaded
    assert not loaded & {"rich", "requests", "jwt", "asyncio", "importlib.metadata"}
    assert not {name for name in loaded if name.startswith("tenure.transports.") and ".cli" not in name}
    assert {name for name in loaded if name.startswith("tenure.transports.cli.")} == {"tenure.transports.cli.exits"}
