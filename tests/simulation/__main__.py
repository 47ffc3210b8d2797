"""Live many simulated lives: python -m tests.simulation --seeds 100000 [--first 0]. Prints the history of a failure."""

import argparse
import sys
import time

from .oracle import InvariantBroken
from .world import World


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.simulation", description=__doc__)
    parser.add_argument("--seeds", type=int, default=10_000, help="how many lives (default %(default)s)")
    parser.add_argument("--first", type=int, default=0, help="the first seed (default %(default)s)")
    options = parser.parse_args()
    began = time.monotonic()
    requests = 0
    for seed in range(options.first, options.first + options.seeds):
        world = World(seed)
        try:
            world.run()
        except InvariantBroken as broken:
            print("\n".join(world.history))
            print(f"seed {seed}: {broken}")
            return 1
        requests += world.service.statistics.requests
        if sys.stderr.isatty() and seed % 100 == 0:
            print(f"\r{seed - options.first} lives", end="", file=sys.stderr)
    print(f"{options.seeds} lives, {requests} requests, no invariant broken, {time.monotonic() - began:.0f} s")
    return 0


if __name__ == "__main__":
    sys.exit(main())
