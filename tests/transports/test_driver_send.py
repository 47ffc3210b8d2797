# The contract of every driver: somebody's own HTTP client, and what it may do wrong.

import threading
from typing import Any

import pytest
from tenure import (
    AMBIGUOUS,
    NOT_SENT,
    AttemptError,
    AttemptFailed,
    AuthorizationProtocol,
    Policy,
    RefreshError,
    Request,
    Response,
    SendFailure,
    SpatiumDialect,
)
from tenure.transports.emulator import Emulator

from .conftest import NewEmulator, NewSession
from .driver_helpers import (
    DEAD,
    PERMISSIONS,
    QUICK,
    TOKEN_ID,
    Clocks,
    Recorder,
    outcomes_of,
    resource_status,
    security_token,
)
from .drivers import Driver


class Service:
    """The emulator's pure service behind a plain function: somebody's own HTTP client."""

    def __init__(self, emulator: Emulator, clocks: Clocks) -> None:
        self.emulator = emulator
        self.clocks = clocks
        self.sent: list[tuple[Request, float]] = []
        self.trouble: Any = None  # raised if it is an exception, returned otherwise; after the service has acted

    def __call__(self, request: Request, timeout: float) -> Any:
        self.sent.append((request, timeout))
        answer = self.emulator.service.handle(request, self.clocks.service())
        trouble, self.trouble = self.trouble, None
        if isinstance(trouble, BaseException):
            raise trouble
        return answer if trouble is None else trouble


@pytest.fixture
def service(new_emulator: NewEmulator, clocks: Clocks) -> Service:
    return Service(new_emulator(grace=30), clocks)


def test_a_custom_sender_gets_the_request_and_its_time(
    driver: Driver, established: NewSession, service: Service
) -> None:
    """DESIGN.md, contract: send= turns a Request into a Response, so a program keeps its own HTTP client."""
    held = established(service.emulator, send=driver.sender(service))
    held.refresh()
    assert [type(request) for request, _ in service.sent] == [Request, Request]
    assert [request.url.rpartition("/")[2] for request, _ in service.sent] == ["issue-by-factors", "refresh"]
    for request, timeout in service.sent:
        assert request.method == "POST"
        assert dict(request.headers)["content-type"] == "application/json"
        assert 0 < timeout <= QUICK.attempt_timeout
    assert resource_status(service.emulator, held.get_permission_token()) == 200


@pytest.mark.parametrize(
    "trouble",
    [
        SendFailure(AMBIGUOUS, "lost"),
        SendFailure("a kind of its own", "whatever"),
        TimeoutError("secret text"),
        OSError("closed while reading"),
        ZeroDivisionError("a bug"),
        KeyboardInterrupt(),
        SystemExit(3),
    ],
    ids=lambda trouble: type(trouble).__name__,
)
def test_whatever_a_sender_raises_is_ambiguous(
    driver: Driver, established: NewSession, service: Service, trouble: BaseException
) -> None:
    """DESIGN.md, Failures: the unknown may have reached the server, so the same question is asked again at once."""
    if driver.name == "asyncio" and not isinstance(trouble, Exception):
        return  # these two end the whole loop, whichever task raises them: asyncio's rule, not ours to break
    held = established(service.emulator, send=driver.sender(service))
    service.trouble = trouble
    held.refresh()
    assert outcomes_of(service.emulator) == ["refreshed", "replayed"]
    first, second = [request for request, _ in service.sent[1:]]
    assert (first.headers, first.body) == (second.headers, second.body)
    assert resource_status(service.emulator, held.get_permission_token()) == 200


def test_a_sender_that_goes_on_raising_leaves_the_outcome_open(
    driver: Driver, established: NewSession, service: Service
) -> None:
    """DESIGN.md, Failures: the second attempt follows at once, and the error in the end says ambiguous."""
    policy = Policy(deadline=0.1, attempt_timeout=0.1, backoff_base=0.05)
    heard = Recorder()
    snapshot = established(service.emulator).snapshot()

    def fail(request: Request, timeout: float) -> Any:
        raise ConnectionError

    with driver.restore(snapshot, send=driver.sender(fail), policy=policy, listener=heard) as held:
        with pytest.raises(RefreshError) as caught:
            held.refresh()
        assert caught.value.ambiguous
        heard.wait_for(AttemptFailed)
        assert heard.of(AttemptFailed)[0].retry_in == 0


def test_a_bug_of_ours_is_told_to_the_callers(
    established: NewSession, emulator: Emulator, clocks: Clocks, monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:  # fmt: skip
    """Invariant 7: whatever happens where an answer is taken in, nobody waits for ever, and the session lives on."""
    emulator.service.grace = 100
    held = established(emulator)
    clocks.advance(DEAD)
    monkeypatch.setattr("threading.excepthook", lambda failed: None)  # where a thread that ends by it is told of
    with monkeypatch.context() as broken:
        broken.setattr(AuthorizationProtocol, "receive_response", lambda *report: 1 / 0)
        errors = [outcome.error for outcome in held.gather(8, ("get_permission_token",))]
    assert {type(error) for error in errors} == {AttemptError}
    assert resource_status(emulator, held.get_permission_token()) == 200
    assert [record for record in caplog.records if record.name == "asyncio"] == []  # it is no business of the loop's


def test_a_sender_that_says_not_sent_is_believed(driver: Driver, established: NewSession, service: Service) -> None:
    """DESIGN.md, Failures: not sent is retried; the error of a persistent outage is not ambiguous."""
    policy = Policy(deadline=0.3, attempt_timeout=0.3, backoff_base=0.01)
    held = established(service.emulator, send=driver.sender(service), policy=policy)

    def refuse(request: Request, timeout: float) -> Any:
        raise SendFailure(NOT_SENT, "no route")

    with driver.restore(held.snapshot(), send=driver.sender(refuse), policy=policy) as cut_off:
        with pytest.raises(RefreshError, match="no route") as caught:
            cut_off.refresh()
        assert not caught.value.ambiguous


@pytest.mark.parametrize(
    "nonsense",
    [
        "a string",
        7,
        object(),
        (200, {}, b""),
        Response("200", {}, b"{}"),  # type: ignore[arg-type]
        Response(200, {}, "a string"),  # type: ignore[arg-type]
        Response(200, {}, None),  # type: ignore[arg-type]
    ],
    ids=["str", "int", "object", "tuple", "str status", "str body", "no body"],
)
def test_a_sender_that_returns_nonsense_is_ambiguous(
    driver: Driver,
    established: NewSession,
    service: Service,
    nonsense: object,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Invariant 7: what is no Response counts like an exception: asked again, no caller hurt, no thread dead."""
    monkeypatch.setattr(threading, "excepthook", lambda problem: None)  # the outcome tells, too
    held = established(service.emulator, send=driver.sender(service))
    service.trouble = nonsense
    outcome = held.start(("refresh",)).outcome()
    for thread in threading.enumerate():
        if thread.name == "tenure pump":
            thread.join(10)
    assert outcome.error is None
    assert outcomes_of(service.emulator) == ["refreshed", "replayed"]


@pytest.mark.parametrize("nonsense", ["a string", Response(200, {}, None)], ids=["str", "no body"])  # type: ignore[arg-type]
def test_a_sender_that_returns_nonsense_wedges_nothing(
    driver: Driver,
    established: NewSession,
    service: Service,
    nonsense: object,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Invariant 7: whatever becomes of the first caller, its wait ends, and the session goes on."""
    monkeypatch.setattr(threading, "excepthook", lambda problem: None)
    held = established(service.emulator, send=driver.sender(service))
    service.trouble = nonsense
    outcome = held.start(("refresh",)).outcome()
    for thread in threading.enumerate():
        if thread.name == "tenure pump":
            thread.join(10)
    assert outcome.error is None or isinstance(outcome.error, AttemptError)
    held.refresh()
    assert resource_status(service.emulator, held.get_permission_token()) == 200


def test_the_dialect_can_be_chosen(driver: Driver, new_emulator: NewEmulator, clocks: Clocks) -> None:
    """WIRE.md, Requests: the inferred path and body of a refresh are settable, without subclassing."""
    emulator = new_emulator(refresh_path="/renew", refresh_field="token")
    dialect = SpatiumDialect(refresh_path="/renew", refresh_body=lambda token, token_id, permissions: {"token": token})
    with driver.make(emulator.url, TOKEN_ID, PERMISSIONS, dialect=dialect) as held:
        held.establish([security_token(emulator, clocks.service)])
        held.refresh()
    assert outcomes_of(emulator) == ["refreshed"]
