# Ways to break what callers get and what people may see: invariants 3, 5, 9 and 10, freshness and lifetimes.

from random import Random
from typing import Any

from tenure import (
    EXPIRED,
    AuthorizationProtocol,
    Call,
    Instant,
    Policy,
    RefreshError,
    Request,
    Response,
    SessionExpiredError,
    TenureError,
)
from tenure.calls import REFRESH
from tenure.dialects.spatium import SpatiumDialect
from tenure.exchange import Exchange
from tenure.session import Session
from tenure.tokens import Grant, TokenPair
from tenure.verdicts import Verdict

from .rules import FRESHNESS, LIFETIMES
from .sabotage import Memory, Patch, breaks

__all__: list[str] = []

# Invariant 3


@breaks("3")
def hand_out_dead_tokens(patch: Patch) -> None:
    patch.setattr(TokenPair, "is_dead", lambda self, now: False)
    patch.setattr(Policy, "dead_after", lambda self, lifetime: lifetime * 2)


@breaks("3")
def forget_the_leeway(patch: Patch) -> None:
    patch.setattr(Policy, "dead_after", lambda self, lifetime: lifetime)


@breaks("3")
def believe_the_wall_clock_alone(patch: Patch) -> None:
    patch.setattr(
        "tenure.tokens.clocks_past", lambda since, seconds, now: 2 * (now.wall - since.wall >= int(seconds) + 2)
    )
    patch.setattr(AuthorizationProtocol, "fresh_token", lambda self, now: None)


@breaks("3")
def believe_the_monotonic_clock_alone(patch: Patch) -> None:
    def age(pair: TokenPair, now: Instant) -> float:
        return now.monotonic - pair.since.monotonic

    def fresh_token(self: AuthorizationProtocol, now: Instant) -> str | None:
        ready = self.held.ready
        return ready.permission_token if now.monotonic < ready.until_monotonic else None

    patch.setattr(TokenPair, "is_dead", lambda self, now: age(self, now) >= self.dead_after)
    patch.setattr(TokenPair, "is_stale", lambda self, now: age(self, now) >= self.stale_after)
    patch.setattr(AuthorizationProtocol, "fresh_token", fresh_token)


@breaks("3")
def count_the_lifetime_of_a_replay_from_its_arrival(patch: Patch) -> None:
    read, send = SpatiumDialect.read_grant, Exchange._send_until_verdict

    def read_grant(self: SpatiumDialect, response: Response, request_id: str, wall: int, replayed: bool) -> Verdict:
        return read(self, response, request_id, wall)

    def send_until_verdict(self: Exchange, *arguments: Any) -> Any:
        verdict, since, now = yield from send(self, *arguments)
        return verdict, now if verdict.replayed else since, now

    patch.setattr(SpatiumDialect, "read_grant", read_grant)
    patch.setattr(Exchange, "_send_until_verdict", send_until_verdict)


@breaks("3")
def give_late_joiners_what_has_died_on_its_way(patch: Patch) -> None:
    patch.setattr(Exchange, "_is_worth_having", lambda self, replayed, now: True)


@breaks("3")
def hand_out_an_older_token(patch: Patch) -> None:
    memory = Memory()
    original = AuthorizationProtocol.fresh_token

    def fresh_token(self: AuthorizationProtocol, now: Instant) -> str | None:
        token = original(self, now)
        if token is None:
            return None
        seen = memory.of(self, [])
        if not seen or seen[-1].permission_token != token:
            seen.append(self.held.ready)
        for ready in seen[-2:]:  # an older one only while it works itself
            if now.monotonic < ready.until_monotonic and now.wall < ready.until_wall:
                return str(ready.permission_token)
        return token

    patch.setattr(AuthorizationProtocol, "fresh_token", fresh_token)


# Invariant 5


@breaks("5")
def let_every_caller_refresh(patch: Patch) -> None:
    def refresh(self: AuthorizationProtocol) -> Call:
        return self._ask(Call(REFRESH, generation=self.held.generation))

    def needs_no_request(self: Exchange, now: Instant) -> bool:
        if self.session.pair is None or self.session.state != "active":
            self.call.settle(self.session.lack_of_tokens())
        return self.call.settled

    patch.setattr(AuthorizationProtocol, "refresh", refresh)
    patch.setattr(AuthorizationProtocol, "_join_refresh", refresh, raising=False)
    patch.setattr(Exchange, "_needs_no_request", needs_no_request)


@breaks("5")
def refresh_at_half_the_lifetime(patch: Patch) -> None:
    patch.setattr(Policy, "stale_after", lambda self, lifetime, chance: lifetime / 2)


@breaks("5")
def tell_each_caller_another_error(patch: Patch) -> None:
    original = Call.result
    rng = Random(0)

    def result(self: Call) -> str | None:
        if self.error is not None:
            self.error.retry_after = rng.random()
        return original(self)

    patch.setattr(Call, "result", result)


@breaks("5")
def give_those_who_waited_the_token_from_before(patch: Patch) -> None:
    memory = Memory()
    original = AuthorizationProtocol.newest_token

    def newest_token(self: AuthorizationProtocol) -> str | None:
        token = original(self)
        seen = memory.of(self, [])
        if token is not None and token not in seen:
            seen.append(token)
        return seen[-2] if len(seen) > 1 else token

    patch.setattr(AuthorizationProtocol, "newest_token", newest_token)


# Invariant 9


@breaks("9")
def show_the_tokens(patch: Patch) -> None:
    patch.setattr(Grant, "__repr__", lambda self: f"<Grant {self.refresh_token}>")


@breaks("9")
def show_what_a_call_sends(patch: Patch) -> None:
    def show(self: Call) -> str:
        return "<Call>" if self.make_request is None else f"<Call {self.make_request('x').body!r}>"

    patch.setattr(Call, "__repr__", show)


@breaks("9")
def show_what_a_verdict_grants(patch: Patch) -> None:
    patch.setattr(Verdict, "__repr__", lambda self: f"<Verdict {self.granted}>")


@breaks("9")
def show_the_end_of_the_refresh_token_in_an_error(patch: Patch) -> None:
    original = Session.lack_of_tokens

    def lack_of_tokens(self: Session, status: int | None = None) -> TenureError:
        if self.pair is None or self.state != EXPIRED:
            return original(self, status)
        token = self.pair.grant.refresh_token
        return SessionExpiredError(f"the session with the token …{token[-12:]} is over", status=status)

    patch.setattr(Session, "lack_of_tokens", lack_of_tokens)


@breaks("9")
def put_the_token_into_the_url(patch: Patch) -> None:
    original = SpatiumDialect.refresh

    def refresh(
        self: SpatiumDialect, url: str, token_id: str, permissions: Any, token: str, request_id: str
    ) -> Request:
        request = original(self, url, token_id, permissions, token, request_id)
        return Request(request.method, f"{request.url}?token={token}", request.headers, request.body)

    patch.setattr(SpatiumDialect, "refresh", refresh)


@breaks("9")
def follow_redirects(patch: Patch) -> None:
    original = Exchange._judge

    def judge(self: Exchange, reply: Any, *arguments: Any) -> Any:
        if isinstance(reply, Response) and 300 <= reply.status < 400:
            self.session.url = reply.header("location") or self.session.url
        return original(self, reply, *arguments)

    patch.setattr(Exchange, "_judge", judge)


@breaks("9")
def hold_a_token_in_a_local_variable(patch: Patch) -> None:
    original = Call.result

    def result(self: Call) -> str | None:
        token = "eyJhbGciOiJI"  # with which every signed token begins
        assert token
        return original(self)

    patch.setattr(Call, "result", result)


# Invariant 10


@breaks("10")
def take_any_token(patch: Patch) -> None:
    patch.setattr("tenure.dialects.spatium.is_header_safe", lambda text: True)


@breaks("10")
def take_tokens_of_any_length(patch: Patch) -> None:
    patch.setattr("tenure.dialects.spatium.MAX_TOKEN_LENGTH", 10**9)


# What else the design promises


@breaks(FRESHNESS)
def let_callers_wait_for_a_stale_token(patch: Patch) -> None:
    def request_token(self: AuthorizationProtocol, now: Instant) -> Call:
        self.held.latest = now
        return self.refresh()

    patch.setattr(AuthorizationProtocol, "request_token", request_token)


@breaks(FRESHNESS)
def tell_callers_of_failures_that_need_not_concern_them(patch: Patch) -> None:
    original = AuthorizationProtocol.request_token

    def request_token(self: AuthorizationProtocol, now: Instant) -> Call:
        call = original(self, now)
        if call.settled and self.held.failures:
            failed = Call(REFRESH)
            failed.settle(RefreshError("the last attempt failed"))
            return failed
        return call

    patch.setattr(AuthorizationProtocol, "request_token", request_token)


@breaks(LIFETIMES)
def believe_one_clock_that_the_session_is_over(patch: Patch) -> None:
    patch.setattr(TokenPair, "is_over", lambda self, now: now.wall - self.arrived.wall > self.grant.refresh_lifetime)


@breaks(LIFETIMES)
def take_nonsense_for_a_refusal(patch: Patch) -> None:
    original = Exchange._give_up

    def give_up(self: Exchange, verdict: Any, delay: float, now: Instant) -> None:
        if verdict.kind == "violation":
            self._settle_refused(verdict, now)
        else:
            original(self, verdict, delay, now)

    patch.setattr(Exchange, "_give_up", give_up)
