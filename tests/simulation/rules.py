# What the simulation checks, in the words of the design, and how it complains.

__all__ = ["FRESHNESS", "LIFETIMES", "RULES", "InvariantBroken", "name_of"]

FRESHNESS = "freshness"
LIFETIMES = "lifetimes"

# The ten invariants but the eighth, which is about stores, and what else the design promises in so many words.
RULES = {
    "1": "At most one request is in flight per session, ever.",
    "2": "A refresh token is presented again only after an ambiguous outcome, and then with the same request id; never "
    "after an answer was received for it.",
    "3": "No caller gets a token that was dead by both clocks when it asked, or an older one than another caller "
    "already got.",
    "4": "A caller's cancellation, time-out or crash never abandons an exchange whose request has been sent: the "
    "answer is still consumed, and saved.",
    "5": "N callers at expiry cause one refresh; every one of them gets the new token or the same error.",
    "6": "Establish during an exchange waits its turn; a failed establish leaves the previous session usable; a late "
    "answer to an older exchange never overwrites a newer pair.",
    "7": "Every call settles exactly once, in bounded time, whatever the server sends or does not send.",
    "9": "No secret appears in any repr, event, exception text or traceback, or in a URL; a refresh token is only ever "
    "sent to the configured origin.",
    "10": "A token taken from a response is fit for a header (visible ASCII, no spaces, bounded length) or it is "
    "refused.",
    FRESHNESS: "While the current token still works, everyone gets it at once, and no failure of a refresh reaches a "
    "caller.",
    LIFETIMES: "A session is over when the server refuses its refresh token, or when both clocks agree that its "
    "lifetime has passed; never otherwise.",
}


class InvariantBroken(AssertionError):
    """A rule does not hold.

    Attributes:
        rule: its key in `RULES`, or the number of an invariant.
        text: what happened instead, without secrets.
    """

    def __init__(self, rule: str | int, text: str) -> None:
        self.rule = str(rule)
        self.text = text
        super().__init__(f"{name_of(self.rule)}: {text}")

    @property
    def number(self) -> str:
        """The rule, for those who know invariants only."""
        return self.rule


def name_of(rule: str) -> str:
    """Return what people call a rule."""
    return f"invariant {rule}" if rule.isdigit() else f"the rule of {rule}"
