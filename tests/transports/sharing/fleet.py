# Processes that share one session, as the tests see them.

import atexit
import functools
import json
import os
import signal
import sys
from collections.abc import Iterable
from typing import Any

from .fork_server import ForkServer

__all__ = ["Fleet", "Process"]


WORKER = "tests.transports.sharing.worker"


@functools.cache
def fork_server() -> ForkServer:
    """Return the server that forks all workers of this test process."""
    server = ForkServer("tests.transports.sharing.worker_server")
    atexit.register(server.close)
    return server


class Process:
    """A worker.py in a process of its own. `ask` begins something, `answer` waits for how it came out.

    Args:
        told: its configuration.
        prefix: a command to run it by; without one it is forked, which is quicker.
    """

    def __init__(self, told: dict[str, Any], prefix: tuple[str, ...] = ()) -> None:
        (theirs_in, ours_in), (ours_out, theirs_out) = os.pipe(), os.pipe()
        command = (*prefix, sys.executable, "-m", WORKER) if prefix else ()
        self.pid = fork_server().fork(theirs_in, theirs_out, command)
        os.close(theirs_in)
        os.close(theirs_out)
        self._in, self._out = os.fdopen(ours_in, "w"), os.fdopen(ours_out)
        self._write(told)

    def _write(self, content: dict[str, Any]) -> None:
        self._in.write(json.dumps(content) + "\n")
        self._in.flush()

    def ask(self, do: str, **arguments: Any) -> None:
        """Begin something."""
        self._write({"do": do, **arguments})

    def answer(self) -> dict[str, Any]:
        """Wait for the answer; {"died": True} if the process is no more."""
        line = self._out.readline()
        answer: dict[str, Any] = json.loads(line) if line else {"died": True}
        return answer

    def do(self, do: str, **arguments: Any) -> dict[str, Any]:
        """Do something and return how it came out."""
        self.ask(do, **arguments)
        return self.answer()

    def stops(self) -> str | None:
        """Wait until the process has stopped itself and return where; None if it has answered instead."""
        where: str | None = self.answer().get("stops at")
        if where is not None:
            assert os.WIFSTOPPED(fork_server().wait(self.pid, os.WUNTRACED))
        return where

    def go_on(self) -> None:
        """Continue a stopped process."""
        os.kill(self.pid, signal.SIGCONT)

    def end(self) -> None:
        """Kill it, whatever it does, if that has not been done."""
        if self._in.closed:
            return
        os.kill(self.pid, signal.SIGKILL)
        fork_server().wait(self.pid)
        self._in.close()
        self._out.close()


class Fleet:
    """Some processes with the same configuration; a context manager that leaves none behind."""

    def __init__(self, count: int, told: dict[str, Any], prefix: tuple[str, ...] = ()) -> None:
        self.told = told
        self.processes = [Process(told, prefix) for _ in range(count)]
        for process in self.processes:
            process.answer()  # it stands

    def add(self, prefix: tuple[str, ...] = (), **changes: Any) -> Process:
        """Start one more."""
        process = Process({**self.told, **changes}, prefix)
        self.processes.append(process)
        process.answer()
        return process

    def all_do(self, do: str, of: Iterable[Process] | None = None, **arguments: Any) -> list[dict[str, Any]]:
        """Let all do something at the same time."""
        processes = list(of or self.processes)
        for process in processes:
            process.ask(do, **arguments)
        return [process.answer() for process in processes]

    def __enter__(self) -> "Fleet":
        return self

    def __exit__(self, *exception: object) -> None:
        for process in self.processes:
            process.end()
