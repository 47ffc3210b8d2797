# events.py: what happened, for people and logs.

import pytest
from tenure import (
    AttemptFailed,
    Event,
    Instant,
    SessionEstablished,
    SessionExpired,
    StateAdopted,
    TokenInvalidated,
    TokenRotated,
)

from .partner import at

LINES = {
    SessionEstablished("T", at(0)): "session T: established",
    TokenRotated("T", at(0)): "session T: refreshed",
    StateAdopted("T", at(0)): "session T: took over a newer pair from the store",
    TokenInvalidated("T", at(0)): "session T: a resource server refused the current token",
    AttemptFailed("T", at(0), "cut", None, None): "session T: attempt failed: cut",
    AttemptFailed(
        "T", at(0), "cut", 1.25, 503
    ): "session T: attempt failed: cut; next attempt in 1.2 s at the earliest",
    AttemptFailed("T", at(0), "cut", 0.0, 503): "session T: attempt failed: cut; next attempt in 0.0 s at the earliest",
    SessionExpired("T", at(0), "refused", False): "session T: over: refused",
}


@pytest.mark.parametrize(("event", "line"), [pytest.param(*item, id=type(item[0]).__name__) for item in LINES.items()])
def test_event_is_a_line_for_a_log(event: Event, line: str) -> None:
    """`str` is the line, `repr` names the class besides."""
    assert str(event) == line
    assert repr(event) == f"<{type(event).__name__} {line}>"
    assert event.token_id == "T"
    assert isinstance(event.at, Instant)


def test_failed_attempt_keeps_its_facts() -> None:
    """A program reads attributes, not texts."""
    event = AttemptFailed("T", at(0), "cut", 1.5, 503)
    assert (event.reason, event.retry_in, event.status) == ("cut", 1.5, 503)


def test_expired_session_keeps_its_facts() -> None:
    """It says whether an answer may have been lost before."""
    event = SessionExpired("T", at(0), "refused", True)
    assert (event.reason, event.ambiguous) == ("refused", True)
