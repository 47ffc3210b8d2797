# How a command ends. The numbers are documented in `tenure --help`.

import os
import sys
from typing import TextIO

__all__ = ["OK", "FAILED", "UNUSABLE", "LOGIN_NEEDED", "INTERRUPTED", "CommandError", "Ended", "discard_output"]

OK = 0
FAILED = 1
UNUSABLE = 2  # as argparse has it: what was asked for cannot even begin
LOGIN_NEEDED = 3
INTERRUPTED = 130  # as shells have it: 128 + SIGINT


class CommandError(Exception):
    """A command ends here; the text says why and what to do, and holds no secret."""

    def __init__(self, message: str, exit_code: int = FAILED) -> None:
        super().__init__(message)
        self.exit_code = exit_code


class Ended(BaseException):
    """A signal asks the command to end, and it has finished what it could not leave undone."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.exit_code = 128 + number  # as shells have it


def discard_output(stream: TextIO | None = None) -> None:
    """Send what is still to be printed (on stdout) to nowhere: its reader has gone, or has stopped reading.

    The interpreter flushes at its end, and would complain of the one and hang on the other.
    """
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, (stream or sys.stdout).fileno())
    finally:
        os.close(nowhere)
