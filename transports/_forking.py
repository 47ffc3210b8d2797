# fork() and threads: the child gets one thread and a copy of everything else, among it locks that some thread of the
# parent held, and a session in the middle of an exchange that only the parent will finish.
#
# So every session's lock is taken before a fork (the copy is then consistent), released in the parent, and made anew in
# the child, where the session also forgets the parent's exchange.

import os
import threading
import warnings
import weakref
from typing import Protocol

__all__ = ["Forkable", "survive_fork", "warn_of_fork"]


class Forkable(Protocol):
    """What a session must have to survive a fork."""

    _lock: threading.Lock

    def _forget_parent(self) -> None:
        """Called in the child: make new locks, own nothing that is under way."""


_registry: "weakref.WeakSet[Forkable]" = weakref.WeakSet()
_registry_lock = threading.Lock()
_locked: list[Forkable] = []


def survive_fork(session: Forkable) -> None:
    """Look after `session` in every fork from now on, for as long as it lives."""
    with _registry_lock:
        _registry.add(session)


def warn_of_fork() -> None:
    """Say what a forked session risks. Called by the child's session when it first has to do something."""
    warnings.warn(
        "this process was forked from one that holds the same authorization session: parent and child now share one "
        "refresh token, and whichever refreshes second may end the session. Establish a session of its own (with a "
        "token id of its own) in the child, or fork first.",
        RuntimeWarning,
        stacklevel=5,
    )


def _before() -> None:
    _registry_lock.acquire()
    _locked.extend(_registry)
    for session in _locked:
        session._lock.acquire()


def _after_in_parent() -> None:
    for session in _locked:
        session._lock.release()
    _locked.clear()
    _registry_lock.release()


def _after_in_child() -> None:
    for session in _locked:
        session._forget_parent()
    _locked.clear()
    _registry_lock.release()


if hasattr(os, "register_at_fork"):  # not on Windows, which has no fork
    os.register_at_fork(before=_before, after_in_parent=_after_in_parent, after_in_child=_after_in_child)
