# errors.py: the tree drawn at its top is true, and an error keeps its facts wherever it goes.

import copy
import pickle
import re
from pathlib import Path

import pytest
from tenure import SendFailure, errors
from tenure.errors import TenureError

CLASSES = [getattr(errors, name) for name in errors.__all__]
FACTS = ("message", "retry_after", "status", "ambiguous")


def drawn_tree() -> "dict[str, str]":
    """Return class -> parent, read from the drawing at the top of errors.py."""
    parents: dict[str, str] = {}
    above: list[str] = []  # one name for each level of depth
    for line in Path(errors.__file__).read_text(encoding="utf-8").splitlines():
        match = re.match(r"#   ([│├└─ ]*)([A-Z]\w+Error)\b", line)
        if match:
            depth = len(match[1]) // 4
            above[depth:] = [match[2]]
            parents[match[2]] = above[depth - 1] if depth else "Exception"
    return parents


def test_drawn_tree_is_true() -> None:
    """STYLE, Errors: a test that the drawing is true: each class stands below its base, and none is missing."""
    assert drawn_tree() == {cls.__name__: cls.__base__.__name__ for cls in CLASSES}


@pytest.mark.parametrize("cls", CLASSES)
def test_each_error_has_one_base(cls: "type[TenureError]") -> None:
    """A second builtin base is a TypeError on MicroPython (STYLE)."""
    assert len(cls.__bases__) == 1


@pytest.mark.parametrize("cls", CLASSES)
@pytest.mark.parametrize(
    "duplicate",
    [TenureError.copy, copy.copy, copy.deepcopy, lambda error: pickle.loads(pickle.dumps(error))],  # noqa: S301
)
def test_copies_keep_every_fact(cls: "type[TenureError]", duplicate: "object") -> None:
    """Many callers get a copy each, maybe in another process: class, text and facts are those of the original."""
    original = cls("text", retry_after=1.5, status=503, ambiguous=True)
    assert callable(duplicate)
    same = duplicate(original)
    assert same is not original
    assert type(same) is cls
    assert [getattr(same, fact) for fact in FACTS] == ["text", 1.5, 503, True]
    assert str(same) == "text"


def test_copy_has_no_history() -> None:
    """A shared exception would collect the traceback of every caller that raises it."""
    original = TenureError("text")
    with pytest.raises(TenureError) as caught:
        raise original
    assert caught.value.__traceback__ is not None
    assert original.copy().__traceback__ is None


@pytest.mark.parametrize("cls", CLASSES)
def test_facts_have_quiet_defaults(cls: "type[TenureError]") -> None:
    """Without more facts nothing is promised: no retry, no status, nothing ambiguous."""
    error = cls("text")
    assert (error.retry_after, error.status, error.ambiguous) == (None, None, False)


def test_send_failure_says_its_kind_and_reason() -> None:
    """A driver raises it; its text is the kind and a few words."""
    failure = SendFailure("ambiguous", "timed out after 10 s")
    assert (failure.kind, failure.reason) == ("ambiguous", "timed out after 10 s")
    assert str(failure) == "ambiguous: timed out after 10 s"
