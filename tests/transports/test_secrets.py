# Invariant 9: no secret appears in any repr, event, log record, exception text, traceback or URL of ours.
#
# A snapshot is the one thing that is secret by definition. Of tracebacks that show variables only the frames of this
# library count, and only from the moment a request has been handed over: before that, the caller's own frame shows as
# much.

import logging
import os
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from types import TracebackType

import pytest
import tenure
from tenure import (
    AttemptFailed,
    EstablishError,
    NotEstablishedError,
    ProtocolViolationError,
    RefreshError,
    RefusedError,
    Request,
    SessionExpiredError,
    SnapshotError,
    TenureError,
    UsageError,
)
from tenure.transports import blocking
from tenure.transports.emulator import (
    ANY,
    Emulator,
    garbage,
    lose_answer,
    redirect,
    set_field,
    set_header,
    status,
    truncate,
)

from .conftest import NewEmulator, NewSession
from .driver_helpers import DEAD, QUICK, Clocks, Log, Recorder, Witness, security_token
from .drivers import Driver, HeldSession

ROOTS = tuple(
    os.path.realpath(path) + os.sep for path in (Path(tenure.__file__).parent, Path(blocking.__file__).parent)
)
POISON = "p01s0n"  # what a service writes may be a secret as well


class Secrets:
    """All that must not be seen, collected on the way."""

    def __init__(self, emulator: Emulator) -> None:
        self.texts = {emulator.credentials.password, emulator.merchant_key, POISON}

    def add(self, *texts: str) -> None:
        self.texts.update(texts)

    def add_pair(self, held: HeldSession) -> None:
        pair = held.snapshot()["pair"]
        if pair is not None:
            self.add(pair["permission_token"], pair["refresh_token"])

    def assert_hidden(self, shown: str) -> None:
        """Fail if a secret, or a good part of one, is in the text."""
        for secret in self.texts:
            # The signature is what makes a token; its head is the same in all of them, and no secret.
            tail = secret.rpartition(".")[2]
            assert secret not in shown, "a secret is shown"
            assert tail not in shown, "a signature is shown"
            assert tail[:20] not in shown, "a part of a secret is shown"


def is_ours(traceback_: TracebackType) -> bool:
    return os.path.realpath(traceback_.tb_frame.f_code.co_filename).startswith(ROOTS)


def everything_of(error: BaseException, *, variables: bool) -> str:
    """Return all that a careless reporter could show of an error, causes and contexts included."""
    parts = [str(error), repr(error), repr(error.args), repr(vars(error))]
    parts += traceback.format_exception(error)
    if variables:
        seen: BaseException | None = error
        while seen is not None:
            frames = seen.__traceback__
            while frames is not None and not is_ours(frames):  # the test's own variables
                frames = frames.tb_next
            shown = traceback.TracebackException(type(seen), seen, frames, capture_locals=True, compact=True)
            shown.__cause__ = shown.__context__ = None
            parts += shown.format()
            seen = seen.__cause__ or seen.__context__
    return "\n".join(parts)


@pytest.fixture
def secrets(emulator: Emulator) -> Secrets:
    return Secrets(emulator)


@pytest.fixture
def hidden(secrets: Secrets, caplog: pytest.LogCaptureFixture) -> Iterator[Callable[..., None]]:
    """Return a function that runs a call that fails, and looks through the error; in the end, through all logs."""
    caplog.set_level(logging.DEBUG)

    def run(kind: type[TenureError], call: Callable[..., object], *arguments: object, sent: bool = True) -> None:
        with pytest.raises(kind) as caught:
            call(*arguments)
        assert type(caught.value) is kind
        secrets.assert_hidden(everything_of(caught.value, variables=sent))

    yield run
    for record in caplog.records:
        secrets.assert_hidden(record.getMessage() + repr(record.args) + str(record.exc_text))


def test_the_look_finds_secrets(secrets: Secrets) -> None:
    """The helper of this file is not blind: texts, variables and causes are all looked through."""

    def shows(error: BaseException) -> bool:
        try:
            secrets.assert_hidden(everything_of(error, variables=True))
        except AssertionError:
            return True
        return False

    assert not shows(ValueError("harmless"))
    assert shows(ValueError(POISON))
    error = ValueError("harmless")
    error.__context__ = KeyError(POISON)
    assert shows(error)
    with pytest.raises(UsageError) as caught:
        tenure.SpatiumDialect(refresh_path=POISON)
    assert shows(caught.value)  # a variable in a frame of ours: nothing has been sent yet


# --- errors ---


def test_errors_of_establish(
    new_session: NewSession, emulator: Emulator, secrets: Secrets, hidden: Callable[..., None], clocks: Clocks
) -> None:
    """Invariant 9, for refusals, outages, lost answers and nonsense while tokens are being issued."""
    held = new_session(emulator)
    token = security_token(emulator, clocks.service)
    secrets.add(token, token + "x", "wrong-password-of-somebody", "wrong-key-of-some-merchant")
    hidden(RefusedError, held.verify_credentials, emulator.credentials.username, "wrong-password-of-somebody")
    hidden(RefusedError, held.establish, [token + "x"])
    hidden(RefusedError, held.establish_by_key, "wrong-key-of-some-merchant")
    for fault in (status(503), lose_answer(), truncate()):
        token = security_token(emulator, clocks.service)
        secrets.add(token)
        emulator.faults.add(fault, kind=ANY, times=None)
        with clocks.hurried():
            hidden(EstablishError, held.verify_credentials, *emulator.credentials)
            hidden(EstablishError, held.establish, [token])
            hidden(EstablishError, held.establish_by_key, emulator.merchant_key)
        emulator.faults.clear()
    for fault in (garbage(), redirect("http://127.0.0.1:1/"), status(418), set_field("requestId", POISON)):
        token = security_token(emulator, clocks.service)
        secrets.add(token)
        emulator.faults.add(fault, kind=ANY, times=None)
        hidden(ProtocolViolationError, held.verify_credentials, *emulator.credentials)
        hidden(ProtocolViolationError, held.establish, [token])
        hidden(ProtocolViolationError, held.establish_by_key, emulator.merchant_key)
        emulator.faults.clear()
    with emulator.connections_refused(), clocks.hurried():
        hidden(EstablishError, held.verify_credentials, *emulator.credentials)
        hidden(EstablishError, held.establish, [token])
        hidden(EstablishError, held.establish_by_key, emulator.merchant_key)


def test_errors_of_tokens(
    established: NewSession,
    emulator: Emulator,
    secrets: Secrets,
    hidden: Callable[..., None],
    clocks: Clocks,
) -> None:
    """Invariant 9, for all that can befall a refresh, up to the end of the session."""
    emulator.service.grace = 36000
    held = established(emulator)
    secrets.add_pair(held)
    clocks.advance(DEAD)
    with emulator.connections_refused(), clocks.hurried():
        hidden(RefreshError, held.get_permission_token)
    clocks.advance(60)
    for fault in (status(503), lose_answer(), truncate()):
        emulator.faults.add(fault, times=None)
        with clocks.hurried():
            hidden(RefreshError, held.refresh)
        emulator.faults.clear()
        clocks.advance(60)
    poisoned = set_field("data.permissionToken.permissionToken", f"{POISON}\r\n")
    for fault in (garbage(), redirect(f"http://127.0.0.1:1/{POISON}"), status(418), poisoned):
        emulator.faults.add(fault)
        hidden(ProtocolViolationError, held.get_permission_token)
        clocks.advance(60)
    held.refresh()
    secrets.add_pair(held)
    emulator.service.revoke()
    hidden(SessionExpiredError, held.refresh)
    hidden(SessionExpiredError, held.refresh)


def test_errors_of_usage(
    driver: Driver,
    new_session: NewSession,
    established: NewSession,
    emulator: Emulator,
    secrets: Secrets,
    hidden: Callable[..., None],
    clocks: Clocks,
) -> None:
    """Invariant 9, for arguments that are unfit: the text says what is wrong with them, not what they are."""
    hidden(NotEstablishedError, new_session(emulator).get_permission_token)
    held = established(emulator)
    secrets.add_pair(held)
    token = security_token(emulator, clocks.service)
    secrets.add(token)
    hidden(UsageError, held.establish, token, sent=False)
    hidden(UsageError, held.establish, {token: token}, sent=False)
    hidden(UsageError, held.establish, [token.encode()], sent=False)
    hidden(UsageError, held.establish_by_key, [emulator.merchant_key], sent=False)
    hidden(UsageError, held.verify_credentials, "somebody", [emulator.credentials.password], sent=False)
    hidden(UsageError, held.invalidate, [held.get_permission_token()], sent=False)
    snapshot = held.snapshot()
    for name in ("permission_token", "refresh_token"):
        damaged = {**snapshot, "pair": {**snapshot["pair"], name: snapshot["pair"][name] + " "}}
        hidden(SnapshotError, driver.restore, damaged, sent=False)
    held.close()
    hidden(UsageError, held.refresh, sent=False)


def test_an_exception_of_a_custom_sender_is_not_quoted(
    driver: Driver,
    established: NewSession,
    emulator: Emulator,
    secrets: Secrets,
    clocks: Clocks,
    hidden: Callable[..., None],
) -> None:
    """Invariant 9: HTTP clients put requests into the texts of their exceptions."""
    before = established(emulator)
    secrets.add_pair(before)

    def send(request: Request, timeout: float) -> object:
        raise ConnectionError(f"could not send {request.body!r}")

    snapshot = before.snapshot()
    with driver.restore(snapshot, send=driver.sender(send), policy=QUICK) as held, clocks.hurried():
        hidden(RefreshError, held.refresh)


# --- everything else ---


def test_reprs(established: NewSession, emulator: Emulator, secrets: Secrets) -> None:
    """Invariant 9: no object within reach shows a secret, public or not."""
    held = established(emulator)
    held.refresh()
    secrets.add_pair(held)
    protocol, held_inside = held.session._protocol, held.session._held
    pair = held_inside.pair
    objects = [held.session, protocol, held_inside, held_inside.ready, pair, pair.grant, held_inside.policy]
    objects += [held.session.unverified_claims(), protocol._dialect, held.session._send]
    for each in objects:
        secrets.assert_hidden(repr(each) + str(each))


def test_events_and_logs(
    established: NewSession,
    new_emulator: NewEmulator,
    secrets: Secrets,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Invariant 9: what people get to see of a whole life, debug logs of the HTTP library included."""
    caplog.set_level(logging.DEBUG)
    emulator = new_emulator(grace=30)
    heard = Recorder()
    held = established(emulator, listener=heard)
    secrets.add(emulator.credentials.password, emulator.merchant_key)
    secrets.add_pair(held)
    emulator.faults.add(lose_answer())
    held.refresh()
    secrets.add_pair(held)
    held.invalidate(held.get_permission_token())
    held.get_permission_token()
    secrets.add_pair(held)
    emulator.service.revoke()
    with pytest.raises(SessionExpiredError):
        held.refresh()
    heard.wait_for(tenure.SessionExpired)
    assert len({type(event) for event in heard.events}) == 5
    for event in heard.events:
        fields = [
            repr(getattr(event, name, "")) for kind in type(event).__mro__ for name in getattr(kind, "__slots__", ())
        ]
        secrets.assert_hidden("\n".join([str(event), repr(event), *fields]))
    assert caplog.records
    for record in caplog.records:
        secrets.assert_hidden(record.getMessage() + repr(record.args) + str(record.exc_text))


def test_headers_of_an_answer_are_in_no_event(
    established: NewSession, emulator: Emulator, secrets: Secrets, clocks: Clocks
) -> None:
    """Invariant 9: a Retry-After that holds nonsense is not quoted."""
    heard = Recorder()
    held = established(emulator, listener=heard)
    emulator.faults.add(status(503, retry_after=POISON), set_header("x-reason", POISON), times=None)
    with clocks.hurried(), pytest.raises(RefreshError):
        held.refresh()
    secrets.assert_hidden(str(heard.wait_for(AttemptFailed)))


def test_urls_and_headers_of_requests(
    new_session: NewSession, emulator: Emulator, secrets: Secrets, clocks: Clocks
) -> None:
    """Invariant 9: secrets travel in bodies only, never where proxies and servers write logs."""
    witness = emulator.faults.add(Witness(), kind=ANY, times=None)
    held = new_session(emulator)
    token = held.verify_credentials(*emulator.credentials)
    secrets.add(token)
    held.establish([token])
    secrets.add_pair(held)
    held.refresh()
    held.establish_by_key(emulator.merchant_key)
    assert len(witness.requests) == 4
    for request in witness.requests:
        secrets.assert_hidden(request.url + repr(request.headers))
        secrets.assert_hidden(repr(request))


def test_the_listeners_failure_is_logged_without_secrets(
    established: NewSession, emulator: Emulator, secrets: Secrets
) -> None:
    """Invariant 9: the traceback that is logged names lines, not values."""

    def listen(event: object) -> None:
        raise ZeroDivisionError("the listener's own trouble")

    with Log() as log:
        held = established(emulator, listener=listen)
        secrets.add_pair(held)
        secrets.assert_hidden(log.wait_for("the listener failed"))


def test_a_logged_error_shows_nothing_with_its_traceback(
    established: NewSession, emulator: Emulator, secrets: Secrets, clocks: Clocks, caplog: pytest.LogCaptureFixture
) -> None:
    """Invariant 9: `log.exception` around a failing call is what programs do."""
    held = established(emulator)
    secrets.add_pair(held)
    with emulator.connections_refused(), clocks.hurried():
        try:
            held.refresh()
        except RefreshError:
            logging.getLogger("program").exception("no token")
    assert "Traceback" in caplog.text
    secrets.assert_hidden(caplog.text)
