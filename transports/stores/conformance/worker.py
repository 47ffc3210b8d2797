# Another process, for the conformance suite: it makes a store and carries out the orders that come on standard input,
# each answered by a line on standard output; when standard input ends, so does it.

import json
import sys
from importlib import import_module
from typing import Any

from .. import Store
from .bench import count_up


def obey(store: Store, order: str, key: str, argument: float) -> str:
    """Carry out one order."""
    if order == "count up":
        count_up(store, key, int(argument))
        return "done"
    HELD.append(store.acquire(key, argument))
    return "refused" if HELD[-1].lease is None else "taken"


def main() -> None:
    """Read a line: the recipe of a store, and the orders."""
    factory, arguments, *orders = json.loads(sys.stdin.readline())
    module, name = factory.split(":")
    store = getattr(import_module(module), name)(*arguments)
    for order in orders:
        print(obey(store, *order), flush=True)
    sys.stdin.read()


HELD: list[Any] = []  # until this process ends

if __name__ == "__main__":
    main()
