# What holds for every test.

import gc
import signal
from collections.abc import Iterator

import pytest

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # A shell without job control has what it runs in the background ignore Ctrl-C, and so would all that tests start.
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol() -> Iterator[None]:
    """Let the garbage collector look only at what the test makes: many tests collect, in processes that hold much."""
    gc.freeze()
    try:
        return (yield)
    finally:
        gc.unfreeze()
