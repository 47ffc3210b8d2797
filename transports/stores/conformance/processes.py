# What holds for a store that processes share.

import json
import subprocess
import sys
from typing import Any

from .. import Store
from .bench import LONG, Bench, acquire

__all__ = ["ManyProcesses"]


class ManyProcesses(Bench):
    """What holds for a store that processes share. Override `recipe`."""

    def recipe(self) -> "tuple[str, list[Any]]":
        """Return "module:function" and its arguments, with which another process makes such a store."""
        raise NotImplementedError("recipe() has to be overridden")

    def start(self, *orders: "list[Any]") -> "subprocess.Popen[str]":
        """Let another process carry out orders, each of which it answers with a line; it then waits for its end."""
        worker = f"{__package__}.worker"
        process = subprocess.Popen(  # noqa: S603 (the interpreter that runs this)
            [sys.executable, "-m", worker], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        assert process.stdin is not None
        process.stdin.write(json.dumps([*self.recipe(), *orders]) + "\n")
        process.stdin.flush()
        return process

    def finish(self, process: "subprocess.Popen[str]") -> list[str]:
        """Let a process end, and return what else it has answered."""
        output, _ = process.communicate(timeout=120)
        return output.split()

    def test_lease_of_a_killed_process_interrupts(self, store: Store, key: str) -> None:
        """kill -9 while it has the lease: the next holder gets it, is told, and sees the state from before."""
        store.save(store.acquire(key, LONG).lease, {"a": 1}, release=True)
        process = self.start(["acquire", key, 1.0])
        assert process.stdout is not None
        assert process.stdout.readline() == "taken\n"
        assert store.acquire(key, LONG).lease is None
        process.kill()
        self.finish(process)
        stored = acquire(store, key)
        assert (stored.state, stored.interrupted) == ({"a": 1}, True)

    def test_lease_of_a_process_that_ends_interrupts(self, store: Store, key: str) -> None:
        """Ending without having given it back is no better than being killed."""
        assert self.finish(self.start(["acquire", key, 0.5])) == ["taken"]
        assert acquire(store, key).interrupted

    def test_processes_lose_no_update(self, store: Store, key: str) -> None:
        """Each holder sees what the one before it has saved, in whichever process."""
        processes = [self.start(["count up", key, 25]) for _ in range(4)]
        assert [self.finish(process) for process in processes] == [["done"]] * 4
        assert store.load(key).state == {"number": 100}
