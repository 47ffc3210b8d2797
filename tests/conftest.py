# What holds for every test.

import gc
from collections.abc import Iterator

import pytest


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol() -> Iterator[None]:
    """Let the garbage collector look only at what the test makes: many tests collect, in processes that hold much."""
    gc.freeze()
    try:
        return (yield)
    finally:
        gc.unfreeze()
