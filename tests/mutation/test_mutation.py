# The command that breaks the core is right about what it breaks and about what it says of it. Only our own part is
# tested here; the command itself takes minutes and is run by hand (README.md).

import subprocess
import sys
from pathlib import Path

import pytest

from . import constants
from .constants import break_constants, breaks_in, judge_break
from .survivors import KILLED, SURVIVED, TIMED_OUT, UNREACHED, Mutant, Report, read_justified, read_mutant
from .workshop import LIVES, CleanRunFailed, files_of, furnish, judges_of, open_properties

pytestmark = pytest.mark.once

ROOT = Path(__file__).parents[2]


def survivor(removed: str, added: str, file: str = "tokens.py") -> Mutant:
    """Return a mutant that lives, with that change."""
    mutant = Mutant(file, "f", SURVIVED)
    mutant.take_diff(f"--- a\n+++ a\n@@ -1 +1 @@\n def f():\n-    {removed}\n+    {added}\n")
    return mutant


@pytest.mark.parametrize(
    ("key", "function"),
    [
        ("tenure.checks.x__host_of__mutmut_3", "_host_of"),
        ("tenure.tokens.xǁTokenPairǁis_stale__mutmut_12", "TokenPair.is_stale"),
        ("tenure.calls.xǁCallǁ__init____mutmut_1", "Call.__init__"),
    ],
)
def test_key_of_the_tool_names_the_function(key: str, function: str) -> None:
    """A survivor is shown under the name that stands in the source."""
    assert read_mutant("f.py", key, 1).function == function


@pytest.mark.parametrize(
    ("code", "outcome", "lives"),
    [(1, KILLED, False), (0, SURVIVED, True), (33, UNREACHED, True), (36, TIMED_OUT, False), (-24, TIMED_OUT, False)],
)
def test_outcome_follows_from_how_the_tests_ended(code: int, outcome: str, lives: bool) -> None:
    """Whatever no test has reached lives as well."""
    mutant = read_mutant("f.py", "tenure.f.x_f__mutmut_1", code)
    assert (mutant.outcome, mutant.lives) == (outcome, lives)


@pytest.mark.parametrize("code", [None, 2, 35, -11])
def test_unclear_outcome_counts_as_alive(code: "int | None") -> None:
    """Only a failed test or one without end has noticed a break."""
    assert read_mutant("f.py", "tenure.f.x_f__mutmut_1", code).lives


def test_change_is_kept_without_its_surroundings() -> None:
    """Neither the file's lines around it nor its place in the file are part of a mutant."""
    mutant = survivor("return a", "return b")
    assert (mutant.removed, mutant.added) == (("return a",), ("return b",))


@pytest.mark.parametrize(
    ("removed", "added", "wording"),
    [
        ('raise E("is not right")', 'raise E("IS NOT RIGHT")', True),
        ('raise E("is not right")', 'raise E("XXis not rightXX")', True),
        ('raise E("is not right")', "raise E(None)", False),
        ('raise E("right")', 'raise E("RIGHT")', False),
        ('split(" ")', 'split("XX XX")', False),
        ('f("a") + g("b")', 'f("a") - g("b")', False),
        ('f("a b") + 1', 'f("a b") - 1', False),
    ],
)
def test_only_texts_of_several_words_are_wording(removed: str, added: str, wording: bool) -> None:
    """A text for people may be put in other words; a word that a program reads may not."""
    assert survivor(removed, added).is_wording == wording


def test_report_is_measured_against_the_list() -> None:
    """Unlisted survivors and outdated entries are told; entries for files that were not looked at are left alone."""
    listed, unlisted, wording = survivor("a", "b"), survivor("a", "c"), survivor('"it is"', '"IT IS"')
    killed, endless = Mutant("tokens.py", "f", KILLED), Mutant("tokens.py", "f", TIMED_OUT)
    outdated, elsewhere = survivor("a", "d"), survivor("a", "b", "checks.py")
    report = Report(
        [listed, unlisted, wording, killed, endless],
        [survivor("a", "b"), outdated, elsewhere],
        ["tokens.py", "policy.py"],
    )
    assert (report.unjustified, report.outdated, report.stopped) == ([unlisted], [outdated], [endless])
    assert not report.is_good
    assert report.counts == {
        KILLED: 1,
        TIMED_OUT: 1,
        SURVIVED: 2,
        "survived, justified": 1,
        "survived, wording only": 1,
    }
    assert Report([listed, wording], [survivor("a", "b"), elsewhere], ["tokens.py"]).is_good


def test_entry_whose_mutant_was_stopped_is_not_outdated() -> None:
    """On a busy machine a survivor may not come to its end: that proves nothing."""
    stopped = survivor("a", "b")
    stopped.outcome = TIMED_OUT
    assert Report([stopped], [survivor("a", "b")], ["tokens.py"]).is_good


def test_entry_is_read_as_it_was_printed() -> None:
    """What the command prints can be put into the list as it is."""
    printed = survivor("a", "b")
    found = read_justified(f"# Title\n\n{printed}\n\nBecause.\n\n{survivor('c', 'd')}\n\nBecause, too.\n")
    assert [mutant.place for mutant in found] == [printed.place, survivor("c", "d").place]


def test_entry_without_a_reason_is_refused() -> None:
    """A survivor is justified or it is not."""
    with pytest.raises(ValueError, match="no reason"):
        read_justified(f"{survivor('a', 'b')}\n\n{survivor('c', 'd')}\n\nBecause.\n")
    with pytest.raises(ValueError, match="not written as the others"):
        read_justified("### tokens.py\n\n```diff\n-a\n+b\n```\n\nBecause.\n")


def test_every_justified_survivor_still_has_its_line() -> None:
    """What is listed must be in the file: a line that has been rewritten is to be judged anew."""
    for mutant in read_justified(Path(__file__).with_name("justified.md").read_text(encoding="utf-8")):
        lines = (ROOT / "core" / mutant.file).read_text(encoding="utf-8").splitlines()
        stripped = [line.strip() for line in lines]
        for line in mutant.removed:
            assert line in stripped, f"{mutant.file}: {line}"


CONSTANTS = """\
LIMIT = 16 * 1024  # ü
FLAG = True
__all__ = ["A"]
NAMES = ("a", "b")
ONE = (5,)
TABLE = {
    A: {X: B, Y: A},
}


class C:
    __slots__ = ("a",)
    reports = ("x",)

    def f(self):
        return 1
"""


def test_constants_are_broken_one_at_a_time() -> None:
    """Numbers grow, elements go, and a way in a table leads elsewhere; what stands in functions is the tool's."""
    changes = []
    for name, broken in breaks_in(CONSTANTS):
        compile(broken, name, "exec")
        before, after = CONSTANTS.splitlines(), broken.splitlines()
        changes.append((name, *[new.strip() for old, new in zip(before, after, strict=False) if old != new][:1]))
    assert changes == [
        ("LIMIT", "LIMIT = 17 * 1024  # ü"),
        ("LIMIT", "LIMIT = 16 * 1025  # ü"),
        ("NAMES", 'NAMES = ("b",)'),
        ("NAMES", 'NAMES = ("a",)'),
        ("ONE", "ONE = ()"),
        ("ONE", "ONE = (6,)"),
        ("TABLE", ""),
        ("TABLE", "A: {Y: A,},"),
        ("TABLE", "A: {X: B,},"),
        ("TABLE", "A: {X: A, Y: A},"),
        ("TABLE", "A: {X: B, Y: B},"),
        ("C.reports", "reports = ()"),
    ]


def let_tests_end_with(code: int, patch: pytest.MonkeyPatch) -> None:
    """Let the tests that judge a constant end with this exit status of pytest's."""
    patch.setattr(constants, "run_tests", lambda *_: subprocess.CompletedProcess([], code, "what they", " said"))


@pytest.mark.parametrize(
    ("code", "outcome", "lives"),
    [
        (0, SURVIVED, True),
        (1, KILLED, False),
        (2, KILLED, False),
        (4, "unclear: 4", True),
        (5, "unclear: 5", True),
        (-11, "unclear: -11", True),
    ],
)
def test_broken_constant_is_noticed_by_tests_that_ran(
    code: int, outcome: str, lives: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A test that failed, or whose import did, has noticed it; a pytest that ran no test has not."""
    let_tests_end_with(code, monkeypatch)
    path = tmp_path / "tenure" / "tokens.py"
    path.parent.mkdir()
    path.write_text("A = 1\n", encoding="utf-8")
    mutant = judge_break(tmp_path, "tokens.py", "A", "A = 2\n", ["tests/core"])
    assert (mutant.outcome, mutant.lives) == (outcome, lives)
    assert (mutant.removed, mutant.added) == (("A = 1",), ("A = 2",))
    assert path.read_text(encoding="utf-8") == "A = 1\n"


@pytest.mark.parametrize("code", [1, 4, 5])
def test_constants_are_not_broken_before_the_tests_pass(
    code: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever they say of a broken core then, they would say of the whole one as well."""
    let_tests_end_with(code, monkeypatch)
    furnish(ROOT, tmp_path, [])
    with pytest.raises(CleanRunFailed, match="what they said"):
        break_constants(tmp_path, ["policy.py", "snapshot.py"], ["tests/core"], 1)


def test_property_becomes_a_function_and_an_assignment() -> None:
    """The tool passes over decorated functions; a property that it may break behaves as before."""
    source = (
        "class A:\n    @property\n    def b(self) -> int:\n        x = 1\n\n        return x\n\n    def c(self):\n"
        "        return 2\n\n    @property\n    def d(self) -> int:\n        return 3\n"
    )
    opened = open_properties(source)
    assert "@property" not in opened
    space: dict[str, type] = {}
    exec(opened, space)  # noqa: S102
    assert (space["A"]().b, space["A"]().c(), space["A"]().d) == (1, 2, 3)


def test_no_property_of_the_core_stays_closed() -> None:
    """However they are written there."""
    sources = [(ROOT / "core" / name).read_text(encoding="utf-8") for name in files_of(ROOT / "core")]
    assert any("@property" in source for source in sources)
    assert not any("@property" in open_properties(source) for source in sources)


def test_lives_judge_what_decides_the_order_of_things() -> None:
    """The simulation takes seconds for each break, so it judges only where it can know better."""
    assert set(LIVES) <= set(judges_of(["tokens.py", "session.py"]))
    assert set(LIVES).isdisjoint(judges_of(["tokens.py"]))


def test_copy_is_whole_and_the_tree_untouched(tmp_path: Path) -> None:
    """The tests of the copy judge the copy's own core."""
    furnish(ROOT, tmp_path, ["dialects/claims.py"])
    assert "@property" in (ROOT / "core" / "dialects" / "claims.py").read_text(encoding="utf-8")
    assert "lifetime = property(lifetime)" in (tmp_path / "tenure" / "dialects" / "claims.py").read_text(
        encoding="utf-8"
    )
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "tests/core/dialects/test_claims.py"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout
    where = [sys.executable, "-c", "import tenure; print(tenure.__file__)"]
    shown = subprocess.run(where, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=True)
    assert Path(shown.stdout.strip()).is_relative_to(tmp_path)
