# One HTTP/1.1 exchange on h11 as a pure object: bytes in, bytes out. The asyncio and the trio driver share it; it knows
# neither, nor sockets, nor time.
#
# It also keeps the place: how far the exchange has come decides what a failure means. Until the first byte of the
# request is handed to the connection the server cannot have seen it; from then on every failure is ambiguous, while
# sending, while reading, and whatever its name.

import os
import socket
import ssl
import zlib
from contextlib import suppress
from urllib.parse import urlsplit

from .. import AMBIGUOUS, MAX_BODY, NOT_SENT, Request, Response, SendFailure
from ._session import MAX_INTERIM

try:
    import h11
except ImportError as problem:
    raise ImportError(
        "this driver speaks HTTP with h11, which is not installed: pip install 'tenure[asyncio]' or 'tenure[trio]'"
    ) from problem

__all__ = ["HttpExchange"]

MAX_HEAD = 64 * 1024  # bytes of status line and headers
MAX_MEMBERS = 1000  # of a packed body; each costs, and may hold nothing
MEMBER = b"\x1f\x8b"  # the first bytes of a member of a gzip body
PACKED = (b"gzip", b"x-gzip", b"deflate")  # content codings that cost a body nothing but a library call

# How far an exchange has come; also the words for people.
CONNECT = "connecting"
HANDSHAKE = "shaking hands (TLS)"
SEND = "sending"
RECEIVE = "waiting for the answer"
UNSEEN = (CONNECT, HANDSHAKE)  # the server cannot have seen anything of the request


class HttpExchange:
    """Where to connect, what to send, what has come back, and what it means if nothing does.

    Attributes:
        host, port: where to connect. is_tls: whether to speak TLS there, with `host` as the server's name.
        place: how far the exchange has come; the driver says when it connects and shakes hands.
    """

    def __init__(self, request: Request) -> None:
        parts = urlsplit(request.url)
        self.is_tls = parts.scheme == "https"
        self.host = parts.hostname or ""
        self.port = parts.port or (443 if self.is_tls else 80)
        self.place = CONNECT
        self._http = h11.Connection(h11.CLIENT, max_incomplete_event_size=MAX_HEAD)
        self._request = request
        self._target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        self._authority = parts.netloc
        self._data: bytes | None = None
        self._head: h11.Response | None = None
        self._body = bytearray()
        self._interim = 0

    def start_handshake(self) -> None:
        """The connection stands, TLS comes next."""
        self.place = HANDSHAKE

    def prepare(self) -> None:
        """The connection stands: put the request into bytes.

        Not earlier, since the server has something to do as well once it is called. And not when it is sent: between
        the last look at the time and the first byte nothing may take long.
        """
        head = h11.Request(  # from bytes, which cost h11 less than text
            method=self._request.method.encode("ascii"),
            target=self._target.encode("ascii"),
            headers=[
                (b"host", self._authority.encode("ascii")),
                (b"user-agent", b"tenure"),
                *[(name.encode("ascii"), value.encode("ascii")) for name, value in self._request.headers],
                (b"accept-encoding", b"identity"),
                (b"content-length", b"%d" % len(self._request.body)),
                (b"connection", b"close"),
            ],
        )
        # With a content-length the body goes out as it is. h11 need not see it, which would cost a quarter of this. It
        # takes us to be sending for ever, which does no harm to a connection that is used once.
        self._data = (self._http.send(head) or b"") + self._request.body

    def data_to_send(self) -> bytes:
        """Return the whole request as bytes, which hold secrets."""
        assert self._data is not None
        return self._data

    def start_sending(self) -> None:
        """The first byte is handed to the connection now: from here on the request may have been seen."""
        self.place = SEND

    def wait_for_answer(self) -> None:
        """The whole request has been handed to the connection."""
        self.place = RECEIVE

    def receive_data(self, data: bytes) -> Response | None:
        """Take in what has arrived, b"" for the end of the stream; return the answer once it is complete.

        A body beyond `MAX_BODY` is cut one byte behind it, so that the core can see that it was too long.

        Raises:
            SendFailure: what has arrived is not HTTP, or it ended too early, or nothing had been asked yet.
        """
        if self.place in UNSEEN:
            raise SendFailure(NOT_SENT, "the server spoke, or hung up, before anything was sent")
        with suppress(h11.RemoteProtocolError):  # left behind: its text may quote what the server sent
            self._http.receive_data(data)
            while (event := self._http.next_event()) is not h11.NEED_DATA:
                answer = self._take(event)
                if answer is not None:
                    return answer
            return None
        raise SendFailure(AMBIGUOUS, "the answer was cut off, or is not HTTP")

    def _take(self, event: object) -> Response | None:
        if isinstance(event, h11.InformationalResponse):
            self._interim += 1
            if self._interim > MAX_INTERIM:
                raise SendFailure(AMBIGUOUS, "too many interim answers (1xx)")
        elif isinstance(event, h11.Response):
            self._head = event
        elif isinstance(event, h11.Data):
            self._body += event.data[: MAX_BODY + 1 - len(self._body)]
        elif isinstance(event, h11.ConnectionClosed):
            raise SendFailure(AMBIGUOUS, "the connection was closed without an answer")
        if isinstance(event, h11.EndOfMessage) or len(self._body) > MAX_BODY:
            assert self._head is not None
            headers = [(name.decode("ascii"), value.decode("latin-1")) for name, value in self._head.headers]
            return Response(self._head.status_code, headers, self._plain_body())
        return None

    def _plain_body(self) -> bytes:
        """Unpack the body, if a gateway has packed it unasked: it may be a pair, which must not be lost."""
        assert self._head is not None
        named = b",".join(value for name, value in self._head.headers if name == b"content-encoding")
        is_packed = any(coding.strip() in PACKED for coding in named.lower().split(b","))
        if not is_packed or not self._body or len(self._body) > MAX_BODY:
            return bytes(self._body)
        with suppress(zlib.error):
            body = _unpacked(bytes(self._body))
            if body is not None:
                return body
        raise SendFailure(AMBIGUOUS, "the answer is packed, and cannot be unpacked")

    def failure(self, problem: BaseException | None = None) -> SendFailure:
        """Return what it means that the exchange ended here, by `problem` or, without one, because its time was up."""
        kind = NOT_SENT if self.place in UNSEEN else AMBIGUOUS
        if problem is None:
            return SendFailure(kind, f"timed out while {self.place}")
        while hasattr(problem, "exceptions"):  # a group: trio tries several addresses
            problem = problem.exceptions[0]
        name = type(problem).__name__
        # In the system's words; frameworks put their own into `strerror`, and other kinds count otherwise.
        if isinstance(problem, OSError) and problem.errno and not isinstance(problem, (ssl.SSLError, socket.gaierror)):
            name = os.strerror(problem.errno)
        return SendFailure(kind, f"{name} while {self.place}")


def _unpacked(packed: bytes) -> bytes | None:
    """Return what is in `packed`, one byte too many if it is too much; None if it is cut off.

    gzip is made of members, one behind the other (RFC 1952); what stands behind the last one means nothing.
    """
    body = b""
    for _ in range(MAX_MEMBERS):
        unpacker = zlib.decompressobj(zlib.MAX_WBITS | 32)  # gzip or zlib, as its first bytes say
        body += unpacker.decompress(packed, MAX_BODY + 1 - len(body))
        packed = unpacker.unused_data
        if len(body) > MAX_BODY or (unpacker.eof and not packed.startswith(MEMBER)):
            return body
        if not unpacker.eof:
            break
    return None
