# Fixtures for the tests of what sends: one exchange each, over real sockets, at the mercy of a server.

import gc
import shutil
from collections.abc import Iterator
from typing import Any

import pytest
from tenure.transports._requests import RequestsSender
from tenure.transports.emulator import Emulator

from ..loopback import Certificate
from .streams import AsyncioSender, Sender, TrioSender


@pytest.fixture
def send(monkeypatch: pytest.MonkeyPatch) -> RequestsSender:
    """A sender in an environment without proxies."""
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy", "requests_ca_bundle", "curl_ca_bundle"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    return RequestsSender()


@pytest.fixture(params=[AsyncioSender, TrioSender], ids=["asyncio", "trio"])
def kind(request: pytest.FixtureRequest) -> Any:
    return request.param


@pytest.fixture
def sender(kind: type[Sender]) -> Iterator[Sender]:
    """Each sender in turn; a connection that it leaves open is an error."""
    yield kind()
    gc.collect()  # says ResourceWarning


@pytest.fixture
def emulator() -> Iterator[Emulator]:
    with Emulator() as emulator:
        yield emulator


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    """A certificate for 127.0.0.1."""
    if shutil.which("openssl") is None:
        pytest.skip("the openssl program makes the certificates for this test, and is not installed")
    return Certificate(tmp_path_factory.mktemp("right"), "IP:127.0.0.1")


@pytest.fixture(scope="session")
def foreign_certificate(tmp_path_factory: pytest.TempPathFactory, certificate: Certificate) -> Certificate:
    """A certificate for some other host."""
    return Certificate(tmp_path_factory.mktemp("foreign"), "DNS:example.com")
