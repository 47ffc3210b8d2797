# The proof: many random lives of a session, and no invariant broken. And the proof of the proof: the core is broken on
# purpose in many ways, and the simulation sees each of them.

from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
from tenure import AuthorizationProtocol, Call, Instant, Policy, Response, SendFailure
from tenure.calls import ESTABLISH, REFRESH
from tenure.exchange import Exchange
from tenure.session import Session
from tenure.tokens import Grant, TokenPair

from .oracle import InvariantBroken
from .plan import Plan
from .shrink import broken_by, explain, shrink
from .world import Caller, World

LIVES = 2000
CHUNK = 250


@pytest.mark.parametrize("first", range(0, LIVES, CHUNK))
def test_no_invariant_is_broken(first: int) -> None:
    """Invariants 1 to 7, 9 and 10, over lives with calm and troubled networks, clocks and servers."""
    for seed in range(first, first + CHUNK):
        world = World(Plan.draw(seed))
        try:
            world.run()
        except InvariantBroken as broken:
            pytest.fail(f"{broken}\n{explain(world.plan)}")


def test_lives_are_eventful() -> None:
    """A simulation in which nothing happens proves nothing: every outcome and every ending must occur."""
    outcomes: Counter[str] = Counter()
    endings: Counter[str] = Counter()
    shown = 0
    for seed in range(CHUNK):
        world = World(Plan.draw(seed))
        world.run()
        outcomes.update(entry.outcome for entry in world.service.journal)
        endings[world.protocol.state] += 1
        shown += world.oracle.shown
    assert min(outcomes[name] for name in ("issued", "refreshed", "replayed", "reuse", "refused")) > 10
    assert min(endings[name] for name in ("unestablished", "active", "expired")) > 5
    assert shown > 5_000


def test_a_life_can_be_replayed() -> None:
    """All chance comes from the seed."""
    first, second = World(Plan.draw(7)), World(Plan.draw(7))
    first.run()
    second.run()
    assert first.history.entries == second.history.entries


Break = Callable[[pytest.MonkeyPatch], None]


def hand_a_step_out_twice(patch: pytest.MonkeyPatch) -> None:
    original = AuthorizationProtocol.next_step

    def next_step(self: AuthorizationProtocol, now: Instant) -> Any:
        self._handed_out = False
        return original(self, now)

    patch.setattr(AuthorizationProtocol, "next_step", next_step)


def draw_a_request_id_for_each_attempt(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Exchange, "_request_id", lambda self: self.session.new_request_id())


def believe_a_refusal_to_be_temporary(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Exchange, "_settle_refused", lambda self, verdict, now: Exchange._give_up(self, verdict, 0.1, now))


def hand_out_dead_tokens(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(TokenPair, "is_dead", lambda self, now: False)
    patch.setattr(Policy, "dead_after", lambda self, lifetime: lifetime * 2)


def count_the_lifetime_of_a_replay_from_its_arrival(patch: pytest.MonkeyPatch) -> None:
    original = Session.next_pair

    def next_pair(self: Session, grant: Grant, since: Instant, now: Instant) -> TokenPair:
        fresh = Grant(grant.permission_token, max(grant.permission_lifetime, 2), grant.refresh_token, 10**6)
        return original(self, fresh, now, now)

    patch.setattr(Session, "next_pair", next_pair)


def give_late_joiners_what_has_died_on_its_way(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Exchange, "_is_worth_having", lambda self, replayed, now: True)


def hand_out_an_older_token(patch: pytest.MonkeyPatch) -> None:
    first: dict[int, str] = {}
    original = AuthorizationProtocol.newest_token

    def newest_token(self: AuthorizationProtocol) -> str | None:
        token = original(self)
        return first.setdefault(id(self), token) if token else token

    patch.setattr(AuthorizationProtocol, "newest_token", newest_token)


def let_every_caller_refresh(patch: pytest.MonkeyPatch) -> None:
    def refresh(self: AuthorizationProtocol) -> Call:
        return self._ask(Call(REFRESH, generation=self.held.generation))

    def needs_no_request(self: Exchange, now: Instant) -> bool:
        if self.session.pair is None or self.session.state != "active":
            self.call.settle(self.session.lack_of_tokens())
        return self.call.settled

    patch.setattr(AuthorizationProtocol, "refresh", refresh)
    patch.setattr(Exchange, "_needs_no_request", needs_no_request)


def lose_the_session_to_a_failed_establish(patch: pytest.MonkeyPatch) -> None:
    original = Exchange._settle_refused

    def settle_refused(self: Exchange, verdict: Any, now: Instant) -> None:
        if self.call.kind == ESTABLISH:
            self.session.pair = None
            self.session.state = "unestablished"
        original(self, verdict, now)

    patch.setattr(Exchange, "_settle_refused", settle_refused)


def never_give_up(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Exchange, "_goes_on", lambda self, verdict, delay, give_up_at, now: now.monotonic < 100_000)


def believe_one_clock_that_the_session_is_over(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(TokenPair, "is_over", lambda self, now: now.wall - self.arrived.wall > self.grant.refresh_lifetime)


def show_the_tokens(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Grant, "__repr__", lambda self: f"<Grant {self.refresh_token}>")


def take_any_token(patch: pytest.MonkeyPatch) -> None:
    patch.setattr("tenure.dialects.spatium.is_header_safe", lambda text: True)


def forget_the_answer_when_all_have_left(patch: pytest.MonkeyPatch) -> None:
    original = World.deliver

    def deliver(self: World, told: Response | SendFailure) -> None:
        if self.callers or not self.left:
            original(self, told)
        else:
            self.protocol.disown_exchange()

    patch.setattr(World, "deliver", deliver)


def let_a_leaving_caller_settle_the_call(patch: pytest.MonkeyPatch) -> None:
    def stop_waiting(self: World, caller: Caller) -> None:
        caller.call.settle()

    patch.setattr(World, "stop_waiting", stop_waiting)


BREAKS: dict[Break, str] = {
    forget_the_answer_when_all_have_left: "4",
    let_a_leaving_caller_settle_the_call: "4",
    hand_a_step_out_twice: "1",
    draw_a_request_id_for_each_attempt: "2",
    believe_a_refusal_to_be_temporary: "2",
    hand_out_dead_tokens: "3",
    count_the_lifetime_of_a_replay_from_its_arrival: "3",
    give_late_joiners_what_has_died_on_its_way: "3",
    hand_out_an_older_token: "3",
    let_every_caller_refresh: "5",
    lose_the_session_to_a_failed_establish: "6",
    never_give_up: "7",
    believe_one_clock_that_the_session_is_over: "7",
    show_the_tokens: "9",
    take_any_token: "10",
}


@pytest.mark.parametrize("break_the_core", BREAKS, ids=lambda broken: broken.__name__)
def test_a_broken_core_is_noticed(break_the_core: Break, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each way to break an invariant is seen within a few hundred lives, as that invariant, and shrinks to little."""
    break_the_core(monkeypatch)
    for seed in range(500):
        plan = Plan.draw(seed)
        number = broken_by(plan)
        if number is not None:
            break
    else:
        pytest.fail("nobody noticed")
    assert number == BREAKS[break_the_core]
    small = shrink(plan)
    assert broken_by(small) == number
    assert len(small.operations) <= 8
