"""Say how the session stands. Nothing is sent, and nothing is refreshed.

How long the tokens live is what they say of themselves, unverified, counted by
this machine's clocks.
"""
# The exit code answers the one question that a script has: is a login needed?

import argparse
import json
from typing import Any

from ... import ACTIVE, AuthorizationProtocol, Instant, SnapshotError
from .exits import LOGIN_NEEDED, OK, CommandError
from .holding import explained, look, now
from .options import add_json, add_profile
from .places import describe_place, is_encrypted, open_store
from .profiles import Profile, login_command, read_profile

__all__ = ["Facts", "configure", "facts_of", "in_words", "run"]

Facts = dict[str, Any]
UNITS = (("d", 86400), ("h", 3600), ("min", 60), ("s", 1))


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options of `tenure status`."""
    add_profile(parser)
    add_json(parser)


def run(options: argparse.Namespace) -> int:
    """Look, and tell."""
    profile = read_profile(options.profile)
    with explained(profile):
        store = open_store(profile.store)
        try:
            facts = facts_of(profile, look(profile, store), now())
        except SnapshotError as damaged:
            facts = facts_of(profile, None, now())
            facts["problem"] = damaged.message
    print(json.dumps(facts) if options.json else in_words(facts))
    if facts["login_needed"]:
        raise CommandError(f"a login is needed. Run: {login_command(profile.name)}", LOGIN_NEEDED)
    return OK


def facts_of(profile: Profile, protocol: AuthorizationProtocol | None, at: Instant) -> Facts:
    """Return what there is to tell, without a secret. Without a protocol, what is stored cannot be read."""
    pair = None if protocol is None else protocol.held.pair
    facts: Facts = {
        "profile": profile.name,
        "url": profile.url,
        "token_id": profile.token_id,
        "permissions": profile.permissions,
        "username": profile.username,
        "store": describe_place(profile.store),
        "encrypted": is_encrypted(),
        "state": "unreadable" if protocol is None else protocol.state,
        "login_needed": protocol is None or protocol.state != ACTIVE or pair is None or pair.is_over(at),
        "token_expires_in": None,
        "refresh_token_expires_in": None,
        "problem": None,
    }
    if pair is not None:
        grant = pair.grant
        facts["token_expires_in"] = _seconds_left(pair.since, grant.permission_lifetime, at)
        facts["refresh_token_expires_in"] = _seconds_left(pair.arrived, grant.refresh_lifetime, at)
    return facts


def _seconds_left(since: Instant, lifetime: float, at: Instant) -> int:
    return max(0, int(since.monotonic + lifetime - at.monotonic))


def in_words(facts: Facts) -> str:
    """Return them for people."""
    state = {"unestablished": "nobody has logged in yet", "expired": "the session is over"}
    rows = [
        ("profile", facts["profile"]),
        ("service", facts["url"]),
        ("account", "a merchant's" if facts["username"] is None else facts["username"]),
        ("token id", facts["token_id"]),
        ("permissions", " ".join(facts["permissions"])),
        ("kept in", f"{facts['store']}{', encrypted' if facts['encrypted'] else ''}"),
        ("state", state.get(facts["state"], facts["state"])),
        ("token", _lasting(facts["token_expires_in"])),
        ("refresh token", _lasting(facts["refresh_token_expires_in"])),
        ("problem", facts["problem"]),
    ]
    return "\n".join(f"{name:<14} {value}" for name, value in rows if value is not None)


def _lasting(seconds: int | None) -> str | None:
    """Return it in the two largest units that fit."""
    if seconds is None:
        return None
    if seconds == 0:
        return "expired"
    parts: list[str] = []
    for unit, size in UNITS:
        if seconds >= size and len(parts) < 2:
            parts.append(f"{seconds // size} {unit}")
            seconds %= size
    return f"expires in {' '.join(parts)}"
