# The scripts are shtab's; what is tested is that shells take them, and that they know our commands.

import subprocess

import pytest

from .helpers import run_tenure

COMPLETE = """
source /dev/stdin
COMP_WORDS=(%s)
COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
COMP_LINE="${COMP_WORDS[*]}"
$(complete -p tenure | sed 's/.*-F \\([^ ]*\\).*/\\1/')
printf '%%s\\n' "${COMPREPLY[@]}"
"""


def completions(*words: str) -> list[str]:
    """Return what bash offers behind these words."""
    script = run_tenure("completion", "bash")[0]
    program = COMPLETE % " ".join(f"'{word}'" for word in words)
    run = subprocess.run(["bash", "-c", program], input=script, capture_output=True, text=True, check=True)
    return run.stdout.split()


def test_bash_completes_commands() -> None:
    """By their beginning."""
    assert completions("tenure", "log") == ["login", "logout"]


def test_bash_completes_options() -> None:
    """Those of the command."""
    assert completions("tenure", "login", "--p") == ["--profile", "--permission", "--password-stdin"]
    assert completions("tenure", "completion", "z") == ["zsh"]


@pytest.mark.parametrize("shell", ["bash", "zsh", "tcsh"])
def test_each_shell_has_a_script(shell: str) -> None:
    """On stdout, in ASCII; it names every command."""
    out, err, code = run_tenure("completion", shell)
    assert (err, code) == ("", 0)
    assert out.isascii()
    for command in ("login", "token", "exec", "status", "refresh", "logout", "serve"):
        assert command in out


def test_bash_takes_the_script() -> None:
    """bash -n reads it without running it."""
    script = run_tenure("completion", "bash")[0]
    run = subprocess.run(["bash", "-n"], input=script, capture_output=True, text=True, check=False)
    assert (run.stderr, run.returncode) == ("", 0)
