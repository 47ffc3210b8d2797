"""The command line: `tenure COMMAND`. Each command is a file of its own here, imported only when it is asked for."""
# Decided here: which commands there are, what they need, and how they end. A command is a module of its own name with
# two functions: `configure(parser)` adds its options to an argparse parser, `run(options)` does it and returns an exit
# code from exits.py. Neither the module nor `configure` may need an extra, so that `--help` always works.

import argparse
import importlib
import os
import sys
from collections.abc import Sequence
from types import ModuleType
from typing import NamedTuple

from .exits import FAILED, INTERRUPTED, UNUSABLE, CommandError, Ended, discard_output

__all__ = ["COMMANDS", "load", "main"]


class Command(NamedTuple):
    """What is known of a command without importing it: one line for people, and the modules it cannot do without."""

    summary: str
    needs: tuple[str, ...]


USUAL_WIDTH = 80  # columns

COMMANDS = {
    "login": Command("establish a session and keep it for all your shells", ("requests",)),
    "token": Command("print a token that works, refreshed if need be", ()),
    "exec": Command("run a command with a token in its environment", ()),
    "status": Command("say how the session stands; the exit code tells scripts", ()),
    "refresh": Command("refresh the session now", ("requests",)),
    "logout": Command("forget the session", ()),
    "completion": Command("print a completion script for bash, zsh or tcsh", ("shtab",)),
    "demo": Command("watch 32 callers share one session while everything goes wrong", ("jwt", "requests", "rich")),
    "serve": Command("run the embedded authorization service, for tests", ("jwt",)),
}

EXIT_CODES = """\
exit codes:
  0    it worked
  1    it did not work: stderr says why, and when to try again (for demo, the
       table does)
  2    it could not begin: a wrong option, a damaged profile, a missing extra
  3    a login is needed: nobody has logged in yet, the session is over, or the
       service has refused the password or key; stderr says what to run
  130  interrupted with Ctrl-C (128 + n: ended by signal n)
  `tenure exec` ends as its command does.
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return the exit code; `SystemExit` where argparse has printed help or a mistake."""
    given = sys.argv[1:] if arguments is None else arguments
    if not given or given[0] not in COMMANDS:
        parser = _make_parser()
        parser.parse_args(given)
        parser.print_help(sys.stderr)
        return UNUSABLE
    name = given[0]
    try:
        return _run(name, given[1:])
    except CommandError as problem:
        print(f"tenure {name}: {problem}", file=sys.stderr)
        return problem.exit_code
    except BrokenPipeError:  # whoever read our output has gone: there is nobody to tell
        discard_output()
        return FAILED
    except Ended as signal:
        return signal.exit_code
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return INTERRUPTED


def _run(name: str, arguments: Sequence[str]) -> int:
    module = load(name)
    parser = argparse.ArgumentParser(f"tenure {name}", description=module.__doc__, formatter_class=_Formatter)
    module.configure(parser)
    options = parser.parse_args(arguments)
    if COMMANDS[name].needs:
        from .needs import require

        require(COMMANDS[name].needs)
    code = module.run(options)
    assert isinstance(code, int)
    return code


def load(name: str) -> ModuleType:
    """Return a command's module."""
    return importlib.import_module(f".{name}", __name__)


class _Formatter(argparse.RawDescriptionHelpFormatter):
    """Keeps the lines of the texts as they are, and has room for the names of options."""

    def __init__(self, prog: str) -> None:
        super().__init__(prog, max_help_position=30, width=_terminal_width() - 2)


def _terminal_width() -> int:
    """Return it as argparse would find it: it makes a formatter for each option, and imports all of shutil for that."""
    try:
        return int(os.environ.get("COLUMNS", 0)) or os.get_terminal_size().columns or USUAL_WIDTH
    except (ValueError, OSError):  # not a number; not a terminal
        return USUAL_WIDTH


def _make_parser() -> argparse.ArgumentParser:
    summaries = "\n".join(f"  {name:<11} {command.summary}" for name, command in COMMANDS.items())
    parser = argparse.ArgumentParser(
        "tenure",
        usage="tenure [--version] COMMAND [OPTION ...]",
        description="Holds a refresh-token authorization session for you.",
        epilog=f"commands:\n{summaries}\n\n`tenure COMMAND --help` tells the options of each.\n\n{EXIT_CODES}",
        formatter_class=_Formatter,
    )
    parser.add_argument("--version", action=_Version, nargs=0, help="print the version and exit")
    # Hidden: the epilog says more about them than argparse would.
    parser.add_argument("command", nargs="?", choices=tuple(COMMANDS), metavar="COMMAND", help=argparse.SUPPRESS)
    return parser


class _Version(argparse.Action):
    """Looks the version up only if it is asked for: that takes longer than everything else here."""

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> None:
        from importlib.metadata import PackageNotFoundError, version

        try:
            number = version("tenure")
        except PackageNotFoundError:
            number = "of unknown version: it is not installed as a distribution"
        print(f"tenure {number}")
        parser.exit()
