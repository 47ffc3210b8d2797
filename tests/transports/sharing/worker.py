# A process that holds a shared session, and does what it is told by lines of JSON on standard input. Its clocks can be
# moved, and it can be made to die or to stop at any point of an exchange.
#
# The first line is the configuration (it may hold secrets, which is why it is no argument). Each further line is
# answered by one line.

import json
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

from tenure import Policy, Stored, TenureError, shared
from tenure.transports import _session, stores

from ..drivers import BlockingDriver, Driver


class Clocks:
    """This machine's clocks: they run, and can be moved."""

    def __init__(self) -> None:
        self.passed = 0.0
        self.wall_offset = 0.0

    def wall(self) -> float:
        return time.time() + self.passed + self.wall_offset

    def install(self, driver: Driver) -> None:
        for name in {*driver.clock_modules, _session.__name__}:
            module = sys.modules[name]
            module.wall = self.wall  # type: ignore[attr-defined]
            # trio's is a clock of its own, which is moved and not replaced.
            original: Callable[[], float] = getattr(module, "monotonic", time.monotonic)
            module.monotonic = lambda original=original: original() + self.passed  # type: ignore[attr-defined]


def make_driver(name: str) -> Driver:
    """Return a driver; only that one is imported, so that a process begins quickly."""
    if name == "blocking":
        return BlockingDriver()
    if name == "asyncio":
        from ..asyncio_driver import AsyncioDriver

        return AsyncioDriver()
    from ..trio_driver import TrioDriver

    return TrioDriver()


class Points:
    """The points of an exchange, counted from 0; at one of them the process gets a signal.

    Attributes:
        signal_at: the number of the point or its name, or -1.
        signal: the signal.
        passed: the names of the points that were passed.
    """

    def __init__(self) -> None:
        self.signal_at: int | str = -1
        self.signal = signal.SIGKILL
        self.passed: list[str] = []

    def arm(self, signal_at: "int | str", number: int) -> None:
        self.signal_at, self.signal, self.passed = signal_at, signal.Signals(number), []

    def pass_by(self, name: str) -> None:
        self.passed.append(name)
        if self.signal_at in (len(self.passed) - 1, name):
            self.signal_at = -1
            if self.signal == signal.SIGSTOP:
                print(json.dumps({"stops at": name}), flush=True)
            # To this very thread: sent to the process, it may let us run on until some other thread takes notice.
            signal.pthread_kill(threading.get_ident(), self.signal)


class WatchedStore:
    """A store each of whose operations has a point before and a point behind it."""

    def __init__(self, store: Any, points: Points) -> None:
        self._store = store
        self._points = points

    def _watched(self, name: str, *arguments: Any, **options: Any) -> Any:
        self._points.pass_by(f"before {name}")
        answer = getattr(self._store, name)(*arguments, **options)
        self._points.pass_by(f"after {name}")
        return answer

    def load(self, key: str) -> Stored:
        answer: Stored = self._watched("load", key)
        return answer

    def acquire(self, key: str, ttl: float, version: int | None = None) -> Stored:
        answer: Stored = self._watched("acquire", key, ttl, version)
        return answer

    def renew(self, lease: Any, ttl: float) -> None:
        self._watched("renew", lease, ttl)

    def save(self, lease: Any, state: dict[str, object], *, release: bool = False) -> int:
        version: int = self._watched("save", lease, state, release=release)
        return version

    def release(self, lease: Any) -> None:
        self._watched("release", lease)

    def abandon(self, lease: Any) -> None:
        if hasattr(self._store, "abandon"):
            self._watched("abandon", lease)

    def delete(self, key: str) -> None:
        self._watched("delete", key)


def watch_files(points: Points) -> None:
    """Make each flush and each renaming of a file a point as well."""

    def watched(name: str) -> Callable[..., Any]:
        original = getattr(os, name)

        def watch(*arguments: Any) -> Any:
            points.pass_by(f"before {name}")
            answer = original(*arguments)
            points.pass_by(f"after {name}")
            return answer

        return watch

    for name in ("fsync", "replace"):
        setattr(os, name, watched(name))


def watch_network(points: Points, hosts: dict[str, str]) -> None:
    """Make a point of each look-up of a name, each connection that stands, and each piece of an answer."""
    look_up = socket.getaddrinfo
    connect = socket.socket.connect
    receive = socket.socket.recv_into

    def watched_look_up(host: Any, *arguments: Any, **options: Any) -> Any:
        points.pass_by("before connecting")
        return look_up(hosts.get(host, host), *arguments, **options)

    class WatchedSocket(socket.socket):
        def connect(self, address: Any) -> None:
            connect(self, address)
            points.pass_by("after connecting")

        def recv_into(self, *arguments: Any) -> int:
            size = receive(self, *arguments)
            points.pass_by("after the answer")
            return size

    socket.getaddrinfo = watched_look_up
    socket.socket = WatchedSocket  # type: ignore[misc]


def make_store(told: dict[str, Any]) -> Any:
    if told["kind"] == "file":
        store: Any = stores.FileStore(told["directory"])
    else:
        store = stores.RedisStore.from_url(told["url"], timeout=told.get("timeout", 2))
    return stores.EncryptedStore(store, told["keys"]) if "keys" in told else store


class Worker:
    """A session and the orders that it obeys; each returns what to answer."""

    def __init__(self, told: dict[str, Any]) -> None:
        self.clocks = Clocks()
        driver = make_driver(told["driver"])
        self.clocks.install(driver)
        self.points = Points()
        shared.LEASE_MARGIN = told.get("lease_margin", shared.LEASE_MARGIN)
        store = WatchedStore(make_store(told["store"]), self.points)
        watch_files(self.points)
        watch_network(self.points, told.get("hosts", {}))
        self.held = driver.make(
            told["url"],
            told["token_id"],
            ["read"],
            policy=Policy(**told.get("policy", {})),
            store=store,
            allow_http=True,
        )

    def get(self) -> dict[str, Any]:
        return {"token": self.held.get_permission_token()}

    def refresh(self) -> dict[str, Any]:
        self.held.refresh()
        return {"token": self.held.current_token()}

    def invalidate(self, token: str) -> dict[str, Any]:
        self.held.invalidate(token)
        return {}

    def establish(self, tokens: list[str]) -> dict[str, Any]:
        self.held.establish(tokens)
        return {"token": self.held.current_token()}

    def advance(self, seconds: float, wall: float = 0) -> dict[str, Any]:
        self.clocks.passed += seconds
        self.clocks.wall_offset += wall
        return {}

    def arm(self, signal_at: "int | str", number: int = signal.SIGKILL) -> dict[str, Any]:
        self.points.arm(signal_at, number)
        return {}

    def passed(self) -> dict[str, Any]:
        return {"points": self.points.passed}

    def obey(self, order: dict[str, Any]) -> dict[str, Any]:
        try:
            answer: dict[str, Any] = getattr(self, order.pop("do"))(**order)
        except TenureError as error:
            answer = {"error": type(error).__name__, "text": str(error), "ambiguous": error.ambiguous}
        return answer


def main() -> None:
    worker = Worker(json.loads(sys.stdin.readline()))
    print("{}", flush=True)
    for line in sys.stdin:
        print(json.dumps(worker.obey(json.loads(line))), flush=True)


if __name__ == "__main__":
    main()
