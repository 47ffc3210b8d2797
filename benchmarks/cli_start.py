# How long does `tenure token` take with a fresh token in the store, over the interpreter's own start?
#
# `python -c pass` is what nobody can do without, `import json, argparse` what any small command line pays. Each is a
# process of its own, from its beginning to its end. They run isolated and without `site` (-I -S): what an environment's
# .pth files import beforehand (an editable install: pathlib, re, …) would be had for free by all. The package is a
# copy, compiled beforehand, as an installer does.

import compileall
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import filelock
import tenure
import tenure.transports
from _measure import Spread, interleave, ratio, show_machine
from tenure.transports.emulator import Emulator

ROUNDS = 100
LIBRARIES = Path(filelock.__file__).parent.parent
COMMAND = """
import sys
sys.path[:0] = sys.argv[1:3]
from tenure.transports.cli import main
code = main(sys.argv[3:])
"""
LIST = COMMAND + "print(*sorted(sys.modules), file=sys.stderr)"
SUBJECTS = ("python -c pass", "import json, argparse", "tenure token")


def copy_package(folder: Path) -> None:
    """Put the whole package where it can be imported as `tenure`."""
    ignored = shutil.ignore_patterns("__pycache__")
    shutil.copytree(Path(tenure.__file__).parent, folder / "tenure", ignore=ignored)
    transports = Path(tenure.transports.__file__).parent
    shutil.copytree(transports, folder / "tenure" / "transports", ignore=ignored, dirs_exist_ok=True)
    compileall.compile_dir(folder / "tenure", quiet=1)


class Shell:
    """Runs commands with a home of their own."""

    def __init__(self, folder: Path) -> None:
        copy_package(folder)
        self.paths = [str(folder), str(LIBRARIES)]
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("TENURE_", "XDG_"))}
        self.environment = {**kept, "HOME": str(folder), "LOCALAPPDATA": str(folder)}

    def run(self, code: str, *arguments: str, **variables: str) -> "subprocess.CompletedProcess[str]":
        command = [sys.executable, "-I", "-S", "-c", code, *arguments]
        environment = {**self.environment, **variables}
        return subprocess.run(command, capture_output=True, text=True, check=True, env=environment)

    def tenure(self, *arguments: str, code: str = COMMAND, **variables: str) -> "subprocess.CompletedProcess[str]":
        return self.run(code, *self.paths, *arguments, **variables)


def measured(run: Callable[..., object], *arguments: str) -> Callable[[], float]:
    """Return a function that measures the milliseconds of a process."""

    def measure() -> float:
        begin = time.perf_counter()
        run(*arguments)
        return (time.perf_counter() - begin) * 1000

    return measure


def main() -> None:
    with tempfile.TemporaryDirectory() as folder, Emulator() as service:
        shell = Shell(Path(folder))
        name, password = service.credentials
        shell.tenure("login", "--url", service.url, "--username", name, TENURE_PASSWORD=password)
        figures = interleave(
            {
                SUBJECTS[0]: measured(shell.run, "pass"),
                SUBJECTS[1]: measured(shell.run, "import json, argparse"),
                SUBJECTS[2]: measured(shell.tenure, "token"),
            },
            ROUNDS,
        )
        loaded = shell.tenure("token", code=LIST).stderr.split()
        bare = shell.run("import sys, json, argparse; print(*sys.modules)").stdout.split()
    show_machine()
    for subject in SUBJECTS:
        print(f"{subject:22} {Spread(figures[subject]).show('ms')}")
    over = {
        subject: [a - b for a, b in zip(figures[subject], figures[SUBJECTS[0]], strict=True)] for subject in SUBJECTS
    }
    print(f"{'tenure token, over pass':32} {Spread(over[SUBJECTS[2]]).show('ms')}")
    print(f"{'json and argparse, over pass':32} {Spread(over[SUBJECTS[1]]).show('ms')}")
    print(f"{'ratio to pass':32} {ratio(figures[SUBJECTS[2]], figures[SUBJECTS[0]]).show('x', 2)}")
    print(f"{'ratio to json and argparse':32} {ratio(figures[SUBJECTS[2]], figures[SUBJECTS[1]]).show('x', 2)}")
    foreign = [name for name in loaded if name not in bare and "tenure" not in name]
    print(f"{len([name for name in loaded if 'tenure' in name])} files of ours; and modules beyond json and argparse:")
    print(" ", *foreign)


if __name__ == "__main__":
    main()
