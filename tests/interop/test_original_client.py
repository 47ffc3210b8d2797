# The original client's example against our service, and our session with the token that it obtains.

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests
from tenure.transports.blocking import AuthorizationSession
from tenure.transports.emulator import Emulator

from .original import HERE, Original, Refused, find_tool

pytestmark = pytest.mark.once

TOKEN_ID = "55555555-5555-4555-8555-555555555555"


@pytest.fixture(scope="session")
def original(tmp_path_factory: pytest.TempPathFactory) -> Original:
    return Original(tmp_path_factory.mktemp("axios"))


@pytest.fixture
def emulator() -> Iterator[Emulator]:
    with Emulator() as running:
        yield running


@pytest.fixture
def served() -> Iterator[dict[str, str]]:
    """What `tenure serve` prints on its first line; it runs, in a process of its own, until the test is over."""
    command = [sys.executable, "-m", "tenure.transports.cli", "serve", "--json", "--quiet"]
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield json.loads(process.stdout.readline())
        finally:
            process.terminate()
            status = process.wait(timeout=30)
    assert status == 0


def test_token_that_axios_obtains_establishes_a_session(original: Original, served: dict[str, str]) -> None:
    """WIRE.md, What the original client class promises: verify with axios, establish, get, refresh."""
    token = original.obtain_security_token(served["url"], served["username"], served["password"])
    with AuthorizationSession(served["url"], TOKEN_ID, ["read"]) as session:
        session.establish([token])
        first = session.get_permission_token()
        assert requests.get(served["resource_url"], auth=session.auth(), timeout=10).status_code == 200
        session.refresh()
        assert session.get_permission_token() != first
        assert requests.get(served["resource_url"], auth=session.auth(), timeout=10).status_code == 200


def test_service_sees_the_original_client_and_then_ours(original: Original, emulator: Emulator) -> None:
    """WIRE.md, Requests: what was proven in one language is spent in the other, once and in this order."""
    token = original.obtain_security_token(emulator.url, *emulator.credentials)
    with AuthorizationSession(emulator.url, TOKEN_ID, ["read"]) as session:
        session.establish([token])
    assert [entry.outcome for entry in emulator.journal] == ["verified", "issued"]


def test_request_id_that_axios_sends_is_taken(original: Original, emulator: Emulator) -> None:
    """WIRE.md, Requests: each has a header request-id with a UUID; the journal shows only what it could read."""
    original.obtain_security_token(emulator.url, *emulator.credentials)
    (entry,) = emulator.journal
    assert entry.request_id is not None


def test_wrong_password_is_refused_and_shown_nowhere(original: Original, emulator: Emulator) -> None:
    """WIRE.md, Answers: the status is the verdict. Invariant 9: the example shows no secret."""
    with pytest.raises(Refused) as caught:
        original.obtain_security_token(emulator.url, emulator.credentials.username, "the-wrong-password")
    assert str(caught.value) == "no security token: 401"


def test_lock_file_names_no_registry_but_the_public_one() -> None:
    """Whoever installs from it must not be sent to some machine's mirror."""
    packages = json.loads((HERE / "package-lock.json").read_text("utf-8"))["packages"]
    installed = {name: package for name, package in packages.items() if name}
    assert "node_modules/axios" in installed
    for name, package in installed.items():
        assert package.get("resolved", "https://registry.npmjs.org/").startswith("https://registry.npmjs.org/"), name
        assert package["integrity"].startswith("sha512-"), name


def test_tool_that_is_missing_is_an_error_that_names_the_remedy(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Missing Node must fail, not skip."""
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(RuntimeError, match=r"install Node\.js"):
        find_tool("node")
