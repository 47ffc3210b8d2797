import argparse
import io
import sys

import pytest
from tenure.transports.cli.exits import CommandError
from tenure.transports.cli.serve import configure, known_from


def parse(*arguments: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    configure(parser)
    return parser.parse_args(arguments)


@pytest.fixture(autouse=True)
def no_secrets_in_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TENURE_SERVE_PASSWORD", raising=False)
    monkeypatch.delenv("TENURE_SERVE_MERCHANT_KEY", raising=False)


def test_options_by_default() -> None:
    """Loopback only, any free port, lifetimes as in WIRE.md's example."""
    options = parse()
    assert (options.host, options.port, options.permission_lifetime) == ("127.0.0.1", 0, 900)
    assert (options.grace, options.clock_offset, options.fault) == (0, 0, [])


def test_clock_offset_may_be_negative() -> None:
    """A service's clock can be behind as well as ahead."""
    assert parse("--clock-offset", "-7200").clock_offset == -7200


def test_default_account_has_a_random_password() -> None:
    """Two runs do not share a secret, and what we made is to be printed."""
    one, other = known_from(parse()), known_from(parse())
    assert list(one.accounts) == ["demo"]
    assert one.accounts != other.accounts
    assert one.merchant_key != other.merchant_key
    assert (one.password_is_random, one.merchant_key_is_random) == (True, True)
    assert one.accounts["demo"] not in repr(one)


def test_password_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """TENURE_SERVE_PASSWORD holds for every account, and is not to be printed."""
    monkeypatch.setenv("TENURE_SERVE_PASSWORD", "from outside")
    monkeypatch.setenv("TENURE_SERVE_MERCHANT_KEY", "a key")
    known = known_from(parse("--account", "a", "--account", "b"))
    assert known.accounts == {"a": "from outside", "b": "from outside"}
    assert known.merchant_key == "a key"
    assert (known.password_is_random, known.merchant_key_is_random) == (False, False)


def test_password_from_standard_input(monkeypatch: pytest.MonkeyPatch) -> None:
    """One line for each account, in their order."""
    monkeypatch.setattr(sys, "stdin", io.StringIO("first \r\nsecond\n"))
    known = known_from(parse("--account", "a", "--account", "b", "--password-stdin"))
    assert known.accounts == {"a": "first ", "b": "second"}
    assert not known.password_is_random


def test_password_from_a_prompt(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a terminal it is asked for, without an echo."""
    terminal = io.StringIO()
    monkeypatch.setattr(terminal, "isatty", lambda: True)
    monkeypatch.setattr(sys, "stdin", terminal)
    monkeypatch.setattr("getpass.getpass", lambda prompt: f"typed for <{prompt}>")
    assert known_from(parse("--account", "ann")).accounts == {"ann": "typed for <Password of ann: >"}


@pytest.mark.parametrize(
    "arguments", [["--account", "a"], ["--account", "a", "--password-stdin"], ["--account", "", "--password-stdin"]]
)
def test_an_account_without_a_password_is_refused(arguments: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody waits for an input that does not come, and no account is open to everybody."""
    monkeypatch.setattr(sys, "stdin", io.StringIO(""))
    with pytest.raises(CommandError) as refused:
        known_from(parse(*arguments))
    assert refused.value.exit_code == 2
