# The core on MicroPython over real sockets: on_board/talk.py against the emulator in this process.

from collections.abc import Iterator

import pytest
from tenure.transports.emulator import Emulator, lose_answer, status

from .board import Board, Outcome

pytestmark = pytest.mark.once

STORY = [
    "verified",
    "established",
    "the resource answers 200",
    "refreshed",
    "the resource answers 200",
    "permissions read",
]


@pytest.fixture
def emulator() -> Iterator[Emulator]:
    with Emulator(grace=30) as running:
        yield running


def talk(board: Board, emulator: Emulator, heap: str) -> Outcome:
    """Run talk.py with what it needs to know; the password does not appear on a command line (invariant 9)."""
    username, password = emulator.credentials
    return board.run("talk", emulator.url, username, heap=heap, environment={"TENURE_PASSWORD": password})


def test_session_over_sockets_from_source_with_a_heap_of_256k(source_board: Board, emulator: Emulator) -> None:
    """DESIGN.md, Numbers to reach: verify, establish, get, refresh, and both tokens work."""
    outcome = talk(source_board, emulator, "256k")
    assert outcome.is_clean, outcome
    assert outcome.lines == STORY
    assert [entry.outcome for entry in emulator.journal] == ["verified", "issued", "served", "refreshed", "served"]


def test_session_over_sockets_compiled_with_a_heap_of_128k(compiled_board: Board, emulator: Emulator) -> None:
    """DESIGN.md, Numbers to reach: the same from .mpy files with half the heap."""
    outcome = talk(compiled_board, emulator, "128k")
    assert outcome.is_clean, outcome
    assert outcome.lines == STORY
    assert [entry.outcome for entry in emulator.journal] == ["verified", "issued", "served", "refreshed", "served"]


def test_lost_answer_is_asked_for_again_with_the_same_request_id(compiled_board: Board, emulator: Emulator) -> None:
    """FIELD S4, invariant 2: the server rotated, nobody heard; the grace window answers the same successor."""
    emulator.faults.add(lose_answer())
    outcome = talk(compiled_board, emulator, "128k")
    assert outcome.is_clean, outcome
    assert outcome.lines == STORY
    refreshes = emulator.journal.of("refresh")
    assert [entry.outcome for entry in refreshes] == ["refreshed", "replayed"]
    assert refreshes[0].request_id == refreshes[1].request_id


def test_temporary_refusal_is_slept_through(compiled_board: Board, emulator: Emulator) -> None:
    """FIELD S5: a 503 with Retry-After costs a pause, on a board as well."""
    emulator.faults.add(status(503, retry_after=0))
    outcome = talk(compiled_board, emulator, "128k")
    assert outcome.is_clean, outcome
    assert outcome.lines == STORY


def test_wrong_password_is_refused_and_shown_nowhere(compiled_board: Board, emulator: Emulator) -> None:
    """Invariant 9: what MicroPython prints of an error that nobody catches holds no secret either."""
    secret = "the-wrong-password"
    outcome = compiled_board.run(
        "talk", emulator.url, emulator.credentials.username, heap="128k", environment={"TENURE_PASSWORD": secret}
    )
    assert outcome.status == 1
    assert "RefusedError: could not verify credentials: the service answered 401" in outcome.complaints
    assert secret not in outcome.complaints + "".join(outcome.lines)
