# tokens.py: a pair of tokens, and what two clocks say of its age.

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tenure import Instant, ReadyToken
from tenure.tokens import NOTHING_READY, Grant, TokenPair, clocks_past, wall_seconds

from .partner import at


def pair_of(permission: float = 100, refresh: float = 1000, stale: float = 80, dead: float = 90) -> TokenPair:
    """Return a pair that was asked for and arrived at the start of time."""
    grant = Grant("secret-p", permission, "secret-r", refresh)
    return TokenPair(grant, at(0), at(0), stale, dead, "request-id", 3)


@pytest.mark.parametrize(
    ("monotonic", "wall", "says"),
    [
        (9.999, 11, 0),
        (10, 0, 1),
        (0, 12, 1),
        (9.999, 12, 1),
        (10, 11, 1),
        (10, 12, 2),
        (-5, -5, 0),
        (-5, 10**9, 1),
        (10**9, -(10**9), 1),
    ],
)
def test_clocks_are_asked_separately(monotonic: float, wall: int, says: int) -> None:
    """DESIGN.md, Time: either clock alone lies; the wall clock speaks in whole seconds, so only beyond that doubt."""
    assert clocks_past(Instant(0, 0), 10, Instant(monotonic, wall)) == says


@given(st.floats(0, 1e6), st.floats(0, 1), st.floats(0, 1e6))
def test_wall_never_claims_what_has_not_passed(seconds: float, offset: float, passed: float) -> None:
    """Two readings are each cut to whole seconds; their difference alone must not age a token early."""
    if int(offset + passed) - int(offset) >= wall_seconds(seconds):
        assert passed >= seconds


@given(st.floats(0, 1e6))
def test_wall_waits_at_most_two_seconds_more(seconds: float) -> None:
    """The doubt costs up to two seconds, not more: the monotonic clock is the exact one."""
    assert 1 <= wall_seconds(seconds) - seconds <= 2


@pytest.mark.parametrize(("seconds", "stale", "dead"), [(79.9, 0, 0), (80, 1, 0), (89.9, 1, 0), (90, 1, 1)])
def test_monotonic_clock_is_exact(seconds: float, stale: bool, dead: bool) -> None:
    """Stale and dead begin at their very moments."""
    pair = pair_of()
    assert (pair.is_stale(at(seconds)), pair.is_dead(at(seconds))) == (stale, dead)


def test_one_clock_is_enough_to_distrust_a_permission_token() -> None:
    """A token is fresh only while both clocks say so: suspend stops the one, somebody sets the other."""
    pair = pair_of()
    assert pair.is_dead(at(0, wall_ahead=92))
    assert not pair.is_dead(at(0, wall_ahead=91))
    assert pair.is_dead(at(90, wall_ahead=-(10**6)))


def test_both_clocks_are_needed_to_call_the_refresh_token_over() -> None:
    """DESIGN.md, Lifetimes: when only one clock says so, the server is asked."""
    pair = pair_of()
    assert not pair.is_over(at(0, wall_ahead=10**6))
    assert not pair.is_over(at(1000, wall_ahead=-(10**6)))
    assert not pair.is_over(at(1001))
    assert pair.is_over(at(1002))


@pytest.mark.parametrize("lifetime", [1, 2, 3])
def test_short_lifetimes_are_usable_at_first(lifetime: int) -> None:
    """Tokens of one to three seconds: good when they come, stale before they are dead, dead before they expire."""
    pair = pair_of(lifetime, 1000, lifetime * 0.8, lifetime * 0.9)
    assert not pair.is_stale(at(0))
    assert pair.is_stale(at(lifetime * 0.85))
    assert not pair.is_dead(at(lifetime * 0.85))
    assert pair.is_dead(at(lifetime * 0.95))


def test_ready_token_ends_by_either_clock() -> None:
    """What is handed out without asking bears the bound of each clock."""
    ready = pair_of().ready_for(80.5)
    assert ready.permission_token == "secret-p"
    assert (ready.until_monotonic, ready.until_wall) == (at(80.5).monotonic, at(0).wall + 82)


@given(st.floats(0, 100), st.floats(0, 300), st.integers(-300, 300))
def test_ready_bounds_and_clocks_agree(bound: float, passed: float, ahead: int) -> None:
    """The fast path and the slow one never disagree on whether a moment has come."""
    pair, now = pair_of(), at(passed, ahead)
    ready = pair.ready_for(bound)
    still = now.monotonic < ready.until_monotonic and now.wall < ready.until_wall
    assert still == (clocks_past(pair.since, bound, now) == 0) or abs(passed - bound) < 1e-6


def test_nothing_ready_is_never_ready() -> None:
    """It has no token, and its bounds lie before every moment, whatever the epochs of the clocks."""
    assert NOTHING_READY.permission_token == ""
    assert not NOTHING_READY.until_monotonic > -1e300
    assert not NOTHING_READY.until_wall > -1e300


def test_no_token_is_shown() -> None:
    """Invariant 9: reprs say how long, not what."""
    pair = pair_of()
    assert repr(pair) == "<TokenPair 3: <Grant for 100 s, refresh token for 1000 s>>"
    assert repr(ReadyToken("secret-p", 1.5, 2)) == "<ReadyToken until 1.500 s monotonic, 2 s wall>"
