# What a shell is told of what a session or a store may raise.

import signal
import sys
from pathlib import Path

import pytest
from tenure import (
    AttemptFailed,
    EstablishError,
    Instant,
    NotEstablishedError,
    ProtocolViolationError,
    RefreshError,
    RefusedError,
    SessionExpiredError,
    SnapshotError,
    TenureError,
    TokenRotated,
    UsageError,
)
from tenure.transports.cli import main
from tenure.transports.cli.exits import CommandError, Ended
from tenure.transports.cli.holding import explained, signals_raise_ended, tell
from tenure.transports.cli.profiles import Profile
from tenure.transports.stores import LeaseLostError, StoreError

from .conftest import GrowOlder
from .shells import DEAD, Shells

URL = "https://host/authorization/v1"


def profile(store: str | None = None) -> Profile:
    return Profile("work", URL, "t", ["read"], store, "ann", False)


@pytest.mark.parametrize(
    ("problem", "code", "end"),
    [
        (
            SessionExpiredError("the session is over: x. Establish it anew"),
            3,
            "over: x. Run: tenure login --profile work",
        ),
        (NotEstablishedError("call establish()"), 3, "yet. Run: tenure login --profile work"),
        (RefusedError("could not verify: 401. Wrong"), 3, f"The service is {URL}; log in with what it accepts"),
        (SnapshotError("it is damaged"), 3, "To establish it anew: tenure login --profile work"),
        (RefreshError("could not refresh: x", retry_after=2.6), 1, f"x. The service is {URL}; try again in 3 s"),
        (RefreshError("could not refresh: x", retry_after=0.1), 1, "try again in 1 s"),
        (EstablishError("could not establish: x", retry_after=0), 1, "try again at any time"),
        (ProtocolViolationError("could not refresh: x", retry_after=None), 1, "try again at any time"),
        (
            UsageError("url is wrong, or pass allow_http=True"),
            2,
            "the profile work cannot be used: url is wrong, or say --allow-http",
        ),
        (
            StoreError("the disk is full: make room"),
            1,
            "the store failed: the disk is full: make room; try again when that is mended",
        ),
        (LeaseLostError("it is gone"), 1, "it is gone; try again when that is mended"),
    ],
)
def test_what_a_shell_is_told(problem: Exception, code: int, end: str) -> None:
    """The exit codes of `tenure --help`: one line that says what has happened and what to do."""
    with pytest.raises(CommandError) as told, explained(profile()):
        raise problem
    assert told.value.exit_code == code
    assert str(told.value).endswith(end)
    assert told.value.__suppress_context__


def test_every_error_is_explained() -> None:
    """A class that is added to the core's tree has to be explained, too."""
    tree = [TenureError]
    for kind in tree:
        tree.extend(kind.__subclasses__())
    for kind in tree:
        with pytest.raises(CommandError), explained(profile()):
            raise kind("text")


def test_a_store_elsewhere_is_named() -> None:
    """A directory is named by its own errors, a Redis is not."""
    with pytest.raises(CommandError, match="the store redis://host failed: no"), explained(profile("redis://host")):
        raise StoreError("no")


def test_what_is_a_bug_stays_one() -> None:
    """It is not explained away."""
    with pytest.raises(ZeroDivisionError), explained(profile()):
        raise ZeroDivisionError


def test_a_person_is_told_what_takes_so_long(capsys: pytest.CaptureFixture[str]) -> None:
    """Failed attempts, on stderr; nothing else."""
    tell(AttemptFailed("t", Instant(0, 0), "connection refused", 2.0, None))
    tell(TokenRotated("t", Instant(0, 0)))
    out, err = capsys.readouterr()
    assert (out, err) == ("", "attempt failed: connection refused; next attempt in 2.0 s at the earliest\n")


def test_the_first_signal_is_raised_and_others_wait() -> None:
    """So that what was begun can be finished; afterwards all is as before."""
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(Ended) as ended:
        be_ended_thrice()
    assert ended.value.exit_code == 143
    assert signal.getsignal(signal.SIGTERM) is before


def be_ended_thrice() -> None:
    with signals_raise_ended():
        try:
            signal.raise_signal(signal.SIGTERM)
        finally:
            signal.raise_signal(signal.SIGTERM)
            signal.raise_signal(signal.SIGHUP)


def test_an_ignored_signal_stays_ignored() -> None:
    """nohup means it."""
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with signals_raise_ended():
            signal.raise_signal(signal.SIGHUP)
        assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)


def test_without_requests_a_fresh_token_is_printed_and_a_dead_one_names_the_extra(
    shells: Shells, grow_older: GrowOlder, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """DESIGN.md, Packaging; whoever needs not send, needs nothing to send with."""
    for name, value in shells.variables.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setitem(sys.modules, "requests", None)
    assert main(["token"]) == 0
    assert capsys.readouterr().err == ""
    grow_older(DEAD)
    assert main(["token"]) == 2
    assert capsys.readouterr().err == (
        "tenure token: this needs requests, not installed here: pip install 'tenure[cli]'\n"
    )


def test_a_profile_that_the_core_refuses_is_exit_code_2(shells: Shells) -> None:
    """Edited by hand, say."""
    path: Path = shells.config / "profiles" / "default.json"
    path.write_text(path.read_text().replace(shells.emulator.url, "ftp://host"))
    out, err, code = shells.run("token")
    assert (out, code) == ("", 2)
    assert err.startswith("tenure token: the profile default cannot be used: url must start with https://")
