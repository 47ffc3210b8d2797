# _asyncio_streams.py and _trio_streams.py: what a cancellation leaves behind.

import socket
import threading
from typing import Any
from urllib.parse import urlsplit

import pytest
from tenure import NOT_SENT, Response, SendFailure
from tenure.transports.emulator import ANY, Emulator, hold_answer

from ..drivers import TIMEOUT
from ..loopback import Loopback, full_backlog, names
from .streams import BIG, HELLO, Sender, post


def test_cancelled_before_the_first_byte(sender: Sender) -> None:
    """Nothing has left, so nothing is waited for."""
    begun = threading.Event()

    def shake_no_hands(connection: socket.socket) -> None:
        connection.recv(1)
        begun.set()
        connection.recv(65536)
        connection.recv(1)

    with Loopback(shake_no_hands) as server:
        url = server.origin.replace("http:", "https:")
        report = sender.send_and_cancel(post(url), begun, lambda: None)
    assert isinstance(report, SendFailure)
    assert (report.kind, report.reason) == (NOT_SENT, "cancelled while shaking hands (TLS)")


def test_cancelled_while_several_addresses_are_tried(sender: Sender, monkeypatch: pytest.MonkeyPatch) -> None:
    """RFC 8305: none of the sockets stays behind, however many are being connected."""
    connect, begun = socket.socket.connect, threading.Event()
    tried: list[socket.socket] = []

    def connect_and_tell(self: socket.socket, address: Any) -> None:
        tried.append(self)
        if len(tried) == 2:
            begun.set()
        connect(self, address)

    with full_backlog() as silent:
        names(monkeypatch, *[("127.0.0.1", urlsplit(silent).port or 0)] * 3)
        monkeypatch.setattr(socket.socket, "connect", connect_and_tell)
        report = sender.send_and_cancel(post("http://localhost/"), begun, lambda: None)
    assert isinstance(report, SendFailure)
    assert (report.kind, report.reason) == (NOT_SENT, "cancelled while connecting")
    assert [sock.fileno() for sock in tried] == [-1, -1]


def test_cancelled_while_the_answer_is_awaited(sender: Sender, emulator: Emulator) -> None:
    """Invariant 4: the answer to what was sent is taken in, however often the task is cancelled."""
    gate = emulator.faults.add(hold_answer(), kind=ANY)
    report = sender.send_and_cancel(post(emulator.url), gate.arrived, gate.release)
    assert isinstance(report, Response)
    assert report.status == 404


def test_cancelled_while_the_request_is_being_sent(sender: Sender) -> None:
    """The same once a part of the request has left: the rest follows, and the answer is taken in."""
    begun, go_on = threading.Event(), threading.Event()
    received: list[int] = []

    def read_late(connection: socket.socket) -> None:
        received.append(len(connection.recv(1)))
        begun.set()
        go_on.wait(TIMEOUT)
        while sum(received) < len(BIG):
            received.append(len(connection.recv(1024 * 1024)))
        connection.sendall(HELLO)

    with Loopback(read_late) as server:
        report = sender.send_and_cancel(post(server.origin, BIG), begun, go_on.set)
    assert isinstance(report, Response)
