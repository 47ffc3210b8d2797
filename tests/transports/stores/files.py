# What the tests of FileStore have in common.

from collections.abc import Callable
from pathlib import Path

import pytest
from tenure.transports.stores import FileStore, StoreError

__all__ = ["KEY", "refusal", "saved", "the_file"]

KEY = "4f1c"


def saved(store: FileStore, number: int = 1) -> None:
    store.save(store.acquire(KEY, 60).lease, {"number": number}, release=True)


def the_file(directory: Path, kind: str = "json") -> Path:
    (path,) = directory.glob(f"*.{kind}")
    return path


def refusal(operation: Callable[[], object]) -> str:
    with pytest.raises(StoreError) as caught:
        operation()
    assert type(caught.value) is StoreError
    return str(caught.value)
