# The core is pure, and keeps to what MicroPython understands. Read from its source, by syntax tree: what a file imports
# inside `if TYPE_CHECKING:` is for checkers only and does not count.

import ast
import io
import re
import tokenize
from collections.abc import Iterator
from pathlib import Path

import pytest
import tenure

CORE = Path(tenure.__file__).parent
FILES = sorted(path for path in [*CORE.glob("*.py"), *(CORE / "dialects").glob("*.py")])
MAY_IMPORT = {"json", "binascii"}

MISSING_NAMES = {  # builtins that MicroPython lacks, or that let purity escape
    *("FileNotFoundError", "ConnectionError", "TimeoutError", "PermissionError", "BrokenPipeError"),
    *("InterruptedError", "UnicodeDecodeError", "ExceptionGroup", "BaseExceptionGroup"),
    *("open", "print", "input", "exec", "eval", "compile", "__import__", "globals", "breakpoint"),
}
MISSING_METHODS = {
    *("removeprefix", "removesuffix", "isascii", "casefold", "zfill", "ljust", "rjust", "bit_length", "add_note"),
    *("with_traceback", "fullmatch", "hexdigest", "__init_subclass__", "mro"),
}


@pytest.fixture(params=FILES, ids=[str(path.relative_to(CORE)) for path in FILES])
def path(request: pytest.FixtureRequest) -> Path:
    """One file of the core."""
    found = request.param
    assert isinstance(found, Path)
    return found


def runtime_nodes(tree: ast.AST) -> Iterator[ast.AST]:
    """Walk through what exists at run time: neither below `if TYPE_CHECKING:` nor in an annotation."""
    if isinstance(tree, ast.If) and isinstance(tree.test, ast.Name) and tree.test.id == "TYPE_CHECKING":
        return
    yield tree
    for field, value in ast.iter_fields(tree):
        if field in ("annotation", "returns"):
            continue
        for child in value if isinstance(value, list) else [value]:
            if isinstance(child, ast.AST):
                yield from runtime_nodes(child)


def nodes_of(path: Path) -> "list[ast.AST]":
    """Return the nodes of a file that exist at run time."""
    return list(runtime_nodes(ast.parse(path.read_text(encoding="utf-8"), feature_version=(3, 10))))


def test_every_file_is_looked_at() -> None:
    """The list is that of the folder, so a new file is checked from its first day."""
    assert len(FILES) >= 16
    assert {path.name for path in FILES} >= {"protocol.py", "exchange.py", "spatium.py", "claims.py"}
    assert set(CORE.rglob("*.py")) - set(FILES) <= set((CORE / "transports").rglob("*.py"))


def test_walker_sees_what_runs_and_only_that() -> None:
    """The guard and annotations are passed over; functions, and imports within them, are not."""
    source = (
        "TYPE_CHECKING = False\nif TYPE_CHECKING:\n    import a\ndef f(x: b.c) -> d.e:\n    y: g = 1\n    import h\n"
    )
    nodes = list(runtime_nodes(ast.parse(source)))
    assert [alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names] == ["h"]
    assert {node.id for node in nodes if isinstance(node, ast.Name)} == {"TYPE_CHECKING", "y"}


def test_imports_are_relative_or_json_or_binascii(path: Path) -> None:
    """STYLE, Vendorable: no socket, clock, lock, random source, logger or typing; and no import by our own name."""
    for node in nodes_of(path):
        if isinstance(node, ast.Import):
            assert {alias.name for alias in node.names} <= MAY_IMPORT, ast.dump(node)
        elif isinstance(node, ast.ImportFrom):
            assert node.level > 0, ast.dump(node)
            assert "transports" not in (node.module or "")
            assert [alias.name for alias in node.names] != ["*"]


def test_imports_stand_at_the_top(path: Path) -> None:
    """Nothing is imported late but what a store alone needs: who uses a name knows what it costs, and pays at once."""
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, (ast.FunctionDef, ast.ClassDef, ast.If)):
            late = [each for each in runtime_nodes(node) if isinstance(each, (ast.Import, ast.ImportFrom))]
            late = [each for each in late if ast.unparse(each) != "from .shared import SharedExchange"]
            assert late == [], f"{path.name}:{node.lineno}"


def test_syntax_is_that_of_micropython(path: Path) -> None:
    """MICROPYTHON.md, Language: what is a SyntaxError there, or not called there, is not used here."""
    for node in nodes_of(path):
        where = f"{path.name}:{getattr(node, 'lineno', 0)}"
        assert not isinstance(node, (ast.Match, ast.AsyncFunctionDef, ast.Await, ast.Global)), where
        if isinstance(node, ast.arguments):
            assert not node.posonlyargs, f"{where}: positional-only parameters"
        if isinstance(node, ast.ClassDef):
            assert not node.keywords, f"{where}: class keywords"
            assert len(node.bases) <= 1, f"{where}: two bases"
        if isinstance(node, (ast.List, ast.Set, ast.Tuple)) and isinstance(getattr(node, "ctx", ast.Load()), ast.Load):
            assert not any(isinstance(item, ast.Starred) for item in node.elts), f"{where}: starred display"
        if isinstance(node, ast.Dict):
            assert None not in node.keys, f"{where}: ** in a display"
        if isinstance(node, ast.comprehension):
            assert not node.is_async, where
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.BitOr):
            operands = (node.left, node.right)
            assert not any(isinstance(side, ast.Constant) and side.value is None for side in operands), where


def test_errors_are_not_chained(path: Path) -> None:
    """A chained `raise` prints a warning on MicroPython, and here an answer's text in a traceback: `from None` only."""
    nodes = nodes_of(path)
    for node in nodes:
        if isinstance(node, ast.Raise) and node.cause is not None:
            assert isinstance(node.cause, ast.Constant), f"{path.name}:{node.lineno}"
            assert node.cause.value is None, f"{path.name}:{node.lineno}"
    handled = [child for node in nodes if isinstance(node, ast.ExceptHandler) for child in node.body]
    for child in handled:
        if isinstance(child, ast.Raise) and child.exc is not None:
            assert child.cause is not None, f"{path.name}:{child.lineno}: chained without being asked"


def test_names_and_methods_are_those_of_micropython(path: Path) -> None:
    """MICROPYTHON.md: missing builtins and methods."""
    for node in nodes_of(path):
        if isinstance(node, ast.Name):
            assert node.id not in MISSING_NAMES, f"{path.name}:{node.lineno}: {node.id}"
        if isinstance(node, ast.Attribute):
            assert node.attr not in MISSING_METHODS, f"{path.name}:{node.lineno}: {node.attr}"


def test_no_decorator_that_micropython_lacks(path: Path) -> None:
    """property, classmethod and staticmethod are there."""
    for node in nodes_of(path):
        for decorator in getattr(node, "decorator_list", []):
            assert isinstance(decorator, ast.Name), path.name
            assert decorator.id in ("property", "classmethod", "staticmethod")


def test_formatted_strings_are_plain(path: Path) -> None:
    """No raw ones, no `!a`, no string within that needs the quotes of the outer one (Python 3.12)."""
    source = path.read_text(encoding="utf-8")
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        prefix = re.split("[\"']", token.string, maxsplit=1)[0].lower()
        is_formatted = token.type == tokenize.STRING or tokenize.tok_name[token.type] == "FSTRING_START"
        assert not (is_formatted and "f" in prefix and "r" in prefix), f"{path.name}:{token.start[0]}"
    for node in nodes_of(path):
        if isinstance(node, ast.FormattedValue):
            assert node.conversion in (-1, ord("r"), ord("s")), f"{path.name}:{node.lineno}"
    # Parsed as Python 3.10 it would be a SyntaxError there, so only newer interpreters need to be asked.
    compile(source, str(path), "exec", ast.PyCF_ONLY_AST | ast.PyCF_TYPE_COMMENTS, _feature_version=10)


def test_braces_beside_formatted_strings_are_doubled_nowhere(path: Path) -> None:
    """Adjacent literals are glued together before formatting there, so a plain part must not hold braces."""
    for node in nodes_of(path):
        if isinstance(node, ast.JoinedStr):
            for part in node.values:
                assert not (isinstance(part, ast.Constant) and set(str(part.value)) & set("{}")), path.name


def test_no_module_keeps_state(path: Path) -> None:
    """STYLE, Vendorable: nothing is registered or configured at import; what is at the top is constant."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    allowed = (ast.Import, ast.ImportFrom, ast.Assign, ast.AnnAssign, ast.FunctionDef, ast.ClassDef, ast.If, ast.Expr)
    for node in tree.body:
        assert isinstance(node, allowed), ast.dump(node)
        if isinstance(node, ast.Expr):
            assert isinstance(node.value, ast.Constant), f"{path.name}:{node.lineno}: a call at import"
        if isinstance(node, ast.If):
            assert isinstance(node.test, ast.Name)
            assert node.test.id == "TYPE_CHECKING"


def test_file_begins_with_what_it_decides(path: Path) -> None:
    """STYLE, A core file at a glance: a comment first (the package's own door has a docstring)."""
    text = path.read_text(encoding="utf-8")
    assert not text or text.startswith(("# ", '"""'))
