# What does a token cost while it is fresh, in the blocking driver? Target: at most 1.5 x the peer.
#
# The peer is the least that a correct program can do by hand: one method of a plain class that looks at both clocks and
# returns the token. `current_token` is the driver's own shortcut for those who count nanoseconds.

from collections.abc import Callable
from time import monotonic, time
from timeit import Timer

from _measure import Spread, interleave, ratio, show_machine
from _service import session_in_memory

CALLS = 20_000  # in each round
ROUNDS = 300


class ByHand:
    """The peer."""

    def __init__(self, token: str, lifetime: float) -> None:
        self.token = token
        self.until_monotonic = monotonic() + lifetime
        self.until_wall = time() + lifetime

    def get_token(self) -> str:
        if monotonic() < self.until_monotonic and time() < self.until_wall:
            return self.token
        raise LookupError("a program would refresh here")


def measured(get: Callable[[], object]) -> Callable[[], float]:
    """Return a function that measures the nanoseconds of a call."""
    timer = Timer("get()", globals={"get": get})
    return lambda: timer.timeit(CALLS) / CALLS * 1e9


def main() -> None:
    session = session_in_memory()
    peer = ByHand(session.get_permission_token(), 900)
    figures = interleave(
        {
            "by hand": measured(peer.get_token),
            "get_permission_token": measured(session.get_permission_token),
            "current_token": measured(session.current_token),
            "an empty call, int()": measured(int),
        },
        ROUNDS,
    )
    show_machine()
    for name, figure in figures.items():
        print(f"{name:24} {Spread(figure).show('ns')}")
    print(f"{'ratio to by hand':24} {ratio(figures['get_permission_token'], figures['by hand']).show('x', 2)}")
    print(f"{'  of current_token':24} {ratio(figures['current_token'], figures['by hand']).show('x', 2)}")
    session.close()


if __name__ == "__main__":
    main()
