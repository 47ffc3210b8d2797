# Running a piece of a test in a forked child.

import os
import pickle
import select
import signal
import time
import traceback
import warnings
from collections.abc import Callable
from typing import TypeVar

from .drivers import TIMEOUT

__all__ = ["in_child"]

Result = TypeVar("Result")


def in_child(run: Callable[[], Result], meanwhile: Callable[[], object] = lambda: None) -> Result:
    """Fork, run a function in the child, and return what it returns there; what it raises there is our failure.

    Args:
        run: what it returns must be fit for pickle.
        meanwhile: called in the parent once the child exists.
    """
    reading, writing = os.pipe()
    with warnings.catch_warnings():
        # Python 3.12 warns of forking with threads around; what becomes of the threads is what is tested.
        warnings.simplefilter("ignore", DeprecationWarning)
        pid = os.fork()
    if not pid:
        _be_the_child(run, writing)
    os.close(writing)
    try:
        meanwhile()
        result, trouble = pickle.loads(_read_all(reading))  # noqa: S301  our own child wrote it
    finally:
        os.close(reading)
        os.waitpid(pid, 0)
    assert not trouble, trouble
    return result  # type: ignore[no-any-return]


def _be_the_child(run: Callable[[], object], writing: int) -> None:
    try:
        signal.alarm(int(TIMEOUT))  # a child that hangs ends by itself
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            report = (run(), "")
    except BaseException:
        report = (None, traceback.format_exc())
    try:
        os.write(writing, pickle.dumps(report))
    finally:
        os._exit(0)  # nothing of pytest may run a second time


def _read_all(reading: int) -> bytes:
    received = b""
    deadline = time.monotonic() + 2 * TIMEOUT
    while time.monotonic() < deadline:
        if select.select([reading], [], [], 1)[0]:
            part = os.read(reading, 65536)
            if not part:
                break
            received += part
    assert received, "the child ended without a word: it hung, or crashed"
    return received
