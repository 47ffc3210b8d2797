# Invariant 9: no secret appears in any repr, text, error or event of the core.

import traceback

import pytest
import tenure
from tenure import (
    AbandonLease,
    AcquireLease,
    AttemptFailed,
    AuthorizationProtocol,
    Call,
    Event,
    Instant,
    LoadState,
    ReadyToken,
    ReleaseLease,
    RenewLease,
    Request,
    Response,
    SaveState,
    SendFailure,
    SendRequest,
    SessionExpired,
    SpatiumDialect,
    Stored,
    TenureError,
    UnverifiedClaims,
    Verdict,
    read_unverified_claims,
)
from tenure.exchange import Exchange
from tenure.session import Session
from tenure.shared import SharedExchange
from tenure.snapshot import Saved
from tenure.tokens import Grant, TokenPair

from .partner import URL, Chance, at, envelope, jwt, make_protocol, request_id_of, steady, token_data

SECRET = jwt(accountId="nobody") + ".hunter2"
SECRETS = (SECRET, "hunter2", SECRET[::-1])


def request() -> Request:
    """Return a request full of secrets."""
    return SpatiumDialect().refresh(URL, "T", ("read",), SECRET, "id")


def full_protocol() -> AuthorizationProtocol:
    """Return a session that holds secrets only."""
    protocol = make_protocol()
    protocol.establish([SECRET])
    step = protocol.next_step(at(0))
    assert isinstance(step, SendRequest)
    body = envelope(request_id_of(step.request), token_data(SECRET, SECRET))
    protocol.receive_response(Response(200, {}, body), at(0))
    assert protocol.newest_token() == SECRET
    return protocol


def objects() -> "list[object]":
    """Return one of every class of the core that can hold a secret, holding it."""
    protocol = full_protocol()
    pair = protocol.held.pair
    assert pair is not None
    call = Call("verify credentials")
    waiting = Call("establish", lambda request_id: request())
    call.settle(value=SECRET)
    snapshot = protocol.snapshot()
    claims = read_unverified_claims(jwt(accountId="nobody"))
    assert claims is not None
    return [
        protocol,
        protocol.held,
        protocol.held.ready,
        pair,
        pair.grant,
        call,
        waiting,
        Saved(snapshot, at(0), None),
        Exchange(protocol.held, SpatiumDialect(), waiting),
        SharedExchange(protocol.held, SpatiumDialect(), waiting),
        Verdict("granted", "granted", 200, SECRET),
        request(),
        Response(200, {"x": SECRET}, SECRET.encode()),
        SendRequest(request(), 1),
        SaveState(SECRET, snapshot),  # what a lease is, is the store's business: it may prove too much
        AcquireLease("key", 1, 2),
        LoadState("key"),
        RenewLease(SECRET, 1),
        ReleaseLease(SECRET),
        AbandonLease(SECRET),
        Stored(snapshot, 1, lease=SECRET, interrupted=True, age=1.0, problem="damaged"),
        SendFailure("ambiguous", "reason"),
        SpatiumDialect(),
        Chance(),
        steady(),
        claims,
        Instant(1, 2),
        *protocol.take_events(),
        AttemptFailed("T", at(0), "reason", 1.0, 503),
        SessionExpired("T", at(0), "reason", True),
    ]


@pytest.mark.parametrize("thing", objects(), ids=lambda thing: type(thing).__name__)
def test_no_repr_shows_a_secret(thing: object) -> None:
    """`repr`, `str`, `format` and a container of it."""
    for text in (repr(thing), str(thing), f"{thing}", repr([thing]), repr({"x": thing})):
        assert not any(secret in text for secret in SECRETS)


def test_every_class_of_the_core_is_among_them() -> None:
    """A new public class is looked at from its first day."""
    seen = {cls for thing in objects() for cls in type(thing).__mro__}
    left_out = {tenure.Sleep}  # holds a number
    classes = {value for value in vars(tenure).values() if isinstance(value, type)} - left_out
    plain = {cls for cls in classes if issubclass(cls, (TenureError, Event))}
    assert classes - plain <= seen
    assert {Session, Exchange, SharedExchange, Grant, TokenPair, ReadyToken, UnverifiedClaims, Saved} <= seen


def ask(protocol: AuthorizationProtocol, kind: str) -> Call:
    """Ask for something by presenting a secret."""
    if kind == "refresh":
        return protocol.refresh()
    if kind == "establish":
        return protocol.establish([SECRET])
    if kind == "by key":
        return protocol.establish_by_key(SECRET)
    return protocol.verify_credentials("user", SECRET)


def echoes(request_id: str) -> "list[Response | SendFailure]":
    """Return answers that repeat secrets in every place where an answer can hold a text."""
    echo = {"Date": SECRET, "Retry-After": SECRET, "Location": "https://evil/" + SECRET, "WWW-Authenticate": SECRET}
    body = b'{"message": "%s", "error": "%s", "code": "%s"}' % ((SECRET.encode(),) * 3)
    answers: list[Response | SendFailure] = [
        Response(status, echo, body) for status in (200, 302, 401, 402, 403, 429, 503)
    ]
    answers += [
        Response(200, echo, SECRET.encode()),
        Response(200, echo, SECRET.encode() + b"\xff"),
        Response(200, echo, envelope(SECRET, token_data(SECRET, SECRET))),
        Response(200, echo, envelope(request_id, {"permissionToken": SECRET, "securityToken": [SECRET]})),
        Response(200, echo, envelope(request_id, token_data(SECRET + " ", SECRET))),
        Response(200, echo, envelope(request_id, token_data(SECRET, SECRET, SECRET, SECRET))),
        Response(200, echo, envelope(request_id, token_data(SECRET, SECRET, 5, 5))),
        SendFailure("not sent", "refused"),
        SendFailure("ambiguous", "timed out"),
    ]
    return answers


@pytest.mark.parametrize("kind", ["refresh", "establish", "by key", "verify"])
@pytest.mark.parametrize("number", range(len(echoes(""))))
def test_no_error_or_event_shows_what_was_presented_or_answered(kind: str, number: int) -> None:
    """Whatever a server repeats, and wherever: errors, their attributes, tracebacks and events stay clean."""
    protocol = full_protocol()
    protocol.held.policy = steady(deadline=0.01, backoff_base=1e9, backoff_cap=1e9)
    call = ask(protocol, kind)
    while not call.settled:
        step = protocol.next_step(at(1))
        assert isinstance(step, SendRequest)
        report = echoes(request_id_of(step.request))[number]
        if isinstance(report, Response):
            protocol.receive_response(report, at(1))
        else:
            protocol.receive_failure(report, at(1))
    with pytest.raises(TenureError) as caught:
        call.result()
    error = caught.value
    shown = "".join(traceback.format_exception(type(error), error, error.__traceback__))
    texts = [shown, repr(error), repr(vars(error)), repr(call)]
    texts += [f"{event} {event!r} {vars(event)}" for event in protocol.take_events()]
    assert not any(secret in text for text in texts for secret in SECRETS)


@pytest.mark.parametrize("argument", [SECRET + "\n", SECRET.encode(), [SECRET.encode()], [[SECRET]]])
def test_no_usage_error_shows_the_argument(argument: object) -> None:
    """A wrong argument may be a secret in the wrong place."""
    protocol = make_protocol()
    for call in (
        lambda: AuthorizationProtocol(argument, "T", ["r"], random_bytes=Chance()),  # type: ignore[arg-type]
        lambda: AuthorizationProtocol(URL, argument, argument, random_bytes=Chance()),  # type: ignore[arg-type]
        lambda: protocol.establish(argument),  # type: ignore[arg-type]
        lambda: protocol.verify_credentials(argument, None),  # type: ignore[arg-type]
    ):
        with pytest.raises(tenure.UsageError) as caught:
            call()
        assert not any(secret in f"{caught.value!r} {vars(caught.value)}" for secret in SECRETS)
