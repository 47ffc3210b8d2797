# What a run of the mutation tool has shown, and which of the survivors are justified (justified.md).

import re
from collections import Counter
from collections.abc import Collection, Iterable

KILLED, TIMED_OUT, SURVIVED, UNREACHED = "killed", "timed out", "survived", "reached by no test"
OUTCOMES = {0: SURVIVED, 1: KILLED, 3: KILLED, 33: UNREACHED, 36: TIMED_OUT, -24: TIMED_OUT, -9: TIMED_OUT}

LITERAL = re.compile(r'"(?:[^"\\]|\\.)*"|' + r"'(?:[^'\\]|\\.)*'")
SENTENCE = re.compile(r"\w.* .*\w")
ENTRY = re.compile(
    r"^### `(?P<file>[^`]+)`, `(?P<function>[^`]+)`\n+```diff\n(?P<diff>.*?)^```\n(?P<why>.*?)(?=^#|\Z)",
    re.MULTILINE | re.DOTALL,
)


class Mutant:
    """One break: where, what was changed, and what came of it.

    Attributes:
        file: path below `core/`.
        function: its name, with its class if it is a method.
        outcome: KILLED, TIMED_OUT, SURVIVED or UNREACHED, or the tool's own number where it knows no better.
        removed: the lines before, without indentation; filled in for those that live.
        added: the lines after.
    """

    def __init__(self, file: str, function: str, outcome: str) -> None:
        self.file = file
        self.function = function
        self.outcome = outcome
        self.removed: tuple[str, ...] = ()
        self.added: tuple[str, ...] = ()

    @property
    def lives(self) -> bool:
        """True unless a test failed or never ended: whatever is unclear lives."""
        return self.outcome not in (KILLED, TIMED_OUT)

    @property
    def is_wording(self) -> bool:
        """True if all that was changed is a literal of several words: a text for people."""
        return bool(self.removed) and without_texts(self.removed) == without_texts(self.added)

    @property
    def place(self) -> "tuple[str, str, tuple[str, ...], tuple[str, ...]]":
        """What makes it this mutant and no other, wherever its line stands in the file."""
        return self.file, self.function, self.removed, self.added

    def take_diff(self, diff: str) -> None:
        """Take over what was changed from a unified diff."""
        lines = [line for line in diff.splitlines() if not line.startswith(("---", "+++"))]
        self.removed = tuple([line[1:].strip() for line in lines if line.startswith("-")])
        self.added = tuple([line[1:].strip() for line in lines if line.startswith("+")])

    def __str__(self) -> str:
        changes = [f"-{line}" for line in self.removed] + [f"+{line}" for line in self.added]
        return "\n".join([f"### `{self.file}`, `{self.function}`", "", "```diff", *changes, "```"])


def read_mutant(file: str, key: str, code: "int | None") -> Mutant:
    """Return the mutant that the tool calls `key` and whose tests ended with `code`."""
    mangled = key.rpartition(".")[2].partition("__mutmut_")[0]
    function = mangled[2:] if mangled.startswith("x_") else mangled[2:].replace("ǁ", ".")
    outcome = f"not tried: {code}" if code is None else OUTCOMES.get(code, f"unclear: {code}")
    return Mutant(file, function, outcome)


def without_texts(lines: Iterable[str]) -> list[str]:
    """Return the lines with every literal of several words made the same."""
    return [LITERAL.sub(lambda match: '"…"' if SENTENCE.search(match[0]) else match[0], line) for line in lines]


def read_justified(text: str) -> list[Mutant]:
    """Return the mutants in `text`, which is written as survivors are printed, each with a reason below it.

    Raises:
        ValueError: an entry has no reason.
    """
    found = []
    for match in ENTRY.finditer(text):
        if not match["why"].strip():
            raise ValueError(f"{match['file']}, {match['function']}: no reason is given")
        mutant = Mutant(match["file"], match["function"], SURVIVED)
        mutant.take_diff(match["diff"])
        found.append(mutant)
    if len(found) != text.count("```diff"):
        raise ValueError("an entry is not written as the others are")
    return found


class Report:
    """What came of all mutants, measured against the list of justified ones.

    Attributes:
        counts: how many there are of each outcome; those that are only wording apart.
        unjustified: survivors that the list does not name.
        stopped: those that were taken for endless. On a machine that is too busy they may be survivors.
        outdated: entries of the list that no survivor needs any more, among the files that were looked at.
    """

    def __init__(self, mutants: Collection[Mutant], justified: Collection[Mutant], files: Collection[str]) -> None:
        survivors = [mutant for mutant in mutants if mutant.lives and not mutant.is_wording]
        excused = {mutant.place for mutant in justified}
        self.counts = Counter(
            "survived, wording only" if mutant.lives and mutant.is_wording else mutant.outcome for mutant in mutants
        )
        self.counts["survived, justified"] = sum(mutant.place in excused for mutant in survivors)
        self.unjustified = [mutant for mutant in survivors if mutant.place not in excused]
        self.stopped = [mutant for mutant in mutants if mutant.outcome == TIMED_OUT]
        needed = {mutant.place for mutant in [*survivors, *self.stopped]}
        self.outdated = [mutant for mutant in justified if mutant.file in files and mutant.place not in needed]

    @property
    def is_good(self) -> bool:
        """True if every survivor is justified, and the list names no other."""
        return not self.unjustified and not self.outdated
