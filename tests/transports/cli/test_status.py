# What is said of a session, and that the exit code says whether a login is needed.

import json

import pytest
from tenure.transports.cli.status import Facts, in_words
from tenure.transports.emulator import Emulator

from .conftest import TOKEN_ID, GrowOlder
from .shells import DEAD, LIFETIME, OVER, Shells

pytestmark = pytest.mark.once


def facts_of(shells: Shells, code: int = 0) -> dict[str, object]:
    out, err, ended = shells.run("status", "--json")
    assert ended == code, err
    assert out.count("\n") == 1
    facts: dict[str, object] = json.loads(out)
    return facts


def test_a_session_that_works(shells: Shells, service: Emulator) -> None:
    """--json: all of the profile, and how the session stands; nothing is sent."""
    before = len(service.journal)
    facts = facts_of(shells)
    left, refresh_left = facts.pop("token_expires_in"), facts.pop("refresh_token_expires_in")
    assert facts == {
        "profile": "default",
        "url": service.url,
        "token_id": TOKEN_ID,
        "permissions": ["read"],
        "username": "ann",
        "store": str(shells.state / "sessions"),
        "encrypted": False,
        "state": "active",
        "login_needed": False,
        "problem": None,
    }
    assert isinstance(left, int)
    assert isinstance(refresh_left, int)
    assert LIFETIME - 60 < left <= LIFETIME
    assert 30 * 86400 - 60 < refresh_left <= 30 * 86400
    assert len(service.journal) == before


def test_in_words(shells: Shells) -> None:
    """For people: a name and a value in each line."""
    out, err, code = shells.run("status")
    assert (err, code) == ("", 0)
    rows = dict(
        line.split(maxsplit=1) for line in out.replace("token id", "id").replace("kept in", "kept").splitlines()
    )
    assert rows["profile"] == "default"
    assert rows["id"] == TOKEN_ID
    assert rows["state"] == "active"
    assert rows["token"].startswith("expires in 14 min ")
    assert "problem" not in rows


def test_a_dead_token_needs_no_login(shells: Shells, grow_older: GrowOlder) -> None:
    """The refresh token works: exit code 0."""
    grow_older(DEAD + 100)
    facts = facts_of(shells)
    assert (facts["state"], facts["token_expires_in"], facts["login_needed"]) == ("active", 0, False)
    assert "expired" in shells.run("status")[0]


def test_an_old_session_needs_a_login(shells: Shells, grow_older: GrowOlder) -> None:
    """Exit code 3, before anybody has found out by asking."""
    grow_older(OVER)
    facts = facts_of(shells, 3)
    assert (facts["login_needed"], facts["refresh_token_expires_in"]) == (True, 0)


def test_a_session_that_was_refused_needs_a_login(shells: Shells, service: Emulator) -> None:
    """The store knows it from the shell that was told."""
    service.service.revoke(TOKEN_ID)
    assert shells.run("refresh")[2] == 3
    assert facts_of(shells, 3)["state"] == "expired"
    out, err, code = shells.run("status")
    assert "the session is over" in out
    assert (err, code) == ("tenure status: a login is needed. Run: tenure login\n", 3)


def test_without_a_session(shells: Shells) -> None:
    """After a logout the profile is there, and no session."""
    shells.run("logout")
    facts = facts_of(shells, 3)
    assert (facts["state"], facts["token_expires_in"]) == ("unestablished", None)


def test_without_a_profile(strangers: Shells) -> None:
    """What to run, with an example of the url."""
    out, err, code = strangers.run("status", "--profile", "work")
    assert (out, code) == ("", 3)
    assert err.startswith(
        "tenure status: there is no profile work yet. Run: tenure login --profile work --url https://"
    )


def test_a_mistyped_profile_is_told_which_there_are(shells: Shells) -> None:
    """Their names."""
    shells.log_in("--profile", "work")
    err = shells.run("status", "--profile", "wrok")[1]
    assert "(there are: default, work)" in err


def test_a_state_that_cannot_be_read(shells: Shells) -> None:
    """The reason is told, and a login is needed."""
    (state,) = (shells.state / "sessions").glob("*.json")
    state.write_text("garbage")
    facts = facts_of(shells, 3)
    assert facts["state"] == "unreadable"
    assert "damaged" in str(facts["problem"])
    assert "damaged" in shells.run("status")[0]


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (1, "expires in 1 s"),
        (61, "expires in 1 min 1 s"),
        (3600, "expires in 1 h"),
        (3605, "expires in 1 h 5 s"),
        (90061, "expires in 1 d 1 h"),
        (0, "expired"),
    ],
)
def test_how_long(seconds: int, words: str) -> None:
    """The two largest units that there are."""
    names = ("profile", "url", "username", "token_id", "permissions", "store", "encrypted", "state", "problem")
    facts: Facts = {
        **dict.fromkeys(names),
        "permissions": [],
        "token_expires_in": seconds,
        "refresh_token_expires_in": None,
    }
    assert f"token          {words}" in in_words(facts).splitlines()
