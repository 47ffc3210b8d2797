# A copy of the core in which a tool may break things. The tree itself is never touched.
#
# The tool (mutmut) takes a module's name from its path, so the copy has the layout of the installed package: `core/`
# becomes `tenure/`. What the tool makes of each break is read in survivors.py.

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Collection
from pathlib import Path

from .survivors import KILLED, Mutant, read_mutant

# These read the text of the core instead of running it, or run a copy under another name: no judges of behaviour, and
# what the tool writes is not in our style.
NO_JUDGES = ("tests/core/test_purity.py", "tests/core/test_vendoring.py", "tests/core/test_public_names.py")

# What decides the order of things is judged by simulated lives as well: the first of those that every test run lives.
LIVED = ("exchange.py", "protocol.py", "session.py", "shared.py")
LIVES = [f"tests/simulation/{name}.py::test_no_invariant_is_broken" for name in ("test_simulation", "fleet/test_fleet")]

# A break that never ends is stopped after (seconds of its tests + 3) * 4. It passes for one that a test has noticed, so
# the machine has to have nothing else to do.
CONFIGURATION = """
[tool.mutmut]
source_paths = ["tenure"]
only_mutate = {only_mutate}
pytest_add_cli_args = ["-p", "no:cacheprovider", "-m", "not once"]
pytest_add_cli_args_test_selection = {selection}
timeout_multiplier = 4.0
timeout_constant = 3.0
track_dependencies = false
"""


class CleanRunFailed(Exception):
    """The tests do not even pass on what is not broken; the text is what the tool or the tests have printed."""


def files_of(core: Path) -> list[str]:
    """Return the files of the core, relative to it; all but those without a function of their own."""
    paths = [*core.glob("*.py"), *core.glob("dialects/*.py")]
    return sorted(str(path.relative_to(core)) for path in paths if path.name != "__init__.py")


def judges_of(files: Collection[str]) -> list[str]:
    """Return which tests judge breaks in these files."""
    judges = ["tests/core", *[f"--ignore={name}" for name in NO_JUDGES]]
    return judges if set(LIVED).isdisjoint(files) else judges + LIVES


def furnish(root: Path, copy: Path, files: Collection[str]) -> None:
    """Lay out in the folder `copy` what the tool needs to break `files` of the core at `root`."""
    shutil.copytree(root / "core", copy / "tenure", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copytree(root / "transports", copy / "tenure" / "transports", ignore=shutil.ignore_patterns("__pycache__"))
    (copy / "tests").mkdir()
    (copy / "tests" / "__init__.py").touch()
    for folder in ("core", "simulation"):
        shutil.copytree(root / "tests" / folder, copy / "tests" / folder)
    for name in files:
        path = copy / "tenure" / name
        path.write_text(open_properties(path.read_text(encoding="utf-8")), encoding="utf-8")
    settings = CONFIGURATION.format(
        only_mutate=json.dumps([f"tenure/{name}" for name in files]), selection=json.dumps(judges_of(files))
    )
    project = (root / "pyproject.toml").read_text(encoding="utf-8")
    (copy / "pyproject.toml").write_text(project + settings, encoding="utf-8")


def open_properties(source: str) -> str:
    """Write `@property` as an assignment behind its function: the tool passes over what is decorated."""
    pattern = r"^    @property\n(    def (\w+)\(.*\n(?:(?:        .*)?\n)*?)(?=\n*(?:    )?\S|\Z)"
    return re.sub(pattern, r"\1    \2 = property(\2)\n", source, flags=re.MULTILINE)


def run_tool(copy: Path, jobs: int) -> None:
    """Break everything in turn.

    Raises:
        CleanRunFailed: the tool could not begin.
    """
    command = [sys.executable, "-m", "mutmut", "run", "--max-children", str(jobs)]
    # Sets of tests are run in the same order each time.
    environment = {**os.environ, "PYTHONHASHSEED": "0"}
    environment.pop("PYTHONPATH", None)
    done = subprocess.run(command, cwd=copy, env=environment, capture_output=True, text=True)
    if done.returncode:
        raise CleanRunFailed(done.stdout + done.stderr)


def read_results(copy: Path, files: Collection[str]) -> list[Mutant]:
    """Return every mutant of `files`; those that no test has killed with what was changed."""
    mutants = []
    for name in files:
        record = copy / "mutants" / "tenure" / (name + ".meta")
        codes = json.loads(record.read_text(encoding="utf-8"))["exit_code_by_key"] if record.exists() else {}
        for key, code in codes.items():
            mutant = read_mutant(name, key, code)
            if mutant.outcome != KILLED:
                command = [sys.executable, "-m", "mutmut", "show", key]
                shown = subprocess.run(command, cwd=copy, capture_output=True, text=True, check=True)
                mutant.take_diff(shown.stdout)
            mutants.append(mutant)
    return mutants
