"""Run a command with a token that works in an environment variable.

  tenure exec -- sh -c 'curl -H "Authorization: Bearer $TENURE_TOKEN" ...'

The exit code is the command's, or 127 if there is no such command and 126 if it
cannot be run. The variable does not change while the command runs: one that
outlives its token asks `tenure token` for the next.
"""
# The command takes this process's place, so that signals reach it and its exit code leaves it with nobody in between.
# Windows has nothing of the kind: there it is a child.

import argparse
import os
import signal
from collections.abc import Mapping, Sequence

from .exits import UNUSABLE, CommandError
from .holding import take_token
from .options import add_profile
from .profiles import read_profile

__all__ = ["configure", "run", "run_beside"]

NOT_EXECUTABLE, NOT_FOUND = 126, 127  # as shells have it


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options of `tenure exec`."""
    add_profile(parser)
    parser.add_argument(
        "--variable", metavar="NAME", default="TENURE_TOKEN", help="that holds the token (default: %(default)s)"
    )
    parser.add_argument("command", nargs=argparse.REMAINDER, metavar="-- COMMAND ...", help="what to run")


def run(options: argparse.Namespace) -> int:
    """Get the token, finish what that has begun, and make way."""
    command = options.command[1:] if options.command[:1] == ["--"] else options.command
    if not command:
        raise CommandError("what is to be run? tenure exec -- COMMAND ...", UNUSABLE)
    if not options.variable or "=" in options.variable:
        raise CommandError("--variable is the name of an environment variable", UNUSABLE)
    environment = {**os.environ, options.variable: take_token(read_profile(options.profile))}
    try:
        return run_beside(command, environment) if os.name == "nt" else _run_instead(command, environment)
    except FileNotFoundError:
        raise CommandError(f"there is no command {command[0]}", NOT_FOUND) from None
    except OSError as problem:
        raise CommandError(f"cannot run {command[0]}: {problem.strerror}", NOT_EXECUTABLE) from None


def _run_instead(command: list[str], environment: Mapping[str, str]) -> int:
    for name in ("SIGPIPE", "SIGXFSZ"):  # Python ignores them, and its successor would inherit that
        signal.signal(getattr(signal, name), signal.SIG_DFL)
    os.execvpe(command[0], command, environment)  # noqa: S606  # without a shell, on purpose


def run_beside(command: Sequence[str], environment: Mapping[str, str]) -> int:
    """Run the command as a child and return its exit code. Ctrl-C is the child's to answer."""
    import subprocess  # takes long, and is needed in one world only

    with subprocess.Popen(command, env=environment) as child:  # noqa: S603  # it is what the user asked for
        while True:
            try:
                return child.wait()
            except KeyboardInterrupt:
                continue  # the console has told the child, too
