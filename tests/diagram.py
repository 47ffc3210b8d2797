"""Draw the state diagram of core/README.md from the tables in core/states.py: python -m tests.diagram."""

from tenure import ACTIVE, EXCHANGING, EXPIRED, IDLE, UNESTABLISHED
from tenure.states import EXCHANGE_TABLE, SESSION_TABLE

__all__ = ["diagram"]

# The names of the states, for a diagram's grammar, in the order in which a reader meets them.
ORDER = (UNESTABLISHED, ACTIVE, EXPIRED, IDLE, EXCHANGING)


def diagram() -> str:
    """Return the two tables as a Mermaid state diagram."""
    lines = ["stateDiagram-v2", f"    [*] --> {UNESTABLISHED}"]
    lines += _arrows(SESSION_TABLE, "    ")
    for state in ORDER[:3]:
        lines.append(f"    state {state} {{")
        lines += [f'        state "{name}" as {state}_{name}' for name in ORDER[3:]]
        lines.append(f"        [*] --> {state}_{IDLE}")
        lines += _arrows(EXCHANGE_TABLE, "        ", f"{state}_")
        lines.append("    }")
    return "\n".join(lines)


def _arrows(table: dict[str, dict[str, str]], indent: str, prefix: str = "") -> list[str]:
    """Return one arrow for each pair of states, with all that leads from the one to the other."""
    lines = []
    for state in sorted(table, key=ORDER.index):
        targets: dict[str, list[str]] = {}
        for event, target in table[state].items():
            targets.setdefault(target, []).append(event)
        for target, names in targets.items():
            lines.append(f"{indent}{prefix}{state} --> {prefix}{target}: {', '.join(sorted(names))}")
    return lines


if __name__ == "__main__":
    print(diagram())
