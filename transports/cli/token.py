"""Print a token that works, and a newline. It is refreshed before if need be.

Any number of shells may do so at once: they share one session, and one of them
refreshes it.

  curl -H "Authorization: Bearer $(tenure token)" https://host/api/resource
"""
# Nothing else ever goes to standard output here.

import argparse

from .exits import OK
from .holding import take_token
from .options import add_profile
from .profiles import read_profile

__all__ = ["configure", "run"]


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options of `tenure token`."""
    add_profile(parser)


def run(options: argparse.Namespace) -> int:
    """Print it before anything else that is to be done: its reader may be in a hurry."""
    take_token(read_profile(options.profile), show)
    return OK


def show(token: str) -> None:
    """Print it, and let nothing keep it back."""
    print(token, flush=True)
