# The story that a failing simulation tells: readable, of bounded width, without secrets, and the same as in the README.

from pathlib import Path

import pytest

from .__main__ import show_break
from .chart import WIDTH, draw_chart, draw_story
from .history import CALLERS, CLIENT, NETWORK, SERVER, Entry
from .plan import Plan, Settings
from .rules import InvariantBroken
from .world import World

WIDEST = 120
IN_README = "forget_the_answer_when_all_have_left"


def entry(true: float, source: int, target: int, text: str) -> Entry:
    """Return an entry at a time that all clocks agree on."""
    return Entry(true, true, true, source, target, text)


def test_arrows_run_from_column_to_column() -> None:
    """Who tells whom is an arrow, a remark stands in its column, long arrows are cut."""
    there, back, remark, long = (
        draw_chart([entry(1.0, source, target, text)]).splitlines()[1]
        for source, target, text in [
            (CALLERS, CLIENT, "refresh 1"),
            (SERVER, NETWORK, "200: p2"),
            (NETWORK, NETWORK, "x lost"),
            (CLIENT, NETWORK, "y" * 99),
        ]
    )
    assert "|------------ refresh 1 ----------->|" in there
    assert "|<" in back
    assert " 200: p2 " in back
    assert "| x lost " in remark
    assert "y… ->|" in long
    assert len(long) == len(there)


@pytest.mark.parametrize("source", [CALLERS, CLIENT, NETWORK, SERVER])
def test_long_remarks_are_folded_within_their_column(source: int) -> None:
    """A remark never hides another lifeline, and nothing of it is lost."""
    lines = draw_chart([entry(1.0, source, source, "word " * 30)]).splitlines()[1:]
    assert len(lines) > 3
    assert all(line.count("|") == 4 for line in lines)
    assert sum(line.count("word") for line in lines) == 30


def test_time_is_shown_where_it_changes() -> None:
    """What happens at the same moment stands without a time; a long silence is told in words."""
    lines = draw_chart([entry(when, CLIENT, CLIENT, "a") for when in (1.0, 1.0, 2.0, 602.0)]).splitlines()[1:]
    assert [line.split()[0] for line in lines] == ["1.00", "|", "2.00", ":", "602.00"]
    assert "10 minutes later" in lines[3]


def test_clocks_are_shown_where_they_differ_if_wanted() -> None:
    """True time is always there, a client's clock only if it is off."""
    entries = [Entry(9.0, 9.0, 9, 0, 0, "a"), Entry(10.0, 4.0, 99, 0, 0, "b")]
    right, wrong = draw_chart(entries).splitlines()[1:]
    assert right.split()[:2] == ["9.00", "|"]
    assert wrong.split()[:5] == ["10.00", "mono", "4.0", "wall", "99"]
    assert "mono" not in draw_chart(entries, shows_clocks=False)


def test_other_lifelines_can_be_drawn() -> None:
    """Titles and places are those of the world, and the last column's remarks stay inside."""
    lines = draw_chart([entry(1.0, 2, 2, "word " * 9)], ("one", "two", "three"), (4, 38, 72)).splitlines()
    assert lines[0].split() == ["one", "two", "three"]
    assert all(line.rindex("|") > line.rindex("word") for line in lines[1:])


def test_the_story_says_what_broke_and_where() -> None:
    """The rule in the words of the design, the line at which it broke, and what happened instead."""
    entries = [entry(1.0, CLIENT, NETWORK, "refresh"), entry(2.0, CLIENT, CLIENT, "word " * 20)]
    story = draw_story(entries, InvariantBroken("7", "somebody waits for ever"), Settings())
    assert story.startswith('Broken: invariant 7. "Every call settles exactly once')
    marked = [line for line in story.splitlines() if line.startswith(">>")]
    assert marked[0].split()[:2] == [">>", "2.00"]
    assert marked[1] == ">> Here it breaks: somebody waits for ever."


def test_a_bug_that_breaks_no_rule_is_told_as_well() -> None:
    """An exception of another kind is shown by its class and text."""
    story = draw_story([entry(1.0, CLIENT, NETWORK, "refresh")], ValueError("oh"), Settings())
    assert story.endswith(">> Here it breaks: ValueError: oh.")


@pytest.mark.once
def test_charts_are_narrow_and_hold_no_secret() -> None:
    """Invariant 9 holds for our own charts too: tokens have names. And they fit on a screen."""
    for seed in range(20):
        world = World(Plan.draw(seed))
        world.run()
        chart = draw_chart(world.history.entries, shows_clocks=False)
        assert not world.secrets.are_in(chart)
        assert max(map(len, chart.splitlines())) <= WIDEST
    assert WIDTH <= WIDEST


@pytest.mark.once
def test_the_chart_in_the_readme_is_what_the_command_prints(capsys: pytest.CaptureFixture[str]) -> None:
    """README.md, A broken core: copy there what `python -m tests.simulation --break …` prints."""
    assert show_break(IN_README) == 1
    printed = capsys.readouterr().out
    readme = Path(__file__).with_name("README.md").read_text(encoding="utf-8")
    assert f"python -m tests.simulation --break {IN_README}" in readme
    assert f"```\n{printed}```" in readme
