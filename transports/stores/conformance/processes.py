# What holds for a store that processes share.

import json
import subprocess
import sys
from contextlib import ExitStack
from typing import Any

import pytest

from .. import Store
from .bench import LONG, Bench, acquire

__all__ = ["ManyProcesses", "OtherProcess"]


class OtherProcess:
    """A process that has the store as well; a context manager that leaves none behind. See worker.py for its orders."""

    def __init__(self, factory: str, arguments: list[Any]) -> None:
        worker = f"{__package__}.worker"
        self.process = subprocess.Popen(  # noqa: S603 (the interpreter that runs this)
            [sys.executable, "-m", worker], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self._in, self._out = self.process.stdin, self.process.stdout
        assert self.tell(factory, arguments) == "ready"

    def ask(self, *order: Any) -> None:
        """Give an order."""
        self._in.write(json.dumps(order) + "\n")
        self._in.flush()

    def answer(self) -> str:
        """Wait for the answer to an order."""
        return self._out.readline().rstrip("\n")

    def tell(self, *order: Any) -> str:
        """Give an order, and wait for the answer."""
        self.ask(*order)
        return self.answer()

    def end(self) -> None:
        """Let it end by itself, with whatever leases it has."""
        self._in.close()
        self.process.wait(60)

    def kill(self) -> None:
        """End it as kill -9 does."""
        self.process.kill()
        self.process.wait(60)

    def __enter__(self) -> "OtherProcess":
        return self

    def __exit__(self, *exception: object) -> None:
        self.kill()
        self._in.close()
        self._out.close()


class ManyProcesses(Bench):
    """What holds for a store that processes share. Override `recipe`."""

    def recipe(self) -> "tuple[str, list[Any]]":
        """Return "module:function" and its arguments, with which another process makes such a store."""
        raise NotImplementedError("recipe() has to be overridden")

    @pytest.mark.parametrize("end", [OtherProcess.kill, OtherProcess.end], ids=["kill -9", "end"])
    def test_lease_of_a_dead_process_interrupts(self, store: Store, key: str, end: Any) -> None:
        """Dead with the lease in its hand: the next holder gets it, is told, and sees the state from before."""
        store.save(store.acquire(key, LONG).lease, {"a": 1}, release=True)
        with OtherProcess(*self.recipe()) as other:
            assert other.tell("acquire", key, 1.0) == "taken"
            end(other)
            stored = acquire(store, key)
        assert (stored.state, stored.interrupted) == ({"a": 1}, True)

    def test_processes_lose_no_update(self, store: Store, key: str) -> None:
        """Each holder sees what the one before it has saved, in whichever process."""
        with ExitStack() as running:
            others = [running.enter_context(OtherProcess(*self.recipe())) for _ in range(4)]
            for other in others:
                other.ask("count_up", key, 25)
            assert [other.answer() for other in others] == ["counted"] * 4
        assert store.load(key).state == {"number": 100}
