# Another process, for the tests: it makes a store and carries out orders, which come as lines of JSON on standard
# input. Each is answered by a line on standard output. When standard input ends, so does it.

import json
import sys
from importlib import import_module
from typing import Any

from .. import LeaseLostError, Store, StoreError
from .bench import count_up

__all__ = ["Worker"]


class Worker:
    """Carries out orders: one method for each."""

    def __init__(self, factory: str, arguments: list[Any]) -> None:
        module, name = factory.split(":")
        self.store: Store = getattr(import_module(module), name)(*arguments)
        self.leases: dict[str, Any] = {}

    def acquire(self, key: str, ttl: float) -> str:
        """Take the lease, if it can be had."""
        stored = self.store.acquire(key, ttl)
        self.leases[key] = stored.lease
        return "refused" if stored.lease is None else "taken"

    def save(self, key: str, text: str) -> str:
        """Save a state under the lease, and give the lease back."""
        self.store.save(self.leases[key], {"text": text}, release=True)
        return "saved"

    def count_up(self, key: str, times: int) -> str:
        """Add to the number that is stored."""
        count_up(self.store, key, times)
        return "counted"

    def obey(self, order: str, *arguments: Any) -> str:
        """Carry out an order; return how it came out."""
        try:
            answer: str = getattr(self, order)(*arguments)
        except LeaseLostError:
            answer = "lost"
        except StoreError as problem:
            answer = f"failed: {problem}"
        return answer


def main() -> None:
    """Read lines: the recipe of a store, then orders."""
    worker = Worker(*json.loads(sys.stdin.readline()))
    print("ready", flush=True)
    for line in sys.stdin:
        print(worker.obey(*json.loads(line)), flush=True)


if __name__ == "__main__":
    main()
