# A session with a store, in every driver: what is asked of the store, where, and what becomes of one that fails. That
# sharing keeps its promises is tested in core/ and sharing/.

import asyncio
import gc
import resource
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from time import monotonic
from typing import Any

import pytest
import trio
from tenure import AttemptError, AttemptFailed, Policy, RefreshError, Stored, UsageError
from tenure.transports import asyncio as asyncio_driver
from tenure.transports import trio as trio_driver
from tenure.transports.emulator import Emulator, hold_answer
from tenure.transports.stores import FileStore, StoreError

from .conftest import NewSession
from .driver_helpers import DEAD, PERMISSIONS, QUICK, STALE, TOKEN_ID, Clocks, outcomes_of, security_token, until
from .drivers import TIMEOUT, Driver


class WatchedStore(FileStore):
    """Notes what is asked and on which thread; fails where a test says so."""

    def __init__(self, directory: Path) -> None:
        super().__init__(directory)
        self.asked: list[str] = []
        self.threads: set[int] = set()
        self.instead: Callable[[], Any] | None = None
        self.gates: dict[str, tuple[threading.Event, threading.Event]] = {}  # reached; go on

    def _ask(self, name: str, *arguments: Any, **options: Any) -> Any:
        self.asked.append(name)
        self.threads.add(threading.get_ident())
        if name in self.gates:
            reached, go_on = self.gates.pop(name)
            reached.set()
            assert go_on.wait(TIMEOUT)
        if self.instead is not None:
            return self.instead()
        return getattr(super(), name)(*arguments, **options)

    def load(self, key: str) -> Stored:
        answer: Stored = self._ask("load", key)
        return answer

    def acquire(self, key: str, ttl: float, version: int | None = None) -> Stored:
        answer: Stored = self._ask("acquire", key, ttl, version)
        return answer

    def renew(self, lease: Any, ttl: float) -> None:
        self._ask("renew", lease, ttl)

    def save(self, lease: Any, state: dict[str, object], *, release: bool = False) -> int:
        version: int = self._ask("save", lease, state, release=release)
        return version

    def release(self, lease: Any) -> None:
        self._ask("release", lease)


@pytest.fixture
def store(tmp_path: Path) -> WatchedStore:
    return WatchedStore(tmp_path / "sessions")


def test_a_session_lives_on_in_the_next_process(
    new_session: NewSession, emulator: Emulator, store: WatchedStore, clocks: Clocks, tmp_path: Path
) -> None:
    """DESIGN.md, stores: what one session has established, another one has, with no snapshot handed over."""
    first = new_session(emulator, store=store)
    first.establish([security_token(emulator, clocks.service)])
    second = new_session(emulator, store=FileStore(tmp_path / "sessions"))
    assert second.get_permission_token() == first.get_permission_token()
    second.refresh()
    clocks.advance(DEAD)
    assert outcomes_of(emulator) == ["refreshed"]


def test_a_fresh_token_asks_nothing_of_the_store(
    new_session: NewSession, emulator: Emulator, store: WatchedStore, clocks: Clocks
) -> None:
    """A refresh is two operations, and a fresh token none."""
    held = new_session(emulator, store=store)
    held.establish([security_token(emulator, clocks.service)])
    store.asked.clear()
    held.refresh()
    assert store.asked == ["acquire", "save"]
    store.asked.clear()
    for _ in range(100):
        held.get_permission_token()
    assert store.asked == []


def test_the_store_is_asked_where_it_may_block(
    new_session: NewSession, emulator: Emulator, store: WatchedStore, clocks: Clocks, driver: Driver
) -> None:
    """No caller's thread and no loop waits for a disk."""
    held = new_session(emulator, store=store)
    seen: set[int] = set()
    heard = threading.Event()

    def listen(event: object) -> None:
        seen.add(threading.get_ident())  # called on the thread of the pump
        heard.set()

    held.session._listener = listen
    held.establish([security_token(emulator, clocks.service)])
    assert threading.get_ident() not in store.threads
    assert heard.wait(TIMEOUT)
    assert driver.name == "blocking" or not seen & store.threads


@pytest.mark.parametrize("step", ["acquire", "save"])
@pytest.mark.parametrize("others", [0, 1, 8])
def test_a_caller_leaves_while_the_store_is_at_work(
    new_session: NewSession, emulator: Emulator, store: WatchedStore, clocks: Clocks, step: str, others: int
) -> None:
    """Invariants 4 and 8: he leaves at once; the exchange goes on, what it brings is saved, and others have it."""
    held = new_session(emulator, store=store)
    held.establish([security_token(emulator, clocks.service)])
    clocks.advance(DEAD)
    reached, go_on = store.gates[step] = threading.Event(), threading.Event()
    held.leave(reached, "get_permission_token")
    assert held.session._held.busy
    staying = [held.start(("get_permission_token",)) for _ in range(others)]
    go_on.set()
    tokens = [caller.outcome().value for caller in staying]
    until(lambda: not held.session._held.busy)
    assert outcomes_of(emulator) == ["refreshed"]
    assert {*tokens, held.get_permission_token()} == {held.session.current_token()}
    stored = store.load(TOKEN_ID)
    assert stored.state is not None
    assert (stored.state["pair"]["generation"], stored.interrupted) == (2, False)  # type: ignore[index]


FAILURES: dict[str, tuple[Callable[[], Any], str]] = {
    "store error": (lambda: raise_(StoreError("the disk is full: make room")), "the disk is full: make room"),
    "some error": (lambda: raise_(ZeroDivisionError("s3cret")), "ZeroDivisionError"),
    "nonsense": (lambda: "s3cret", "no Stored, but str"),
}


def raise_(problem: Exception) -> None:
    raise problem


@pytest.mark.parametrize("name", FAILURES)
def test_a_store_that_fails(
    new_session: NewSession, emulator: Emulator, store: WatchedStore, clocks: Clocks, name: str
) -> None:
    """Nobody notices while the token works; then a RefreshError says why, with no words but the store's own."""
    fail, words = FAILURES[name]
    held = new_session(emulator, store=store)
    held.establish([security_token(emulator, clocks.service)])
    token = held.get_permission_token()
    store.instead = fail
    clocks.advance(STALE)
    assert held.get_permission_token() == token
    clocks.advance(DEAD - STALE)
    with clocks.hurried(), pytest.raises(RefreshError) as caught:
        held.get_permission_token()
    assert words in str(caught.value)
    assert "s3cret" not in str(caught.value)
    store.instead = None
    clocks.advance(1)
    assert held.get_permission_token() != token
    assert outcomes_of(emulator) == ["refreshed"]


def test_a_disk_that_fails_keeps_no_lock(
    new_session: NewSession, emulator: Emulator, store: WatchedStore, clocks: Clocks
) -> None:
    """The lease that could not be given back goes at once, not when the garbage collector comes for its errors."""
    held = new_session(emulator, store=store)
    held.establish([security_token(emulator, clocks.service)])
    gc.disable()
    try:
        with files_limited_to(100), pytest.raises(RefreshError, match="could not be saved"):
            held.refresh()
        clocks.advance(1)
        held.refresh()
    finally:
        gc.enable()
    assert outcomes_of(emulator) == ["refreshed"]


def test_closing_between_two_saves_keeps_no_lock(
    new_session: NewSession, emulator: Emulator, store: WatchedStore, clocks: Clocks
) -> None:
    """Nothing can be saved: nobody waits for the backoff, and whoever comes next has the lease all the same."""
    slow = Policy(deadline=60, attempt_timeout=5, backoff_base=60, backoff_cap=60)
    held = new_session(emulator, store=store, policy=slow)
    held.establish([security_token(emulator, clocks.service)])
    refused = threading.Event()
    held.session._listener = lambda event: refused.set() if isinstance(event, AttemptFailed) else None
    gc.disable()
    try:
        with files_limited_to(100):
            asked = held.start(("refresh",))
            assert refused.wait(TIMEOUT)
            held.close()
        assert isinstance(asked.outcome().error, AttemptError)
        give_up_at = monotonic() + TIMEOUT
        while (lease := store.acquire(TOKEN_ID, 5).lease) is None:  # a worker thread may still be on its way out
            assert monotonic() < give_up_at
        store.release(lease)
    finally:
        gc.enable()


def test_closing_between_two_saves_saves_at_once(
    new_session: NewSession, emulator: Emulator, store: WatchedStore, clocks: Clocks
) -> None:
    """Invariants 4 and 8: the pair that has come is not lost for a hiccup of the store."""
    slow = Policy(deadline=60, attempt_timeout=5, backoff_base=60, backoff_cap=60)
    held = new_session(emulator, store=store, policy=slow)
    held.establish([security_token(emulator, clocks.service)])
    refused = threading.Event()
    held.session._listener = lambda event: refused.set() if isinstance(event, AttemptFailed) else None
    with files_limited_to(100):
        asked = held.start(("refresh",))
        assert refused.wait(TIMEOUT)
    held.close()
    assert asked.outcome().error is None
    state = store.load(TOKEN_ID).state
    assert state is not None
    assert state["pair"]["generation"] == 2  # type: ignore[index]
    assert outcomes_of(emulator) == ["refreshed"]


def test_closing_while_the_lease_is_taken_gives_it_back(
    new_session: NewSession, emulator: Emulator, store: WatchedStore, clocks: Clocks
) -> None:
    """Nothing is sent under it, and nobody who comes next is told of a doubt."""
    held = new_session(emulator, store=store)
    held.establish([security_token(emulator, clocks.service)])
    reached, go_on = store.gates["acquire"] = threading.Event(), threading.Event()
    asked = held.start(("refresh",))
    assert reached.wait(TIMEOUT)
    closing = threading.Thread(target=held.close)
    closing.start()
    until(lambda: held.session._is_closed)
    go_on.set()
    closing.join(TIMEOUT)
    assert isinstance(asked.outcome().error, AttemptError)
    assert outcomes_of(emulator) == []
    assert held.session.snapshot()["ambiguous"] is False
    found = store.acquire(TOKEN_ID, 5)
    assert found.lease is not None
    assert not found.interrupted
    store.release(found.lease)


@contextmanager
def files_limited_to(size: int) -> Iterator[None]:
    """Let no file of this process become larger: a write that would do it fails."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_store_that_hangs(
    new_session: NewSession, emulator: Emulator, store: WatchedStore, clocks: Clocks, driver: Driver,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    """Invariant 7: a store that forgets that its operations must end is not waited for without end."""
    held = new_session(emulator, store=store)
    held.establish([security_token(emulator, clocks.service)])
    monkeypatch.setattr(f"tenure.transports.{driver.name}.STORE_PATIENCE", 0.05)
    if driver.name != "blocking":
        monkeypatch.setattr(f"tenure.transports._{driver.name}_shield.GRACE", 0.05)
    clocks.advance(DEAD)
    ending = threading.Event()
    store.instead = lambda: ending.wait(TIMEOUT)
    caller = held.start(("get_permission_token",))
    with clocks.hurried():
        error = caller.outcome().error
    ending.set()
    assert error is not None
    assert "too long" in str(error) or "exceeds its time" in str(error)


@pytest.mark.parametrize("store", ["redis://localhost", 7, object()], ids=["url", "number", "object"])
def test_what_is_no_store_is_refused(driver: Driver, store: Any) -> None:
    """Bad input is refused early, with what to do."""
    with pytest.raises(UsageError, match="FileStore"):
        driver.make("http://localhost/authorization/v1", TOKEN_ID, PERMISSIONS, store=store)


def test_what_has_come_is_saved_when_asyncio_ends(tmp_path: Path) -> None:
    """Invariant 4: `asyncio.run` cancels the pump in mid-exchange; the answer is taken in, and it is saved."""
    with Emulator() as emulator:
        session = asyncio_driver.AuthorizationSession(
            emulator.url, TOKEN_ID, ["read"], store=FileStore(tmp_path), policy=QUICK
        )
        gate = hold_answer()

        async def release_when_cancelled() -> None:
            try:
                await asyncio.sleep(TIMEOUT)
            finally:
                gate.release()

        async def begin() -> None:
            await session.establish_by_key(emulator.merchant_key)
            emulator.faults.add(gate)
            tasks.append(asyncio.ensure_future(session.refresh()))
            tasks.append(asyncio.ensure_future(release_when_cancelled()))
            assert await asyncio.to_thread(gate.arrived.wait, TIMEOUT)

        tasks: list[asyncio.Future[None]] = []
        asyncio.run(begin())
        stored = FileStore(tmp_path).load(TOKEN_ID)
        assert stored.state is not None
        assert stored.state["pair"]["generation"] == 2  # type: ignore[index]
        assert not stored.interrupted


def test_what_has_come_is_saved_when_trio_ends(tmp_path: Path) -> None:
    """The same where the main task of a trio run returns."""
    with Emulator() as emulator:
        session = trio_driver.AuthorizationSession(
            emulator.url, TOKEN_ID, ["read"], store=FileStore(tmp_path), policy=QUICK
        )
        gate = hold_answer()

        async def begin() -> None:
            await session.establish_by_key(emulator.merchant_key)
            emulator.faults.add(gate)
            async with trio.open_nursery() as nursery:
                nursery.start_soon(session.refresh)
                await trio.to_thread.run_sync(gate.arrived.wait, TIMEOUT)
                nursery.cancel_scope.cancel()
            gate.release()

        trio.run(begin)
        stored = FileStore(tmp_path).load(TOKEN_ID)
        assert stored.state is not None
        assert stored.state["pair"]["generation"] == 2  # type: ignore[index]
