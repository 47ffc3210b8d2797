"""Forget the session that the store holds, for all who share it.

The service is not told, since its protocol cannot revoke a session: whoever has
a copy of the tokens can use them until they expire by themselves.
"""
# WIRE.md, Requests: there is no operation that revokes.

import argparse

from .exits import OK
from .holding import explained
from .options import add_profile
from .places import describe_place, open_store
from .profiles import forget_profile, login_command, read_profile

__all__ = ["configure", "run"]


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options of `tenure logout`."""
    add_profile(parser)
    parser.add_argument("--forget", action="store_true", help="forget the profile as well")


def run(options: argparse.Namespace) -> int:
    """Forget it, and say what that does not do."""
    profile = read_profile(options.profile)
    with explained(profile):
        open_store(profile.store).delete(profile.token_id)
    print(f"{describe_place(profile.store)} holds no session of the profile {profile.name} any more.")
    if options.forget:
        forget_profile(profile.name)
        print("The profile is forgotten, too.")
    print("The service cannot be told to revoke it: copies of its tokens work until they expire.")
    if not options.forget:
        print(f"To begin anew: {login_command(profile.name)}")
    return OK
