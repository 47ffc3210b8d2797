# The command runs in this process's place, with a token in its environment and nowhere else.

import signal
import subprocess
import sys
from pathlib import Path

import pytest
from tenure.transports.cli.exec import run_beside
from tenure.transports.emulator import REFRESH, hold_answer

from .conftest import GrowOlder
from .helpers import TIMEOUT, use_resource
from .shells import DEAD, STALE, Shells

pytestmark = pytest.mark.once

SAY = "import os; print(os.environ['TENURE_TOKEN'])"
SAY_AND_WAIT = "print('here', flush=True); [time.sleep(0.1) for _ in range(600)]"  # pause() can miss a signal


def test_the_command_has_a_token_that_works(shells: Shells) -> None:
    """It is in the environment variable."""
    out, err, code = shells.run("exec", "--", sys.executable, "-c", SAY)
    assert (err, code) == ("", 0)
    assert use_resource(shells.emulator, out.strip()) == 200


def test_the_variable_can_be_chosen(shells: Shells) -> None:
    """--variable, and then the usual one is not set."""
    program = "import os; print(len(os.environ['A']), 'TENURE_TOKEN' in os.environ)"
    out, err, code = shells.run("exec", "--variable", "A", "--", sys.executable, "-c", program)
    assert (out, err, code) == (f"{len(shells.token())} False\n", "", 0)


def test_a_dead_token_is_refreshed_before(shells: Shells, grow_older: GrowOlder) -> None:
    """The command gets the new one."""
    grow_older(DEAD)
    out, _, code = shells.run("exec", "--", sys.executable, "-c", SAY)
    assert (out.strip(), code) == (shells.token(), 0)
    assert shells.refreshes() == ["refreshed"]


def test_a_stale_token_is_replaced_before(shells: Shells, grow_older: GrowOlder) -> None:
    """A refresh does not die with the process that makes way, so the command can as well have what it brings."""
    old = shells.token()
    grow_older(STALE)
    out, _, code = shells.run("exec", "--", sys.executable, "-c", SAY)
    assert (out.strip(), code) == (shells.token(), 0)
    assert out.strip() != old
    assert shells.refreshes() == ["refreshed"]


@pytest.mark.parametrize("code", [0, 1, 3, 77])
def test_the_exit_code_is_the_commands(code: int, shells: Shells) -> None:
    """Whatever ours mean."""
    assert shells.run("exec", "--", "sh", "-c", f"exit {code}") == ("", "", code)


@pytest.mark.parametrize("arguments", [["--", "sh", "-c", "echo $1 $2", "-", "--", "-x"], ["sh", "-c", "echo -- -x"]])
def test_its_arguments_are_its_own(arguments: list[str], shells: Shells) -> None:
    """Nothing behind the command's name is an option of ours."""
    assert shells.run("exec", *arguments) == ("-- -x\n", "", 0)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_signals_reach_the_command(number: int, shells: Shells) -> None:
    """It is this very process, so that nobody stands in between."""
    program = f"import signal, sys, time; signal.signal({int(number)}, lambda *_: sys.exit(42)); {SAY_AND_WAIT}"
    with shells.start("exec", "--", sys.executable, "-c", program) as command:
        assert command.stdout.readline() == "here\n"
        assert command.finish(number)[2] == 42


def test_signals_have_their_usual_meaning_for_the_command(shells: Shells) -> None:
    """Python ignores SIGPIPE; a command that is written to a closed pipe has to die of it, as everywhere."""
    out, err, code = shells.run("exec", "--", "grep", "SigIgn", "/proc/self/status")
    assert (err, code) == ("", 0)
    ignored = int(out.split()[1], 16)
    assert not ignored & (1 << (signal.SIGPIPE - 1) | 1 << (signal.SIGXFSZ - 1))


def test_the_token_is_in_no_argument(shells: Shells) -> None:
    """Invariant 9: while the command runs, everybody may look at its arguments."""
    program = "import sys; print(open('/proc/self/cmdline').read())"
    out, _, code = shells.run("exec", "--", sys.executable, "-c", program)
    assert code == 0
    assert shells.token() not in out
    assert "eyJ" not in out


def test_a_signal_while_it_refreshes_keeps_the_command_from_running(shells: Shells, grow_older: GrowOlder) -> None:
    """The answer is saved, the command is not begun."""
    grow_older(DEAD)
    gate = shells.emulator.faults.add(hold_answer(), kind=REFRESH)
    with shells.start("exec", "--", "echo", "begun") as command:
        assert gate.arrived.wait(TIMEOUT)
        command.process.send_signal(signal.SIGTERM)
        gate.release()
        assert command.finish() == ("", "", 143)
    assert use_resource(shells.emulator, shells.token()) == 200


def test_a_command_that_is_not_there(shells: Shells, tmp_path: Path) -> None:
    """127 and 126, as shells have it."""
    plain = tmp_path / "plain"
    plain.write_text("")
    assert shells.run("exec", "--", "no-such-thing") == ("", "tenure exec: there is no command no-such-thing\n", 127)
    out, err, code = shells.run("exec", "--", str(plain))
    assert (out, code) == ("", 126)
    assert err.startswith(f"tenure exec: cannot run {plain}: ")


@pytest.mark.parametrize("arguments", [[], ["--"], ["--variable", "A=B", "--", "true"], ["--variable", "", "true"]])
def test_what_cannot_be_run_is_exit_code_2(arguments: list[str], shells: Shells) -> None:
    """Found out before anything is asked."""
    out, err, code = shells.run("exec", *arguments)
    assert (out, code) == ("", 2)
    assert err.startswith("tenure exec: ")


def test_without_a_login_the_command_is_not_run(strangers: Shells) -> None:
    """Exit code 3, and what to run."""
    out, err, code = strangers.run("exec", "--", "echo", "begun")
    assert (out, code) == ("", 3)
    assert "Run: tenure login" in err


def test_beside_us_it_runs_the_same() -> None:
    """Where no process can take another's place (Windows): its environment, its exit code."""
    program = "import os, sys; sys.exit(int(os.environ['CODE']))"
    assert run_beside([sys.executable, "-c", program], {"CODE": "7"}) == 7


def test_beside_us_it_answers_ctrl_c_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    """We go on waiting for it."""
    waited = iter([KeyboardInterrupt, None])

    class Child(subprocess.Popen[bytes]):
        def wait(self, timeout: float | None = None) -> int:
            raised = next(waited, None)
            if raised is not None:
                raise raised
            return super().wait(timeout)

    monkeypatch.setattr(subprocess, "Popen", Child)
    assert run_beside([sys.executable, "-c", "import sys; sys.exit(9)"], {}) == 9
