# verdicts.py: what an answer means.

from tenure import Verdict
from tenure.verdicts import GRANTED, REFUSED, TEMPORARY, VIOLATION


def test_kinds_differ() -> None:
    """Four kinds, four words."""
    assert len({GRANTED, REFUSED, TEMPORARY, VIOLATION}) == 4


def test_verdict_shows_kind_and_reason_and_not_what_was_granted() -> None:
    """Invariant 9: what is granted is a secret."""
    verdict = Verdict(GRANTED, "granted", 200, "hunter2")
    assert repr(verdict) == "<Verdict granted: granted>"
    assert (verdict.granted, verdict.status, verdict.retry_after) == ("hunter2", 200, None)


def test_verdict_of_no_answer_has_no_status() -> None:
    """Where nothing came, nothing is claimed."""
    verdict = Verdict(TEMPORARY, "why", retry_after=3.0)
    assert (verdict.status, verdict.granted, verdict.retry_after, verdict.replayed) == (None, None, 3.0, False)
