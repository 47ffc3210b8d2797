import pytest
from tenure.transports.emulator.families import (
    ACTIVE,
    EXPIRED,
    REFUSE,
    REPLAY,
    REUSE,
    REVOKED,
    ROTATE,
    SUPERSEDED,
    Families,
    Family,
    Grace,
    Principal,
)

OWNER = Principal("account", "merchant")
NO_GRACE = Grace(0, False)
GRACE = Grace(10, False)
ANSWER = {"permissionToken": {"permissionToken": "secret"}}


def family(number="1", owner=OWNER, token_id="t"):
    return Family(number, owner, token_id, ["read"])


def used(grace=NO_GRACE):
    """A family whose first generation was used up at 100 by request r."""
    rotated = family()
    assert rotated.present(1, "r", 100, grace) == ROTATE
    rotated.rotate(ANSWER, "r", 100, grace)
    return rotated


def test_current_generation_rotates():
    """The current refresh token makes the next pair, again and again."""
    rotated = used()
    assert rotated.present(2, "s", 101, NO_GRACE) == ROTATE
    assert rotated.state == ACTIVE


def test_used_generation_is_reuse_and_revokes():
    """A used refresh token revokes the family; the current one is refused from then on."""
    rotated = used()
    assert rotated.present(1, "s", 100, NO_GRACE) == REUSE
    assert rotated.state == REVOKED
    assert rotated.present(2, "s", 100, NO_GRACE) == REFUSE
    assert rotated.present(1, "s", 100, NO_GRACE) == REFUSE


@pytest.mark.parametrize(
    ("request_id", "wall", "grace", "decision"),
    [
        ("r", 100, GRACE, REPLAY),
        ("r", 110, GRACE, REPLAY),
        ("r", 110.1, GRACE, REUSE),
        ("r", 90, GRACE, REPLAY),
        ("s", 100, GRACE, REUSE),
        ("s", 110, Grace(10, True), REPLAY),
        ("s", 111, Grace(10, True), REUSE),
        ("r", 100, NO_GRACE, REUSE),
    ],
)
def test_grace(request_id, wall, grace, decision):
    """Within the window, the same question (or with the option any) gets the same answer; else it is reuse."""
    rotated = used(GRACE)
    assert rotated.present(1, request_id, wall, grace) == decision
    assert rotated.state == (ACTIVE if decision == REPLAY else REVOKED)
    if decision == REPLAY:
        assert rotated.answer_to(1) is ANSWER


def test_grace_outlives_later_rotations():
    """A late duplicate of an earlier question gets its old answer, though the successor has been used."""
    rotated = used(GRACE)
    rotated.rotate(ANSWER, "s", 105, GRACE)
    assert rotated.present(1, "r", 110, GRACE) == REPLAY
    assert rotated.present(3, "t", 110, GRACE) == ROTATE


@pytest.mark.parametrize("state", [SUPERSEDED, EXPIRED, REVOKED])
def test_inactive_family_refuses_everything(state):
    """What is no longer active is refused plainly, used tokens and grace included; the state stays what it is."""
    rotated = used(GRACE)
    rotated.state = state
    assert [rotated.present(number, "r", 100, GRACE) for number in (1, 2)] == [REFUSE, REFUSE]
    assert rotated.state == state


def test_answers_are_forgotten_when_the_window_has_passed():
    """Only as many answers are kept as the window may ask for."""
    rotated = family()
    for number in range(100):
        rotated.rotate(ANSWER, "r", number, GRACE)
    assert [rotated.answer_to(number) for number in range(90, 101)] == [ANSWER] * 11
    with pytest.raises(KeyError):
        rotated.answer_to(89)


def test_permission_tokens_follow_the_family():
    """Permission tokens are good unless the family is revoked, or they were refused by number."""
    rotated = family()
    numbers = [rotated.next_permission_token() for _ in range(3)]
    assert numbers == [1, 2, 3]
    rotated.permission_tokens_refused = 2
    assert [rotated.accepts_permission_token(number) for number in numbers] == [False, False, True]
    rotated.state = SUPERSEDED
    assert rotated.accepts_permission_token(3)
    rotated.state = REVOKED
    assert not rotated.accepts_permission_token(3)


def test_opening_supersedes_the_same_token_id_of_the_same_owner_only():
    """WIRE.md, Words: a token id names one session of an account."""
    families = Families()
    first = family("1")
    bystanders = [family("2", token_id="u"), family("3", owner=Principal("other", "merchant"))]
    for each in (first, *bystanders, family("4")):
        families.open(each)
    assert first.state == SUPERSEDED
    assert [each.state for each in bystanders] == [ACTIVE, ACTIVE]
    assert len(families) == 4


@pytest.mark.parametrize("state", [EXPIRED, REVOKED])
def test_opening_does_not_revive_or_soften_what_has_ended(state):
    """A revoked family stays revoked when its token id is used anew."""
    families = Families()
    first = family("1")
    families.open(first)
    first.state = state
    families.open(family("2"))
    assert first.state == state


def test_select_by_token_id():
    """Of whichever owner, in whichever case; None is all of them."""
    families = Families()
    for each in (family("1"), family("2", token_id="u"), family("3", owner=Principal(None, "m"))):
        families.open(each)
    assert [each.id for each in families.select("T")] == ["1", "3"]
    assert [each.id for each in families.select(None)] == ["1", "2", "3"]


def test_no_secret_in_any_repr():
    """Remembered answers hold tokens, and do not show."""
    rotated = used(GRACE)
    assert "secret" not in repr(rotated) + repr(rotated._rotations)
