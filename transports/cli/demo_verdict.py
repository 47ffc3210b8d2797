# What a run of the demo comes to: the facts, the promises they are held against, and the table. Pure functions.

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from ..emulator import REFRESH, JournalEntry
from .demo_record import Summary

__all__ = ["Facts", "Row", "broken_promises", "gather_facts", "report"]


@dataclass(frozen=True)
class Facts:
    """What callers and service saw.

    Attributes:
        seen: by the callers.
        refreshes_sent: requests that reached the service.
        refreshes_accepted: those that made a new pair.
        answers_lost, answers_recovered: those whose answer was kept back, and how many were given again.
        turned_away: those that were answered with a temporary failure.
        one_too_many: refreshes without any excuse: a second one for a token whose answer had arrived.
        reuse_detected: sessions that the service revoked because of a used refresh token.
        unfinished: what the script waited for in vain, or None.
    """

    seen: Summary
    refreshes_sent: int
    refreshes_accepted: int
    answers_lost: int
    answers_recovered: int
    turned_away: int
    one_too_many: int
    reuse_detected: int
    unfinished: str | None = None


class Row(NamedTuple):
    """A line of the table; `is_good` is None where nothing was promised."""

    label: str
    value: str
    note: str
    is_good: bool | None


def gather_facts(seen: Summary, journal: Iterable[JournalEntry], unfinished: str | None = None) -> Facts:
    """Put together what the callers saw and what the service wrote down."""
    refreshes = [entry for entry in journal if entry.kind == REFRESH]
    lost = {entry.request_id for entry in refreshes if entry.fault == "lose_answer"}
    return Facts(
        seen=seen,
        refreshes_sent=len(refreshes),
        refreshes_accepted=sum(entry.outcome == "refreshed" for entry in refreshes),
        answers_lost=len(lost),
        answers_recovered=len({e.request_id for e in refreshes if e.outcome == "replayed" and e.request_id in lost}),
        turned_away=sum(entry.status >= 500 for entry in refreshes),
        one_too_many=_count_excess(refreshes),
        reuse_detected=sum(entry.outcome == "reuse" for entry in refreshes),
        unfinished=unfinished,
    )


def _count_excess(refreshes: Sequence[JournalEntry]) -> int:
    """Count the refreshes beyond one for each refresh token that no failure explains.

    A refresh token has one request id for life (invariant 2), so what was kept from the service, and so has no
    generation in the journal, is found by that: an id that was never seen with a token was drawn for one more.
    """
    answered: dict[str | None, int] = defaultdict(int)
    ids: dict[tuple[str, int], set[str | None]] = defaultdict(set)
    for entry in refreshes:
        answered[entry.request_id] += 0 < entry.status < 500 and entry.fault != "lose_answer"
        if entry.family is not None and entry.generation is not None:
            ids[entry.family, entry.generation].add(entry.request_id)
    kept_back = {entry.request_id for entry in refreshes if entry.outcome == "not acted"}
    unknown = kept_back.difference(*ids.values())
    return sum(max(0, n - 1) for n in answered.values()) + sum(len(each) - 1 for each in ids.values()) + len(unknown)


def broken_promises(facts: Facts) -> list[str]:
    """Return what was not as it has to be, a sentence each; nothing if all is well."""
    seen = facts.seen
    judged = (
        (facts.unfinished is None, f"The demo did not come to its end: {facts.unfinished}"),
        (not seen.errors, f"Callers got errors: {', '.join(sorted(set(seen.errors)))}."),
        (seen.handed_out > 0 and seen.distinct_tokens > 1, "Callers did not get tokens of several generations."),
        (seen.steps_back == 0, "A caller got an older token than it had before."),
        (seen.used > 0, "No token was accepted by the protected resource."),
        (seen.refused == 0, "The protected resource refused a token."),
        (facts.one_too_many == 0, "A refresh token was presented more often than its outcome excuses."),
        (facts.answers_lost > 0, "No answer was lost, so nothing was shown."),
        (facts.answers_recovered == facts.answers_lost, "A lost answer was not recovered."),
        (facts.turned_away > 0, "No refresh was answered with a failure, so nothing was shown."),
        (facts.reuse_detected == 0, "The service saw a used refresh token again, and revoked the session."),
        (seen.told_over == seen.callers, "Not every caller was told that the session was over, when it was."),
    )
    return [sentence for is_kept, sentence in judged if not is_kept]


def report(facts: Facts) -> list[Row]:
    """Return the table."""
    seen = facts.seen
    return [
        Row("tokens handed out", f"{seen.handed_out:,}", f"to {seen.callers} callers", seen.handed_out > 0),
        Row("distinct tokens", f"{seen.distinct_tokens:,}", "", seen.distinct_tokens > 1 and seen.steps_back == 0),
        Row("refreshes sent", f"{facts.refreshes_sent:,}", _explain_sent(facts), facts.one_too_many == 0),
        Row("refreshes accepted", f"{facts.refreshes_accepted:,}", "one for each token but the first", None),
        Row(
            "lost answers survived",
            f"{facts.answers_recovered:,}",
            f"of {facts.answers_lost}",
            facts.answers_recovered == facts.answers_lost > 0,
        ),
        Row("errors before the end", f"{len(seen.errors):,}", "that any caller saw", not seen.errors),
        Row("tokens used", f"{seen.used:,}", "at the protected resource", seen.used > 0),
        Row("tokens refused there", f"{seen.refused:,}", "", seen.refused == 0),
        Row("reuse detected", f"{facts.reuse_detected:,}", "by the service", facts.reuse_detected == 0),
        Row("told it is over", f"{seen.told_over:,}", f"of {seen.callers} callers", seen.told_over == seen.callers),
    ]


def _explain_sent(facts: Facts) -> str:
    refused = facts.refreshes_sent - facts.refreshes_accepted - facts.answers_recovered - facts.turned_away
    parts = [
        f"{facts.answers_recovered} asked again" if facts.answers_recovered else "",
        f"{facts.turned_away} x 503" if facts.turned_away else "",
        f"{refused} too late" if refused > 0 else "",
    ]
    return ", ".join(part for part in parts if part)
