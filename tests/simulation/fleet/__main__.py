"""Live many simulated lives of fleets. Prints the shortest history of a failure as a chart, and exits with 1."""

import argparse
import sys

import pytest

from ..runner import Run, Seen
from ..shrink import broken_by
from .breaks import BREAKS
from .explain import explain
from .plan import FleetPlan
from .world import FleetWorld

SEARCHED = 500  # lives in which something that was broken on purpose is looked for


def main() -> int:
    """Do what the command line says."""
    options = read_arguments()
    if options.break_it is not None:
        return show_break(options.break_it)
    run = Run(options.first, options.lives, options.minutes, options.jobs, live)
    run.live()
    for (group, name), times in sorted(run.seen.items()):
        print(f"{group:>12}  {times:>13,}  {name}")
    print(f"\n{run.lived:,} lives from seed {run.first:,} in {run.took:,.0f} s, {run.speed:,.0f} lives/s")
    if run.failed is None:
        print("No invariant was broken.")
        return 0
    print(f"An invariant is broken in life {run.failed}. The shortest history of it:\n", flush=True)
    print(explain(FleetPlan.draw(run.failed)))
    return 1


def live(seeds: range) -> tuple[int, Seen, int | None]:
    """Live these lives; return how many, what was seen, and the seed of the first one that fails."""
    seen: Seen = Seen()
    for lived, seed in enumerate(seeds, 1):
        world = FleetWorld(FleetPlan.draw(seed))
        try:
            world.run()
        except KeyboardInterrupt:
            raise
        except Exception:
            return lived, seen, seed
        seen.update(world.seen())
    return len(seeds), seen, None


def read_arguments() -> argparse.Namespace:
    """Return the options."""
    parser = argparse.ArgumentParser(prog="python -m tests.simulation.fleet", description=__doc__)
    length = parser.add_mutually_exclusive_group()
    length.add_argument("--lives", type=int, help="how many (default 10000)")
    length.add_argument("--minutes", type=float, help="how long to go on")
    parser.add_argument("--first", type=int, default=0, metavar="SEED", help="the first seed (default %(default)s)")
    parser.add_argument("--jobs", type=int, default=1, metavar="N", help="processes (default %(default)s)")
    names = {break_it.__name__: break_it for break_it in BREAKS}
    parser.add_argument("--break", dest="break_it", choices=names, metavar="NAME", help="break something on purpose")
    options = parser.parse_args()
    if options.lives is None and options.minutes is None:
        options.lives = 10_000
    return options


def show_break(name: str) -> int:
    """Break something, and show how that is noticed."""
    break_it = next(each for each in BREAKS if each.__name__ == name)
    number, settings = BREAKS[break_it]
    print(f"Broken on purpose: {name.replace('_', ' ')}.\n")
    with pytest.MonkeyPatch.context() as patch:
        break_it(patch)
        for seed in range(SEARCHED):
            plan = FleetPlan.draw(seed, settings)
            if broken_by(plan, FleetWorld) == number:
                print(explain(plan, f"python -m tests.simulation.fleet --break {name}"))
                return 1
    print(f"Nobody noticed in {SEARCHED} lives.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
