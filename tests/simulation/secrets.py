# Watches over invariant 9: is there a piece of a secret in a text that people may see?

import re
from collections.abc import Iterable

from .rules import InvariantBroken

__all__ = ["Secrets"]

SHORTEST_LEAK = 8  # characters; what is shorter gives nothing away, and may be a word
RUNS = re.compile(rf"[\w\-]{{{SHORTEST_LEAK},}}")  # the texts of this library show tokens in one piece or not at all


class Secrets:
    """All secrets of a life so far, as one text to look things up in."""

    def __init__(self, secrets: Iterable[str]) -> None:
        self._text = "\n".join(secrets)
        self._harmless: set[str] = set()  # runs; what was said before a secret was made does not hold it
        self.looked_at = 0

    def add(self, *secrets: str) -> None:
        """Take note of new secrets."""
        self._text = "\n".join((self._text, *secrets))

    def look_at(self, text: str) -> None:
        """Complain if the text holds a secret, or eight characters in a row of one."""
        self.looked_at += 1
        if self.are_in(text):
            raise InvariantBroken("9", f"a secret is shown, in a text of {len(text)} characters")

    def are_in(self, text: str) -> bool:
        """Tell whether there is (a piece of) a secret in the text."""
        for run in RUNS.findall(text):
            if run not in self._harmless:
                if run in self._text:
                    return True
                self._harmless.add(run)
        return False
