# The helpers of these tests, tested.

import pytest
from tenure import AMBIGUOUS, REFRESH, Instant

from .partner import Chance, at, established, jwt, later, refresh_token_in, request_id_of


def test_at_moves_both_clocks_and_sets_the_wall_ahead() -> None:
    """One argument is time passing, the other is somebody setting the wall clock."""
    assert (at(7).monotonic - at(0).monotonic, at(7).wall - at(0).wall) == (7, 7)
    assert (at(7, 60).monotonic, at(7, 60).wall) == (at(7).monotonic, at(7).wall + 60)
    moment = later(Instant(1, 2), 3)
    assert (moment.monotonic, moment.wall) == (4, 5)


def test_chance_is_fixed_and_request_ids_differ() -> None:
    """A draw of chance is the part that was set; longer draws are all different."""
    chance = Chance(0.25)
    assert int.from_bytes(chance(3), "big") / 0x1000000 == 0.25
    assert chance(16) != chance(16)
    chance.fails = True
    with pytest.raises(OSError, match="no randomness"):
        chance(3)


def test_established_partner_has_a_pair_that_the_service_knows() -> None:
    """The session is active, idle, and its refresh token is good for one refresh."""
    partner = established()
    call = partner.protocol.refresh()
    partner.answer_next(at(1))
    assert (call.kind, call.settled, call.error) == (REFRESH, True, None)
    assert partner.service.statistics.refreshes == 1


def test_lost_answer_has_been_acted_on_and_a_cut_wire_has_not() -> None:
    """`lose_the_answer` rotates on the server's side only; `fail_next` leaves the server alone."""
    partner = established()
    partner.protocol.refresh()
    partner.fail_next(at(1), AMBIGUOUS)
    assert partner.service.statistics.refreshes == 0
    partner.lose_the_answer(at(1))
    assert partner.service.statistics.refreshes == 1
    assert partner.protocol.generation == 1


def test_requests_are_read_by_the_names_of_the_wire() -> None:
    """`refresh_token_in` and `request_id_of` give what the request bears."""
    partner = established()
    partner.protocol.refresh()
    request = partner.take_request(at(1))
    assert partner.service.fingerprint(refresh_token_in(request)) == partner.service.fingerprint(
        str(partner.protocol.snapshot()["pair"]["refresh_token"])  # type: ignore[index]
    )
    assert len(request_id_of(request)) == 36


def test_jwt_has_three_parts() -> None:
    """A token made by hand has the form that a JWT has (RFC 7519)."""
    assert jwt(exp=2).count(".") == 2
