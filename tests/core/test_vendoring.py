# STYLE, Vendorable: `core/`, copied unchanged under any name, works.

import importlib
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest
import tenure
from tenure.transports.emulator import AuthorizationService

from .partner import TOKEN_ID, URL, WALL_START, Chance


@pytest.fixture(params=["vendored._tenure", "another_name", "a.b.c.d"])
def copy(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    """A copy of core/ under another name, imported."""
    name = str(request.param)
    folder = tmp_path
    for part in name.split(".")[:-1]:
        folder = folder / part
        folder.mkdir()
        (folder / "__init__.py").touch()
    shutil.copytree(
        Path(tenure.__file__).parent,
        folder / name.rpartition(".")[2],
        ignore=shutil.ignore_patterns("__pycache__", "transports"),
    )
    monkeypatch.syspath_prepend(tmp_path)
    yield importlib.import_module(name)
    root = name.partition(".")[0]
    for loaded in [each for each in sys.modules if each.partition(".")[0] == root]:
        del sys.modules[loaded]


def test_copy_establishes_and_refreshes(copy: ModuleType) -> None:
    """The whole story, with the copy's own classes, against the emulator's service."""
    service = AuthorizationService()
    protocol = copy.AuthorizationProtocol(URL, TOKEN_ID, ["read"], random_bytes=Chance())
    assert type(protocol) is not tenure.AuthorizationProtocol
    call = protocol.establish([service.security_token(service.credentials.username, "credentials", WALL_START)])
    for second in (0, 1, 2):
        now = copy.Instant(second, WALL_START + second)
        step = protocol.next_step(now)
        assert type(step) is copy.SendRequest
        answer = service.handle(step.request, now.wall)
        protocol.receive_response(copy.Response(answer.status, answer.headers, answer.body), now)
        assert call.result() is None
        call = protocol.refresh()
    assert protocol.generation == 3
    assert service.statistics.refreshes == 2


def test_copy_is_a_world_of_its_own(copy: ModuleType) -> None:
    """Nothing in the copy comes from us: no class is shared, no module of ours is referred to."""
    assert copy.__all__ == tenure.__all__
    for name in copy.__all__:
        ours, theirs = getattr(tenure, name), getattr(copy, name)
        if isinstance(theirs, type):
            assert theirs is not ours
            assert theirs.__module__.startswith(copy.__name__)
    with pytest.raises(copy.UsageError):
        copy.AuthorizationProtocol("nonsense", TOKEN_ID, ["read"], random_bytes=Chance())
