# 64 threads want a token that is dead: how many refreshes, and when does the last thread have the new token, counted
# from the server's answer? Target: one refresh, and done within 100 ms.
#
# The server keeps its answer until all threads wait. The peer is 64 threads that wait on a bare threading.Condition for
# one notify_all: no program that wakes threads can be faster. Ours has to send, read and judge the answer besides; the
# server is in this process, so its part of that is counted as ours.

import threading
import time
from collections.abc import Callable

from _measure import Spread, interleave, show_machine
from _service import TOKEN_ID
from tenure.transports.blocking import AuthorizationSession
from tenure.transports.emulator import Emulator, hold_answer

THREADS = 64
ROUNDS = 60
LONG_AGO = 100_000  # seconds; permission tokens live 900, refresh tokens a month


def storm(wait: Callable[[], object], waiters: Callable[[], int], let_go: Callable[[], None]) -> float:
    """Return the milliseconds from `let_go` until the last thread is back from `wait`."""
    ends: list[float] = []

    def work() -> None:
        wait()
        ends.append(time.perf_counter())

    threads = [threading.Thread(target=work) for _ in range(THREADS)]
    for thread in threads:
        thread.start()
    while waiters() < THREADS:
        time.sleep(0.001)
    begin = time.perf_counter()
    let_go()
    for thread in threads:
        thread.join()
    assert len(ends) == THREADS
    return (max(ends) - begin) * 1000


def at_expiry(fresh: dict[str, object]) -> AuthorizationSession:
    """Return a session, made from a snapshot of one that is established, whose token has died long ago."""
    pair = fresh["pair"]
    assert isinstance(pair, dict)
    return AuthorizationSession.from_snapshot({**fresh, "pair": {**pair, "since": pair["since"] - LONG_AGO}})


def storm_on_session(emulator: Emulator) -> float:
    with AuthorizationSession(emulator.url, TOKEN_ID, ["read"]) as established:
        established.establish([established.verify_credentials(*emulator.credentials)])
        snapshot = established.snapshot()
    refreshes = len(emulator.journal.of("refresh"))
    got: list[str] = []
    with at_expiry(snapshot) as session:
        gate = emulator.faults.add(hold_answer())
        # The condition's own list of waiters: no other sign tells that a thread has gone to sleep.
        sleeping = session._changed._waiters  # type: ignore[attr-defined]
        figure = storm(lambda: got.append(session.get_permission_token()), lambda: len(sleeping), gate.release)
    assert len(emulator.journal.of("refresh")) == refreshes + 1, "more than one refresh"
    assert len(got) == THREADS
    assert len(set(got)) == 1, "not everybody got the same token"
    return figure


def storm_on_condition() -> float:
    condition = threading.Condition()
    done = False

    def wait() -> None:
        with condition:
            condition.wait_for(lambda: done)

    def let_go() -> None:
        nonlocal done
        with condition:
            done = True
            condition.notify_all()

    return storm(wait, lambda: len(condition._waiters), let_go)  # type: ignore[attr-defined]


def main() -> None:
    with Emulator() as emulator:
        figures = interleave(
            {"session": lambda: storm_on_session(emulator), "bare condition": storm_on_condition}, ROUNDS
        )
        refreshes = len(emulator.journal.of("refresh"))
    show_machine()
    print(f"{THREADS} threads, {ROUNDS} rounds: {refreshes} refreshes in {ROUNDS + 1} storms")
    for name, figure in figures.items():
        print(f"{name:24} {Spread(figure).show('ms', 2)}, slowest {max(figure):.2f} ms")


if __name__ == "__main__":
    main()
