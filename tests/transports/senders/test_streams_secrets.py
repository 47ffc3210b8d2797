# _asyncio_streams.py and _trio_streams.py: what a failure holds on to.

import socket
import sys
import threading

import pytest
from tenure import AMBIGUOUS
from tenure.transports.emulator import Emulator

from ..drivers import TIMEOUT
from ..loopback import Certificate, Loopback, read_request
from .streams import BIG, BODY, Sender, failure_of, trusting


def test_a_failure_keeps_no_traceback_of_another(sender: Sender, emulator: Emulator) -> None:
    """Invariant 9: a chained traceback that shows variables would show the request."""
    with emulator.connections_refused():
        failure = failure_of(sender, emulator.url)
    assert (failure.__cause__, failure.__context__) == (None, None)
    assert sys.exc_info() == (None, None, None)


@pytest.mark.parametrize("is_tls", [False, True], ids=["plain", "tls"])
@pytest.mark.parametrize("moment", ["while sending", "while reading"])
def test_a_failure_keeps_no_variables_with_secrets(
    kind: type[Sender], certificate: Certificate, is_tls: bool, moment: str
) -> None:
    """Invariant 9: neither what was being sent, nor what had come, is in a frame that it holds, or in a text."""
    done = threading.Event()

    def behave(connection: socket.socket) -> None:
        if moment == "while sending":
            done.wait(TIMEOUT)
        else:
            read_request(connection)
            connection.sendall(b"s3cr3t s3cr3t s3cr3t\r\n\r\n")

    with Loopback(behave, certificate if is_tls else None) as server:
        body, timeout = (BODY + BIG, 3.0) if moment == "while sending" else (BODY, TIMEOUT)
        failure = failure_of(kind(trusting(certificate)), server.origin, timeout, body=body)
        done.set()
    assert failure.kind == AMBIGUOUS
    assert (failure.__cause__, failure.__context__) == (None, None)
    where = failure.__traceback__
    while where is not None:
        shown = {name: repr(value) for name, value in where.tb_frame.f_locals.items()}
        assert not [name for name, text in shown.items() if "s3cr3t" in text and name not in ("body", "self")], shown
        where = where.tb_next
