# Every state of an authorization session and every way from one to another. Nothing outside these tables changes a
# state, and the diagram in README.md is generated from them (tests/test_documents.py compares the two).
#
# Read a row as: in this state, when this happens, go there. What is not listed is refused and changes nothing.
# Freshness (fresh, stale, dead) is not a state: it follows from the time and the pair, see tokens.py.

# fmt: off
__all__ = [
    "UNESTABLISHED", "ACTIVE", "EXPIRED", "IDLE", "EXCHANGING", "PAIR_RECEIVED", "STATE_ADOPTED", "REFRESH_REFUSED",
    "LIFETIME_PASSED", "EXPIRY_ADOPTED", "EXCHANGE_BEGUN", "EXCHANGE_ENDED", "SESSION_TABLE", "EXCHANGE_TABLE",
    "next_state",
]
# fmt: on

# The session: is there a refresh token worth presenting?
UNESTABLISHED = "unestablished"
ACTIVE = "active"
EXPIRED = "expired"

PAIR_RECEIVED = "pair received"  # the service answered with a pair of tokens
STATE_ADOPTED = "state adopted"  # the store or a snapshot held a newer pair
REFRESH_REFUSED = "refresh refused"  # the service says that the refresh token is spent, revoked or expired
LIFETIME_PASSED = "lifetime passed"  # both clocks agree that the refresh token has expired
EXPIRY_ADOPTED = "expiry adopted"  # the store says that another process has found the session to be over

# A temporary failure, a protocol violation and a refused establish() are no transitions: the session stays as it was.
SESSION_TABLE = {
    UNESTABLISHED: {PAIR_RECEIVED: ACTIVE, STATE_ADOPTED: ACTIVE},
    ACTIVE: {
        PAIR_RECEIVED: ACTIVE,
        STATE_ADOPTED: ACTIVE,
        REFRESH_REFUSED: EXPIRED,
        LIFETIME_PASSED: EXPIRED,
        EXPIRY_ADOPTED: EXPIRED,
    },
    EXPIRED: {PAIR_RECEIVED: ACTIVE, STATE_ADOPTED: ACTIVE},
}

# The exchange, in each of the states above: is the core in the middle of something? Invariant 1 is this table: an
# exchange cannot begin while another one has not ended.
IDLE = "idle"
EXCHANGING = "exchanging"

EXCHANGE_BEGUN = "exchange begun"
EXCHANGE_ENDED = "exchange ended"

EXCHANGE_TABLE = {
    IDLE: {EXCHANGE_BEGUN: EXCHANGING},
    EXCHANGING: {EXCHANGE_ENDED: IDLE},
}


def next_state(table: "dict[str, dict[str, str]]", state: str, event: str) -> str:
    """Return where `event` leads from `state`.

    Raises:
        AssertionError: the table does not list it. That is a bug in the caller, never a server's or a user's doing.
    """
    row = table[state]
    if event not in row:
        raise AssertionError(f"'{event}' cannot happen while {state}")
    return row[event]
