# HTTP/1.1 over a socket: just enough to read what clients send, and to write what is asked for, however wrong.

import os
import struct
from collections.abc import Callable
from http.client import responses as PHRASES  # noqa: N812  a table
from socket import IPPROTO_TCP, SO_LINGER, SOL_SOCKET, TCP_NODELAY, socket
from ssl import SSLSocket
from typing import BinaryIO

from ... import MAX_BODY, Request
from .exchange import BODY, EVERYTHING, HEADERS, RESET, Exchange

__all__ = ["BadRequest", "end_connection", "read_request", "send_answer"]

LINE_LIMIT = 64 * 1024  # bytes, of one line and of all header lines together
TOKEN_CHARACTERS = frozenset("!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyz")  # RFC 9110, section 5.6.2


class BadRequest(Exception):
    """What came is no request that can be answered in earnest; `status` says what to answer."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


def read_request(stream: BinaryIO, origin: str, send_continue: Callable[[], object]) -> Request | None:
    """Read one request, its body included.

    Args:
        stream: the connection, buffered.
        origin: what stands before the path in the request's URL, such as "http://127.0.0.1:8080".
        send_continue: called when the client waits for leave to send its body (RFC 9110, section 10.1.1).

    Returns:
        The request, or None if the client has closed the connection before it.
    """
    line = _read_line(stream, LINE_LIMIT)
    if line is None:
        return None
    words = line.split(" ")
    if len(words) != 3 or not words[2].startswith("HTTP/1."):
        raise BadRequest(400, "the request line is malformed")
    method, target, _ = words
    headers = _read_headers(stream)
    length = _body_length(dict(headers))
    if length and dict(headers).get("expect", "").lower() == "100-continue":
        send_continue()
    body = stream.read(length)
    if len(body) < length:
        raise ConnectionError("the client has closed the connection within its request")
    # A proxy's clients send the absolute form; only the path matters to us.
    url = target if target.startswith(("http://", "https://")) else origin + target
    return Request(method, url, tuple(headers), body)


def _read_line(stream: BinaryIO, limit: int) -> str | None:
    """Return a line without its end, or None at the end of the stream."""
    line = stream.readline(limit)
    if not line:
        return None
    if not line.endswith(b"\n"):
        if len(line) == limit:
            raise BadRequest(431, "the header is too long")
        raise ConnectionError("the client has closed the connection within its request")
    return line.decode("latin-1").rstrip("\r\n")


def _read_headers(stream: BinaryIO) -> list[tuple[str, str]]:
    headers = []
    left = LINE_LIMIT
    while line := _read_line(stream, max(left, 1)):
        left -= len(line) + 2
        name, colon, value = line.partition(":")
        if not colon or not name or not TOKEN_CHARACTERS.issuperset(name.lower()):
            raise BadRequest(400, "a header line is malformed")
        headers.append((name.lower(), value.strip(" \t")))
    if line is None:
        raise ConnectionError("the client has closed the connection within its request")
    return headers


def _body_length(headers: dict[str, str]) -> int:
    if "transfer-encoding" in headers:
        raise BadRequest(411, "send a Content-Length")
    text = headers.get("content-length", "0")
    if not (text.isascii() and text.isdigit()):
        raise BadRequest(400, "the Content-Length is malformed")
    if len(text) > 9 or int(text) > MAX_BODY:
        raise BadRequest(413, "the body is too long")
    return int(text)


def send_answer(sock: socket, exchange: Exchange, *, close: bool) -> None:
    """Send what the exchange says, in the way it says it; `close` tells the client that the connection ends."""
    head, body = _render(exchange, close)
    body = body[: exchange.body_limit]
    interval, part = exchange.drip_interval, exchange.drip_part
    sock.setsockopt(IPPROTO_TCP, TCP_NODELAY, 1)
    if not interval:
        sock.sendall(head + body)
        return
    for content, drips in ((head, part in (EVERYTHING, HEADERS)), (body, part in (EVERYTHING, BODY))):
        if not drips:
            sock.sendall(content)
            continue
        for i in range(len(content)):
            sock.sendall(content[i : i + 1])
            exchange.patience.pause(interval)


def _render(exchange: Exchange, close: bool) -> tuple[bytes, bytes]:
    """Return head and body as bytes; both are empty if there is no answer."""
    response = exchange.response
    if exchange.raw is not None:
        return b"", exchange.raw
    if response is None:
        return b"", b""
    body = b"" if exchange.request.method == "HEAD" else response.body
    lines = [f"HTTP/1.1 {response.status} {PHRASES.get(response.status, 'Unknown')}"]
    lines += [f"{name}: {value}" for name, value in response.headers]
    if exchange.chunk_size:
        lines.append("transfer-encoding: chunked")
        body = _in_chunks(body, exchange.chunk_size)
    elif response.status not in (204, 304):  # these have no body, and no length of one
        lines.append(f"content-length: {exchange.content_length or len(response.body)}")
    lines.append(f"connection: {'close' if close else 'keep-alive'}")
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1"), body


def _in_chunks(body: bytes, size: int) -> bytes:
    chunks = [body[i : i + size] for i in range(0, len(body), size)]
    return b"".join(b"%x\r\n%b\r\n" % (len(chunk), chunk) for chunk in chunks) + b"0\r\n\r\n"


def end_connection(sock: socket, ending: str) -> None:
    """Close a connection in good order, or reset it. Nobody else may hold the socket open."""
    if ending == RESET:
        # No lingering for zero seconds: the kernel drops what is unsent and answers with a reset.
        sock.setsockopt(SOL_SOCKET, SO_LINGER, struct.pack("hh" if os.name == "nt" else "ii", 1, 0))
    elif isinstance(sock, SSLSocket):
        # Say good-bye, or a strict client takes the end for an attack; do not wait for an answer.
        try:
            sock.settimeout(0)
            sock.unwrap()
        except (OSError, ValueError):
            pass
    sock.close()
