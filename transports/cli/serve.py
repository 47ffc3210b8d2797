"""Run the embedded authorization service, for tests of programs in any language.

It ends with Ctrl-C or SIGTERM, and with it all its sessions. Without --account
there is one account, demo. Secrets never come from the command line:

  TENURE_SERVE_PASSWORD      the password of every account; without it, one is
                             asked for each --account (or read from standard
                             input, with --password-stdin), and that of demo
                             is random and printed once
  TENURE_SERVE_MERCHANT_KEY  the merchant key; else random and printed once

Faults befall refreshes: lose_answer@3 loses the answer to the third, 503@1
answers the first with 503.
"""
# The options, and where the secrets come from. serve_running.py does the rest.

import argparse
import getpass
import math
import os
import secrets
import sys

from .exits import UNUSABLE, CommandError

__all__ = ["Known", "configure", "known_from", "run"]

PASSWORD_VARIABLE = "TENURE_SERVE_PASSWORD"
MERCHANT_KEY_VARIABLE = "TENURE_SERVE_MERCHANT_KEY"


class Known:
    """Who may log in, and which of their secrets nobody but us knows yet.

    Attributes:
        accounts: username to password.
        merchant_key: of the one merchant.
        password_is_random, merchant_key_is_random: we made it, so it has to be printed.
    """

    def __init__(
        self, accounts: dict[str, str], password_is_random: bool, merchant_key: str, merchant_key_is_random: bool
    ) -> None:
        self.accounts = accounts
        self.password_is_random = password_is_random
        self.merchant_key = merchant_key
        self.merchant_key_is_random = merchant_key_is_random

    def __repr__(self) -> str:
        return f"<Known accounts {', '.join(self.accounts)}>"


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options of `tenure serve`."""
    add = parser.add_argument
    add("--host", default="127.0.0.1", help="address to listen on (default: %(default)s)")
    add("--port", type=_port, default=0, help="port to listen on (default: 0, any free one)")
    add("--account", action="append", metavar="NAME", help="an account; may be given several times")
    add("--password-stdin", action="store_true", help="read one line per --account from standard input")
    add("--permission-lifetime", type=_lifetime, default=900, metavar="S", help="in seconds (default: %(default)s)")
    add("--refresh-lifetime", type=_lifetime, default=2592000, metavar="S", help="in seconds (default: 30 days)")
    add(
        "--grace",
        type=_seconds,
        default=0.0,
        metavar="S",
        help="seconds in which a lost answer is repeated (default: 0)",
    )
    add("--clock-offset", type=_offset, default=0.0, metavar="S", help="seconds its clock is ahead of this machine's")
    add(
        "--fault",
        action="append",
        default=[],
        metavar="NAME[@N]",
        help="a fault for the Nth refresh (default: the first)",
    )
    add("--json", action="store_true", help="print one line of JSON on stdout; requests are logged to stderr then")
    add("--quiet", action="store_true", help="do not log requests")
    parser.epilog = (
        "faults: lose_answer reset_before reset_after truncate garbage not_http latency,\nor a status like 503"
    )


def run(options: argparse.Namespace) -> int:
    """Serve until told to stop."""
    from .serve_running import serve  # needs an extra

    return serve(options, known_from(options))


def known_from(options: argparse.Namespace) -> Known:
    """Find the secrets where they may be: the environment, standard input, a prompt; or make them."""
    given = os.environ.get(PASSWORD_VARIABLE)
    names = list(dict.fromkeys(options.account or ["demo"]))
    is_random = not given and not options.account
    accounts = {}
    for name in names:
        accounts[name] = secrets.token_hex(12) if is_random else given or _ask_password(name, options.password_stdin)
        if not name or not accounts[name]:
            raise CommandError("an account needs a name and a password that are not empty", UNUSABLE)
    key = os.environ.get(MERCHANT_KEY_VARIABLE)
    return Known(accounts, is_random, key or secrets.token_hex(24), not key)


def _ask_password(name: str, from_stdin: bool) -> str:
    if from_stdin:
        return sys.stdin.readline().rstrip("\r\n")
    if not sys.stdin.isatty():
        raise CommandError(f"no password for {name}: set {PASSWORD_VARIABLE} or use --password-stdin", UNUSABLE)
    return getpass.getpass(f"Password of {name}: ")


def _number(text: str, least: float, most: float) -> float:
    number = float(text)
    if not least <= number <= most or math.isnan(number):
        raise argparse.ArgumentTypeError(f"must be from {least:g} to {most:g}")
    return number


def _port(text: str) -> int:
    return _whole(text, 0, 65535)


def _lifetime(text: str) -> int:
    return _whole(text, 1, 10**9)


def _seconds(text: str) -> float:
    return _number(text, 0, 1e9)


def _offset(text: str) -> float:
    return _number(text, -1e9, 1e9)


def _whole(text: str, least: int, most: int) -> int:
    return int(_number(str(int(text)), least, most))


# What argparse calls them in "invalid … value".
for _kind, _name in ((_port, "port"), (_lifetime, "whole seconds"), (_seconds, "seconds"), (_offset, "seconds")):
    _kind.__name__ = _name
