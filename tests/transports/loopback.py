# Servers that misbehave in ways that are beneath the emulator, and certificates for them.

import socket
import ssl
import struct
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from .drivers import TIMEOUT

__all__ = [
    "Certificate",
    "Loopback",
    "answer",
    "answer_in_pieces",
    "full_backlog",
    "names",
    "read_request",
    "reset",
]


class Loopback:
    """A server that does with each connection whatever it is told.

    Args:
        behave: called in a thread with each connection; when it returns, the connection is closed.
        certificate: for https; the handshake is then done before `behave`, and connections that fail it are closed.

    Attributes:
        connections: how many were accepted.
    """

    def __init__(self, behave: Callable[[socket.socket], object], certificate: "Certificate | None" = None) -> None:
        self._behave = behave
        self._context = None if certificate is None else certificate.server_context()
        self._socket = socket.create_server(("127.0.0.1", 0))
        self._threads: list[threading.Thread] = []
        self._live: set[socket.socket] = set()
        self.connections = 0
        self.port: int = self._socket.getsockname()[1]

    @property
    def origin(self) -> str:
        return f"{'http' if self._context is None else 'https'}://127.0.0.1:{self.port}"

    def __enter__(self) -> "Loopback":
        self._start(self._accept)
        return self

    def __exit__(self, *exception: object) -> None:
        self._socket.shutdown(socket.SHUT_RDWR)  # wakes accept()
        self._threads[0].join(TIMEOUT)
        for connection in list(self._live):  # wakes whoever waits for a client that keeps its connection
            try:
                connection.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
        for thread in self._threads:
            thread.join(TIMEOUT)
            assert not thread.is_alive()
        self._socket.close()

    def _start(self, run: Callable[..., object], *arguments: object) -> None:
        thread = threading.Thread(target=run, args=arguments, name="loopback", daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            self.connections += 1
            self._live.add(connection)
            self._start(self._serve, connection)

    def _serve(self, connection: socket.socket) -> None:
        connection.settimeout(TIMEOUT)
        try:
            if self._context is not None:
                self._live.discard(connection)
                connection = self._context.wrap_socket(connection, server_side=True)
            self._behave(connection)
        except OSError:
            pass  # the client has gone: that is what some tests are about
        finally:
            self._live.discard(connection)
            connection.close()


def read_request(connection: socket.socket) -> bytes:
    """Read a request with its body, or what comes until the end."""
    received = b""
    while b"\r\n\r\n" not in received:
        part = connection.recv(65536)
        if not part:
            return received
        received += part
    head, _, body = received.partition(b"\r\n\r\n")
    length = next((int(line[15:]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")), 0)
    while len(body) < length:
        body += connection.recv(65536)
    return head + b"\r\n\r\n" + body


def answer(content: bytes) -> Callable[[socket.socket], None]:
    """Return a behaviour: read a request, send these bytes, close."""

    def behave(connection: socket.socket) -> None:
        read_request(connection)
        connection.sendall(content)

    return behave


def answer_in_pieces(sent: threading.Event, *pieces: bytes) -> Callable[[socket.socket], None]:
    """Return a behaviour: read a request, send the pieces, each in a record of its own, and say so."""

    def behave(connection: socket.socket) -> None:
        read_request(connection)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # what is sent is there at once
        for piece in pieces:
            connection.sendall(piece)
        sent.set()
        connection.recv(1)

    return behave


def reset(connection: socket.socket) -> None:
    """Close with a TCP reset."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


class Certificate:
    """A certificate of nobody's but this test's, for one name, with its key; made by the openssl program."""

    def __init__(self, directory: Path, name: str) -> None:
        self.path = directory / "certificate.pem"
        self._key = directory / "key.pem"
        command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
        command += ["-days", "2", "-subj", "/CN=test", "-addext", f"subjectAltName={name}"]
        command += ["-keyout", str(self._key), "-out", str(self.path)]
        subprocess.run(command, check=True, capture_output=True)

    def server_context(self) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.path, self._key)
        return context


@contextmanager
def full_backlog() -> Iterator[str]:
    """A server that does not even accept: its queue is full, so the kernel answers nobody any more."""
    with socket.create_server(("127.0.0.1", 0), backlog=0) as server:
        waiting: list[socket.socket] = []
        try:
            for _ in range(8):
                client = socket.socket()
                waiting.append(client)
                client.settimeout(0.05)
                client.connect(server.getsockname())
            pytest.skip("this system has no bound on the queue")
        except TimeoutError:
            yield f"http://127.0.0.1:{server.getsockname()[1]}/"
        finally:
            for client in waiting:
                client.close()


def names(monkeypatch: pytest.MonkeyPatch, *places: tuple[str, int]) -> None:
    """Let every name have these addresses, each with a port of its own."""
    found = [(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", place) for place in places]

    def look_up(host: object, *arguments: object, **options: Any) -> list[Any]:
        if options.get("flags", 0) & socket.AI_NUMERICHOST:
            raise socket.gaierror(socket.EAI_NONAME, "not an address")
        return found

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
