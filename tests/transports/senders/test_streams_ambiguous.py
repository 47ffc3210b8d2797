# _asyncio_streams.py and _trio_streams.py: failures after which nobody knows whether the server has acted.

import gc
import socket
import threading

import pytest
from tenure import AMBIGUOUS, SendFailure
from tenure.transports.emulator import (
    ANY,
    Emulator,
    hold,
    slow_drip,
)

from ..drivers import TIMEOUT
from ..loopback import Certificate, Loopback, read_request, reset
from .faults import AMBIGUOUS_FAULTS
from .streams import BIG, BODY, SOON, Sender, failure_of, late, post, trusting


@pytest.mark.parametrize("name", AMBIGUOUS_FAULTS)
def test_whatever_happens_after_the_connection_stands_is_ambiguous(
    sender: Sender, emulator: Emulator, name: str
) -> None:
    """DESIGN.md, Failures: the server may have acted, and nobody can tell from here."""
    emulator.faults.add(AMBIGUOUS_FAULTS[name](), kind=ANY)
    assert failure_of(sender, emulator.url).kind == AMBIGUOUS


@pytest.mark.parametrize("body", [BODY, BIG], ids=["small", "big"])
def test_a_reset_in_the_middle_of_the_request(sender: Sender, body: bytes) -> None:
    """A server that resets after the first byte may have read the rest: the client cannot know."""

    def refuse(connection: socket.socket) -> None:
        connection.recv(1)
        reset(connection)

    with Loopback(refuse) as server:
        assert failure_of(sender, server.origin, body=body).kind == AMBIGUOUS


def test_lost_over_tls(kind: type[Sender], certificate: Certificate) -> None:
    """An SSLError after the handshake is ambiguous, whatever its name."""

    def cut_off(connection: socket.socket) -> None:
        read_request(connection)
        reset(connection)

    with Loopback(cut_off, certificate) as server:
        assert failure_of(kind(trusting(certificate)), server.origin).kind == AMBIGUOUS
    gc.collect()


def test_a_server_that_does_not_read(sender: Sender) -> None:
    """The time-out bounds sending, too; part of the request has left, so it is ambiguous."""
    done = threading.Event()
    with Loopback(lambda connection: done.wait(TIMEOUT)) as server:
        outcome = late(sender, server.origin, BIG)
        done.set()
    assert outcome == (AMBIGUOUS, "timed out while sending")


def test_a_server_that_does_not_answer(sender: Sender, emulator: Emulator) -> None:
    """The commonest of all ambiguous outcomes."""
    gate = emulator.faults.add(hold(), kind=ANY)
    assert late(sender, emulator.url) == (AMBIGUOUS, "timed out while waiting for the answer")
    gate.release()


def test_a_server_that_reads_at_leisure_and_does_not_answer(sender: Sender) -> None:
    """A request that took several turns to hand over has been handed over once the last byte is."""
    done = threading.Event()

    def read_all(connection: socket.socket) -> None:
        read = 0
        while read < len(BIG):
            read += len(connection.recv(1024 * 1024))
        done.wait(TIMEOUT)

    with Loopback(read_all) as server:
        failure = failure_of(sender, server.origin, 7 * SOON, BIG)
        done.set()
    assert (failure.kind, failure.reason) == (AMBIGUOUS, "timed out while waiting for the answer")


def test_a_server_that_drips(sender: Sender, emulator: Emulator) -> None:
    """The time-out is for the whole exchange, not for each byte of it."""
    emulator.faults.add(slow_drip(SOON / 5), kind=ANY)
    assert late(sender, emulator.url) == (AMBIGUOUS, "timed out while waiting for the answer")


def test_a_silent_server_over_tls(kind: type[Sender], certificate: Certificate) -> None:
    """TLS stands and the request has left; ending it at the time-out waits for no goodbye of the server's."""
    done = threading.Event()

    def be_silent(connection: socket.socket) -> None:
        read_request(connection)
        done.wait(TIMEOUT)

    with Loopback(be_silent, certificate) as server:
        late_one = late(kind(trusting(certificate)), server.origin)
        done.set()
    assert late_one == (AMBIGUOUS, "timed out while waiting for the answer")
    gc.collect()


def test_an_answer_cut_off_by_the_time_out_is_not_complete(sender: Sender) -> None:
    """Without a length the END of the stream is the end of the body, and our own time-out is no such end."""
    done = threading.Event()

    def stall(connection: socket.socket) -> None:
        read_request(connection)
        connection.sendall(b"HTTP/1.1 200 OK\r\n\r\nhalf an answ")
        done.wait(TIMEOUT)

    with Loopback(stall) as server:
        outcome = sender.send(post(server.origin), SOON)
        done.set()
    assert isinstance(outcome, SendFailure)
    assert (outcome.kind, outcome.reason) == (AMBIGUOUS, "timed out while waiting for the answer")
