# What a profile becomes, where the secret comes from, and that a login which fails changes nothing.

import json
import os
import pty
from pathlib import Path

import pytest
from tenure.transports.emulator import ISSUE, Emulator, hold_answer, status

from .conftest import ACCOUNTS, TOKEN_ID
from .helpers import TIMEOUT, Tenure, use_resource
from .shells import Shells

pytestmark = pytest.mark.once


def profile_of(shells: Shells, name: str = "default") -> dict[str, object]:
    facts: dict[str, object] = json.loads((shells.config / "profiles" / f"{name}.json").read_text())
    return facts


def everything(shells: Shells) -> dict[Path, bytes]:
    """Return all that is kept, but for the empty files that locks are on."""
    paths = [*shells.config.rglob("*"), *shells.state.rglob("*")]
    return {path: path.read_bytes() for path in paths if path.is_file() and path.suffix != ".lock"}


def test_the_first_login_makes_a_profile(strangers: Shells) -> None:
    """What was said, and what is usual for the rest; no secret; for its owner's eyes only."""
    strangers.log_in()
    profile = profile_of(strangers)
    assert len(str(profile.pop("token_id"))) == 36
    assert profile == {
        "format": "tenure profile",
        "version": 1,
        "url": strangers.emulator.url,
        "permissions": ["read"],
        "store": None,
        "username": strangers.emulator.credentials.username,
        "allow_http": False,
    }
    (file,) = (strangers.config / "profiles").iterdir()
    assert file.stat().st_mode & 0o777 == 0o600
    assert file.parent.stat().st_mode & 0o777 == 0o700


def test_what_is_said_is_kept(strangers: Shells) -> None:
    """Each option has its place in the profile."""
    place = str(strangers.state / "elsewhere")
    strangers.log_in("--token-id", TOKEN_ID, "--permission", "read", "--permission", "secret", "--store", place)
    profile = profile_of(strangers)
    assert (profile["token_id"], profile["permissions"], profile["store"]) == (TOKEN_ID, ["read", "secret"], place)
    assert Path(place).is_dir()
    assert strangers.token()


def test_later_a_login_needs_no_options(shells: Shells) -> None:
    """The profile knows them; the session has the same token id, and is a new one."""
    before, profile = shells.token(), profile_of(shells)
    out, err, code = shells.run("login", TENURE_PASSWORD=shells.emulator.credentials.password)
    assert (err, code) == ("", 0)
    assert "expires in 14 min" in out
    assert profile_of(shells) == profile
    assert shells.token() != before


def test_a_login_in_json_is_for_scripts(strangers: Shells) -> None:
    """--json: one line, as of `tenure status --json`."""
    name, password = strangers.emulator.credentials
    where = ("--url", strangers.emulator.url, "--username", name)
    out, err, code = strangers.run("login", "--json", *where, TENURE_PASSWORD=password)
    assert (err, code, out.count("\n")) == ("", 0, 1)
    facts = json.loads(out)
    assert (facts["state"], facts["login_needed"]) == ("active", False)
    assert json.loads(strangers.run("status", "--json")[0]).keys() == facts.keys()


@pytest.mark.parametrize(
    ("options", "keeps"),
    [(["--permission", "secret"], True), (["--username", "bob"], False), (["--merchant"], False)],
)
def test_another_account_is_another_session(options: list[str], keeps: bool, shells: Shells, service: Emulator) -> None:
    """WIRE.md, Words: a token id names one session of an account. The earlier one is not left behind on the disk."""
    secrets = {"TENURE_PASSWORD": ACCOUNTS["bob" if "bob" in options else "ann"]}
    out, err, code = shells.run("login", *options, TENURE_MERCHANT_KEY=service.merchant_key, **secrets)
    assert (err, code) == ("", 0), out
    assert (profile_of(shells)["token_id"] == TOKEN_ID) is keeps
    assert len(list((shells.state / "sessions").glob("*.json"))) == 1
    assert use_resource(service, shells.token()) == 200


def test_password_by_standard_input(strangers: Shells) -> None:
    """--password-stdin: the first line, and nothing of the environment."""
    name, password = strangers.emulator.credentials
    options = ("--url", strangers.emulator.url, "--username", name, "--password-stdin")
    assert strangers.run("login", *options, typed=f"{password}\nmore\n", TENURE_PASSWORD="wrong")[2] == 0
    assert strangers.token()


def test_merchant_key_by_environment(strangers: Shells) -> None:
    """--merchant: a session without an account."""
    key = strangers.emulator.merchant_key
    out, err, code = strangers.run("login", "--url", strangers.emulator.url, "--merchant", TENURE_MERCHANT_KEY=key)
    assert (err, code) == ("", 0)
    assert "a merchant's" in out
    assert profile_of(strangers)["username"] is None
    assert use_resource(strangers.emulator, strangers.token()) == 200


def test_name_and_password_by_prompt(strangers: Shells) -> None:
    """On a terminal both are asked for; the password is not echoed; who waits is told why."""
    name, password = strangers.emulator.credentials
    strangers.emulator.faults.add(status(503), kind=ISSUE)
    ours, theirs = pty.openpty()
    with Tenure("login", "--url", strangers.emulator.url, terminal=theirs, **strangers.variables) as command:
        os.close(theirs)
        seen = read_until(ours, "User name: ")
        os.write(ours, f"{name}\n".encode())
        seen += read_until(ours, f"Password of {name} at {strangers.emulator.url}: ")
        os.write(ours, f"{password}\n".encode())
        seen += read_until(ours, "attempt failed: the service answered 503")
        out, _, code = command.finish()
        os.close(ours)
    assert code == 0
    assert password not in seen + out
    assert strangers.token()


def read_until(terminal: int, words: str) -> str:
    """Read from a terminal until something appears there; pytest's own time-out ends what does not end."""
    seen = ""
    while words not in seen:
        seen += os.read(terminal, 1024).decode()
    return seen


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "where is the service? tenure login --url https://"),
        (["--profile", "work"], "where is the service? tenure login --profile work --url https://"),
        (["--url", "http://127.0.0.1/x"], "--username NAME, or --merchant"),
        (["--url", "http://127.0.0.1/x", "--username", "a"], "set TENURE_PASSWORD or use --password-stdin"),
        (["--url", "http://127.0.0.1/x", "--merchant"], "set TENURE_MERCHANT_KEY or use --password-stdin"),
        (["--url", "http://example.com", "--username", "a"], "use https, or say --allow-http"),
        (["--url", "ftp://example.com", "--username", "a"], "must start with https://"),
        (["--url", "https://a:b@example.com", "--username", "a"], "must not hold a user name or password"),
        (["--url", "https://a", "--username", "a", "--token-id", "x y"], "token_id must be"),
        (["--url", "https://a", "--username", "a", "--permission", ""], "permissions"),
        (["--url", "https://a", "--username", "a", "--store", "redis://u:hunter2@h/0"], "TENURE_REDIS_PASSWORD"),
        (["--url", "https://a", "--username", "a", "--store", "redis://h?password=hunter2"], "TENURE_REDIS_PASSWORD"),
        (["--url", "https://a", "--username", "a", "--store", "mysql://h"], "a directory, or redis://"),
        (["--profile", "../x", "--url", "https://a"], "letters, digits"),
        (["--url", "https://a", "--username", "a", "--password-stdin"], "is empty"),
    ],
)
def test_what_cannot_begin_is_exit_code_2(arguments: list[str], words: str, strangers: Shells) -> None:
    """One line that says what is missing or wrong, and no secret; nothing is left behind."""
    out, err, code = strangers.run("login", *arguments, typed="")
    assert (out, code) == ("", 2)
    assert err.startswith("tenure login: ")
    assert words in err
    assert err.count("\n") == 1
    assert "hunter2" not in err
    assert everything(strangers) == {}


def test_no_secret_is_an_option(strangers: Shells) -> None:
    """Invariant 9: whoever tries is told so by argparse."""
    for option in ("--password", "--merchant-key", "--key"):
        _, err, code = strangers.run("login", option, "hunter2")
        assert code == 2
        assert "usage: tenure login" in err


@pytest.mark.parametrize("problem", ["wrong password", "issue refused", "service away"])
def test_a_login_that_fails_changes_nothing(problem: str, shells: Shells, service: Emulator) -> None:
    """Invariant 6, on the disk: profile and session stay as they were, and still work."""
    before, token = everything(shells), shells.token()
    password = service.credentials.password
    options = ["--token-id", "22222222-2222-4222-8222-222222222222", "--permission", "secret"]
    if problem == "wrong password":
        password = "wrong"
    elif problem == "issue refused":
        service.faults.add(status(403), kind=ISSUE)
    else:
        service.faults.add(status(503, 3000), kind="credentials")
    out, err, code = shells.run("login", *options, TENURE_PASSWORD=password)
    assert (out, code) == ("", 1 if problem == "service away" else 3)
    assert f"The service is {service.url}" in err
    assert ("try again in 3000 s" in err) is (problem == "service away")
    assert everything(shells) == before
    assert shells.token() == token


def test_a_killed_login_changes_nothing_of_the_profile(shells: Shells, service: Emulator) -> None:
    """The profile is replaced as a whole, and at the end; the next login clears up."""
    before = profile_of(shells)
    gate = service.faults.add(hold_answer(), kind=ISSUE)
    with shells.start("login", "--permission", "secret", TENURE_PASSWORD=service.credentials.password) as command:
        assert gate.arrived.wait(TIMEOUT)
        command.process.kill()
        command.finish()
    gate.release()
    assert profile_of(shells) == before
    assert shells.run("login", TENURE_PASSWORD=service.credentials.password)[2] == 0
    assert shells.token()


def test_a_profile_that_cannot_be_written_is_found_out_before_anything_is_sent(strangers: Shells) -> None:
    """Exit code 2; the service was asked for nothing."""
    strangers.config.mkdir()
    (strangers.config / "profiles").write_text("in the way")
    name, password = strangers.emulator.credentials
    where = ("--url", strangers.emulator.url, "--username", name)
    out, err, code = strangers.run("login", *where, TENURE_PASSWORD=password)
    assert (out, code) == ("", 2)
    assert "the profile" in err
    assert not strangers.emulator.journal


def test_two_logins_at_once_leave_one_session_that_works(strangers: Shells) -> None:
    """The store's lease puts them in a row."""
    name, password = strangers.emulator.credentials
    options = ("--url", strangers.emulator.url, "--username", name, "--token-id", TOKEN_ID)
    strangers.variables["TENURE_PASSWORD"] = password
    ended = strangers.run_at_once(4, "login", *options)
    assert {(err, code) for _, err, code in ended} == {("", 0)}
    assert use_resource(strangers.emulator, strangers.token()) == 200
    assert strangers.run("refresh")[2] == 0
