# What holds for every test.

import gc
import os
import signal
from collections.abc import Iterator

import pytest

# What tests start inherits how this process was started.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # by a shell without job control, in the background
    signal.signal(signal.SIGINT, signal.default_int_handler)
if hasattr(signal, "SIGHUP") and signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:  # by nohup
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
os.environ["no_proxy"] = "127.0.0.1"  # the way to a test's own server leads through no proxy


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with what waits longest, beside which the rest can be done: processes that are paused, killed, outlived."""
    items.sort(key=lambda item: item.path.parent.name != "sharing")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol() -> Iterator[None]:
    """Let the garbage collector look only at what the test makes: many tests collect, in processes that hold much."""
    gc.freeze()
    try:
        return (yield)
    finally:
        gc.unfreeze()
