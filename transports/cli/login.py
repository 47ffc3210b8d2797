"""Establish the session of a profile, or establish it anew.

The first time --url says where the service is. What is said then is kept in the
profile, and later `tenure login` alone does it again. A login that fails leaves
profile and session as they were. Secrets never come from the command line:

  TENURE_PASSWORD        the password; without it, one is asked for (or read
                         from standard input, with --password-stdin)
  TENURE_MERCHANT_KEY    a merchant's key, likewise
  TENURE_REDIS_PASSWORD  for a store in a Redis that wants one
  TENURE_STORE_KEY       encrypts what is stored: Fernet keys separated by
                         commas, the first of which encrypts

Profiles are in the platform's config directory, or in TENURE_CONFIG_DIR;
sessions in its state directory, or in TENURE_STATE_DIR, or where --store says.
"""
# What a profile is made of, and where the secret comes from. Changes are kept once the service has agreed to them.

import argparse
import getpass
import json
import os
import sys
from typing import TYPE_CHECKING
from uuid import uuid4

from ... import SnapshotError
from .exits import OK, UNUSABLE, CommandError
from .holding import explained, look, now, opened
from .options import add_json, add_profile
from .places import check_place, describe_place, open_store
from .profiles import EXAMPLE, Draft, Profile, chosen_name, find_profile, login_command
from .status import Facts, facts_of, in_words

if TYPE_CHECKING:
    from ..stores import Store

__all__ = ["configure", "merge", "read_secret", "run"]

PASSWORD_VARIABLE = "TENURE_PASSWORD"
MERCHANT_KEY_VARIABLE = "TENURE_MERCHANT_KEY"
PATIENCE = 10.0  # seconds: somebody sits there and waits


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options of `tenure login`."""
    add_profile(parser)
    add = parser.add_argument
    add("--url", help="of the service, such as https://host/authorization/v1")
    add("--token-id", metavar="UUID", help="names the session (default: a new one for a new account or service)")
    add("--permission", action="append", metavar="P", help="to ask for; may be given several times (default: read)")
    add("--store", metavar="PLACE", help="a directory, or redis://host:port/db, or rediss://...")
    who = parser.add_mutually_exclusive_group()
    who.add_argument("--username", metavar="NAME", help="of the account (default: asked for)")
    who.add_argument("--merchant", action="store_true", help="log in with a merchant's key")
    add("--allow-http", action="store_true", default=None, help="permit plain http to another machine")
    add("--password-stdin", action="store_true", help="read the password or key from standard input")
    add_json(parser)


def run(options: argparse.Namespace) -> int:
    """Establish the session, then keep the profile."""
    name = chosen_name(options.profile)
    before = find_profile(name)
    profile = merge(name, before, options)
    with explained(profile):
        store = open_store(profile.store)
    _look_ahead(profile, store)
    draft = Draft(profile)
    try:
        secret = read_secret(profile, options.password_stdin)
        with explained(profile), opened(profile, store, PATIENCE) as session:
            if profile.username is None:
                session.establish_by_key(secret)
            else:
                session.establish([session.verify_credentials(profile.username, secret)])
        draft.keep()
    finally:
        draft.drop()
    _forget_earlier(before, profile)
    with explained(profile):
        facts = facts_of(profile, look(profile, store), now())
    print(json.dumps(facts) if options.json else _welcome(profile, before, facts))
    return OK


def merge(name: str, before: Profile | None, options: argparse.Namespace) -> Profile:
    """Return the profile that there was, changed by what was said now."""
    url = options.url or (before.url if before else None)
    if url is None:
        raise CommandError(f"where is the service? {login_command(name)} {EXAMPLE}", UNUSABLE)
    username = None if options.merchant else options.username
    if not options.merchant and username is None:
        username = before.username if before else _ask_username()
    # A token id names one session of an account (WIRE.md, Words).
    is_same = before is not None and (before.url, before.username) == (url, username)
    return Profile(
        name,
        url,
        options.token_id or (before.token_id if before and is_same else str(uuid4())),
        options.permission or (before.permissions if before else ["read"]),
        check_place(options.store) if options.store else before.store if before else None,
        username,
        bool(options.allow_http or (before and is_same and before.allow_http)),
    )


def read_secret(profile: Profile, from_stdin: bool) -> str:
    """Find the password or key where it may be: standard input, the environment, a prompt."""
    is_merchant = profile.username is None
    variable = MERCHANT_KEY_VARIABLE if is_merchant else PASSWORD_VARIABLE
    if from_stdin:
        secret = sys.stdin.readline().rstrip("\r\n")
    else:
        secret = os.environ.get(variable) or _prompt(profile, variable)
    if not secret:
        raise CommandError("the password or key is empty", UNUSABLE)
    return secret


def _prompt(profile: Profile, variable: str) -> str:
    if not sys.stdin.isatty():
        raise CommandError(f"nobody is there to type the secret: set {variable} or use --password-stdin", UNUSABLE)
    whose = "Merchant key" if profile.username is None else f"Password of {profile.username}"
    return getpass.getpass(f"{whose} at {profile.url}: ")


def _ask_username() -> str:
    if not sys.stdin.isatty():
        raise CommandError("whose account is it? Say --username NAME, or --merchant", UNUSABLE)
    sys.stderr.write("User name: ")  # standard output may go to a script
    sys.stderr.flush()
    return sys.stdin.readline().strip()


def _look_ahead(profile: Profile, store: "Store") -> None:
    """Find out what is wrong with arguments or store before a secret is asked for."""
    with explained(profile):
        try:
            look(profile, store)
        except SnapshotError as damaged:
            print(f"note: what the store holds will be replaced: {damaged}", file=sys.stderr)


def _forget_earlier(before: Profile | None, profile: Profile) -> None:
    """Leave no session behind that no profile names any more. In Redis it may be somebody else's as well."""
    if before is None or (before.token_id, before.store) == (profile.token_id, profile.store):
        return
    if "://" not in describe_place(before.store):
        with explained(before):
            open_store(before.store).delete(before.token_id)


def _welcome(profile: Profile, before: Profile | None, facts: Facts) -> str:
    lines = [in_words(facts)]
    if before is not None and before.url != profile.url:
        lines.append(f"(until now this profile was for {before.url})")
    option = "" if login_command(profile.name) == "tenure login" else f" --profile {profile.name}"
    lines.append(f'Use it: curl -H "Authorization: Bearer $(tenure token{option})" https://...')
    return "\n".join(lines)
