# events.py: what happened, for people and logs.

from collections.abc import Callable

import pytest
from tenure import (
    AttemptFailed,
    Event,
    SessionEstablished,
    SessionExpired,
    StateAdopted,
    TokenInvalidated,
    TokenRotated,
)

from .partner import at

LINES: "list[tuple[Callable[..., Event], tuple[object, ...], str]]" = [
    (SessionEstablished, (), "session T: established"),
    (TokenRotated, (), "session T: refreshed"),
    (StateAdopted, (), "session T: took over a newer pair from the store"),
    (TokenInvalidated, (), "session T: a resource server refused the current token"),
    (AttemptFailed, ("cut", None, None), "session T: attempt failed: cut"),
    (AttemptFailed, ("cut", 1.25, 503), "session T: attempt failed: cut; next attempt in 1.2 s at the earliest"),
    (AttemptFailed, ("cut", 0.0, 503), "session T: attempt failed: cut; next attempt in 0.0 s at the earliest"),
    (SessionExpired, ("refused", False), "session T: over: refused"),
]


@pytest.mark.parametrize(("cls", "facts", "line"), LINES)
def test_event_is_a_line_for_a_log(cls: "Callable[..., Event]", facts: "tuple[object, ...]", line: str) -> None:
    """`str` is the line, `repr` names the class besides."""
    moment = at(0)
    event = cls("T", moment, *facts)
    assert str(event) == line
    assert repr(event) == f"<{type(event).__name__} {line}>"
    assert event.token_id == "T"
    assert event.at is moment


def test_failed_attempt_keeps_its_facts() -> None:
    """A program reads attributes, not texts."""
    event = AttemptFailed("T", at(0), "cut", 1.5, 503)
    assert (event.reason, event.retry_in, event.status) == ("cut", 1.5, 503)


def test_expired_session_keeps_its_facts() -> None:
    """It says whether an answer may have been lost before."""
    event = SessionExpired("T", at(0), "refused", True)
    assert (event.reason, event.ambiguous) == ("refused", True)
