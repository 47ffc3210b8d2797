# Watches over invariant 9: is there a piece of a secret in a text that people may see?

import re
from collections.abc import Iterable, Iterator

from .rules import InvariantBroken

__all__ = ["Secrets"]

SHORTEST_LEAK = 8  # characters; what is shorter gives nothing away, and may be a word
RUNS = re.compile(rf"\S{{{SHORTEST_LEAK},}}")


class Secrets:
    """All secrets of a life so far, in pieces to look up."""

    def __init__(self, secrets: Iterable[str]) -> None:
        self._pieces: set[str] = set()
        self._harmless: set[str] = set()  # runs; what was said before a secret was made does not hold it
        self.looked_at = 0
        self.add(*secrets)

    def add(self, *secrets: str) -> None:
        """Take note of new secrets."""
        for secret in secrets:
            self._pieces.update(piece for piece in _pieces_of(secret) if not piece.isdigit())  # which may be a time

    def look_at(self, text: str) -> None:
        """Complain if the text holds a secret, or eight characters in a row of one."""
        self.looked_at += 1
        if self.are_in(text):
            raise InvariantBroken("9", f"a secret is shown, in a text of {len(text)} characters")

    def are_in(self, text: str) -> bool:
        """Tell whether there is (a piece of) a secret in the text."""
        for run in RUNS.findall(text):
            if run not in self._harmless:
                if not self._pieces.isdisjoint(_pieces_of(run)):
                    return True
                self._harmless.add(run)
        return False


def _pieces_of(text: str) -> Iterator[str]:
    return (text[start : start + SHORTEST_LEAK] for start in range(len(text) - SHORTEST_LEAK + 1))
