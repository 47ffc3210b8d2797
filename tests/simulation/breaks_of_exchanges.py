# Ways to break how requests are sent, answers consumed and calls settled: invariants 1, 2, 4, 6 and 7.

import json
from typing import Any

from tenure import (
    AuthorizationProtocol,
    Call,
    Instant,
    RefreshError,
    Response,
    SendFailure,
    steps,
)
from tenure.calls import ESTABLISH
from tenure.dialects.spatium import NotTheEnvelope
from tenure.exchange import Exchange
from tenure.session import Session
from tenure.tokens import Grant, TokenPair

from .client import Client
from .sabotage import Memory, Patch, breaks
from .watch_callers import Caller

__all__: list[str] = []

# Invariant 1


@breaks("1")
def hand_a_step_out_twice(patch: Patch) -> None:
    original = AuthorizationProtocol.next_step

    def next_step(self: AuthorizationProtocol, now: Instant) -> Any:
        self._handed_out = False
        return original(self, now)

    patch.setattr(AuthorizationProtocol, "next_step", next_step)


# Invariant 2


@breaks("2")
def draw_a_request_id_for_each_attempt(patch: Patch) -> None:
    patch.setattr(Exchange, "_request_id", lambda self: self.session.new_request_id())


@breaks("2")
def use_one_request_id_for_everything(patch: Patch) -> None:
    patch.setattr(Session, "new_request_id", lambda self: "00000000-0000-4000-8000-000000000000")


@breaks("2")
def believe_a_refusal_to_be_temporary(patch: Patch) -> None:
    patch.setattr(Exchange, "_settle_refused", lambda self, verdict, now: Exchange._give_up(self, verdict, 0.1, now))


@breaks("2")
def keep_the_request_id_for_the_next_pair(patch: Patch) -> None:
    original = Session.next_pair

    def next_pair(self: Session, grant: Grant, since: Instant, now: Instant) -> TokenPair:
        pair = original(self, grant, since, now)
        if self.pair is not None:
            pair.request_id = self.pair.request_id
        return pair

    patch.setattr(Session, "next_pair", next_pair)


# Invariant 4


@breaks("4")
def forget_the_answer_when_all_have_left(patch: Patch) -> None:
    original = Client.deliver

    def deliver(self: Client, told: Response | SendFailure) -> None:
        if self.patient() or not self.waiting:
            original(self, told)
        else:
            self.watch.is_cut_off = True
            self.protocol.disown_exchange()

    patch.setattr(Client, "deliver", deliver)


@breaks("4")
def let_a_leaving_caller_settle_the_call(patch: Patch) -> None:
    def stop_waiting(self: Client, caller: Caller) -> None:
        caller.call.settle()

    patch.setattr(Client, "stop_waiting", stop_waiting)


@breaks("4")
def let_a_leaving_caller_cancel_the_exchange(patch: Patch) -> None:
    def stop_waiting(self: Client, caller: Caller) -> None:
        if not self.patient():
            self.protocol.disown_exchange()

    patch.setattr(Client, "stop_waiting", stop_waiting)


@breaks("4")
def save_only_the_first_pair(patch: Patch) -> None:
    original = Session.to_snapshot
    memory = Memory()

    def to_snapshot(self: Session, *arguments: Any) -> Any:
        snapshot = original(self, *arguments)
        pair = snapshot["pair"]
        return snapshot | {"pair": memory.of(self, pair) if pair else pair}

    patch.setattr(Session, "to_snapshot", to_snapshot)


@breaks("4")
def drop_the_first_pair(patch: Patch) -> None:
    original = Exchange._install

    def install(self: Exchange, pair: TokenPair, now: Instant) -> None:
        if self.session.pair is not None:
            original(self, pair, now)

    patch.setattr(Exchange, "_install", install)


@breaks("4")
def cut_off_what_is_sent_just_before_the_deadline(patch: Patch) -> None:
    patch.setattr(steps, "SHORTEST_TIMEOUT", 0.1)


# Invariant 6


@breaks("6")
def lose_the_session_to_a_failed_establish(patch: Patch) -> None:
    original = Exchange._settle_refused

    def settle_refused(self: Exchange, verdict: Any, now: Instant) -> None:
        if self.call.kind == ESTABLISH:
            self.session.pair = None
            self.session.state = "unestablished"
        original(self, verdict, now)

    patch.setattr(Exchange, "_settle_refused", settle_refused)


@breaks("6")
def let_an_establish_jump_the_queue(patch: Patch) -> None:
    original = AuthorizationProtocol._ask

    def ask(self: AuthorizationProtocol, call: Call) -> Call:
        original(self, call)
        if call.kind == ESTABLISH:
            self._calls = (*self._calls[:1], call, *self._calls[1:-1]) if len(self._calls) > 1 else self._calls
        return call

    patch.setattr(AuthorizationProtocol, "_ask", ask)


@breaks("6")
def let_an_establish_overtake_another(patch: Patch) -> None:
    original = AuthorizationProtocol._ask

    def ask(self: AuthorizationProtocol, call: Call) -> Call:
        original(self, call)
        *before, last = self._calls
        if len(before) > 1 and last.kind == before[-1].kind == ESTABLISH:  # and not under way yet
            self._calls = (*before[:-1], last, before[-1])
        return call

    patch.setattr(AuthorizationProtocol, "_ask", ask)


@breaks("6")
def take_the_answer_to_another_request(patch: Patch) -> None:
    def read_envelope(response: Response, request_id: str) -> Any:
        try:
            data = json.loads(response.body)["data"]
        except (ValueError, LookupError, TypeError):
            raise NotTheEnvelope("not JSON") from None
        return data

    patch.setattr("tenure.dialects.spatium._read_envelope", read_envelope)


# Invariant 7


@breaks("7")
def change_the_outcome_later(patch: Patch) -> None:
    settled: list[Call] = []
    original = Call.settle

    def settle(self: Call, *arguments: Any, **named: Any) -> None:
        original(self, *arguments, **named)
        if settled and settled[-1].error is None:
            settled[-1].error = RefreshError("on second thoughts")
        settled.append(self)

    patch.setattr(Call, "settle", settle)


@breaks("7")
def change_the_error_later(patch: Patch) -> None:
    settled: list[Call] = []
    original = Call.settle

    def settle(self: Call, *arguments: Any, **named: Any) -> None:
        original(self, *arguments, **named)
        if settled and settled[-1].error is not None:
            settled[-1].error = RefreshError("on second thoughts")
        settled.append(self)

    patch.setattr(Call, "settle", settle)


@breaks("7")
def never_give_up(patch: Patch) -> None:
    patch.setattr(Exchange, "_goes_on", lambda self, verdict, delay, give_up_at, now: now.monotonic < 100_000)


@breaks("7")
def obey_any_retry_after(patch: Patch) -> None:
    def goes_on(self: Exchange, verdict: Any, delay: float, give_up_at: float, now: Instant) -> bool:
        return verdict.kind != "violation" and now.monotonic < give_up_at

    patch.setattr(Exchange, "_goes_on", goes_on)


@breaks("7")
def forget_who_waits_behind_a_violation(patch: Patch) -> None:
    original = AuthorizationProtocol._end

    def end(self: AuthorizationProtocol) -> None:
        error = self._calls[0].error if self._calls else None
        original(self)
        if type(error).__name__ == "ProtocolViolationError":
            self._calls = ()

    patch.setattr(AuthorizationProtocol, "_end", end)
