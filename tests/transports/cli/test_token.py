# `tenure token` in real processes, on real files, against the emulator over sockets.

import signal
import subprocess
import sys
from pathlib import Path

import pytest
from tenure.transports.emulator import REFRESH, Emulator, hold_answer, lose_answer, status

from .conftest import TOKEN_ID, GrowOlder
from .helpers import COMMAND, TIMEOUT, environment, use_resource
from .shells import DEAD, OVER, STALE, Shells

MANY = 50


@pytest.mark.once
def test_a_fresh_token_is_printed_without_asking_anybody(shells: Shells) -> None:
    """DESIGN.md, The command line: right from any number of shells at once; nothing but the token on stdout."""
    before = len(shells.emulator.journal)
    ended = shells.run_at_once(MANY, "token")
    assert {(err, code) for _, err, code in ended} == {("", 0)}
    assert {out for out, _, _ in ended} == {shells.token() + "\n"}
    assert len(shells.emulator.journal) == before
    assert use_resource(shells.emulator, shells.token()) == 200


@pytest.mark.once
def test_many_shells_at_a_dead_token_refresh_once(shells: Shells, grow_older: GrowOlder) -> None:
    """Invariants 1 and 5 across processes: one refresh, and every shell gets its token."""
    old = shells.token()
    grow_older(DEAD)
    ended = shells.run_at_once(MANY, "token")
    assert {(err, code) for _, err, code in ended} == {("", 0)}
    tokens = {out for out, _, _ in ended}
    assert tokens == {shells.token() + "\n"}
    assert old + "\n" not in tokens
    assert shells.refreshes() == ["refreshed"]
    assert use_resource(shells.emulator, shells.token()) == 200


def test_a_stale_token_is_printed_first_and_its_refresh_is_finished(shells: Shells, grow_older: GrowOlder) -> None:
    """DESIGN.md, Lifetimes: nobody waits for an early refresh; invariant 4: it is not abandoned at the end."""
    old = shells.token()
    grow_older(STALE)
    gate = shells.emulator.faults.add(hold_answer(), kind=REFRESH)
    with shells.start("token") as command:
        assert command.stdout.readline() == old + "\n"  # while the answer is still on its way
        assert gate.arrived.wait(TIMEOUT)
        assert command.process.poll() is None
        gate.release()
        assert command.finish() == ("", "", 0)
    assert shells.refreshes() == ["refreshed"]
    assert shells.token() != old
    assert shells.refreshes() == ["refreshed"]


@pytest.mark.once
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
def test_a_signal_does_not_abandon_a_refresh(number: int, shells: Shells, grow_older: GrowOlder) -> None:
    """Invariant 4: the answer to what was sent is saved before the command ends, as the signal wants."""
    grow_older(DEAD)
    gate = shells.emulator.faults.add(hold_answer(), kind=REFRESH)
    with shells.start("token") as command:
        assert gate.arrived.wait(TIMEOUT)
        command.process.send_signal(number)
        gate.release()
        out, err, code = command.finish()
    assert (out, code) == ("", 128 + number)
    assert err == ("interrupted\n" if number == signal.SIGINT else "")
    assert use_resource(shells.emulator, shells.token()) == 200
    assert shells.refreshes() == ["refreshed"]


@pytest.mark.once
def test_a_reader_that_has_gone_does_not_abandon_a_refresh(shells: Shells, grow_older: GrowOlder) -> None:
    """Nobody is told, nothing is printed about it, and the session is as good as before."""
    grow_older(DEAD)
    gate = shells.emulator.faults.add(hold_answer(), kind=REFRESH)
    with shells.start("token") as command:
        assert gate.arrived.wait(TIMEOUT)
        command.stdout.close()
        gate.release()
        assert command.stderr.read() == ""
        assert command.process.wait(TIMEOUT) == 1
    assert use_resource(shells.emulator, shells.token()) == 200
    assert shells.refreshes() == ["refreshed"]


def test_a_lost_answer_is_got_again_within_the_grace_window(shells: Shells, grow_older: GrowOlder) -> None:
    """Invariant 2: the same request id, so that the service can answer the same."""
    shells.emulator.service.grace = 60
    grow_older(DEAD)
    shells.emulator.faults.add(lose_answer())
    assert use_resource(shells.emulator, shells.token()) == 200
    assert shells.refreshes() == ["refreshed", "replayed"]


@pytest.mark.once
@pytest.mark.parametrize("end", ["age", "revoked"])
def test_a_session_that_is_over_says_what_to_run(end: str, shells: Shells, grow_older: GrowOlder) -> None:
    """Exit code 3 and one line: what has happened, and what to run; afterwards all is well."""
    if end == "age":
        grow_older(OVER)
    else:
        grow_older(DEAD)
        shells.emulator.service.revoke(TOKEN_ID)
    for _ in range(2):  # also for the shell that did not find it out itself
        out, err, code = shells.run("token")
        assert (out, code) == ("", 3)
        assert err.startswith("tenure token: the session is over: ")
        assert err.endswith(". Run: tenure login\n")
        assert err.count("\n") == 1
    assert shells.refreshes() == (["refused"] if end == "revoked" else [])
    shells.log_in()
    assert use_resource(shells.emulator, shells.token()) == 200


@pytest.mark.once
def test_a_service_that_cannot_be_reached_is_exit_code_1(shells: Shells, grow_older: GrowOlder) -> None:
    """It is said where the service should be and when to try again; the session is untouched."""
    grow_older(DEAD)
    shells.emulator.faults.add(status(503, 3000), times=None)
    out, err, code = shells.run("token")
    assert (out, code) == ("", 1)
    assert err == (
        f"tenure token: could not refresh: the service answered 503. The service is {shells.emulator.url}; "
        "try again in 3000 s\n"
    )
    shells.emulator.faults.clear()
    assert use_resource(shells.emulator, shells.token()) == 200


def test_a_fresh_token_needs_no_service(shells: Shells) -> None:
    """The store is enough."""
    with shells.emulator.connections_refused():
        assert shells.token()


def test_a_fresh_token_costs_little_to_begin_with(shells: Shells) -> None:
    """Issue of stores and command line: nothing that sends, draws, signs or looks up metadata is loaded for it."""
    program = """
import sys
from tenure.transports.cli import main
main(["token"])
print(*sys.modules)
"""
    run = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        check=True,
        env=environment(**shells.variables),
    )
    loaded = set(run.stdout.splitlines()[1].split())
    assert "tenure.transports.cli.token" in loaded
    assert not loaded & {"requests", "urllib3", "rich", "jwt", "trio", "ssl", "shtab", "importlib.metadata"}
    assert not loaded & {"tenure.transports.blocking", "tenure.transports.emulator", "asyncio", "http.client", "uuid"}
    assert not loaded & {"filelock", "dataclasses", "secrets"}


@pytest.mark.once
def test_profiles_stand_side_by_side(shells: Shells) -> None:
    """Each has a session of its own; TENURE_PROFILE chooses one as --profile does."""
    shells.log_in("--profile", "work")
    work = shells.run("token", "--profile", "work")
    assert work[2] == 0
    assert shells.run("token", TENURE_PROFILE="work") == work
    assert shells.run("token")[0] != work[0]
    shells.run("logout", "--profile", "work")
    out, err, code = shells.run("token", "--profile", "work")
    assert (out, code) == ("", 3)
    assert err.endswith("yet. Run: tenure login --profile work\n")
    assert shells.token()


def test_without_a_profile_it_says_what_to_run(strangers: Shells) -> None:
    """Exit code 3: nobody has ever logged in."""
    out, err, code = strangers.run("token")
    assert (out, code) == ("", 3)
    assert err.endswith("Run: tenure login --url https://host/authorization/v1\n")


def test_a_store_that_is_not_safe_is_named_with_the_remedy(shells: Shells) -> None:
    """transports/stores: files that others may use are refused, with the reason."""
    sessions = shells.state / "sessions"
    sessions.chmod(0o755)
    out, err, code = shells.run("token")
    assert (out, code) == ("", 1)
    assert err.startswith(f"tenure token: the store failed: {sessions}")
    assert "chmod 700" in err
    sessions.chmod(0o700)
    assert shells.token()


@pytest.mark.once
def test_a_damaged_state_needs_a_login(shells: Shells) -> None:
    """Exit code 3, and login replaces it."""
    (state,) = (shells.state / "sessions").glob("*.json")
    state.write_text("{}")
    out, err, code = shells.run("token")
    assert (out, code) == ("", 3)
    assert "damaged" in err
    assert err.endswith("tenure login\n")
    _, err, code = shells.run("login", TENURE_PASSWORD=shells.emulator.credentials.password)
    assert code == 0
    assert "will be replaced" in err
    assert shells.token()


def secrets_of(shells: Shells) -> list[str]:
    """Return what nobody but the store may hold, or the service be sent."""
    with shells.stored(TOKEN_ID) as state:
        pair = state["pair"]
        return [pair["permission_token"], pair["refresh_token"], shells.emulator.credentials.password]


@pytest.mark.once
def test_no_secret_is_where_it_does_not_belong(shells: Shells) -> None:
    """Invariant 9: nothing but the token itself is ever printed, and the profile holds none at all."""
    secrets = secrets_of(shells)
    printed = ""
    for command in (["status"], ["status", "--json"], ["logout"], ["status"], ["token"]):
        out, err, _ = shells.run(*command)
        printed += out + err
    printed += "".join(path.read_text() for path in shells.config.rglob("*") if path.is_file())
    printed += "".join(map(str, Path(shells.state).rglob("*")))
    for secret in secrets:
        assert secret not in printed


def test_the_password_is_in_no_argument(strangers: Shells) -> None:
    """Invariant 9: while it logs in, everybody may look at the arguments of the process."""
    emulator: Emulator = strangers.emulator
    gate = emulator.faults.add(hold_answer(), kind="credentials")
    name, password = emulator.credentials
    with strangers.start("login", "--url", emulator.url, "--username", name, TENURE_PASSWORD=password) as command:
        assert gate.arrived.wait(TIMEOUT)
        arguments = Path(f"/proc/{command.process.pid}/cmdline").read_bytes().decode().split("\0")
        gate.release()
        assert command.finish()[2] == 0
    assert arguments[: len(COMMAND)] == list(COMMAND)
    assert password not in "".join(arguments)


def test_root_of_the_paths_is_the_platforms(tmp_path: Path, service: Emulator) -> None:
    """Without a word in the environment, profiles and sessions are where the platform wants them."""
    name, password = service.credentials
    out, err, code = run_at_home(tmp_path, "login", "--url", service.url, "--username", name, password=password)
    assert (err, code) == ("", 0), out
    found = sorted(str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*.json"))
    assert len(found) == 2
    assert all("tenure" in path for path in found)


def run_at_home(home: Path, *arguments: str, password: str) -> tuple[str, str, int]:
    variables = {name: value for name, value in environment().items() if not name.startswith("XDG_")}
    variables.update(HOME=str(home), LOCALAPPDATA=str(home), TENURE_PASSWORD=password)
    run = subprocess.run([*COMMAND, *arguments], capture_output=True, text=True, env=variables, check=False)
    return run.stdout, run.stderr, run.returncode
