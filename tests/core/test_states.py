# states.py: the tables are complete, and nothing that they do not list can happen.

import pytest
from tenure import states
from tenure.states import (
    ACTIVE,
    EXCHANGE_BEGUN,
    EXCHANGE_ENDED,
    EXCHANGE_TABLE,
    EXCHANGING,
    EXPIRED,
    EXPIRY_ADOPTED,
    IDLE,
    LIFETIME_PASSED,
    PAIR_RECEIVED,
    REFRESH_REFUSED,
    SESSION_TABLE,
    STATE_ADOPTED,
    UNESTABLISHED,
    next_state,
)

SESSION_EVENTS = (PAIR_RECEIVED, STATE_ADOPTED, REFRESH_REFUSED, LIFETIME_PASSED, EXPIRY_ADOPTED)
EXCHANGE_EVENTS = (EXCHANGE_BEGUN, EXCHANGE_ENDED)

# What DESIGN.md says, written down a second time: a table that is compared with itself proves nothing.
ARRIVALS = {
    (UNESTABLISHED, PAIR_RECEIVED): ACTIVE,
    (UNESTABLISHED, STATE_ADOPTED): ACTIVE,
    (ACTIVE, PAIR_RECEIVED): ACTIVE,
    (ACTIVE, STATE_ADOPTED): ACTIVE,
    (ACTIVE, REFRESH_REFUSED): EXPIRED,
    (ACTIVE, LIFETIME_PASSED): EXPIRED,
    (ACTIVE, EXPIRY_ADOPTED): EXPIRED,
    (EXPIRED, PAIR_RECEIVED): ACTIVE,
    (EXPIRED, STATE_ADOPTED): ACTIVE,
    (IDLE, EXCHANGE_BEGUN): EXCHANGING,
    (EXCHANGING, EXCHANGE_ENDED): IDLE,
}

PAIRS = [
    pytest.param(table, state, event, id=f"{state}, {event}")
    for table in (SESSION_TABLE, EXCHANGE_TABLE)
    for state in table
    for event in SESSION_EVENTS + EXCHANGE_EVENTS
]


@pytest.mark.parametrize(("table", "state", "event"), PAIRS)
def test_every_state_and_event(table: "dict[str, dict[str, str]]", state: str, event: str) -> None:
    """DESIGN.md, States: what is listed arrives, all else is refused and says what cannot happen when."""
    if (state, event) in ARRIVALS:
        assert next_state(table, state, event) == ARRIVALS[state, event]
    else:
        with pytest.raises(AssertionError, match=f"'{event}' cannot happen while {state}"):
            next_state(table, state, event)


def test_tables_lead_nowhere_but_into_themselves() -> None:
    """Every state that a row leads to has a row of its own, in the same table."""
    for table in (SESSION_TABLE, EXCHANGE_TABLE):
        assert {target for row in table.values() for target in row.values()} <= set(table)


def test_tables_name_every_state_and_event_of_the_file() -> None:
    """No constant of the file is left out of the tables."""
    words = {value for name, value in vars(states).items() if name.isupper() and isinstance(value, str)}
    rows = [*SESSION_TABLE.items(), *EXCHANGE_TABLE.items()]
    assert words == {state for state, _ in rows} | {event for _, row in rows for event in row}
