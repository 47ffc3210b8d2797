# transports/_addresses.py: in what order addresses are tried.

import socket

import pytest
from tenure.transports._addresses import by_turns, look_up, numeric

V4, V6 = socket.AF_INET, socket.AF_INET6


@pytest.mark.parametrize(
    ("found", "expected"),
    [("", ""), ("4", "4"), ("66", "66"), ("6644", "6464"), ("4666", "4666"), ("66644", "64646"), ("4446", "4644")],
)
def test_families_take_turns(found: str, expected: str) -> None:
    """RFC 8305, section 4: where one of them leads nowhere, the second address is of the other."""
    places = [(each, index) for index, each in enumerate(found)]
    entries = [(V4 if each[0] == "4" else V6, socket.SOCK_STREAM, 6, "", each) for each in places]
    addresses = by_turns(entries)
    assert "".join(where[0] for _, where in addresses) == expected
    assert [where for _, where in sorted(addresses, key=lambda each: each[1][1])] == places
    assert all((family == V4) == (where[0] == "4") for family, where in addresses)


@pytest.mark.parametrize(
    ("host", "family"), [("127.0.0.1", V4), ("::1", V6), ("localhost", None), ("127.1", None), ("", None)]
)
def test_an_address_needs_no_look_up(host: str, family: int | None) -> None:
    """What is none is left to the look-up."""
    assert numeric(host, 80) == ([] if family is None else [(family, (host, 80))])


def test_a_look_up_finds_what_can_be_connected_to() -> None:
    """Family, and where."""
    assert look_up("127.0.0.1", 80) == [(V4, ("127.0.0.1", 80))]
