# snapshot.py: a session as a dict, and back, over clocks that jumped in between.

import json
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tenure import (
    ACTIVE,
    AMBIGUOUS,
    EXPIRED,
    UNESTABLISHED,
    AuthorizationProtocol,
    Instant,
    SendRequest,
    SessionExpiredError,
    SnapshotError,
    SpatiumDialect,
    TokenInvalidated,
)
from tenure.snapshot import FORMAT, VERSION

from .partner import (
    DEAD_AT,
    PERMISSION_LIFETIME,
    TOKEN_ID,
    URL,
    Chance,
    Partner,
    at,
    established,
    make_protocol,
    refresh_token_in,
    request_id_of,
    steady,
)


def through_json(protocol: AuthorizationProtocol) -> "dict[str, object]":
    """Return a snapshot that has been on a disk."""
    restored = json.loads(json.dumps(protocol.snapshot(), allow_nan=False))
    assert isinstance(restored, dict)
    return restored


def restore(snapshot: "dict[str, object]", now: Instant) -> AuthorizationProtocol:
    """Return the session that a snapshot saved."""
    return AuthorizationProtocol.from_snapshot(snapshot, now, random_bytes=Chance(), policy=steady())


def restarted(partner: Partner, now: Instant) -> Partner:
    """Let the client be saved and restored; the service goes on."""
    partner.protocol = restore(through_json(partner.protocol), now)
    return partner


def good_snapshot() -> "dict[str, object]":
    """Return a snapshot of an established session."""
    return through_json(established().protocol)


def pair_in(snapshot: "dict[str, object]") -> "dict[str, object]":
    """Return the part that holds the pair."""
    pair = snapshot["pair"]
    assert isinstance(pair, dict)
    return pair


# Round trips


def test_round_trip_of_an_established_session() -> None:
    """Saved and restored at the same moment, a session is what it was."""
    protocol = established().protocol
    restored = restore(through_json(protocol), at(0))
    assert restored.snapshot() == protocol.snapshot()
    assert (restored.state, restored.generation, restored.token_id) == (ACTIVE, 1, TOKEN_ID)
    assert restored.fresh_token(at(0)) == protocol.newest_token()
    assert restored.held.url == URL
    assert restored.held.permissions == ("read",)


def test_round_trip_of_a_session_that_was_never_established() -> None:
    """Nothing held is a state, too."""
    saved = through_json(make_protocol())
    assert (saved["pair"], saved["ambiguous"], saved["invalidated"]) == (None, False, False)
    restored = restore(saved, at(0))
    assert (restored.state, restored.newest_token(), restored.fresh_token(at(0))) == (UNESTABLISHED, None, None)


def test_round_trip_of_an_expired_session() -> None:
    """What is over stays over: nothing is sent."""
    partner = established()
    partner.protocol.refresh()
    partner.answer_next(at(1), 401)
    restored = restore(through_json(partner.protocol), at(2))
    assert restored.state == EXPIRED
    call = restored.refresh()
    assert isinstance(call.error, SessionExpiredError)
    assert str(call.error) == "the session is over: its refresh token has expired. Establish it anew"
    assert restored.next_step(at(2)) is None


def test_settings_of_the_snapshot_format() -> None:
    """A reader can tell what it is before it reads on."""
    snapshot = good_snapshot()
    assert (snapshot["format"], snapshot["version"]) == (FORMAT, VERSION) == ("tenure session", 1)


def test_same_refresh_token_is_presented_under_the_same_request_id() -> None:
    """Invariant 2, over a restart in the middle of an exchange; a server with a grace window answers the same pair."""
    partner = established(grace=60)
    partner.protocol.refresh()
    partner.lose_the_answer(at(1))
    restarted(partner, at(2))
    call = partner.protocol.refresh()
    partner.answer_next(at(2))
    assert call.error is None
    first, second = partner.sent
    assert request_id_of(first) == request_id_of(second)
    assert refresh_token_in(first) == refresh_token_in(second)
    assert partner.service.statistics.replayed == 1


def test_ambiguity_is_saved_while_the_request_is_under_way() -> None:
    """Invariant 8: a crash at any instruction; the restored session says that an answer may have been lost."""
    partner = established()
    partner.protocol.refresh()
    partner.service.handle(partner.take_request(at(1)), at(1).wall)
    restarted(partner, at(2))
    call = partner.protocol.refresh()
    partner.answer_next(at(2))
    assert isinstance(call.error, SessionExpiredError)
    assert call.error.ambiguous


def test_token_replayed_to_a_session_saved_before_the_crash_is_not_taken_for_new() -> None:
    """Invariants 3 and 8: saved while idle, cut off after sending: the grace window answers with a token of then."""
    partner = established(grace=600, permission_lifetime=5)
    snapshot = through_json(partner.protocol)
    partner.protocol.refresh()
    partner.service.handle(partner.take_request(at(10)), at(10).wall)  # and here the process dies
    partner.protocol = restore(snapshot, at(70))
    call = partner.protocol.request_token(at(70))
    partner.answer_next(at(70))
    assert partner.service.statistics.replayed == 1
    assert partner.protocol.fresh_token(at(71)) is None
    assert not call.settled


def test_ambiguity_of_an_expired_session_survives() -> None:
    """SessionExpiredError says after an ambiguous exchange that it was one, after a restart as well."""
    partner = established()
    partner.protocol.refresh()
    partner.lose_the_answer(at(1))
    partner.answer_next(at(1))
    assert partner.protocol.state == EXPIRED
    call = restore(through_json(partner.protocol), at(2)).refresh()
    assert isinstance(call.error, SessionExpiredError)
    assert call.error.ambiguous


def test_invalidated_token_is_not_handed_out_after_a_restart() -> None:
    """A resource server refused it; a restart does not mend it."""
    protocol = established().protocol
    token = protocol.newest_token()
    assert token
    assert protocol.invalidate(token)
    assert restore(through_json(protocol), at(1)).fresh_token(at(1)) is None


def test_first_event_of_a_restored_session_has_its_time() -> None:
    """An event bears the moment at which it happened, even if nothing was asked before."""
    protocol = restore(good_snapshot(), at(5))
    protocol.invalidate(str(protocol.newest_token()))
    (event,) = protocol.take_events()
    assert isinstance(event, TokenInvalidated)
    assert event.at.wall == at(5).wall


# Clocks between save and restore


def test_token_ages_while_nobody_runs() -> None:
    """The wall clock tells how long the process was away, whatever the new monotonic clock counts from."""
    token = established().protocol
    for away, fresh in ((0, True), (799, True), (801, False), (DEAD_AT, False), (10**9, False)):
        now = Instant(3.5, at(away).wall)
        restored = restore(through_json(token), now)
        assert (restored.fresh_token(now) is not None) == fresh


def test_restored_token_dies_by_the_monotonic_clock() -> None:
    """The rest of its life is counted on both clocks: a wall that stands still does not keep it alive."""
    protocol = established().protocol
    restored = restore(through_json(protocol), Instant(7, at(100).wall))
    assert not restored.held.is_dead(Instant(7 + DEAD_AT - 100.1, at(100).wall))
    assert restored.held.is_dead(Instant(7 + DEAD_AT - 100, at(100).wall))


def test_restored_token_that_has_just_died_is_not_handed_out() -> None:
    """The wall clock alone would still be in doubt: the monotonic one is told what it says."""
    now = Instant(7, at(0).wall + int(DEAD_AT) + 1)
    assert restore(good_snapshot(), now).held.is_dead(now)


@pytest.mark.parametrize("back", [1, 3600, 10**8])
def test_wall_that_ran_backwards_makes_the_token_dead(back: int) -> None:
    """Nobody can say how old it is: ask for a new one rather than hand out a dead one."""
    now = Instant(7, at(0).wall - back)
    restored = restore(good_snapshot(), now)
    assert restored.fresh_token(now) is None
    assert restored.held.is_dead(now)
    assert not restored.held.pair.is_over(now)  # type: ignore[union-attr]
    restored.refresh()
    assert restored.next_step(now) is not None


@pytest.mark.parametrize("refresh_lifetime", [30 * 86400, PERMISSION_LIFETIME, 500, 5])
def test_wall_that_leapt_ahead_does_not_end_the_session(refresh_lifetime: int) -> None:
    """DESIGN.md, Lifetimes: only one witness says that the refresh token is over, so the server is asked."""
    partner = established(refresh_lifetime=refresh_lifetime)
    restarted(partner, Instant(7, at(0).wall + 10**9))
    call = partner.protocol.refresh()
    partner.take_request(Instant(7, at(0).wall + 10**9))
    assert not call.settled


def test_unset_clock_at_saving_does_no_harm() -> None:
    """A board that boots in 1970 saves, and is restored with a clock that has been set: ask, and go on."""
    partner = Partner(clock_offset=at(0).wall)
    partner.protocol.establish([partner.security_token(Instant(0, 10))])
    partner.answer_next(Instant(0, 10))
    now = Instant(3, at(20).wall)
    partner.service.clock_offset = 0
    restarted(partner, now)
    assert partner.protocol.fresh_token(now) is None
    call = partner.protocol.request_token(now)
    partner.answer_next(now)
    assert call.settled
    assert call.error is None
    assert partner.protocol.fresh_token(now)


def test_restoring_again_and_again_does_not_make_it_younger() -> None:
    """Whole seconds cut off at each restore must not add up."""
    protocol = established().protocol
    for second in range(0, DEAD_AT, 10):
        protocol = restore(through_json(protocol), Instant(second * 0.001, at(second).wall))
    assert protocol.held.is_dead(Instant(0.98 + 10, at(DEAD_AT).wall))


@given(st.integers(-(10**9), 10**12), st.floats(0, 1e9))
def test_any_clocks_restore_without_harm(wall_jump: int, monotonic: float) -> None:
    """However the clocks jumped, the restored token ends no later than a whole life from now, and asking works."""
    now = Instant(monotonic, at(0).wall + wall_jump)
    restored = restore(SAVED, now)
    until = restored.held.ready.until_monotonic
    assert until <= now.monotonic + DEAD_AT + 1e-6 * abs(now.monotonic)
    restored.refresh()
    assert restored.next_step(now) is not None


SAVED = good_snapshot()

# Damage


@pytest.mark.parametrize("thing", [None, 5, "text", [], {}, {"format": "other"}, {"format": None}, {"version": 1}])
def test_foreign_things_are_refused(thing: object) -> None:
    """What does not say that it is ours is not read."""
    with pytest.raises(SnapshotError, match="not a snapshot of a tenure session"):
        restore(thing, at(0))  # type: ignore[arg-type]


def test_newer_version_is_refused_with_advice() -> None:
    """The text says which version it is, and to upgrade."""
    with pytest.raises(SnapshotError, match=f"version {VERSION + 1} .* up to version {VERSION}: upgrade"):
        restore({**good_snapshot(), "version": VERSION + 1}, at(0))


@pytest.mark.parametrize("version", [None, "1", True, 1.0, 0, -1, [1]])
def test_damaged_version_is_refused(version: object) -> None:
    """A version is a number from 1 up."""
    with pytest.raises(SnapshotError, match="version is not a number from 1 up"):
        restore({**good_snapshot(), "version": version}, at(0))


TOP = ("url", "token_id", "permissions", "state", "ambiguous", "invalidated")
TEXTS = ("permission_token", "refresh_token", "request_id")
NUMBERS = tuple(sorted(set(pair_in(SAVED)) - set(TEXTS)))
DAMAGE: tuple[object, ...] = (
    None,
    [],
    {},
    b"",
    1j,
    float("nan"),
    float("inf"),
    -1,
    1e15,
    10**400,
    "",
    "a b",
    "\ud800",
    True,
)


def assert_is_refused(snapshot: "dict[str, object]", words: str = "") -> None:
    """It is refused for what these words say, and no part of it is in the text (invariant 9)."""
    with pytest.raises(SnapshotError) as caught:
        restore(snapshot, at(0))
    assert not words or str(caught.value).startswith(f"the snapshot is damaged: {words}")
    for name in TEXTS:
        assert str(pair_in(SAVED)[name]) not in str(caught.value)


@pytest.mark.parametrize("name", TOP)
def test_missing_field_is_refused(name: str) -> None:
    """Every field counts."""
    snapshot = good_snapshot()
    del snapshot[name]
    assert_is_refused(snapshot, f"{name} must be")


@pytest.mark.parametrize("name", TEXTS + NUMBERS)
def test_missing_field_of_the_pair_is_refused(name: str) -> None:
    """Every field of the pair counts."""
    snapshot = good_snapshot()
    del pair_in(snapshot)[name]
    assert_is_refused(snapshot, f"{name} must be")


@pytest.mark.parametrize("name", TEXTS + NUMBERS)
@pytest.mark.parametrize("value", DAMAGE, ids=range(len(DAMAGE)))
def test_damaged_field_of_the_pair_is_refused(name: str, value: object) -> None:
    """A wrong type, a number below 0 or beyond all bounds, a token unfit for a header (invariant 10)."""
    snapshot = good_snapshot()
    pair_in(snapshot)[name] = value
    assert_is_refused(snapshot)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("url", ""),
        ("url", 5),
        ("url", "http://elsewhere.example"),
        ("url", "https://user:hunter2@host"),
        ("token_id", None),
        ("token_id", ""),
        ("permissions", "read"),
        ("permissions", []),
        ("permissions", [5]),
        ("state", None),
        ("state", "happy"),
        ("state", UNESTABLISHED),
        ("ambiguous", "yes"),
        ("invalidated", "yes"),
        ("ambiguous", 1),
        ("ambiguous", None),
        ("pair", None),
        ("pair", []),
        ("pair", "x"),
        ("pair", {}),
    ],
)
def test_damaged_field_is_refused(name: str, value: object) -> None:
    """Each field is checked as an argument would be, and state and pair against each other."""
    assert_is_refused({**good_snapshot(), name: value})


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("state", "happy", "state is none of"),
        ("state", UNESTABLISHED, "state and pair do not fit"),
        ("pair", [], "pair must be an object"),
        ("pair", {**pair_in(SAVED), "request_id": "a b"}, "request_id holds spaces"),
    ],
)
def test_damage_is_named(name: str, value: object, words: str) -> None:
    """Whoever looks at the file finds the place."""
    assert_is_refused({**good_snapshot(), name: value}, words)


def test_state_and_pair_that_fit() -> None:
    """Over, with or without a pair, is a state that can be."""
    assert restore({**good_snapshot(), "state": EXPIRED}, at(0)).state == EXPIRED
    assert restore({**good_snapshot(), "state": EXPIRED, "pair": None}, at(0)).state == EXPIRED


def test_pair_with_nothing_left_can_be_restored() -> None:
    """A replayed answer may bring a token whose life is 0 s, and a board's clock may stand at 0."""
    snapshot = good_snapshot()
    zeros = ("permission_lifetime", "refresh_lifetime", "since", "arrived", "stale_after", "dead_after")
    pair_in(snapshot).update(dict.fromkeys(zeros, 0))
    restored = restore(snapshot, at(0))
    assert restored.fresh_token(at(0)) is None
    assert restored.state == ACTIVE


def test_plain_http_needs_the_same_permission_again() -> None:
    """Invariant 9: a snapshot does not smuggle `allow_http` in."""
    snapshot = {**good_snapshot(), "url": "http://host"}
    with pytest.raises(SnapshotError, match="cannot be used: url is plain http"):
        restore(snapshot, at(0))
    protocol = AuthorizationProtocol.from_snapshot(snapshot, at(0), random_bytes=Chance(), allow_http=True)
    assert protocol.held.url == "http://host"


def test_arguments_beside_the_snapshot_are_used() -> None:
    """Policy, randomness and store are not saved: they come with the call."""
    policy, chance, dialect = steady(), Chance(), SpatiumDialect(refresh_path="/elsewhere")
    protocol = AuthorizationProtocol.from_snapshot(
        good_snapshot(), at(0), random_bytes=chance, policy=policy, dialect=dialect, stored=True
    )
    assert protocol.held.policy is policy
    assert protocol.held.random_bytes is chance
    assert not protocol.load().settled
    restored = AuthorizationProtocol.from_snapshot(good_snapshot(), at(0), random_bytes=chance, dialect=dialect)
    restored.refresh()
    step = restored.next_step(at(0))
    assert isinstance(step, SendRequest)
    assert step.request.url.endswith("/elsewhere")


@given(st.sampled_from(sorted(SAVED)), st.none() | st.booleans() | st.integers() | st.floats() | st.text())
def test_any_damage_is_refused_or_restored(name: str, value: object) -> None:
    """Fuzz: a snapshot is restored or refused, nothing else ever comes out."""
    refused_or_restored(lambda snapshot: snapshot.update({name: value}))


@given(st.sampled_from(TEXTS + NUMBERS), st.none() | st.booleans() | st.integers() | st.floats() | st.text())
def test_any_damage_to_the_pair_is_refused_or_restored(name: str, value: object) -> None:
    """Fuzz: the same for the pair; a restored session can go on."""
    refused_or_restored(lambda snapshot: pair_in(snapshot).update({name: value}))


def refused_or_restored(damage: "Callable[[dict[str, object]], object]") -> None:
    """Restore a damaged snapshot and use the session, if it is restored."""
    snapshot = good_snapshot_copy()
    damage(snapshot)
    try:
        protocol = restore(snapshot, at(0))
    except SnapshotError:
        return
    protocol.request_token(at(0))
    protocol.next_step(at(0))
    json.dumps(protocol.snapshot())


def good_snapshot_copy() -> "dict[str, object]":
    """Return a copy of a snapshot made once: making one signs tokens, which takes its time."""
    return {**SAVED, "pair": dict(pair_in(SAVED))}


def test_kinds_of_failure_are_not_confused_with_a_state() -> None:
    """A snapshot taken after a failed attempt is that of an active session."""
    partner = established()
    partner.protocol.refresh()
    partner.fail_next(at(1), AMBIGUOUS)
    assert partner.protocol.snapshot()["state"] == ACTIVE
    assert partner.protocol.snapshot()["ambiguous"] is True
