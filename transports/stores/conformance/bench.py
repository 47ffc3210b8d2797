# What the tests of the contract have in common: a store, a key, and how to wait for something.

import threading
import time
import uuid
from collections.abc import Callable
from typing import Any

import pytest

from .... import Stored
from .. import Store

__all__ = ["LONG", "SHORT", "Bench", "acquire", "all_at_once", "count_up", "until"]

LONG = 60.0  # seconds; a ttl that no test lives to see the end of
SHORT = 0.1  # seconds; a ttl whose end is awaited


def until(condition: "Callable[[], Any]", patience: float = 20.0) -> Any:
    """Ask again and again; return the first answer that is true."""
    give_up_at = time.monotonic() + patience
    while not (answer := condition()):
        assert time.monotonic() < give_up_at, "it did not come true"
        threading.Event().wait(0.005)
    return answer


def all_at_once(count: int, job: "Callable[[], Any]") -> list[Any]:
    """Let threads do a job at the same time; return what each has returned or raised."""
    start, results = threading.Barrier(count), []

    def run() -> None:
        start.wait()
        try:
            results.append(job())
        except Exception as problem:
            results.append(problem)

    threads = [threading.Thread(target=run) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results


def acquire(store: Store, key: str, ttl: float = LONG) -> Stored:
    """Acquire the lease as soon as it can be had."""
    stored: Stored = until(lambda: (found := store.acquire(key, ttl)).lease is not None and found, patience=60)
    return stored


def count_up(store: Store, key: str, times: int) -> None:
    """Add one to the number that is stored, again and again, each time under the lease."""
    for _ in range(times):
        stored = acquire(store, key)
        number = (stored.state or {"number": 0})["number"]
        assert isinstance(number, int)
        store.save(stored.lease, {"number": number + 1}, release=True)


class Bench:
    """What all tests use."""

    def new_store(self) -> Store:
        """Return another object on the same storage."""
        raise NotImplementedError("new_store() has to be overridden")

    @pytest.fixture
    def store(self) -> Store:
        """The object under test."""
        return self.new_store()

    @pytest.fixture
    def key(self) -> str:
        """A key that nobody has used."""
        return f"test-{uuid.uuid4()}"
