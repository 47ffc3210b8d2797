"""Live many simulated lives. Prints the shortest history of a failure as a chart."""

import argparse
import multiprocessing
import sys
import time
from collections import Counter
from collections.abc import Iterable

from .plan import Plan
from .shrink import explain
from .world import World

CHUNK = 200  # lives that a process lives at a stretch


def live(seeds: range) -> tuple[Counter[str], int | None]:
    """Live these lives; return what was seen, and the seed of the first one that fails."""
    seen: Counter[str] = Counter()
    for seed in seeds:
        world = World(Plan.draw(seed))
        failed = None
        try:
            world.run()
        except Exception:
            failed = seed
        seen["lives"] += 1
        seen["requests"] += world.requests
        for entry in world.service.journal:
            seen[f"outcome: {entry.outcome}"] += 1
        for name, times in world.fates.items():
            seen[f"fate: {name}"] += times
        for number, times in world.oracle.checked.items():
            seen[f"invariant {number:2} checked"] += times
        if failed is not None:
            return seen, failed
    return seen, None


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.simulation", description=__doc__)
    parser.add_argument("--lives", type=int, default=10_000, help="how many (default %(default)s)")
    parser.add_argument("--first", type=int, default=0, help="the first seed (default %(default)s)")
    parser.add_argument("--jobs", type=int, default=1, help="processes (default %(default)s)")
    options = parser.parse_args()
    end = options.first + options.lives
    chunks = [range(begin, min(begin + CHUNK, end)) for begin in range(options.first, end, CHUNK)]
    began = time.monotonic()
    total: Counter[str] = Counter()
    with multiprocessing.Pool(options.jobs) as pool:
        for seen, failed in with_progress(pool.imap(live, chunks), len(chunks)):
            total.update(seen)
            if failed is not None:
                pool.terminate()
                print(explain(Plan.draw(failed)))
                return 1
    took = time.monotonic() - began
    for name in sorted(total):
        print(f"{name:40} {total[name]:>14,}")
    print(f"no invariant broken; {took:.0f} s, {options.lives / took:.0f} lives per second")
    return 0


Seen = tuple[Counter[str], int | None]


def with_progress(results: Iterable[Seen], length: int) -> Iterable[Seen]:
    """Show a bar on a terminal, nothing elsewhere."""
    if not sys.stderr.isatty():
        return results
    from rich.console import Console
    from rich.progress import track

    return track(results, "living", length, console=Console(stderr=True))


if __name__ == "__main__":
    sys.exit(main())
