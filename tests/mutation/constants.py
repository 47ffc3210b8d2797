# Breaks of what stands outside functions, which the tool passes over: numbers, tables and lists. A number becomes
# greater by one, an element of a table or list is left out, and where a table says "go there" it says "go elsewhere".
#
# Left alone are words that only have to differ from each other ("not sent"), and what other tests compare with the
# files themselves (`__all__`, `__slots__`, the homes of public names).

import ast
import difflib
import os
import shutil
import subprocess
import sys
from collections.abc import Collection, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from queue import SimpleQueue

from .survivors import KILLED, SURVIVED, TIMED_OUT, Mutant
from .workshop import CleanRunFailed

LEFT_ALONE = {"__all__", "__slots__", "TYPE_CHECKING", "_HOMES"}
TIMEOUT = 300  # seconds; the tests take some ten

# A test failed, or could not be imported. With anything else, as a command line that pytest cannot read, nothing was
# asked of the core; survivors.py has the numbers of the tool, which has a way of its own to run the tests.
OUTCOMES = {0: SURVIVED, 1: KILLED, 2: KILLED}


def breaks_in(source: str) -> "Iterator[tuple[str, str]]":
    """Yield the name of a constant and the source with that constant broken, for every break there is."""
    places = Places(source)
    for name, value in constants_of(ast.parse(source).body):
        tables = [node for node in ast.walk(value) if isinstance(node, ast.Dict)]
        ways = [item.id for table in tables for item in table.values if isinstance(item, ast.Name)]
        for node in ast.walk(value):
            if isinstance(node, ast.Constant):
                if isinstance(node.value, (int, float)) and not isinstance(node.value, bool):
                    yield name, places.replaced(*places.of(node), repr(node.value + 1))
            elif isinstance(node, (ast.Tuple, ast.List, ast.Set)):
                spans = [places.of(item) for item in node.elts]
                yield from [(name, places.without(spans, index)) for index in range(len(spans))]
            elif isinstance(node, ast.Dict):
                pairs = [(key, item) for key, item in zip(node.keys, node.values, strict=True) if key is not None]
                spans = [(places.of(key)[0], places.of(item)[1]) for key, item in pairs]
                yield from [(name, places.without(spans, index)) for index in range(len(spans))]
                for item in node.values:
                    if isinstance(item, ast.Name):
                        elsewhere = next((way for way in ways if way != item.id), "None")
                        yield name, places.replaced(*places.of(item), elsewhere)


def constants_of(body: "list[ast.stmt]", prefix: str = "") -> "Iterator[tuple[str, ast.expr]]":
    """Yield each constant of a module and of its classes, by name."""
    for node in body:
        if isinstance(node, ast.ClassDef):
            yield from constants_of(node.body, f"{prefix}{node.name}.")
        elif isinstance(node, ast.Assign):
            name = ast.unparse(node.targets[0])
            if name not in LEFT_ALONE:
                yield prefix + name, node.value


class Places:
    """A source in which places are counted in bytes, as the parser counts them."""

    def __init__(self, source: str) -> None:
        self.text = source.encode()
        self.lines = [0]
        for line in self.text.splitlines(keepends=True):
            self.lines.append(self.lines[-1] + len(line))

    def of(self, node: ast.expr) -> "tuple[int, int]":
        """Return where an expression begins and where it ends."""
        assert node.end_lineno is not None
        assert node.end_col_offset is not None
        return self.lines[node.lineno - 1] + node.col_offset, self.lines[node.end_lineno - 1] + node.end_col_offset

    def replaced(self, begin: int, end: int, text: str) -> str:
        """Return the source with another text between these places."""
        return (self.text[:begin] + text.encode() + self.text[end:]).decode()

    def without(self, spans: "list[tuple[int, int]]", index: int) -> str:
        """Return the source without one of several elements that stand between commas."""
        if len(spans) == 2:  # a tuple of one element needs its comma, and nothing else minds one
            begin, end = spans[1 - index]
            follows = self.text[spans[1][1] : spans[1][1] + 1]
            kept = self.text[begin:end].decode() + ("" if follows == b"," else ",")
            return self.replaced(spans[0][0], spans[1][1], kept)
        begin, end = spans[index]
        if index + 1 < len(spans):
            end = spans[index + 1][0]
        elif index:
            begin = spans[index - 1][1]
        elif self.text[end : end + 1] == b",":
            end += 1
        return self.replaced(begin, end, "")


def break_constants(copy: Path, files: Collection[str], tests: Collection[str], jobs: int) -> "list[Mutant]":
    """Run the tests of the folder `copy` against each break, `jobs` at a time, each in a copy of its own.

    Raises:
        CleanRunFailed: they do not pass as long as nothing is broken.
    """
    folders: SimpleQueue[Path] = SimpleQueue()
    for number in range(jobs):
        folder = copy / f"constants-{number}"
        for part in ("tenure", "tests"):
            shutil.copytree(copy / part, folder / part)
        shutil.copy(copy / "pyproject.toml", folder)
        folders.put(folder)

    def judge(task: "tuple[str, str, str]") -> Mutant:
        folder = folders.get()
        try:
            return judge_break(folder, *task, tests)
        finally:
            folders.put(folder)

    tasks = [
        (file, name, broken)
        for file in files
        for name, broken in breaks_in((copy / "tenure" / file).read_text(encoding="utf-8"))
    ]
    if tasks:
        judge_whole(copy / "constants-0", tasks[0][0], tests)
    with ThreadPoolExecutor(jobs) as pool:
        return list(pool.map(judge, tasks))


def judge_whole(folder: Path, file: str, tests: Collection[str]) -> None:
    """Run the tests while nothing is broken: only then a failure says anything about a break."""
    done = run_tests(folder, file, tests)
    if done.returncode:
        raise CleanRunFailed(done.stdout + done.stderr)


def judge_break(folder: Path, file: str, name: str, broken: str, tests: Collection[str]) -> Mutant:
    """Put a broken file in its place, run the tests, and mend it."""
    path = folder / "tenure" / file
    whole = path.read_text(encoding="utf-8")
    path.write_text(broken, encoding="utf-8")
    try:
        code = run_tests(folder, file, tests).returncode
        outcome = OUTCOMES.get(code, f"unclear: {code}")
    except subprocess.TimeoutExpired:
        outcome = TIMED_OUT
    finally:
        path.write_text(whole, encoding="utf-8")
    mutant = Mutant(file, name, outcome)
    mutant.take_diff("\n".join(difflib.unified_diff(whole.splitlines(), broken.splitlines(), n=0, lineterm="")))
    return mutant


def run_tests(folder: Path, file: str, tests: Collection[str]) -> "subprocess.CompletedProcess[str]":
    """Run the tests in that folder, first those of that file."""
    # Without bytecode: two breaks within one second would pass for each other.
    environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1", "PYTHONPATH": str(folder)}
    nearest = Path("tests", "core", file).with_name(f"test_{Path(file).name}")  # the likeliest to notice
    first = [str(nearest)] if (folder / nearest).exists() else []
    command = [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", "-m", "not once", *first, *tests]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=TIMEOUT)
