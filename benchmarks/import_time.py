# How long does `import tenure` take, over the bare interpreter? Target: at most 1.2 x `import json`.
#
# Names are loaded when they are first used, so all of them together are measured as well: that is what a program pays
# in the end.
#
# Each import happens in an interpreter of its own, which times it itself. They run isolated and without `site` (-I -S),
# because what an environment's .pth files import beforehand (an editable install: pathlib, re, …) would be had for free
# by both. The core is a copy, compiled beforehand, as an installer does.

import compileall
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import tenure
from _measure import Spread, interleave, ratio, show_machine

ROUNDS = 200
CORE = Path(tenure.__file__).parent
PREPARE = (
    "import sys; sys.path.insert(0, sys.argv[1]); before = set(sys.modules); from time import perf_counter_ns as now"
)
TIME = "begin = now(); import {}; print(now() - begin)"
LIST = "import {}; print(*sorted(set(sys.modules) - before))"


def ask(folder: str, statement: str) -> str:
    """Return what a fresh interpreter prints."""
    command = [sys.executable, "-I", "-S", "-c", f"{PREPARE}; {statement}", folder]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def measured(folder: str, module: str) -> Callable[[], float]:
    """Return a function that measures the milliseconds of an import."""
    statement = TIME.format(module)
    return lambda: int(ask(folder, statement)) / 1e6


def copy_core(folder: Path) -> None:
    """Put the core, and nothing that may lie beside it, where it can be imported as `tenure`."""
    target = folder / "tenure"
    target.mkdir()
    for source in CORE.glob("*.py"):
        shutil.copyfile(source, target / source.name)
    shutil.copytree(CORE / "dialects", target / "dialects", ignore=shutil.ignore_patterns("__pycache__"))
    compileall.compile_dir(target, quiet=1)


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        copy_core(Path(folder))
        names = ("tenure", "tenure; from tenure import *", "json", "asyncio")
        figures = interleave({name: measured(folder, name) for name in names}, ROUNDS)
        of_json = set(ask(folder, LIST.format("json")).split())
        pulled_in = ask(folder, LIST.format("tenure; from tenure import *")).split()
    show_machine()
    for name, figure in figures.items():
        print(f"import {name:30} {Spread(figure).show('ms', 2)}")
    print(f"{'ratio to json':37} {ratio(figures['tenure'], figures['json']).show('x', 2)}")
    print(f"{'ratio of all of it to json':37} {ratio(figures[names[1]], figures['json']).show('x', 2)}")
    print("pulled in by json as well:", *[name for name in pulled_in if name in of_json])
    print("by tenure alone:", *[name for name in pulled_in if name not in of_json])


if __name__ == "__main__":
    main()
