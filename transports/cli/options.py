# Options that several commands have.

import argparse

__all__ = ["add_json", "add_profile"]


def add_profile(parser: argparse.ArgumentParser) -> None:
    """Add the choice of the profile."""
    parser.add_argument("--profile", metavar="NAME", help="which one (default: TENURE_PROFILE, or 'default')")


def add_json(parser: argparse.ArgumentParser) -> None:
    """Add the choice of what a script reads."""
    parser.add_argument("--json", action="store_true", help="print one line of JSON")
