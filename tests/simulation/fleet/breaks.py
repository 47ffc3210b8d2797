# Ways to break the core, a driver or a store on purpose, each with the invariant that it breaks. A simulation that does
# not see them proves nothing.

from collections.abc import Callable, Generator
from dataclasses import replace
from typing import Any

import pytest
from tenure import ACTIVE, AuthorizationProtocol, Instant, LoadState, Policy, SendFailure, SendRequest, Stored
from tenure.session import Session
from tenure.shared import SharedExchange
from tenure.steps import Sleep
from tenure.store_steps import ReleaseLease, SaveState
from tenure.tokens import Grant, TokenPair

from .plan import FILE, REDIS, Settings
from .store import StoreView

__all__ = ["BREAKS", "Break"]

Break = Callable[[pytest.MonkeyPatch], None]
Steps = Generator[Any, Any, Any]


def send_before_the_lease_is_taken(patch: pytest.MonkeyPatch) -> None:
    take_over = SharedExchange._take_over

    def share(self: SharedExchange, give_up_at: float, now: Instant) -> Steps:
        yield from self._obtain(give_up_at, now)
        if self.lease is not None:
            yield from self._last_word(now)

    def take_lease_and_over(self: SharedExchange, grant: Grant, since: Instant, now: Instant) -> Steps:
        now = yield from self._take_lease(now.monotonic + 30, now)
        return (yield from take_over(self, grant, since, now))

    patch.setattr(SharedExchange, "_share", share)
    patch.setattr(SharedExchange, "_prepare_attempt", lambda self, now: no_steps(now))
    patch.setattr(SharedExchange, "_take_over", take_lease_and_over)


def no_steps(now: Instant) -> Steps:
    yield from ()
    return now


def ignore_when_the_lease_ends(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(SendRequest, "seconds_left", lambda self, now: self.timeout)
    patch.setattr(SharedExchange, "_prepare_attempt", lambda self, now: no_steps(now))


def ignore_the_wall_clock_when_a_machine_wakes(patch: pytest.MonkeyPatch) -> None:
    def seconds_left(self: SendRequest, now: Instant) -> float:
        if now.monotonic >= self.until:
            raise SendFailure("not sent", "too late")
        return min(self.timeout, self.until - now.monotonic)

    patch.setattr(SendRequest, "seconds_left", seconds_left)


def forget_that_the_last_holder_was_interrupted(patch: pytest.MonkeyPatch) -> None:
    look = SharedExchange._look

    def look_away(self: SharedExchange, reply: Any, *times: Instant) -> Any:
        if isinstance(reply, Stored):
            reply.interrupted = False
        return look(self, reply, *times)

    patch.setattr(SharedExchange, "_look", look_away)


def do_not_tell_that_an_outcome_is_ambiguous(patch: pytest.MonkeyPatch) -> None:
    last_word = SharedExchange._last_word

    def say_nothing(self: SharedExchange, now: Instant) -> Steps:
        if self.session.state == ACTIVE and self.session.unsaved is None:
            yield ReleaseLease(self.lease)
        else:
            yield from last_word(self, now)

    patch.setattr(SharedExchange, "_last_word", say_nothing)


def do_not_save_an_expiry(patch: pytest.MonkeyPatch) -> None:
    def say_nothing(self: SharedExchange, now: Instant) -> Steps:
        yield ReleaseLease(self.lease)

    patch.setattr(SharedExchange, "_last_word", say_nothing)


def never_give_the_lease_back(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(SharedExchange, "_last_word", lambda self, now: no_steps(now))


def keep_a_lease_that_cannot_be_given_back(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(SharedExchange, "_abandon", lambda self, reply: no_steps(self.session.latest))


def forget_a_pair_that_cannot_be_saved(patch: pytest.MonkeyPatch) -> None:
    save = SharedExchange._save

    def save_or_forget(self: SharedExchange, pair: TokenPair, now: Instant) -> Steps:
        now = yield from save(self, pair, now)
        if self.session.pair is not None:
            self.session.unsaved = self.granted = None
        return now

    patch.setattr(SharedExchange, "_save", save_or_forget)


def cut_off_a_step_at_the_end(patch: pytest.MonkeyPatch, condition: Callable[[Session], bool]) -> None:
    wind_up = AuthorizationProtocol.wind_up

    def end(self: AuthorizationProtocol) -> None:
        if self._exchange is not None and condition(self.held):
            self._exchange.close()
            self._end()
        wind_up(self)

    patch.setattr(AuthorizationProtocol, "wind_up", end)


def keep_the_lease_at_the_end(patch: pytest.MonkeyPatch) -> None:
    cut_off_a_step_at_the_end(patch, lambda session: session.unsaved is None)


def drop_at_the_end_what_waits_to_be_saved(patch: pytest.MonkeyPatch) -> None:
    cut_off_a_step_at_the_end(patch, lambda session: session.unsaved is not None)


def install_before_it_is_saved(patch: pytest.MonkeyPatch) -> None:
    def install_and_save(self: SharedExchange, pair: TokenPair, now: Instant) -> Steps:
        self._install(pair, now)
        if not self.call.settled:
            self.call.settle()
        _, now = yield SaveState(self.lease, self.session.to_snapshot(now, pair))
        self.lease = None
        return now

    patch.setattr(SharedExchange, "_save", install_and_save)


def ignore_what_others_have_saved(patch: pytest.MonkeyPatch) -> None:
    adopt = Session.adopt

    def adopt_once(self: Session, *arguments: Any) -> Any:
        return adopt(self, *arguments) if self.pair is None else (self.state, self.ambiguous)

    patch.setattr(Session, "adopt", adopt_once)


def refresh_blindly_unasked(patch: pytest.MonkeyPatch) -> None:
    begin = Policy.__init__

    def prefer_the_other_risk(self: Policy, **numbers: Any) -> None:
        begin(self, **{**numbers, "on_store_failure": "refresh"})

    patch.setattr(Policy, "__init__", prefer_the_other_risk)


def believe_a_stored_token_to_be_new(patch: pytest.MonkeyPatch) -> None:
    adopt = Session.adopt

    def adopt_as_new(self: Session, state: dict[str, Any], now: Instant, *_: Any) -> Any:
        return adopt(self, state, now, 0.0)

    patch.setattr(Session, "adopt", adopt_as_new)


def count_from_when_the_answer_was_read(patch: pytest.MonkeyPatch) -> None:
    adopt = Session.adopt

    def adopt_late(self: Session, state: dict[str, Any], now: Instant, age: float | None, *_: Any) -> Any:
        return adopt(self, state, now, age)

    patch.setattr(Session, "adopt", adopt_late)


def refresh_although_others_have(patch: pytest.MonkeyPatch) -> None:
    needs_no_request = SharedExchange._needs_no_request

    def needs_one(self: SharedExchange, now: Instant) -> bool:
        self.call.generation = self.session.generation
        return needs_no_request(self, now)

    patch.setattr(SharedExchange, "_needs_no_request", needs_one)


def wait_for_others_for_ever(patch: pytest.MonkeyPatch) -> None:
    def wait(self: SharedExchange, is_outdated: bool, poll: float, give_up_at: float, now: Instant) -> float:
        if self.session.unsaved is None:
            self._needs_no_request(now)
        return 60.0

    patch.setattr(SharedExchange, "_wait_for_others", wait)


def look_without_an_end(patch: pytest.MonkeyPatch) -> None:
    look_first = SharedExchange._look_first

    def look_often(self: SharedExchange, give_up_at: float, now: Instant) -> Steps:
        for _ in range(40):
            _, now = yield LoadState(self.key)
            _, now = yield Sleep(5.0)
        return (yield from look_first(self, give_up_at, now))

    patch.setattr(SharedExchange, "_look_first", look_often)


def save_without_looking_at_the_lease(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(StoreView, "_check", lambda self, lease: None)


def show_what_is_stored(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Stored, "__repr__", lambda self: f"<Stored {self.state}>")


# The kinds of worlds in which the breaks show.
CALM = Settings(REDIS, 4, 2, 60, 180_000, 100_000, 20)
PAUSED = replace(CALM, pauses=True, operations=30)
PAUSED_PAIR = replace(PAUSED, processes=2, operations=15)
PAUSED_FILE = replace(PAUSED, store=FILE, machines=1, permission_lifetime=900)
SUSPENDED = replace(CALM, suspends=True, machines=4, grace=5, trouble=0.3, operations=30)
CRASHING = replace(CALM, crashes=True, grace=0)
TROUBLED = replace(CALM, trouble=0.3, grace=0)
STORE_TROUBLED = replace(CALM, store_trouble=0.5)
ENDING = replace(CALM, crashes=True, store_trouble=0.3, grace=0)
STORE_AWAY = replace(CALM, store=FILE, machines=1, outages=True)

BREAKS: dict[Break, tuple[str, Settings]] = {
    send_before_the_lease_is_taken: ("1", CALM),
    ignore_when_the_lease_ends: ("2", PAUSED),
    ignore_the_wall_clock_when_a_machine_wakes: ("2", SUSPENDED),
    forget_that_the_last_holder_was_interrupted: ("2", CRASHING),
    do_not_tell_that_an_outcome_is_ambiguous: ("2", TROUBLED),
    ignore_what_others_have_saved: ("2", CALM),
    believe_a_stored_token_to_be_new: ("3", CALM),
    count_from_when_the_answer_was_read: ("3", PAUSED),
    do_not_save_an_expiry: ("4", TROUBLED),
    forget_a_pair_that_cannot_be_saved: ("2", STORE_AWAY),
    keep_a_lease_that_cannot_be_given_back: ("8", STORE_AWAY),
    refresh_although_others_have: ("5", CALM),
    save_without_looking_at_the_lease: ("6", PAUSED_PAIR),
    never_give_the_lease_back: ("7", CALM),
    keep_the_lease_at_the_end: ("7", CRASHING),
    drop_at_the_end_what_waits_to_be_saved: ("4", ENDING),
    wait_for_others_for_ever: ("7", PAUSED_FILE),
    look_without_an_end: ("7", CALM),
    install_before_it_is_saved: ("8", CALM),
    refresh_blindly_unasked: ("8", STORE_TROUBLED),
    show_what_is_stored: ("9", CALM),
}
