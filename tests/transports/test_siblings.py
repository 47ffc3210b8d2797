# The three drivers are one driver in three worlds: the same names, the same arguments, in the same order.

import ast
import inspect
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from tenure.transports import asyncio, blocking, trio

MODULES = (blocking, asyncio, trio)
ASYNC = (asyncio, trio)
MOST_LINES = 200

# What differs by nature: how a context is entered, `auth` of a library that blocks, `current_token` by a run's clock.
ENTERED = {"__enter__": "__aenter__", "__exit__": "__aexit__"}
ONLY_BLOCKING = {"auth"}
NEVER_WAITS = {"current_token", "invalidate", "snapshot", "from_snapshot", "unverified_claims"}


def surface(module: ModuleType) -> dict[str, Any]:
    """Return what a driver's class offers: name to function."""
    names = [name for name in dir(module.AuthorizationSession) if not name.startswith("_")]
    return {name: getattr(module.AuthorizationSession, name) for name in names}


def methods_in_file(module: ModuleType) -> list[str]:
    """Return the names of the methods of a driver's class, in the order in which they stand in its file."""
    tree = ast.parse(Path(str(module.__file__)).read_text(encoding="utf-8"))
    (session,) = [node for node in tree.body if isinstance(node, ast.ClassDef) and node.name == "AuthorizationSession"]
    names = [node.name for node in session.body if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))]
    return [ENTERED.get(name, name) for name in names]


@pytest.mark.parametrize("module", ASYNC, ids=lambda module: module.__name__)
def test_the_same_names(module: ModuleType) -> None:
    """DESIGN.md, the drivers' contract: names are identical in all three."""
    assert set(surface(blocking)) - ONLY_BLOCKING == set(surface(module))


@pytest.mark.parametrize("module", ASYNC, ids=lambda module: module.__name__)
def test_the_same_arguments(module: ModuleType) -> None:
    """A program that changes worlds changes `await`, and nothing else; keep_alive begins the way its world begins."""
    for name, function in surface(module).items():
        here, there = inspect.signature(function), inspect.signature(getattr(blocking.AuthorizationSession, name))
        if name == "keep_alive":
            assert list(there.parameters) == ["self"]
            assert list(here.parameters) == (["self", "task_status"] if module is trio else ["self"])
        else:
            assert here == there, name
    assert inspect.signature(module.AuthorizationSession) == inspect.signature(blocking.AuthorizationSession)


@pytest.mark.parametrize("module", ASYNC, ids=lambda module: module.__name__)
def test_what_waits_is_async(module: ModuleType) -> None:
    """What may wait is a coroutine function in both async drivers, what never waits is one in none."""
    for name, function in surface(module).items():
        assert inspect.iscoroutinefunction(function) == (name not in NEVER_WAITS), name
        assert not inspect.iscoroutinefunction(getattr(blocking.AuthorizationSession, name))


@pytest.mark.parametrize("module", MODULES, ids=lambda module: module.__name__)
def test_each_method_says_what_it_does(module: ModuleType) -> None:
    """The contract's docstring reaches help() in every world."""
    assert all(inspect.getdoc(function) for function in surface(module).values())
    assert "token_id" in (module.AuthorizationSession.__doc__ or "")


@pytest.mark.parametrize(("left", "right"), [(blocking, asyncio), (blocking, trio), (asyncio, trio)])
def test_the_same_order(left: ModuleType, right: ModuleType) -> None:
    """STYLE.md: opened side by side, the drivers differ in colour only."""
    here, there = methods_in_file(left), methods_in_file(right)
    assert [name for name in here if name in there] == [name for name in there if name in here]


@pytest.mark.parametrize("module", MODULES, ids=lambda module: module.__name__)
def test_a_driver_is_thin(module: ModuleType) -> None:
    """DESIGN.md: its own waiting, its own sending, nothing to decide."""
    assert len(Path(str(module.__file__)).read_text(encoding="utf-8").splitlines()) < MOST_LINES


@pytest.mark.parametrize("module", MODULES, ids=lambda module: module.__name__)
def test_a_driver_uses_public_names_only(module: ModuleType) -> None:
    """STYLE.md, the house: `transports` takes from the core what anybody may take."""
    tree = ast.parse(Path(str(module.__file__)).read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.level == 2:
            assert node.module is None, f"from ..{node.module} import"
