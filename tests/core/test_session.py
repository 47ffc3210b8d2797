# session.py: what is held, what may be handed out, and when somebody should ask.

import re
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tenure import AttemptFailed, Instant, SessionEstablished, TokenRotated
from tenure.session import MAX_EVENTS, Session
from tenure.states import PAIR_RECEIVED
from tenure.tokens import Grant

from .partner import DEAD_AT, STALE_AT, Chance, Partner, at, established, make_protocol, steady

UUID4 = r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}"


# What may be handed out without a question


def test_ready_until_stale_while_nothing_is_under_way() -> None:
    """DESIGN.md, Lifetimes: fresh until 80 % of the lifetime; then somebody has to ask."""
    protocol = established().protocol
    assert protocol.fresh_token(at(STALE_AT - 0.1)) == protocol.newest_token()
    assert protocol.fresh_token(at(STALE_AT)) is None


def test_ready_covers_the_stale_window_while_a_refresh_is_under_way() -> None:
    """DESIGN.md, Lifetimes: a refresh starts, and everyone keeps getting the current token, up to its death."""
    partner = established()
    protocol = partner.protocol
    protocol.request_token(at(STALE_AT))
    partner.take_request(at(STALE_AT))
    assert protocol.fresh_token(at(DEAD_AT - 0.1)) == protocol.newest_token()
    assert protocol.fresh_token(at(DEAD_AT)) is None


def test_ready_covers_a_cool_down_and_no_more() -> None:
    """While the current token works nobody asks before the next attempt may begin; then somebody has to."""
    partner = established(policy=steady(backoff_base=20))
    protocol = partner.protocol
    protocol.request_token(at(STALE_AT))
    partner.fail_next(at(STALE_AT))
    assert protocol.fresh_token(at(STALE_AT + 9.9)) == protocol.newest_token()
    assert protocol.fresh_token(at(STALE_AT + 10)) is None


def test_cool_down_does_not_outlive_the_token() -> None:
    """However long a Retry-After, a dead token is not handed out (invariant 3)."""
    partner = established()
    partner.protocol.request_token(at(STALE_AT))
    partner.answer_next(at(STALE_AT), 503, (("retry-after", "1000"),))
    assert partner.protocol.fresh_token(at(DEAD_AT - 0.1))
    assert partner.protocol.fresh_token(at(DEAD_AT)) is None


def test_either_clock_ends_the_fast_path() -> None:
    """Suspend stops the one, an operator moves the other."""
    protocol = established().protocol
    assert protocol.fresh_token(at(0, wall_ahead=STALE_AT + 1))
    assert protocol.fresh_token(at(0, wall_ahead=STALE_AT + 2)) is None
    assert protocol.fresh_token(at(STALE_AT, wall_ahead=-(10**6))) is None


def test_nothing_is_ready_before_the_first_pair() -> None:
    """No token, no fast path."""
    protocol = make_protocol()
    assert protocol.fresh_token(at(-(10**9))) is None
    assert protocol.newest_token() is None
    assert protocol.held.is_dead(at(0))


@given(st.floats(0, 2000), st.integers(-2000, 2000))
def test_what_is_ready_is_usable(passed: float, ahead: int) -> None:
    """Invariant 3: the fast path never gives what the slow one would refuse."""
    protocol, now = FRESH.protocol, at(passed, ahead)
    if protocol.fresh_token(now) is not None:
        assert protocol.held.is_usable(now)


FRESH = established()


@pytest.mark.parametrize("lifetime", [1, 2, 3])
def test_short_lived_tokens_are_handed_out(lifetime: int) -> None:
    """FIELD S1s: windows are parts of the lifetime, so even such tokens have a fresh, a stale and a dead time."""
    partner = established(permission_lifetime=lifetime)
    protocol = partner.protocol
    assert protocol.fresh_token(at(lifetime * 0.79))
    assert protocol.fresh_token(at(lifetime * 0.81)) is None
    assert protocol.request_token(at(lifetime * 0.81)).settled
    partner.take_request(at(lifetime * 0.81))
    assert not protocol.request_token(at(lifetime * 0.91)).settled


@pytest.mark.parametrize(
    ("numbers", "stale", "dead"),
    [
        ({"fresh_fraction": 1, "leeway": 0}, 1000, 1000),
        ({"fresh_fraction": 1}, 990, 990),
        ({"fresh_fraction": 1, "leeway": 1e9}, 900, 900),
        ({"fresh_fraction": 0.001}, 1, 990),
        ({"fresh_fraction": 0.5, "jitter": 0.5}, 250, 990),
        ({"jitter": 0.1}, 750, 990),
    ],
)
def test_extreme_policies(numbers: "dict[str, float]", stale: float, dead: float) -> None:
    """Whatever the numbers, there is no moment at which a dead token is ready or a fresh one is not."""
    partner = established(policy=steady(**numbers))
    protocol = partner.protocol
    assert protocol.fresh_token(at(stale - 0.1))
    assert protocol.fresh_token(at(stale)) is None
    call = protocol.request_token(at(dead - 0.01))
    assert call.settled
    assert not protocol.request_token(at(dead)).settled
    partner.take_request(at(dead))


def test_stale_from_the_start_refreshes_behind_the_callers() -> None:
    """A policy whose jitter eats up the fresh time still hands its token out."""
    partner = established(policy=steady(fresh_fraction=0.5, jitter=0.5))
    partner.chance.part = 0.9999999
    partner.protocol.refresh()
    partner.answer_next(at(1))
    call = partner.protocol.request_token(at(2))
    assert call.settled
    partner.take_request(at(2))


# When somebody should ask


def test_waiting_never_runs_in_circles() -> None:
    """By rounding, the moment at which a token is due may come before it is stale: then there is still a wait."""
    rng = Random(7)
    not_yet = 0
    for _ in range(2000):
        since = Instant(rng.uniform(0, 1e6), 0)
        session = Session("https://h/v1", "id", ("read",), steady(), rng.randbytes)
        pair = session.next_pair(Grant("p", rng.uniform(1, 900), "r", 1e6), since, since)
        session.install(PAIR_RECEIVED, pair, SessionEstablished, since)
        due = Instant(since.monotonic + pair.stale_after, 0)
        not_yet += not pair.is_stale(due)
        assert session.seconds_until_due(due) == (0 if pair.is_stale(due) else 0.001)
    assert not_yet > 50


@pytest.mark.parametrize(("now", "seconds"), [(0, 800), (500, 300), (799.5, 0.5), (800, 0), (985, 0), (2000, 0)])
def test_seconds_until_due(now: float, seconds: float) -> None:
    """keep_alive sleeps until the token is stale, and not at all from then on."""
    assert established().protocol.seconds_until_due(at(now)) == pytest.approx(seconds)


def test_due_at_once_if_the_wall_says_so() -> None:
    """The machine slept: the monotonic clock did not notice, the wall clock did."""
    assert established().protocol.seconds_until_due(at(1, wall_ahead=900)) == 0


def test_due_before_death_whatever_the_fraction() -> None:
    """A policy without a stale window is due when the token dies."""
    assert established(policy=steady(fresh_fraction=1)).protocol.seconds_until_due(at(0)) == DEAD_AT


def test_due_after_the_cool_down() -> None:
    """The service said when to come again."""
    partner = established()
    partner.protocol.request_token(at(STALE_AT))
    partner.answer_next(at(STALE_AT), 503, (("retry-after", "60"),))
    assert partner.protocol.seconds_until_due(at(STALE_AT)) == 60
    assert partner.protocol.seconds_until_due(at(STALE_AT + 59)) == 1
    assert partner.protocol.seconds_until_due(at(STALE_AT + 61)) == 0


def test_due_at_once_when_invalidated() -> None:
    """A refused token is of no use, however young."""
    protocol = established().protocol
    protocol.invalidate(str(protocol.newest_token()))
    assert protocol.seconds_until_due(at(5)) == 0


def test_never_due_where_no_refresh_can_help() -> None:
    """Before the first pair, and after the end."""
    partner = Partner()
    assert partner.protocol.seconds_until_due(at(0)) is None
    partner = established()
    partner.protocol.refresh()
    partner.answer_next(at(0), 401)
    assert partner.protocol.seconds_until_due(at(0)) is None


# Events


def test_events_are_taken_once_and_in_order() -> None:
    """A driver takes them; nobody gets one twice."""
    partner = Partner()
    partner.ask_to_establish(at(0))
    partner.answer_next(at(0))
    partner.protocol.refresh()
    partner.answer_next(at(1), took=2)
    taken = partner.protocol.take_events()
    assert [type(event) for event in taken] == [SessionEstablished, TokenRotated]
    assert [event.at.monotonic for event in taken] == [at(0).monotonic, at(3).monotonic]
    assert partner.protocol.take_events() == []


def test_events_nobody_takes_are_bounded() -> None:
    """A driver without a listener must not grow for ever; the newest are kept."""
    partner = established(policy=steady(backoff_base=0.001, backoff_cap=0.001))
    for second in range(MAX_EVENTS + 10):
        partner.protocol.request_token(at(STALE_AT + second))
        partner.answer_next(at(STALE_AT + second), 429)
    events = partner.protocol.take_events()
    assert len(events) == 64
    assert events[-1].at.wall == at(STALE_AT + MAX_EVENTS + 9).wall
    assert isinstance(events[0], AttemptFailed)
    assert events[0].at.wall == at(STALE_AT + 10).wall


# Chance


def test_chance_is_a_fraction() -> None:
    """24 bits, in [0, 1)."""
    session = make_protocol(chance=lambda size: b"\xff" * size).held
    assert session.chance() == 1 - 2**-24
    assert make_protocol(chance=lambda size: b"\x00" * size).held.chance() == 0
    assert make_protocol(chance=lambda size: b"\x80\x00\x01"[:size]).held.chance() == 0.5 + 2**-24


@given(st.binary(min_size=16, max_size=16))
def test_request_ids_are_uuids_of_version_4(raw: bytes) -> None:
    """RFC 9562, section 5.4: version and variant are set, the rest is chance."""
    request_id = make_protocol(chance=lambda size: raw[:size]).held.new_request_id()
    assert re.fullmatch(UUID4, request_id)
    kept = bytes.fromhex(request_id.replace("-", ""))
    assert [a ^ b for a, b in zip(kept, raw, strict=True) if a != b] == [
        a ^ b for i, (a, b) in enumerate(zip(kept, raw, strict=True)) if a != b and i in (6, 8)
    ]
    assert kept[6] & 0x0F == raw[6] & 0x0F
    assert kept[8] & 0x3F == raw[8] & 0x3F


def test_jitter_is_drawn_anew_for_each_pair() -> None:
    """DESIGN.md, Lifetimes: minus a jitter, so that fleets do not march in step."""
    chance = Chance(0)
    protocol = make_protocol(policy=steady(jitter=0.1), chance=chance)
    assert protocol.held.policy.stale_after(1000, 0) == 800
    partner = established(policy=steady(jitter=0.1))
    partner.chance.part = 0.0
    partner.protocol.refresh()
    partner.answer_next(at(0))
    first = partner.protocol.held.ready.until_monotonic
    partner.chance.part = 0.5
    partner.protocol.refresh()
    partner.answer_next(at(0))
    assert first - partner.protocol.held.ready.until_monotonic == pytest.approx(50)
