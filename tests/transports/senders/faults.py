# What every sender has to call ambiguous, whatever it speaks HTTP with: the server may have acted.

from collections.abc import Callable

from tenure.transports.emulator import (
    Fault,
    lose_answer,
    not_http,
    reset_after,
    reset_before,
    truncate,
    wrong_content_length,
)

AMBIGUOUS_FAULTS: dict[str, Callable[[], Fault]] = {
    "reset before": reset_before,
    "reset after": reset_after,
    "lost answer": lose_answer,
    "truncated": truncate,
    "truncated by a reset": lambda: truncate(reset=True),
    "truncated to nothing": lambda: truncate(0),
    "longer than it is": lambda: wrong_content_length(1_000_000),
    "not HTTP": not_http,
    "a broken chunk": lambda: not_http(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n"),
    "a header line without end": lambda: not_http(b"HTTP/1.1 200 OK\r\nx: " + b"y" * 200_000),
}
