# Says what a long run has seen, for people: grouped, counted, aligned.

from .rules import RULES
from .runner import Run

__all__ = ["GROUPS", "summarise"]

# What stands above the figures of a group, in the order in which they are shown.
GROUPS = {
    "operations": "What was done",
    "callers": "What callers met",
    "clock jumps": "Clocks that jumped",
    "network": "What became of the requests on the wire",
    "server": "What the server did",
}
RULE_WIDTH = 76  # characters of a rule that are quoted


def summarise(run: Run) -> str:
    """Return the summary of a run."""
    seen = run.seen
    lines = [_headline(run), ""]
    lines += _figures("Lives", {"lived": run.lived, **_group(run, "lives")})
    for group, title in GROUPS.items():
        lines += _figures(title, _group(run, group))
    lines.append("How often each rule was checked")
    for rule, text in RULES.items():
        quoted = text if len(text) <= RULE_WIDTH else f"{text[: RULE_WIDTH - 1]}…"
        lines.append(f"  {seen['checks', rule]:>13,}  {rule:>9}  {quoted}")
    return "\n".join(lines)


def _headline(run: Run) -> str:
    how = "Interrupted" if run.was_interrupted else "Done" if run.failed is None else "FAILED"
    verdict = "no rule was broken" if run.failed is None else f"a rule was broken in life {run.failed}"
    seeds = f"seeds {run.first:,} to {run.first + run.lived - 1:,}" if run.lived else "no seeds"
    return f"{how}: {run.lived:,} lives ({seeds}) in {run.took:,.0f} s, {run.speed:,.0f} lives/s; {verdict}."


def _group(run: Run, group: str) -> dict[str, int]:
    """Return the figures of a group, the greatest first."""
    figures = {name: times for (of, name), times in run.seen.items() if of == group}
    return dict(sorted(figures.items(), key=lambda figure: -figure[1]))


def _figures(title: str, figures: dict[str, int]) -> list[str]:
    return [title, *(f"  {times:>13,}  {name}" for name, times in figures.items()), ""]
