# What asyncio's and trio's driver do on threads, they do on threads of their own: those that the program's framework
# keeps may all be held by callers that wait for the token for which the driver needs one.

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import trio
from tenure import AttemptFailed, Event, Stored
from tenure.transports import _trio_shield, _watchdog
from tenure.transports import asyncio as asyncio_driver
from tenure.transports import trio as trio_driver
from tenure.transports.emulator import Emulator
from tenure.transports.stores import FileStore

from .driver_helpers import PERMISSIONS, QUICK, TOKEN_ID
from .drivers import TIMEOUT

SLOTS = 2  # threads that the framework has to give

Ask = Callable[[str, str, FileStore | None], list[str]]


def ask_on_threads_of_asyncio(url: str, key: str, store: FileStore | None) -> list[str]:
    """Establish a session, and return what threads get that are all that the loop has."""

    async def main() -> list[str]:
        loop = asyncio.get_running_loop()
        loop.set_default_executor(ThreadPoolExecutor(SLOTS))
        async with asyncio_driver.AuthorizationSession(
            url, TOKEN_ID, PERMISSIONS, policy=QUICK, store=store
        ) as session:
            await session.establish_by_key(key)
            session.invalidate(await session.get_permission_token())

            def ask() -> str:
                return asyncio.run_coroutine_threadsafe(session.get_permission_token(), loop).result(TIMEOUT)

            return await asyncio.gather(*[loop.run_in_executor(None, ask) for _ in range(SLOTS)])

    return asyncio.run(main())


def ask_on_threads_of_trio(url: str, key: str, store: FileStore | None) -> list[str]:
    """Establish a session, and return what threads get that are all that the run has."""
    tokens: list[str] = []

    async def main() -> None:
        trio.to_thread.current_default_thread_limiter().total_tokens = SLOTS
        async with trio_driver.AuthorizationSession(url, TOKEN_ID, PERMISSIONS, policy=QUICK, store=store) as session:
            await session.establish_by_key(key)
            session.invalidate(await session.get_permission_token())

            def ask() -> None:
                tokens.append(trio.from_thread.run(session.get_permission_token))

            with trio.fail_after(TIMEOUT):
                async with trio.open_nursery() as nursery:
                    for _ in range(SLOTS):
                        nursery.start_soon(trio.to_thread.run_sync, ask)

    trio.run(main)
    return tokens


@pytest.mark.parametrize("ask", [ask_on_threads_of_asyncio, ask_on_threads_of_trio], ids=["asyncio", "trio"])
@pytest.mark.parametrize("place", ["a name", "an address"])
@pytest.mark.parametrize("is_stored", [False, True], ids=["alone", "stored"])
def test_threads_that_wait_for_the_token_hold_nobody_up(ask: Ask, place: str, is_stored: bool, tmp_path: Path) -> None:
    """Invariant 5. Neither the look-up of a name nor the store waits for a thread that waits for them."""
    store = FileStore(tmp_path / "sessions") if is_stored else None
    with Emulator() as emulator:
        url = emulator.url.replace("127.0.0.1", "localhost") if place == "a name" else emulator.url
        tokens = ask(url, emulator.merchant_key, store)
        assert len(tokens) == SLOTS
        assert len(set(tokens)) == 1
        assert emulator.statistics.refreshes == 1


def test_asyncio_leaves_no_thread_behind(tmp_path: Path) -> None:
    """Each thread ends with what it was for."""
    threads: set[threading.Thread] = set()

    class WatchedStore(FileStore):
        def acquire(self, key: str, ttl: float, version: int | None = None) -> Stored:
            threads.add(threading.current_thread())
            return super().acquire(key, ttl, version)

    with Emulator() as emulator:
        ask_on_threads_of_asyncio(emulator.url, emulator.merchant_key, WatchedStore(tmp_path / "sessions"))
    assert threads
    for thread in threads:
        thread.join(TIMEOUT)
        assert not thread.is_alive()


@pytest.mark.parametrize(
    ("where", "reason"),
    [("look-up", "RuntimeError while connecting"), ("store", "it failed with RuntimeError")],
    ids=["look-up", "store"],
)
def test_asyncio_without_a_thread_to_be_had(
    where: str, reason: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An attempt has failed of which nothing was sent; the next one finds a thread."""
    start = threading.Thread.start
    reasons: list[str] = []
    is_refused = False

    def start_unless_refused(self: threading.Thread) -> None:
        if is_refused and self.name.startswith(("tenure_", "asyncio_")):
            raise RuntimeError("can't start new thread")
        start(self)

    def listen(event: Event) -> None:
        nonlocal is_refused
        if isinstance(event, AttemptFailed):
            is_refused = False
            reasons.append(event.reason)

    async def main(url: str, key: str) -> None:
        nonlocal is_refused
        options: dict[str, Any] = {"policy": QUICK, "listener": listen}
        options["store"] = FileStore(tmp_path / "sessions") if where == "store" else None
        async with asyncio_driver.AuthorizationSession(url, TOKEN_ID, PERMISSIONS, **options) as session:
            await session.establish_by_key(key)
            first = await session.get_permission_token()
            session.invalidate(first)
            is_refused = True
            assert await session.get_permission_token() != first

    monkeypatch.setattr(threading.Thread, "start", start_unless_refused)
    with Emulator() as emulator:
        url = emulator.url.replace("127.0.0.1", "localhost") if where == "look-up" else emulator.url
        asyncio.run(main(url, emulator.merchant_key))
        assert emulator.statistics.refreshes == 1
    assert [text for text in reasons if reason in text] == reasons != []


def test_a_run_that_was_given_up_does_not_end_the_watchdog(monkeypatch: pytest.MonkeyPatch) -> None:
    """A guest run whose host has gone cannot be woken any more. The watchdog has others to watch over."""
    given_up, heard = threading.Event(), threading.Event()
    current = trio.lowlevel.current_trio_token

    class Abandoned:
        def run_sync_soon(self, *arguments: object) -> None:
            given_up.set()
            raise OSError(9, "Bad file descriptor")

    tokens: list[Any] = [Abandoned()]  # the first is asked for by us, all others by trio
    monkeypatch.setattr(trio.lowlevel, "current_trio_token", lambda: tokens.pop() if tokens else current())
    monkeypatch.setattr(_watchdog, "_dogs", [_watchdog.Watchdog()])
    monkeypatch.setattr(_trio_shield, "GRACE", 0.0)
    assert trio.run(_trio_shield.in_a_thread, lambda store: given_up.wait(TIMEOUT), None, 0.0)
    _watchdog.watch(0.0, heard.set)
    assert heard.wait(TIMEOUT)
