# What the tests of the core share: virtual time, chance that can be foreseen, and a partner for the protocol, which is
# the emulator's pure service. Nothing here reads a clock or opens a socket.

import json
from base64 import urlsafe_b64encode
from collections.abc import Callable

from tenure import (
    AMBIGUOUS,
    NOT_SENT,
    AttemptFailed,
    AuthorizationProtocol,
    Call,
    Instant,
    Policy,
    Request,
    Response,
    SendFailure,
    SendRequest,
    Sleep,
    SpatiumDialect,
    TenureError,
)
from tenure.transports.emulator import AuthorizationService

URL = "https://host.example/authorization/v1"
TOKEN_ID = "3f1f9a6e-54f6-4b4e-9d9b-0a3a3c1c2b11"
MONOTONIC_START = 5_000.0  # far from zero and from each other, so that a mix-up of the clocks shows
WALL_START = 1_700_000_000

PERMISSION_LIFETIME = 1000  # seconds; with STEADY a token is stale after 800 and dead after 990
STALE_AT = 800
DEAD_AT = 990

WITHOUT_WAITING = {"backoff_base": 1e-9}  # so that a test can go on in the same moment


def at(seconds: float, wall_ahead: float = 0) -> Instant:
    """Return the moment `seconds` after the start of virtual time, with the wall clock set ahead by some seconds."""
    return Instant(MONOTONIC_START + seconds, WALL_START + seconds + wall_ahead)


def steady(**numbers: float) -> Policy:
    """Return the default policy without its jitter, so that a test can name the second of a change."""
    return Policy(on_store_failure="error", **{"jitter": 0, **numbers})


def risky(**numbers: float) -> Policy:
    """Return a policy that goes on where the store fails, and is steady otherwise."""
    return Policy(on_store_failure="refresh", **{"jitter": 0, **numbers})


def error_of(call: Call) -> TenureError:
    """Return the error of a call that has failed."""
    assert call.settled
    assert call.error is not None
    return call.error


class Chance:
    """A source of randomness that can be foreseen: fixed jitter, and request ids that count up.

    Attributes:
        part: what a draw of chance gives, 0 <= part < 1; may be changed at any time.
        fails: raise instead, as a source of randomness may.
    """

    def __init__(self, part: float = 0.5) -> None:
        self.part = part
        self.fails = False
        self.drawn = 0

    def __call__(self, size: int) -> bytes:
        if self.fails:
            raise OSError("no randomness")
        if size == 3:
            return int(self.part * 0x1000000).to_bytes(3, "big")
        self.drawn += 1
        return self.drawn.to_bytes(size, "big")


def make_protocol(
    *,
    policy: "Policy | None" = None,
    chance: "Callable[[int], bytes] | None" = None,
    stored: bool = False,
    dialect: "SpatiumDialect | None" = None,
    url: str = URL,
) -> AuthorizationProtocol:
    """Return a session that is not established."""
    return AuthorizationProtocol(
        url,
        TOKEN_ID,
        ["read"],
        random_bytes=chance or Chance(),
        policy=policy or steady(),
        dialect=dialect,
        stored=stored,
    )


class Partner:
    """A protocol and the service it talks to, joined by a wire that does what a test says.

    Attributes:
        service: the emulator's pure service.
        protocol: the client side.
        chance: the protocol's source of randomness.
        sent: every request that was handed out, oldest first.
    """

    def __init__(
        self,
        *,
        policy: "Policy | None" = None,
        stored: bool = False,
        dialect: "SpatiumDialect | None" = None,
        grace: float = 0,
        permission_lifetime: int = PERMISSION_LIFETIME,
        refresh_lifetime: int = 30 * 86400,
        clock_offset: float = 0,
    ) -> None:
        self.service = AuthorizationService(
            grace=grace,
            permission_lifetime=permission_lifetime,
            refresh_lifetime=refresh_lifetime,
            clock_offset=clock_offset,
        )
        self.chance = Chance()
        self.protocol = make_protocol(policy=policy, chance=self.chance, stored=stored, dialect=dialect)
        self.sent: list[Request] = []

    def security_token(self, now: Instant) -> str:
        """Return a security token that the service believes."""
        return self.service.security_token(self.service.credentials.username, "credentials", now.wall)

    def ask_to_establish(self, now: Instant) -> Call:
        """Ask for a session, with a security token that the service believes."""
        return self.protocol.establish([self.security_token(now)])

    def take_request(self, now: Instant) -> Request:
        """Take the next step, which has to be a request, and return it unanswered."""
        step = self.protocol.next_step(now)
        assert isinstance(step, SendRequest), step
        self.sent.append(step.request)
        return step.request

    def answer_next(
        self,
        now: Instant,
        status: "int | None" = None,
        headers: "tuple[tuple[str, str], ...]" = (),
        body: bytes = b"",
        *,
        took: float = 0,
    ) -> None:
        """Answer the next request `took` seconds later: as the service does, or with `status` instead of it."""
        request = self.take_request(now)
        response = self.service.handle(request, now.wall) if status is None else Response(status, headers, body)
        self.protocol.receive_response(response, later(now, took))

    def fail_next(self, now: Instant, kind: str = NOT_SENT, *, took: float = 0) -> None:
        """Let the next request come to nothing; the service never sees it."""
        self.take_request(now)
        self.protocol.receive_failure(SendFailure(kind, "the wire is cut"), later(now, took))

    def lose_the_answer(self, now: Instant, *, took: float = 0) -> None:
        """Let the service act on the next request, and its answer get lost."""
        self.service.handle(self.take_request(now), now.wall)
        self.protocol.receive_failure(SendFailure(AMBIGUOUS, "timed out"), later(now, took))

    def sleep_through(self, now: Instant) -> Instant:
        """Take the next step, which has to be a Sleep, and return the moment of its end."""
        step = self.protocol.next_step(now)
        assert isinstance(step, Sleep), step
        return later(now, step.seconds)

    def is_idle(self, now: Instant) -> bool:
        """Is there nothing to do?"""
        return self.protocol.next_step(now) is None

    def reasons(self) -> "list[str]":
        """Take the events and return why attempts failed."""
        return [event.reason for event in self.protocol.take_events() if isinstance(event, AttemptFailed)]


def later(now: Instant, seconds: float) -> Instant:
    """Return the moment that many seconds after `now`, on both clocks."""
    return Instant(now.monotonic + seconds, now.wall + int(seconds))


def established(now: "Instant | None" = None, **settings: object) -> Partner:
    """Return a partner whose session has just been established, and whose events have been taken."""
    moment = at(0) if now is None else now
    partner = Partner(**settings)  # type: ignore[arg-type]
    call = partner.ask_to_establish(moment)
    partner.answer_next(moment)
    assert call.settled
    assert call.error is None, call.error
    partner.protocol.take_events()
    partner.sent.clear()
    return partner


# Answers by hand, for what the service would never say


def jwt(**claims: object) -> str:
    """Return a token of the right form with these claims; its signature is worth nothing."""
    payload = urlsafe_b64encode(json.dumps(claims).encode()).rstrip(b"=").decode()
    return f"eyJhbGciOiJub25lIn0.{payload}.c2lnbmF0dXJl"


def token_data(
    permission: object = "permission",
    refresh: object = "refresh",
    permission_expires: object = WALL_START + PERMISSION_LIFETIME,
    refresh_expires: object = WALL_START + 86400,
) -> "dict[str, object]":
    """Return the `data` of an answer to an issue or a refresh (WIRE.md, Answers)."""
    return {
        "permissionToken": {"permissionToken": permission, "issuer": "s", "expiresAt": permission_expires},
        "permissionRefreshToken": {"permissionRefreshToken": refresh, "issuer": "s", "expiresAt": refresh_expires},
    }


def envelope(request_id: object, data: object) -> bytes:
    """Return the body of a successful answer."""
    return json.dumps({"requestId": request_id, "data": data}).encode()


def request_id_of(request: Request) -> str:
    """Return the request id that a request bears."""
    return dict(request.headers)["request-id"]


def refresh_token_in(request: Request) -> str:
    """Return the refresh token that a refresh presents."""
    token = json.loads(request.body)["permissionRefreshToken"]
    assert isinstance(token, str)
    return token
