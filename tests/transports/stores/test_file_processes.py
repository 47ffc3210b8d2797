# FileStore between processes: killed, stopped and forked ones, and what filelock is relied upon for.

import os
import signal
import subprocess
import sys
from pathlib import Path

from tenure import Stored
from tenure.transports.stores import FileStore, LeaseLostError
from tenure.transports.stores.conformance.bench import acquire
from tenure.transports.stores.conformance.processes import OtherProcess

from ..forking import in_child
from . import recipes

KEY = "4f1c"


def other_process(directory: Path) -> OtherProcess:
    return OtherProcess(f"{recipes.__name__}:file_store", [str(directory)])


def test_lease_of_a_killed_process_is_free_at_once(directory: Path, store: FileStore) -> None:
    """The kernel frees its lock; nobody waits for the ttl of an hour."""
    with other_process(directory) as other:
        assert other.tell("acquire", KEY, 3600) == "taken"
        other.kill()
        stored = store.acquire(KEY, 60)
    assert stored.lease is not None
    assert stored.interrupted


def test_stopped_process_keeps_its_lease(directory: Path, store: FileStore) -> None:
    """A kernel's lock does not lapse: others wait, however long ago the ttl has ended; the save is sound."""
    with other_process(directory) as other:
        assert other.tell("acquire", KEY, 0.01) == "taken"
        other.process.send_signal(signal.SIGSTOP)
        os.waitid(os.P_PID, other.process.pid, os.WSTOPPED | os.WNOWAIT)
        assert store.acquire(KEY, 60).lease is None
        other.ask("save", KEY, "from the stopped one")
        other.process.send_signal(signal.SIGCONT)
        assert other.answer() == "saved"
    stored = store.acquire(KEY, 60)
    assert (stored.state, stored.interrupted) == ({"text": "from the stopped one"}, False)


def test_deleted_session_is_not_saved_by_a_stopped_process(directory: Path, store: FileStore) -> None:
    """A logout meanwhile is final."""
    with other_process(directory) as other:
        assert other.tell("acquire", KEY, 60) == "taken"
        store.delete(KEY)
        assert other.tell("save", KEY, "too late") == "lost"
    assert store.load(KEY).version == 0


def test_child_has_none_of_its_parents_leases(store: FileStore) -> None:
    """`Store`: after fork() a lease is the parent's alone, and the child's attempts change nothing."""
    lease = store.acquire(KEY, 60).lease

    def job() -> int:
        refused = 0
        for use in (lambda: store.save(lease, {"from": "child"}), lambda: store.renew(lease, 60)):
            try:
                use()
            except LeaseLostError:
                refused += 1
        store.release(lease)
        return refused

    assert in_child(job) == 2
    assert store.load(KEY).state is None
    store.save(lease, {"from": "parent"})


def test_end_of_a_child_does_not_free_its_parents_lease(directory: Path, store: FileStore) -> None:
    """The child closes its copy of the descriptor without unlocking: a lock belongs to both copies."""
    held: list[Stored] = [store.acquire(KEY, 60)]
    in_child(held.clear)  # the lock object is destroyed there, as at the end of a program
    with other_process(directory) as other:
        assert other.tell("acquire", KEY, 60) == "refused"
    store.save(held[0].lease, {"from": "parent"}, release=True)


FORKS = """
import os, sys
from tenure.transports.stores import FileStore
held = FileStore(sys.argv[1]).acquire("4f1c", 60)
if os.fork():
    print("taken" if held.lease else "refused", flush=True)
sys.stdin.read()  # the child, too
"""


def test_child_does_not_keep_its_parents_lease(directory: Path, store: FileStore) -> None:
    """When the parent is dead, the lease is free, though the child lives on."""
    command = [sys.executable, "-c", FORKS, str(directory)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        assert parent.stdout.readline() == "taken\n"
        assert store.acquire(KEY, 60).lease is None
        parent.kill()
        stored = acquire(store, KEY)  # at once, but the child may not even have begun to run
    assert stored.interrupted


def test_child_may_take_a_lease_of_its_own(store: FileStore) -> None:
    """The store itself is as good in the child as in the parent."""

    in_child(lambda: store.save(store.acquire(KEY, 60).lease, {"from": "child"}, release=True))
    assert store.load(KEY).state == {"from": "child"}


def test_abandoned_lease_is_free_and_interrupts(store: FileStore) -> None:
    """A lease that nobody holds in his hand any more is as good as that of a dead process, whatever it has saved."""
    store.acquire(KEY, 60)
    stored = store.acquire(KEY, 60)
    assert stored.lease is not None
    assert stored.interrupted
    store.save(stored.lease, {"a": 1})
    del stored
    stored = store.acquire(KEY, 60)
    assert (stored.state, stored.interrupted) == ({"a": 1}, True)


def test_two_stores_of_one_process_exclude_each_other(directory: Path) -> None:
    """Options of filelock: no singleton, which would let the second one in as well."""
    first, second = FileStore(directory), FileStore(directory)
    lease = first.acquire(KEY, 60).lease
    assert second.acquire(KEY, 60).lease is None
    second.save(lease, {"a": 1}, release=True)  # a lease is good in any store on the same directory
    assert second.acquire(KEY, 60).lease is not None
