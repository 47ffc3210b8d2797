# _asyncio_streams.py and _trio_streams.py: failures of which it is certain that the server has seen nothing.

import gc
import socket
import ssl
import sys
from typing import Any

import pytest
from tenure import NOT_SENT, Request, SendFailure
from tenure.transports.emulator import Emulator

from ..drivers import TIMEOUT
from ..loopback import Certificate, Loopback, full_backlog, read_request, reset
from .streams import Sender, failure_of, late, trusting


def test_connection_refused(sender: Sender, emulator: Emulator) -> None:
    """Nobody listens: not sent, and the reason says so."""
    with emulator.connections_refused():
        failure = failure_of(sender, emulator.url)
    assert (failure.kind, failure.reason) == (NOT_SENT, "Connection refused while connecting")


def test_a_name_that_does_not_resolve(sender: Sender, monkeypatch: pytest.MonkeyPatch) -> None:
    """DNS is down or the name is wrong: not sent."""

    def fail(*arguments: object, **options: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", fail)
    assert failure_of(sender, "https://example.invalid/").kind == NOT_SENT


@pytest.mark.parametrize("problem", [RuntimeError("can't start new thread"), MemoryError(), LookupError("idna")])
def test_a_look_up_that_fails_in_any_way(sender: Sender, monkeypatch: pytest.MonkeyPatch, problem: Exception) -> None:
    """Whatever it is that goes wrong before the first byte: not sent."""

    def fail(*arguments: object, **options: object) -> None:
        raise problem

    monkeypatch.setattr(socket, "getaddrinfo", fail)
    failure = failure_of(sender, "https://example.invalid/")
    assert (failure.kind, failure.reason) == (NOT_SENT, f"{type(problem).__name__} while connecting")


def test_a_name_that_cannot_be_one(sender: Sender) -> None:
    """A label that is too long for DNS fails in Python itself, with a UnicodeError: not sent."""
    assert failure_of(sender, f"https://{'x' * 70}.example/").kind == NOT_SENT


def test_a_connection_that_is_not_accepted_in_time(sender: Sender) -> None:
    """The network swallows packets: not sent, in time."""
    with full_backlog() as url:
        assert late(sender, url) == (NOT_SENT, "timed out while connecting")


@pytest.mark.parametrize("trusted", [False, True])
def test_a_certificate_that_does_not_fit(
    kind: type[Sender], certificate: Certificate, foreign_certificate: Certificate, trusted: bool
) -> None:
    """Nobody's, or a trusted one for another host: nothing was said in TLS, so not sent."""
    context = trusting(foreign_certificate) if trusted else None
    with Loopback(read_request, foreign_certificate if trusted else certificate) as server:
        assert failure_of(kind(context), server.origin).kind == NOT_SENT
    gc.collect()


def test_a_server_that_does_not_speak_tls(sender: Sender, emulator: Emulator) -> None:
    """https to a plain server: not sent, and above all not in the clear."""
    assert failure_of(sender, emulator.url.replace("http:", "https:")).kind == NOT_SENT
    assert [entry.kind for entry in emulator.journal if entry.kind != "unknown"] == []


def test_a_reset_within_the_handshake(sender: Sender) -> None:
    """The connection ends before TLS stands: not sent."""

    def refuse(connection: socket.socket) -> None:
        connection.recv(65536)
        reset(connection)

    with Loopback(refuse) as server:
        assert failure_of(sender, server.origin.replace("http:", "https:")).kind == NOT_SENT


def test_a_handshake_that_does_not_end(sender: Sender) -> None:
    """A server that accepts and says nothing: not sent, in time."""
    with Loopback(lambda connection: connection.recv(65536) and connection.recv(1)) as server:
        assert late(sender, server.origin.replace("http:", "https:")) == (
            NOT_SENT,
            "timed out while shaking hands (TLS)",
        )


@pytest.mark.parametrize("is_tls", [False, True], ids=["plain", "tls"])
@pytest.mark.parametrize("clock", [0, 1], ids=["stopped", "suspended"])
@pytest.mark.parametrize("passed", [TIMEOUT - 0.4, TIMEOUT], ids=["nearly too late", "too late"])
def test_nothing_is_sent_late(
    kind: type[Sender], certificate: Certificate, monkeypatch: pytest.MonkeyPatch, clock: int, passed: float,
    is_tls: bool,
) -> None:  # fmt: skip
    """DESIGN.md, stores: an exchange's deadline is shorter than its lease. A process that was stopped (both clocks go
    on) or suspended (only the wall clock does) between connecting and the first byte may have lost the lease."""
    received: list[bytes] = []

    def jump() -> None:
        name = kind.clocks[clock]
        module, _, function = name.rpartition(".")
        now: float = getattr(sys.modules[module], function)()
        monkeypatch.setattr(name, lambda: now + passed)

    kind.when_connected(monkeypatch, jump)
    with Loopback(
        lambda connection: received.append(read_request(connection)), certificate if is_tls else None
    ) as server:
        failure = failure_of(kind(trusting(certificate)), server.origin)
    monkeypatch.undo()
    assert (failure.kind, failure.reason) == (
        NOT_SENT,
        f"timed out while {'shaking hands (TLS)' if is_tls else 'connecting'}",
    )
    assert not any(received)
    gc.collect()


def test_a_context_that_cannot_be_made_is_not_sent(
    kind: type[Sender], certificate: Certificate, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SSLKEYLOGFILE may name a file that cannot be written."""

    def fail() -> ssl.SSLContext:
        raise PermissionError(13, "Permission denied", "keys")

    monkeypatch.setattr(ssl, "create_default_context", fail)
    with Loopback(read_request, certificate) as server:
        failure = failure_of(kind(), server.origin)
    assert (failure.kind, failure.reason) == (NOT_SENT, "Permission denied while shaking hands (TLS)")


def test_a_context_that_is_none_is_not_sent(kind: type[Sender], certificate: Certificate) -> None:
    """`ssl_context=` may be given anything."""
    nonsense: Any = "context"
    with Loopback(read_request, certificate) as server:
        failure = failure_of(kind(nonsense), server.origin)
    assert failure.kind == NOT_SENT
    assert failure.reason.endswith(" while shaking hands (TLS)")
    gc.collect()


def test_a_request_that_is_none_is_not_sent(sender: Sender, emulator: Emulator) -> None:
    """A header that h11 does not let pass; it says so when the connection stands."""
    report = sender.send(Request("POST", emulator.url, (("x", "s3cr3t\n"),), b""), TIMEOUT)
    assert isinstance(report, SendFailure)
    assert (report.kind, report.reason) == (NOT_SENT, "LocalProtocolError while connecting")
    assert emulator.statistics.requests == 0
