"""Live many simulated lives. Prints the shortest history of a failure as a chart, and exits with 1."""

import argparse
import sys

import pytest

from .breaks import BREAKS
from .plan import Plan
from .runner import Run
from .shrink import broken_by, explain
from .summary import summarise

SEARCHED = 500  # lives in which a core that was broken on purpose is looked for


def main() -> int:
    """Do what the command line says."""
    options = read_arguments()
    if options.break_it is not None:
        return show_break(options.break_it)
    run = Run(options.first, options.lives, options.minutes, options.jobs)
    run.live()
    print(summarise(run))
    if run.failed is None:
        return 0
    print(f"\nA rule is broken in life {run.failed}. The shortest history of it:\n", flush=True)
    print(explain(Plan.draw(run.failed)))
    return 1


def read_arguments() -> argparse.Namespace:
    """Return the options."""
    parser = argparse.ArgumentParser(prog="python -m tests.simulation", description=__doc__)
    length = parser.add_mutually_exclusive_group()
    length.add_argument("--lives", type=int, help="how many (default 10000)")
    length.add_argument("--minutes", type=float, help="how long to go on")
    parser.add_argument("--first", type=int, default=0, metavar="SEED", help="the first seed (default %(default)s)")
    parser.add_argument("--jobs", type=int, default=1, metavar="N", help="processes (default %(default)s)")
    parser.add_argument(
        "--break", dest="break_it", choices=BREAKS, metavar="NAME", help="break the core on purpose, see breaks.py"
    )
    options = parser.parse_args()
    if options.lives is None and options.minutes is None:
        options.lives = 10_000
    return options


def show_break(name: str) -> int:
    """Break the core, and show how that is noticed."""
    break_it, _ = BREAKS[name]
    print(f"The core is broken on purpose: {name.replace('_', ' ')}.\n")
    with pytest.MonkeyPatch.context() as patch:
        break_it(patch)
        for plan in map(Plan.draw, range(SEARCHED)):
            if broken_by(plan) is not None:
                print(explain(plan, and_again=f"python -m tests.simulation --break {name}"))
                return 1
    print(f"Nobody noticed in {SEARCHED} lives.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
