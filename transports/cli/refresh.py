"""Refresh the session now, whatever the age of its token.

Once: a refresh that another shell has under way at this moment counts.
"""
# What `tenure token` does by itself when it is time; for the impatient, and for cron jobs that keep a session alive.

import argparse

from .exits import OK
from .holding import explained, look, opened
from .options import add_profile
from .places import open_store
from .profiles import read_profile

__all__ = ["configure", "run"]


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options of `tenure refresh`."""
    add_profile(parser)


def run(options: argparse.Namespace) -> int:
    """Refresh."""
    profile = read_profile(options.profile)
    with explained(profile):
        store = open_store(profile.store)
        look(profile, store)  # what is wrong with the store is no reason to try for half a minute
        with opened(profile, store) as session:
            session.refresh()
    return OK
