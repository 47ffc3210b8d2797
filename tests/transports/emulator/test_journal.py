import pytest
from tenure.transports.emulator import journal
from tenure.transports.emulator.journal import REFRESH, RESOURCE, Journal, JournalEntry, Statistics


def entry(number, kind=REFRESH):
    return JournalEntry(kind, None, 200, "refreshed", number)


def test_of_returns_one_kind():
    """The entries of a kind, in order."""
    entries = Journal()
    for each in (entry(1), entry(2, RESOURCE), entry(3)):
        entries.note(each)
    assert [each.wall for each in entries.of(REFRESH)] == [1, 3]


def test_the_older_half_is_dropped_beyond_the_limit(monkeypatch):
    """A service that runs for weeks does not fill the memory with its past."""
    monkeypatch.setattr(journal, "JOURNAL_LIMIT", 10)
    entries = Journal()
    for number in range(11):
        entries.note(entry(number))
    assert [each.wall for each in entries] == [5, 6, 7, 8, 9, 10]


@pytest.mark.parametrize(
    ("status", "kind", "counted"),
    [
        (401, REFRESH, "refused"),
        (403, REFRESH, "refused"),
        (401, RESOURCE, "resource_refused"),
        (400, REFRESH, "malformed"),
    ],
)
def test_refusals_are_counted_by_whose_fault_they_are(status, kind, counted):
    """401 and 403 are refusals, of the resource or of the others; the rest is malformed."""
    statistics = Statistics()
    statistics.count_refusal(status, kind)
    assert statistics == Statistics(**{counted: 1})
