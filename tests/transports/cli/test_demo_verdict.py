from collections.abc import Callable
from typing import Any

import pytest
from tenure.transports.cli.demo_record import Summary
from tenure.transports.cli.demo_verdict import Facts, broken_promises, gather_facts, report
from tenure.transports.emulator import JournalEntry

from .helpers import a_good_journal, a_good_summary, expired, kept_back, refreshed


def facts_of(journal: list[JournalEntry] | None = None, unfinished: str | None = None, **changes: Any) -> Facts:
    return gather_facts(a_good_summary(**changes), a_good_journal() if journal is None else journal, unfinished)


def test_a_good_run_breaks_no_promise() -> None:
    """One refresh for each token, but for a lost answer, two failures and the last one, which is too late."""
    facts = facts_of()
    assert broken_promises(facts) == []
    assert (facts.refreshes_sent, facts.refreshes_accepted) == (7, 3)
    assert (facts.answers_lost, facts.answers_recovered, facts.turned_away) == (1, 1, 2)
    assert (facts.one_too_many, facts.reuse_detected) == (0, 0)
    assert all(row.is_good is not False for row in report(facts))


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({"errors": ("RefreshError", "RefreshError")}, "errors: RefreshError."),
        ({"errors": ("SessionExpiredError",)}, "SessionExpiredError"),
        ({"refused": 1}, "refused a token"),
        ({"told_over": 31}, "told that the session was over"),
        ({"steps_back": 1}, "older token"),
        ({"distinct_tokens": 1}, "several generations"),
        ({"handed_out": 0}, "several generations"),
        ({"used": 0}, "No token was accepted"),
        ({"unfinished": "a scene did not end"}, "a scene did not end"),
    ],
)
def test_what_callers_must_not_see_is_a_broken_promise(changes: dict[str, Any], word: str) -> None:
    """Each alone is enough, and is named."""
    broken = broken_promises(facts_of(**changes))
    assert len(broken) == 1
    assert word in broken[0]


@pytest.mark.parametrize(
    ("more", "word"),
    [
        ([refreshed(1, status=401, outcome="reuse")], "revoked"),
        ([refreshed(3, outcome="replayed")], "more often"),
        ([expired(4)], "more often"),
    ],
)
def test_what_the_service_must_not_see_is_a_broken_promise(more: list[JournalEntry], word: str) -> None:
    """Invariants 2 and 5: one refresh for each token, unless its outcome excuses another."""
    broken = broken_promises(facts_of(a_good_journal() + more))
    assert any(word in sentence for sentence in broken)
    assert any(row.is_good is False for row in report(facts_of(a_good_journal() + more)))


def test_another_request_id_for_the_same_token_is_one_too_many() -> None:
    """Invariant 2: again only with the same request id."""
    journal = a_good_journal()
    other = refreshed(2, outcome="replayed")
    journal[4] = type(other)(**{**other.__dict__, "request_id": "another"})
    facts = facts_of(journal)
    assert facts.one_too_many == 1
    assert facts.answers_recovered == 0


def test_another_request_id_after_a_failure_is_one_too_many() -> None:
    """Invariant 2, where the service has not seen the token: its next refresh bears the id of those that failed."""
    journal = a_good_journal()
    journal[5] = kept_back(99)
    assert facts_of(journal).one_too_many == 1


def test_a_lost_answer_that_stays_lost_is_a_broken_promise() -> None:
    """S4 of the field: the answer is lost, and must be had again within the grace window."""
    journal = [entry for entry in a_good_journal() if entry.outcome != "replayed"]
    assert broken_promises(facts_of(journal)) == ["A lost answer was not recovered."]


@pytest.mark.parametrize(
    ("kept", "word"),
    [
        (lambda entry: entry.fault != "lose_answer" and entry.outcome != "replayed", "No answer was lost"),
        (lambda entry: entry.fault != "status", "No refresh was answered with a failure"),
    ],
)
def test_a_fault_that_did_not_happen_is_a_broken_promise(kept: Callable[[JournalEntry], bool], word: str) -> None:
    """A demo that shows nothing must not say that all is well."""
    broken = broken_promises(facts_of([entry for entry in a_good_journal() if kept(entry)]))
    assert len(broken) == 1
    assert word in broken[0]


def test_refreshes_that_no_failure_explains_are_counted() -> None:
    """Failures excuse the next attempt; an answer does not."""
    excused = [
        kept_back(1),
        kept_back(1, status=0),
        refreshed(1, fault="lose_answer"),
        refreshed(1, outcome="replayed"),
    ]
    assert gather_facts(Summary(1), excused).one_too_many == 0
    assert gather_facts(Summary(1), [*excused, refreshed(1, outcome="replayed")]).one_too_many == 1
