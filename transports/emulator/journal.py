# What the service remembers of its requests, for tests and for people. Nothing in here is a secret.

from dataclasses import dataclass

__all__ = [
    "Journal",
    "JournalEntry",
    "Statistics",
    "KINDS",
    "CREDENTIALS",
    "ISSUE",
    "REFRESH",
    "RESOURCE",
    "UNKNOWN",
]

# The kinds of requests, by their paths.
CREDENTIALS = "credentials"
ISSUE = "issue"  # by factors and by key alike
REFRESH = "refresh"
RESOURCE = "resource"
UNKNOWN = "unknown"  # a path that the service does not have, or not even a request
KINDS = (CREDENTIALS, ISSUE, REFRESH, RESOURCE, UNKNOWN)

JOURNAL_LIMIT = 100_000  # entries; a service that runs for weeks must not fill the memory with its past


@dataclass(frozen=True)
class JournalEntry:
    """One request as the service saw it.

    Attributes:
        kind: "credentials", "issue", "refresh", "resource" or "unknown".
        request_id: the `request-id` header if it was a UUID, else None.
        status: what was answered; 0 if a fault kept the request from being answered at all.
        outcome: in one word: "verified", "issued", "refreshed", "replayed", "reuse", "served", "refused",
            "malformed", or "not acted" when a fault kept the request from the service.
        wall: when, in seconds, on the clock handed in (without the service's clock offset).
        fingerprint: of the token that was presented (refresh or permission token), keyed by the service, or
            None.
        family: the session the presented or issued token belongs to, or None.
        generation: of the refresh token presented (refresh) or issued (issue), or the number of the
            permission token within its family (resource); None if there is none.
        fault: the names of the faults at work, joined by "+"; empty without any.
    """

    kind: str
    request_id: str | None
    status: int
    outcome: str
    wall: float
    fingerprint: str | None = None
    family: str | None = None
    generation: int | None = None
    fault: str = ""


class Journal(list[JournalEntry]):
    """The entries in the order in which the service acted; the older half is dropped beyond 100 000."""

    def note(self, entry: JournalEntry) -> None:
        """Append an entry."""
        self.append(entry)
        if len(self) > JOURNAL_LIMIT:
            del self[: JOURNAL_LIMIT // 2]

    def of(self, kind: str) -> list[JournalEntry]:
        """Return the entries of one kind."""
        return [entry for entry in self if entry.kind == kind]


@dataclass
class Statistics:
    """Counts since the service was made.

    Attributes:
        requests: all that reached the server, also those that a fault kept from the service.
        not_acted: those that a fault kept from the service.
        verified: credentials found right.
        issued: sessions opened, by factors or by key.
        refreshes: refreshes that made a new token.
        replayed: used refresh tokens answered again within the grace window.
        reuse_detected: families revoked because a used refresh token came back.
        refused: credentials, issues and refreshes answered 401 or 403, reuse included.
        malformed: requests answered 400, 404 or 405.
        resource_ok: protected resource served.
        resource_refused: protected resource answered 401.
    """

    requests: int = 0
    not_acted: int = 0
    verified: int = 0
    issued: int = 0
    refreshes: int = 0
    replayed: int = 0
    reuse_detected: int = 0
    refused: int = 0
    malformed: int = 0
    resource_ok: int = 0
    resource_refused: int = 0

    def count_refusal(self, status: int, kind: str) -> None:
        """Count a request of some kind that was answered with an error status."""
        if status not in (401, 403):
            self.malformed += 1
        elif kind == RESOURCE:
            self.resource_refused += 1
        else:
            self.refused += 1
