# The contract of every driver (DESIGN.md, "The driver's contract"), method by method.

import inspect
import json
import logging
import threading
from typing import Any

import pytest
from tenure import (
    AMBIGUOUS,
    NOT_SENT,
    AttemptError,
    AttemptFailed,
    AuthorizationProtocol,
    Call,
    EstablishError,
    Event,
    NotEstablishedError,
    Policy,
    RefreshError,
    RefusedError,
    Request,
    Response,
    SendFailure,
    SessionEstablished,
    SessionExpired,
    SessionExpiredError,
    SnapshotError,
    SpatiumDialect,
    TenureError,
    TokenInvalidated,
    TokenRotated,
    UsageError,
)
from tenure.transports.emulator import ANY, Emulator, hold, hold_answer, lose_answer, status

from .conftest import NewEmulator, NewSession
from .driver_helpers import (
    DEAD,
    OTHER_TOKEN_ID,
    PERMISSIONS,
    QUICK,
    STALE,
    TOKEN_ID,
    Clocks,
    Log,
    Recorder,
    Witness,
    outcomes_of,
    resource_status,
    security_token,
)
from .drivers import Driver

# --- establishing ---


def test_the_journey_from_a_password_to_the_resource(new_session: NewSession, emulator: Emulator) -> None:
    """WIRE.md, Requests: credentials buy a security token, that buys the pair, and the resource accepts the token."""
    held = new_session(emulator)
    held.establish([held.verify_credentials(*emulator.credentials)])
    assert resource_status(emulator, held.get_permission_token()) == 200
    assert [entry.kind for entry in emulator.journal] == ["credentials", "issue", "resource"]


def test_a_wrapped_security_token_is_understood(new_session: NewSession, new_emulator: NewEmulator) -> None:
    """WIRE.md, Answers: the object form of a security token is accepted, too."""
    emulator = new_emulator(wrap_security_token=True)
    held = new_session(emulator)
    held.establish([held.verify_credentials(*emulator.credentials)])
    assert held.current_token() is not None


def test_establish_by_key(new_session: NewSession, emulator: Emulator) -> None:
    """WIRE.md, Words: a merchant's key issues a token without an account, and the session refreshes as any other."""
    held = new_session(emulator)
    held.establish_by_key(emulator.merchant_key)
    held.refresh()
    assert resource_status(emulator, held.get_permission_token()) == 200
    assert held.session.unverified_claims().account_id is None


@pytest.mark.parametrize("kind", [list, tuple, set, frozenset])
def test_lists_may_be_tuples_or_sets(driver: Driver, emulator: Emulator, kind: type, clocks: Clocks) -> None:
    """Permissions and security tokens are a collection of strings, whichever."""
    with driver.make(emulator.url, TOKEN_ID, kind(PERMISSIONS)) as held:
        held.establish(kind([security_token(emulator, clocks.service)]))
        assert held.session.unverified_claims().permissions == ("read",)


def test_two_factors(new_session: NewSession, new_emulator: NewEmulator, clocks: Clocks) -> None:
    """WIRE.md, Words: several security tokens together buy a permission token; one alone does not suffice."""
    emulator = new_emulator(factors_required=2)
    held = new_session(emulator)
    first, second = [security_token(emulator, clocks.service, factor) for factor in ("credentials", "code")]
    with pytest.raises(RefusedError) as caught:
        held.establish([first])
    assert caught.value.status == 403
    held.establish([first, second])
    assert resource_status(emulator, held.get_permission_token()) == 200


def test_wrong_credentials_are_refused(new_session: NewSession, emulator: Emulator) -> None:
    """A refusal is a RefusedError with the status: proving the factor again is what helps."""
    held = new_session(emulator)
    with pytest.raises(RefusedError) as caught:
        held.verify_credentials(emulator.credentials.username, "wrong")
    assert caught.value.status == 401


def test_wrong_merchant_key_is_refused(new_session: NewSession, emulator: Emulator) -> None:
    """The same for a merchant's key."""
    with pytest.raises(RefusedError):
        new_session(emulator).establish_by_key("wrong")


def test_establish_replaces_the_session(established: NewSession, emulator: Emulator, clocks: Clocks) -> None:
    """WIRE.md, promises: called again, it replaces the session; the newer pair is what refreshes from then on."""
    held = established(emulator)
    old = held.get_permission_token()
    held.establish([security_token(emulator, clocks.service)])
    assert held.get_permission_token() != old
    held.refresh()
    assert outcomes_of(emulator) == ["refreshed"]


def test_a_failed_establish_leaves_the_session_usable(established: NewSession, emulator: Emulator) -> None:
    """Invariant 6: refused security tokens cost nothing but the attempt."""
    held = established(emulator)
    old = held.get_permission_token()
    with pytest.raises(RefusedError):
        held.establish(["not-a-security-token"])
    assert held.get_permission_token() == old
    held.refresh()
    assert resource_status(emulator, held.get_permission_token()) == 200


def test_an_unreachable_service_is_an_establish_error(
    new_session: NewSession, emulator: Emulator, clocks: Clocks
) -> None:
    """DESIGN.md, Failures: not sent, retried until the deadline; then an error that says so, and a later try works."""
    held = new_session(emulator)
    with emulator.connections_refused(), clocks.hurried(), pytest.raises(EstablishError) as caught:
        held.establish([security_token(emulator, clocks.service)])
    assert not caught.value.ambiguous
    held.establish([security_token(emulator, clocks.service)])
    assert held.current_token() is not None


def test_establish_during_a_refresh_waits_its_turn(established: NewSession, emulator: Emulator, clocks: Clocks) -> None:
    """Invariants 1 and 6: one request at a time, and the establish that was asked for later has the last word."""
    held = established(emulator)
    gate = emulator.faults.add(hold())
    refresh = held.start(("refresh",))
    assert gate.arrived.wait(10)
    establish = held.start(("establish", [security_token(emulator, clocks.service)]))
    assert not establish.done
    assert len(emulator.journal.of("issue")) == 1
    gate.release()
    assert refresh.outcome().error is None
    assert establish.outcome().error is None
    assert emulator.journal[-1].kind == "issue"
    held.refresh()  # with the pair of the establish: any other would be refused
    assert outcomes_of(emulator) == ["refreshed", "refreshed"]


@pytest.mark.parametrize("name", ["get_permission_token", "refresh"])
def test_nothing_before_establish(new_session: NewSession, emulator: Emulator, name: str) -> None:
    """WIRE.md, promises: before establish() no token operation may be performed; nothing is sent."""
    held = new_session(emulator)
    with pytest.raises(NotEstablishedError, match="establish"):
        held.call(name)
    assert held.current_token() is None
    assert held.session.unverified_claims() is None
    held.invalidate("whatever")  # nothing to invalidate, nothing happens
    assert list(emulator.journal) == []


# --- the token ---


def test_a_fresh_token_costs_no_request(established: NewSession, emulator: Emulator) -> None:
    """While the token is fresh, everybody gets the same one and nothing is sent."""
    held = established(emulator)
    tokens = {held.get_permission_token() for _ in range(100)} | {held.current_token()}
    assert len(tokens) == 1
    assert outcomes_of(emulator) == []


def test_a_stale_token_is_handed_out_while_its_successor_is_fetched(
    established: NewSession, emulator: Emulator, clocks: Clocks
) -> None:
    """DESIGN.md, Lifetimes: a refresh of a stale token begins, but nobody waits for it."""
    heard = Recorder()
    held = established(emulator, listener=heard)
    old = held.get_permission_token()
    clocks.advance(STALE)
    gate = emulator.faults.add(hold())
    assert [held.get_permission_token() for _ in range(20)] == [old] * 20
    gate.release()
    heard.wait_for(TokenRotated)
    assert held.get_permission_token() != old
    assert outcomes_of(emulator) == ["refreshed"]


def test_current_token_neither_waits_nor_refreshes(established: NewSession, emulator: Emulator, clocks: Clocks) -> None:
    """It gives the fresh token or None at once, and is a plain function in every driver."""
    held = established(emulator)
    assert not inspect.iscoroutinefunction(held.session.current_token)
    assert held.current_token() == held.get_permission_token()
    clocks.advance(DEAD)
    assert held.current_token() is None
    assert outcomes_of(emulator) == []


@pytest.mark.parametrize("clock", ["monotonic", "wall"])
def test_a_token_is_fresh_only_while_both_clocks_say_so(
    established: NewSession,
    emulator: Emulator,
    clocks: Clocks,
    driver: Driver,
    monkeypatch: pytest.MonkeyPatch,
    clock: str,
) -> None:
    """Invariant 3: suspend stops the one clock, an operator moves the other; either suffices to doubt the token."""
    held = established(emulator)
    old = held.get_permission_token()
    right = getattr(clocks, clock)
    for module in driver.clock_modules:
        monkeypatch.setattr(f"{module}.{clock}", lambda: right() + 2 * DEAD)
    assert held.current_token() is None
    assert held.get_permission_token() != old
    assert outcomes_of(emulator) == ["refreshed"]


def test_refresh_by_hand(established: NewSession, emulator: Emulator) -> None:
    """WIRE.md, promises: refresh() refreshes, however fresh the token is."""
    held = established(emulator)
    old = held.get_permission_token()
    held.refresh()
    assert held.get_permission_token() != old
    assert outcomes_of(emulator) == ["refreshed"]


def test_refreshes_at_the_same_time_are_one(
    established: NewSession, emulator: Emulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Invariant 5: whoever asks for a refresh while one is under way joins it."""
    held = established(emulator)
    ask = AuthorizationProtocol.refresh
    asked = threading.Semaphore(0)

    def ask_and_tell(protocol: AuthorizationProtocol) -> Call:
        call = ask(protocol)
        asked.release()
        return call

    monkeypatch.setattr(AuthorizationProtocol, "refresh", ask_and_tell)
    gate = emulator.faults.add(hold())
    callers = [held.start(("refresh",)) for _ in range(10)]
    for _ in callers:
        assert asked.acquire(timeout=10)
    gate.release()
    assert [caller.outcome().error for caller in callers] == [None] * 10
    assert outcomes_of(emulator) == ["refreshed"]


@pytest.mark.parametrize("code", [400, 401, 403, 404, 410])
def test_a_refused_refresh_ends_the_session(established: NewSession, emulator: Emulator, code: int) -> None:
    """WIRE.md, Answers; invariant 2: the session is over, the refused token is not presented again, establish helps."""
    heard = Recorder()
    held = established(emulator, listener=heard)
    emulator.faults.add(status(code))
    with pytest.raises(SessionExpiredError) as caught:
        held.refresh()
    assert caught.value.status == code
    assert not caught.value.ambiguous
    with pytest.raises(SessionExpiredError):
        held.refresh()
    heard.wait_for(SessionExpired)
    assert outcomes_of(emulator) == ["not acted"]


def test_an_expired_session_is_established_anew(established: NewSession, emulator: Emulator, clocks: Clocks) -> None:
    """WIRE.md, promises: a session that is over is not functional until it is established anew; then it is."""
    held = established(emulator)
    emulator.service.expire_refresh_tokens()
    clocks.advance(DEAD)
    for _ in range(2):
        with pytest.raises(SessionExpiredError, match="stablish it anew"):
            held.get_permission_token()
    held.establish([security_token(emulator, clocks.service)])
    assert resource_status(emulator, held.get_permission_token()) == 200


def test_expiry_after_a_lost_answer_says_so(established: NewSession, emulator: Emulator) -> None:
    """DESIGN.md, Failures: after an ambiguous exchange SessionExpiredError says so; here there is no grace window."""
    held = established(emulator)
    emulator.faults.add(lose_answer())
    with pytest.raises(SessionExpiredError) as caught:
        held.refresh()
    assert caught.value.ambiguous
    assert outcomes_of(emulator) == ["refreshed", "reuse"]


# --- invalidate ---


def test_an_invalidated_token_is_replaced(established: NewSession, emulator: Emulator) -> None:
    """A resource server said 401: the token is not handed out again, and the next caller waits for its successor."""
    heard = Recorder()
    held = established(emulator, listener=heard)
    refused = held.get_permission_token()
    held.invalidate(refused)
    assert held.current_token() is None
    assert held.get_permission_token() != refused
    assert len(heard.of(TokenInvalidated)) == 1
    assert outcomes_of(emulator) == ["refreshed"]


@pytest.mark.parametrize("token", ["some-other-token", None], ids=["foreign", "replaced"])
def test_a_token_that_is_not_current_is_not_invalidated(
    established: NewSession, emulator: Emulator, token: str | None
) -> None:
    """Whoever reports a token that has been replaced since does no harm to its successor."""
    held = established(emulator)
    replaced = held.get_permission_token()
    held.refresh()
    current = held.get_permission_token()
    held.invalidate(token or replaced)
    assert held.get_permission_token() == current
    assert outcomes_of(emulator) == ["refreshed"]


def test_a_token_is_not_handed_out_while_its_replacement_fails(
    established: NewSession, emulator: Emulator, clocks: Clocks
) -> None:
    """An invalidated token is of no use to anybody: callers get the error, and later the new token."""
    held = established(emulator)
    refused = held.get_permission_token()
    held.invalidate(refused)
    with emulator.connections_refused(), clocks.hurried(), pytest.raises(RefreshError) as caught:
        held.get_permission_token()
    assert caught.value.retry_after is not None
    clocks.advance(1)
    assert held.get_permission_token() != refused


# --- snapshots ---


def test_a_snapshot_goes_through_json_and_lives_on(
    driver: Driver, established: NewSession, emulator: Emulator, clocks: Clocks
) -> None:
    """WIRE.md, promises: the whole session can be saved and restored; the restored one hands out the same token."""
    before = established(emulator)
    snapshot = json.loads(json.dumps(before.snapshot()))
    with driver.restore(snapshot, policy=QUICK) as held:
        assert held.get_permission_token() == before.get_permission_token()
        clocks.advance(DEAD)
        assert resource_status(emulator, held.get_permission_token()) == 200
    assert outcomes_of(emulator) == ["refreshed"]


def test_an_unestablished_session_can_be_saved(driver: Driver, new_session: NewSession, emulator: Emulator) -> None:
    """A snapshot of nothing is a session to be established."""
    with driver.restore(new_session(emulator).snapshot()) as held, pytest.raises(NotEstablishedError):
        held.get_permission_token()


def test_an_expired_session_can_be_saved(driver: Driver, established: NewSession, emulator: Emulator) -> None:
    """What is over stays over when it is restored; no request is needed to know."""
    before = established(emulator)
    emulator.faults.add(status(401))
    with pytest.raises(SessionExpiredError):
        before.refresh()
    with driver.restore(before.snapshot()) as held, pytest.raises(SessionExpiredError):
        held.refresh()
    assert outcomes_of(emulator) == ["not acted"]


def test_a_session_saved_in_mid_exchange_repeats_its_question(
    driver: Driver, established: NewSession, new_emulator: NewEmulator
) -> None:
    """Invariant 2: the restored session presents the token under the same request id, so the grace window helps it."""
    emulator = new_emulator(grace=30)
    before = established(emulator)
    gate = emulator.faults.add(hold_answer())
    refresh = before.start(("refresh",))
    assert gate.arrived.wait(10)
    with driver.restore(before.snapshot()) as held:
        held.refresh()
        assert outcomes_of(emulator) == ["refreshed", "replayed"]
        gate.release()
        assert refresh.outcome().error is None
        assert held.get_permission_token() == before.get_permission_token()


@pytest.mark.parametrize(
    "change",
    [
        {"format": "something else"},
        {"version": 2},
        {"version": 0},
        {"version": "1"},
        {"url": "http://example.com"},
        {"token_id": ""},
        {"permissions": "read"},
        {"state": "asleep"},
        {"state": "unestablished"},
        {"pair": None},
        {"pair": []},
        {"pair": {}},
    ],
    ids=str,
)
def test_a_damaged_snapshot_is_refused(
    driver: Driver, established: NewSession, emulator: Emulator, change: dict[str, object]
) -> None:
    """A snapshot that is damaged, foreign or of a newer version is an error, not a session that fails later."""
    snapshot = established(emulator).snapshot()
    with pytest.raises(SnapshotError):
        driver.restore({**snapshot, **change})


@pytest.mark.parametrize("field", ["permission_token", "refresh_token", "request_id"])
@pytest.mark.parametrize("value", ["", "a b", "a\r\nb", None, 7], ids=repr)
def test_a_snapshot_with_unfit_tokens_is_refused(
    driver: Driver, established: NewSession, emulator: Emulator, field: str, value: object
) -> None:
    """Invariant 10 holds for what comes from a file as well."""
    snapshot = established(emulator).snapshot()
    snapshot["pair"][field] = value
    with pytest.raises(SnapshotError):
        driver.restore(snapshot)


# --- keeping alive, closing ---


def test_keep_alive_refreshes_while_nobody_calls(
    driver: Driver, established: NewSession, emulator: Emulator, clocks: Clocks, monkeypatch: pytest.MonkeyPatch
) -> None:
    """WIRE.md, promises: an idle session expires; keep_alive() keeps it, refresh after refresh, until close()."""
    monkeypatch.setattr(driver.nap, 0.01)
    heard = Recorder()
    held = established(emulator, listener=heard)
    keeper = held.keep_alive()
    for rotations in range(1, 4):
        clocks.advance(STALE)
        heard.wait_for(TokenRotated, rotations)
    held.close()
    assert keeper.outcome().error is None
    assert outcomes_of(emulator) == ["refreshed"] * 3


def test_keep_alive_outlives_an_outage(
    driver: Driver, established: NewSession, emulator: Emulator, clocks: Clocks, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Failures of its refreshes are events; it goes on, at the pace of the backoff, and never gives up."""
    monkeypatch.setattr(driver.nap, 0.01)
    heard = Recorder()
    held = established(emulator, listener=heard)
    keeper = held.keep_alive()
    emulator.faults.add(status(503), times=3)
    clocks.advance(STALE)
    heard.wait_for(AttemptFailed, 3)
    heard.wait_for(TokenRotated)
    held.close()
    assert keeper.outcome().error is None
    assert outcomes_of(emulator) == ["not acted"] * 3 + ["refreshed"]


def test_keep_alive_may_begin_before_establish(
    driver: Driver, new_session: NewSession, emulator: Emulator, clocks: Clocks, monkeypatch: pytest.MonkeyPatch
) -> None:
    """There is nothing to keep alive yet, so it waits until there is."""
    monkeypatch.setattr(driver.nap, 0.01)
    heard = Recorder()
    held = new_session(emulator, listener=heard)
    keeper = held.keep_alive()
    held.establish([security_token(emulator, clocks.service)])
    clocks.advance(STALE)
    heard.wait_for(TokenRotated)
    held.close()
    assert keeper.outcome().error is None


def test_a_closed_session_sends_nothing(established: NewSession, emulator: Emulator, clocks: Clocks) -> None:
    """After close() a request for a dead token is a clear error; the snapshot can still be taken."""
    held = established(emulator)
    held.close()
    held.close()  # twice is no error
    clocks.advance(DEAD)
    for name in ("get_permission_token", "refresh"):
        with pytest.raises(UsageError, match="closed"):
            held.call(name)
    assert held.snapshot()["state"] == "active"
    assert outcomes_of(emulator) == []


def test_close_waits_for_the_answer_to_what_was_sent(
    driver: Driver, established: NewSession, emulator: Emulator
) -> None:
    """Invariant 4: the answer that is on its way when close() is called is taken in, the snapshot has it."""
    held = established(emulator)
    gate = emulator.faults.add(hold_answer())
    refresh = held.start(("refresh",))
    assert gate.arrived.wait(10)
    closing = held.start(("close",), ("snapshot",))
    gate.release()
    _, snapshot = closing.outcome().values
    assert snapshot["pair"]["generation"] == 2
    assert refresh.outcome().error is None
    assert outcomes_of(emulator) == ["refreshed"]
    with driver.restore(held.snapshot(), policy=QUICK) as successor:
        successor.refresh()
    assert outcomes_of(emulator) == ["refreshed", "refreshed"]


def test_close_ends_a_backoff(established: NewSession, emulator: Emulator, clocks: Clocks) -> None:
    """Invariant 7: a caller that waits for the next attempt learns at once that there will be none."""
    heard = Recorder()
    policy = Policy(deadline=60, attempt_timeout=20, backoff_base=0.01, retry_after_cap=50)
    held = established(emulator, policy=policy, listener=heard)
    clocks.advance(DEAD)
    emulator.faults.add(status(503, retry_after=50))
    caller = held.start(("get_permission_token",))
    heard.wait_for(AttemptFailed)
    held.close()
    assert isinstance(caller.outcome().error, TenureError)
    assert outcomes_of(emulator) == ["not acted"]


def test_the_context_manager_closes(driver: Driver, emulator: Emulator, clocks: Clocks) -> None:
    """`with session:` gives the session itself, swallows nothing, and closes it."""
    held = driver.make(emulator.url, TOKEN_ID, PERMISSIONS)

    def fail() -> None:
        with held:
            held.establish([security_token(emulator, clocks.service)])
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    with pytest.raises(UsageError, match="closed"):
        held.refresh()


# --- the listener ---


def test_the_listener_hears_what_happens_in_order(established: NewSession, emulator: Emulator) -> None:
    """Events tell people what happened to which session."""
    heard = Recorder()
    held = established(emulator, listener=heard)
    heard.wait_for(SessionEstablished)
    held.refresh()
    heard.wait_for(TokenRotated)
    emulator.faults.add(status(401))
    with pytest.raises(SessionExpiredError):
        held.refresh()
    heard.wait_for(SessionExpired)
    assert [type(event) for event in heard.events] == [SessionEstablished, TokenRotated, SessionExpired]
    assert {event.token_id for event in heard.events} == {TOKEN_ID}


def test_a_listener_that_raises_harms_nobody(established: NewSession, emulator: Emulator, clocks: Clocks) -> None:
    """A listener is a guest: its failure is logged, and the session goes on."""

    def listen(event: Event) -> None:
        raise ZeroDivisionError("the listener's own trouble")

    with Log() as log:
        held = established(emulator, listener=listen)
        held.refresh()
        clocks.advance(DEAD)
        assert resource_status(emulator, held.get_permission_token()) == 200
        assert "ZeroDivisionError" in log.wait_for("the listener failed on TokenRotated")


def test_a_listener_may_use_the_session(driver: Driver, emulator: Emulator, clocks: Clocks) -> None:
    """Events are delivered without a lock held, so a listener may look at the session."""
    seen: list[Any] = []
    heard = Recorder()

    def listen(event: Event) -> None:
        seen.append(held.session.snapshot() if driver.name == "blocking" else held.current_token())
        heard(event)

    held = driver.make(emulator.url, TOKEN_ID, PERMISSIONS, listener=listen)
    with held:
        held.establish([security_token(emulator, clocks.service)])
        heard.wait_for(SessionEstablished)
    assert len(seen) == 1


def test_events_are_logged(established: NewSession, emulator: Emulator, caplog: pytest.LogCaptureFixture) -> None:
    """The logger "tenure" gets every event; what needs attention is a warning."""
    caplog.set_level(logging.INFO, "tenure")
    heard = Recorder()
    held = established(emulator, listener=heard)
    emulator.faults.add(status(401))
    with pytest.raises(SessionExpiredError):
        held.refresh()
    heard.wait_for(SessionExpired)
    levels = [(record.name, record.levelname) for record in caplog.records if record.name.startswith("tenure")]
    assert levels == [("tenure", "INFO"), ("tenure", "WARNING")]


# --- send= ---


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


# --- the rest ---


def test_unverified_claims(established: NewSession, emulator: Emulator) -> None:
    """WIRE.md, Answers: what the newest permission token says of itself, not verified."""
    claims = established(emulator, permissions=["read", "secret"]).session.unverified_claims()
    assert claims.permissions == ("read", "secret")
    assert claims.account_id == emulator.service.account_ids[emulator.credentials.username]
    assert claims.lifetime == emulator.service.permission_lifetime


def test_each_caller_gets_an_error_of_its_own(established: NewSession, emulator: Emulator, clocks: Clocks) -> None:
    """Invariant 5: the same error, and never the same object, which would collect the traceback of each caller."""
    held = established(emulator)
    clocks.advance(DEAD)
    gate = hold()
    emulator.faults.add(gate, status(401))
    callers = [held.start(("get_permission_token",)) for _ in range(8)]
    assert gate.arrived.wait(10)
    gate.release()
    errors = [caller.outcome().error for caller in callers]
    assert {type(error) for error in errors} == {SessionExpiredError}
    assert len({id(error) for error in errors}) == len({id(error.__traceback__) for error in errors if error}) == 8
    # Those that came after the refusal learn it without a request, hence without its status; no other difference.
    assert len({str(error) for error in errors}) == 1


def test_sessions_are_independent(established: NewSession, emulator: Emulator) -> None:
    """WIRE.md, Words: parallel sessions of one account have token ids of their own and do not touch each other."""
    first, second = established(emulator), established(emulator, token_id=OTHER_TOKEN_ID)
    second.refresh()
    first.refresh()
    assert {resource_status(emulator, held.get_permission_token()) for held in (first, second)} == {200}


def test_each_request_has_a_request_id_of_its_own(established: NewSession, emulator: Emulator) -> None:
    """WIRE.md, Requests: every request bears a UUID, and only a repetition bears the same one."""
    witness = emulator.faults.add(Witness(), kind=ANY, times=None)
    held = established(emulator)
    held.refresh()
    held.refresh()
    ids = witness.headers("request-id")
    assert len(ids) == len(set(ids)) == 3


def test_the_repr_names_the_session_and_its_state(
    driver: Driver, new_session: NewSession, emulator: Emulator, clocks: Clocks
) -> None:
    """The repr says which session this is and how it is."""
    held = new_session(emulator)
    assert repr(held.session) == f"<tenure.transports.{driver.name}.AuthorizationSession {TOKEN_ID}: unestablished>"
    held.establish([security_token(emulator, clocks.service)])
    assert repr(held.session).endswith(": active>")
