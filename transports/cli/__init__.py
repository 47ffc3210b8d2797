"""The command line: `tenure COMMAND`. Each command is a file of its own here, imported only when it is asked for."""
# Decided here: which commands there are, what they need, and how they end. A command is a module of its own name with
# two functions: `configure(parser)` adds its options to an argparse parser, `run(options)` does it and returns an exit
# code from exits.py. Neither the module nor `configure` may need an extra, so that `--help` always works.

import argparse
import importlib
import importlib.util
import sys
from collections.abc import Sequence
from typing import NamedTuple

from .exits import FAILED, INTERRUPTED, UNUSABLE, CommandError, discard_output

__all__ = ["main"]


class Command(NamedTuple):
    """What is known of a command without importing it: one line for people, and the modules it cannot do without."""

    summary: str
    needs: tuple[str, ...]


COMMANDS = {
    "demo": Command("watch 32 callers share one session while everything goes wrong", ("jwt", "requests", "rich")),
    "serve": Command("run the embedded authorization service, for tests", ("jwt",)),
}

EXIT_CODES = """\
exit codes:
  0    it worked
  1    it did not work: stderr says why (for demo, the table does)
  2    it could not begin: a wrong option, or the extra tenure[cli] is missing
  130  interrupted with Ctrl-C
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return the exit code; `SystemExit` where argparse has printed help or a mistake."""
    parser = _make_parser()
    chosen = parser.parse_args(arguments)
    if chosen.command is None:
        parser.print_help(sys.stderr)
        return UNUSABLE
    try:
        return _run(chosen.command, chosen.arguments)
    except CommandError as problem:
        print(f"tenure {chosen.command}: {problem}", file=sys.stderr)
        return problem.exit_code
    except BrokenPipeError:  # whoever read our output has gone: there is nobody to tell
        discard_output()
        return FAILED
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return INTERRUPTED


def _run(name: str, arguments: Sequence[str]) -> int:
    command = COMMANDS[name]
    module = importlib.import_module(f".{name}", __name__)
    parser = argparse.ArgumentParser(f"tenure {name}", description=module.__doc__, formatter_class=_Formatter)
    module.configure(parser)
    options = parser.parse_args(arguments)
    missing = [need for need in command.needs if importlib.util.find_spec(need) is None]
    if missing:
        raise CommandError(
            f"this needs {' and '.join(missing)}, not installed here: pip install 'tenure[cli]'", UNUSABLE
        )
    code = module.run(options)
    assert isinstance(code, int)
    return code


class _Formatter(argparse.RawDescriptionHelpFormatter):
    """Keeps the lines of the texts as they are, and has room for the names of options."""

    def __init__(self, prog: str) -> None:
        super().__init__(prog, max_help_position=30)


def _make_parser() -> argparse.ArgumentParser:
    summaries = "\n".join(f"  {name:<10} {command.summary}" for name, command in COMMANDS.items())
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
    parser.add_argument("arguments", nargs=argparse.REMAINDER, help=argparse.SUPPRESS)
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
