# policy.py: when to refresh and how long to wait, as numbers.

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tenure import Policy, UsageError

CHANCE = st.floats(0, 1, exclude_max=True)


def test_defaults_are_those_of_the_design() -> None:
    """DESIGN.md, Lifetimes and Failures: 80 %, 10 s leeway, 30 s deadline."""
    policy = Policy()
    assert (policy.fresh_fraction, policy.leeway, policy.deadline) == (0.8, 10, 30)
    assert (policy.jitter, policy.attempt_timeout) == (0.1, 10)
    assert (policy.backoff_base, policy.backoff_cap, policy.retry_after_cap) == (0.5, 30, 3600)


@pytest.mark.parametrize(("chance", "expected"), [(0, 720), (0.5, 675), (0.999, 630.09)])
def test_stale_after_fraction_minus_jitter(chance: float, expected: float) -> None:
    """DESIGN.md, Lifetimes: fresh until 80 % of the lifetime, minus a jitter of at most 10 % of it."""
    assert Policy().stale_after(900, chance) == pytest.approx(expected)


@given(st.floats(1, 1e9), CHANCE)
def test_jitter_stays_within_its_bounds(lifetime: float, chance: float) -> None:
    """The moment of an early refresh lies between 70 % and 80 % of any lifetime."""
    assert 0.7 * lifetime * (1 - 1e-9) <= Policy().stale_after(lifetime, chance) <= 0.8 * lifetime * (1 + 1e-9)


@pytest.mark.parametrize(
    ("lifetime", "dead"), [(900, 890), (100, 90), (99, 89.1), (30, 27), (3, 2.7), (2, 1.8), (1, 0.9), (0, 0)]
)
def test_leeway_is_at_most_a_tenth_of_the_lifetime(lifetime: float, dead: float) -> None:
    """DESIGN.md, Lifetimes: ten seconds, at most a tenth, so that a short token is not dead from the start (S1s)."""
    assert Policy().dead_after(lifetime) == pytest.approx(dead)


def test_no_leeway_means_dead_at_expiry() -> None:
    """A leeway of 0 hands a token out to its last second."""
    assert Policy(leeway=0).dead_after(900) == 900


@pytest.mark.parametrize(
    ("failures", "longest"), [(1, 0.5), (2, 1), (3, 2), (4, 4), (7, 30), (31, 30), (32, 30), (10_000, 30)]
)
def test_backoff_doubles_up_to_its_cap(failures: int, longest: float) -> None:
    """Full jitter: any part of a bound that doubles with each failure, however many there were."""
    assert Policy().backoff(failures, 1.0) == longest
    assert Policy().backoff(failures, 0.25) == longest / 4
    assert Policy().backoff(failures, 0) == 0


def test_backoff_exponent_is_bounded() -> None:
    """A thousand failures make neither an enormous integer nor an overflow, even under the greatest cap."""
    policy = Policy(backoff_base=1e-9, backoff_cap=1e9)
    assert policy.backoff(31, 1.0) == policy.backoff(5000, 1.0) == pytest.approx(2**30 * 1e-9)


NAMES = [name for name in Policy.__slots__ if name != "refreshes_blindly"]
OVER = {"fresh_fraction": 1.0001, "jitter": 0.81}
POSITIVE = ("fresh_fraction", "deadline", "attempt_timeout", "backoff_base", "backoff_cap")


def policy_with(name: str, value: object) -> Policy:
    """Return a policy with one number given."""
    return Policy(**{name: value})  # type: ignore[arg-type]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("value", ["1", None, True, [1], 1j])
def test_what_is_no_number_is_refused(name: str, value: object) -> None:
    """The text names the field and the type, and a bool is not a number."""
    with pytest.raises(UsageError, match=f"^Policy: {name} must be a number, not {type(value).__name__}$"):
        policy_with(name, value)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("value", [-0.001, -(10**400), float("nan"), float("inf"), float("-inf"), 10**400])
def test_numbers_out_of_range_are_refused(name: str, value: float) -> None:
    """Neither negative nor beyond all bounds, NaN included."""
    with pytest.raises(UsageError, match=f"^Policy: {name} must be"):
        policy_with(name, value)


@pytest.mark.parametrize("name", NAMES)
def test_zero_is_refused_where_it_makes_no_sense(name: str) -> None:
    """Nobody can wait at most 0 s for an answer; a leeway, jitter or Retry-After of 0 is fine."""
    if name in POSITIVE:
        with pytest.raises(UsageError, match=f"^Policy: {name} must be above 0 and at most "):
            policy_with(name, 0)
    else:
        assert getattr(policy_with(name, 0), name) == 0


@pytest.mark.parametrize("name", NAMES)
def test_upper_bounds_are_inclusive(name: str) -> None:
    """At its bound a number is taken, above it refused with the bound in the text."""
    bound = {"fresh_fraction": 1.0, "jitter": 0.8}.get(name, 1e9)
    assert getattr(policy_with(name, bound), name) == bound
    with pytest.raises(UsageError, match=rf"at most {bound:g}$".replace("+", r"\+")):
        policy_with(name, OVER.get(name, 1e9 + 1))


def test_jitter_is_bounded_by_the_fraction_of_this_policy() -> None:
    """However much jitter, a token is not stale before it was sent for."""
    assert Policy(fresh_fraction=0.3, jitter=0.3).stale_after(100, 0.5) == pytest.approx(15)
    with pytest.raises(UsageError, match=r"jitter must be at least 0 and at most 0\.3"):
        Policy(fresh_fraction=0.3, jitter=0.31)


@pytest.mark.parametrize(("word", "blindly"), [("error", False), ("refresh", True)])
def test_what_to_do_without_a_store_is_one_of_two_words(word: str, blindly: bool) -> None:
    """DESIGN.md, Sharing a session: the safe default is an error."""
    assert Policy(on_store_failure=word).refreshes_blindly is blindly
    assert Policy().refreshes_blindly is False


@pytest.mark.parametrize("word", ["", "Refresh", "ignore", None, True, ["refresh"]])
def test_other_words_for_a_store_that_fails_are_refused(word: object) -> None:
    """A typing error must not choose the risk."""
    with pytest.raises(UsageError, match=r'^Policy: on_store_failure must be "error" or "refresh"$'):
        Policy(on_store_failure=word)  # type: ignore[arg-type]
