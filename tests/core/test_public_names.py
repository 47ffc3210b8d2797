# What `import tenure` gives, and what it costs.

import ast
import importlib
import json
import pkgutil
import shutil
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest
import tenure

CORE = Path(tenure.__file__).parent
MODULES = [
    "tenure",
    *(f"tenure.{info.name}" for info in pkgutil.iter_modules([str(CORE)]) if info.name != "transports"),
    *(f"tenure.dialects.{info.name}" for info in pkgutil.iter_modules([str(CORE / "dialects")])),
]


def names_of(module: ModuleType) -> "set[str]":
    """Return the public names that are really there, submodules aside."""
    return {
        name for name, value in vars(module).items() if not name.startswith("_") and not isinstance(value, ModuleType)
    }


@pytest.mark.parametrize("name", MODULES)
def test_all_is_true(name: str) -> None:
    """Each name in `__all__` is there, and is there once; a star import works."""
    module = importlib.import_module(name)
    listed = getattr(module, "__all__", [])
    assert len(set(listed)) == len(listed)
    assert [each for each in listed if not hasattr(module, each)] == []
    namespace: dict[str, object] = {}
    exec(f"from {name} import *", namespace)  # noqa: S102  the very thing that __all__ is about
    assert set(listed) <= set(namespace)


@pytest.mark.parametrize("name", [each for each in MODULES if each not in ("tenure", "tenure.dialects")])
def test_module_lists_what_it_defines_and_nothing_else(name: str) -> None:
    """A listed name is the module's own, not one that it has imported."""
    module = importlib.import_module(name)
    for each in module.__all__:
        home = getattr(getattr(module, each), "__module__", name)
        assert home == name, f"{each} is from {home}"


def test_package_lists_exactly_what_it_imports() -> None:
    """What is loaded on demand and what type checkers read is the same: name by name, from the same file."""
    tree = ast.parse((CORE / "__init__.py").read_text(encoding="utf-8"))
    told = {
        (node.module, alias.name) for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) for alias in node.names
    }
    assert told == {(home, name) for home, names in tenure._HOMES.items() for name in names}
    assert sorted(tenure.__all__) == sorted(name for _, name in told)
    assert set(tenure.__all__) <= set(dir(tenure))


def test_every_promised_name_is_there() -> None:
    """Each name can be imported, and is loaded from the file where it lives."""
    for home, names in tenure._HOMES.items():
        module = importlib.import_module(f"tenure.{home}")
        for name in names:
            assert getattr(tenure, name) is getattr(module, name)
    steps = tenure.__getattr__("steps")  # asked by MicroPython before it looks for the file
    assert steps is importlib.import_module("tenure.steps")


def test_other_names_are_not_there() -> None:
    """A typing error is an AttributeError, as with any module."""
    with pytest.raises(AttributeError, match="module 'tenure' has no attribute 'Sesssion'"):
        tenure.Sesssion  # type: ignore[attr-defined]  # noqa: B018


def test_every_error_event_and_step_is_public() -> None:
    """What a caller may have to catch, a listener to tell apart, or a driver to do."""
    for module in (tenure.errors, tenure.events, tenure.steps, tenure.store_steps):
        assert set(module.__all__) <= set(tenure.__all__)


def test_each_import_leads_one_way() -> None:
    """STYLE, The house: the lower rooms import only what stands before them in this list."""
    order = ["errors", "checks", "steps", "tokens", "policy", "events", "states", "verdicts", "calls"]
    seen: set[str] = {"errors", "steps"}
    for name in order:
        text = (CORE / f"{name}.py").read_text(encoding="utf-8").partition("TYPE_CHECKING")[0]
        imported = {line.split()[1].lstrip(".") for line in text.splitlines() if line.startswith("from .")}
        assert imported <= seen, (name, imported)
        seen.add(name)


FOREIGN = (
    *("asyncio", "typing", "logging", "ssl", "socket", "threading", "time", "random", "datetime", "dataclasses"),
    *("enum", "functools", "urllib", "http", "email", "uuid", "base64", "requests", "selectors", "inspect"),
)


@pytest.fixture(scope="module")
def loaded(tmp_path_factory: pytest.TempPathFactory) -> "dict[str, list[str]]":
    """Modules that a bare interpreter has, that `json` and `binascii` bring, and that `tenure` and all of it brings."""
    folder = tmp_path_factory.mktemp("bare")
    shutil.copytree(CORE, folder / "tenure", ignore=shutil.ignore_patterns("__pycache__", "transports"))
    script = (
        "import sys; bare = set(sys.modules); import json, binascii; known = set(sys.modules); "
        f"sys.path.insert(0, {str(folder)!r}); import tenure; "
        "now = set(sys.modules); from tenure import *; all = set(sys.modules); "
        "print(json.dumps({'known': sorted(known), 'ours': sorted(now - known), 'all': sorted(all - known), "
        "'path': tenure.__file__}))"
    )
    command = [sys.executable, "-I", "-S", "-c", script]
    answer = json.loads(subprocess.run(command, capture_output=True, check=True, text=True, timeout=60).stdout)
    assert answer.pop("path").startswith(str(folder))
    assert isinstance(answer, dict)
    return answer


def test_import_brings_nothing_but_ourselves(loaded: "dict[str, list[str]]") -> None:
    """DESIGN.md, Numbers: next to `import json`; no asyncio, typing or re-heavy modules pulled in."""
    assert loaded["ours"] == ["tenure"]
    assert [name for name in loaded["all"] if name.partition(".")[0] != "tenure"] == []
    assert "tenure.transports" not in loaded["all"]
    assert "tenure.protocol" in loaded["all"]


@pytest.mark.parametrize("name", FOREIGN)
def test_import_does_not_bring(loaded: "dict[str, list[str]]", name: str) -> None:
    """Named one by one: what json itself brings is Python's business."""
    assert name not in loaded["all"]


def test_import_changes_nothing_in_the_process(tmp_path: Path) -> None:
    """STYLE, Vendorable: nothing is registered, read or configured at import: no handler, filter, hook or output."""
    shutil.copytree(CORE, tmp_path / "tenure", ignore=shutil.ignore_patterns("__pycache__", "transports"))
    script = (
        f"import sys, json, logging, warnings, signal, os, gc; sys.path.insert(0, {str(tmp_path)!r})\n"
        "def look(): return [logging.root.handlers[:], sorted(logging.root.manager.loggerDict), warnings.filters[:],"
        " signal.getsignal(signal.SIGINT), dict(os.environ), sys.excepthook, sys.getrecursionlimit(),"
        " gc.get_threshold(), gc.isenabled(), sys.path[:]]\n"
        "before = look(); import tenure; assert look() == before"
    )
    command = [sys.executable, "-I", "-S", "-c", script]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
