# One HTTP exchange on `requests`: a core Request in, a core Response out, or a SendFailure that says whether the server
# can have seen it.
#
# Three things that requests does not do by itself:
# - Tell "not sent" from "ambiguous". Its exceptions do not (a failed handshake and a broken read are both SSLError),
#   so the connection notes the moment at which the first bytes are handed to it. Before it, nothing of the request can
#   have left; whatever happens after it is ambiguous, while reading and while closing too. That moment is also the last
#   look at the time: a process that was paused until its lease had ended must not send.
# - End in time. Its time-outs are per read, so a server that drips a byte a second holds it for ever. A watchdog shuts
#   the socket down when the exchange's time is up.
# - Leave the environment alone. No ~/.netrc, no cookies; and no proxy for plain http, which is for loopback only: the
#   proxy would be another machine (invariant 9).

import contextlib
import functools
import http.client
import os
import socket
import threading
from http.cookiejar import DefaultCookiePolicy
from ssl import SSLContext
from time import monotonic
from time import time as wall
from typing import Any

from .. import AMBIGUOUS, MAX_BODY, NOT_SENT, Request, Response, SendFailure
from ..steps import latest_start
from ._session import MAX_INTERIM
from ._watchdog import watch

try:
    import requests
    from requests.adapters import HTTPAdapter
    from urllib3.connection import HTTPConnection, HTTPSConnection
    from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
except ImportError as problem:  # pragma: no cover  # tested in a process of its own
    raise ImportError(
        "the blocking driver sends with requests, which is not installed: pip install 'tenure[requests]'"
    ) from problem

__all__ = ["RequestsSender", "shared_sender"]

LAST_LOOK = 0.05  # seconds beyond the time-out, to read what has come if the process was stopped meanwhile

# Where the watchdog ends a read, nothing else does: what has come is read before the end it makes. A socket that counts
# itself gives up without another look, if a signal handler or a stop (Ctrl-Z) took the thread's time.
_WATCHDOG_ALONE = os.name == "posix"


class RequestsSender:
    """Sends each request on a connection of its own, follows no redirects, and reads at most `MAX_BODY` + 1 bytes.

    Callable as `sender(request, timeout)`; safe to share between threads.

    Args:
        ssl_context: for https; by default requests' own, with the certificates that it trusts.
    """

    def __init__(self, ssl_context: SSLContext | None = None) -> None:
        self._https = _new_session("https://", _Adapter(ssl_context))
        self._http = _new_session("http://", _Adapter(None))
        self._http.trust_env = False

    def __call__(self, request: Request, timeout: float) -> Response:
        """Send `request` and return its answer, whatever its status, within `timeout` seconds.

        Raises:
            SendFailure: there is no answer.
        """
        _line.exchange = exchange = _Exchange(timeout)
        try:
            limit = watch(timeout, exchange.cut, LAST_LOOK)
            try:
                return self._exchange(request, timeout)
            finally:
                limit.end()
        except Exception as problem:
            kind = AMBIGUOUS if exchange.has_begun else NOT_SENT
            reason = f"timed out after {timeout:g} s" if exchange.was_cut else _describe(problem)
        finally:
            exchange.close()
        # Raised out here, so that no traceback holds frames of requests, with the body among their variables.
        raise SendFailure(kind, reason)

    def _exchange(self, request: Request, timeout: float) -> Response:
        session = self._https if request.url.startswith("https:") else self._http
        answer = session.request(
            request.method,
            request.url,
            data=request.body,
            headers=dict(request.headers),
            auth=_no_auth,
            # Half of it for each address of a name, so that one which is silent leaves time for the next one. (And for
            # each read of a TLS handshake, which is given the same.)
            timeout=(timeout / 2, None if _WATCHDOG_ALONE else timeout),
            allow_redirects=False,
            stream=True,
        )
        with contextlib.closing(answer):
            body = b""
            while len(body) <= MAX_BODY:
                chunk = answer.raw.read(MAX_BODY + 1 - len(body), decode_content=True)
                if not chunk:
                    break
                body += chunk
            # As the headers were understood: a stream that ends within them may leave only the name of one.
            is_framed = answer.raw.chunked or answer.raw.length_remaining is not None
            # What came before the watchdog cut the line can still be read (on Linux), and counts if it is whole: the
            # process may have been stopped. Not where the end of the stream, which is the watchdog's, has to tell that.
            if _line.exchange.was_cut and not is_framed:
                raise TimeoutError
            if not body and not is_framed:
                raise EOFError  # http.client takes a stream that ends within the headers for whole
            return Response(answer.status_code, answer.headers, body)


@functools.cache
def shared_sender() -> RequestsSender:
    """Return the sender of all sessions that bring none: it holds no connections, but a good many kilobytes."""
    return RequestsSender()


class _Exchange:
    """What is known of the exchange under way in this thread."""

    def __init__(self, timeout: float) -> None:
        self.has_begun = False  # bytes of the request may have left
        self.was_cut = False
        # By the wall clock as well, since a suspended machine stops the other; which then tells its time-out too late.
        starts = latest_start(timeout)
        self._starts_by, self._starts_by_wall = monotonic() + starts, wall() + starts
        self._socket: socket.socket | None = None
        self._lock = threading.Lock()

    def watch(self, sock: socket.socket) -> None:
        """Keep a second handle of the connection: TLS takes the first one over, and shutting down works on either."""
        with self._lock:
            if self.was_cut:  # the name server took all the time there was
                sock.close()
                raise TimeoutError
            self._socket = sock.dup()

    def begin(self) -> None:
        """Called before bytes are handed to the connection: first the headers, then the body with the secrets."""
        if monotonic() >= self._starts_by or wall() >= self._starts_by_wall:
            self.was_cut = True
            raise TimeoutError
        self.has_begun = True

    def cut(self) -> None:
        """Called by the watchdog when the time is up: whoever reads or writes now gets an error."""
        with self._lock:
            self.was_cut = True
            if self._socket is not None:
                with contextlib.suppress(OSError):
                    self._socket.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        with self._lock:
            if self._socket is not None:
                self._socket.close()
                self._socket = None


class _Line(threading.local):
    """The exchange that this thread is busy with: urllib3 makes its connections where we cannot hand it over."""

    exchange: _Exchange


_line = _Line()


class _FinalResponse(http.client.HTTPResponse):
    """Passes over every interim answer (RFC 9110, section 15.2); http.client does so only for 100."""

    def begin(self) -> None:
        for _ in range(MAX_INTERIM + 1):
            super().begin()
            if not 100 <= self.status < 200:
                return
            self.headers = None  # type: ignore[assignment]  # or it takes itself to have begun already
        raise http.client.HTTPException("too many interim answers")


class _Connection(HTTPConnection):
    response_class = _FinalResponse

    def _new_conn(self) -> socket.socket:
        sock = super()._new_conn()
        _line.exchange.watch(sock)
        return sock

    _is_connecting = False

    def connect(self) -> None:
        self._is_connecting = True  # what is sent now asks a proxy for a tunnel
        super().connect()
        self._is_connecting = False

    def send(self, data: Any) -> None:
        if self.sock is None:
            self.connect()
        if not self._is_connecting:
            _line.exchange.begin()
        super().send(data)


class _TLSConnection(_Connection, HTTPSConnection):
    pass


class _ClosingPool(HTTPConnectionPool):
    """Keeps no connection, also of a server that would: what looks idle may be dying, and the next answer with it."""

    ConnectionCls = _Connection

    def _put_conn(self, conn: Any) -> None:
        if conn is not None:
            conn.close()
        super()._put_conn(conn)


class _TLSPool(_ClosingPool, HTTPSConnectionPool):
    ConnectionCls = _TLSConnection


class _Adapter(HTTPAdapter):
    def __init__(self, ssl_context: SSLContext | None) -> None:
        self._context = {} if ssl_context is None else {"ssl_context": ssl_context}
        super().__init__()

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        kwargs.update(self._context)
        super().init_poolmanager(*args, **kwargs)
        self.poolmanager.pool_classes_by_scheme = {"http": _ClosingPool, "https": _TLSPool}

    def proxy_manager_for(self, *args: Any, **kwargs: Any) -> Any:
        kwargs.update(self._context)
        manager = super().proxy_manager_for(*args, **kwargs)
        manager.pool_classes_by_scheme = {"http": _ClosingPool, "https": _TLSPool}
        return manager


class _Session(requests.Session):
    def get_redirect_target(self, resp: requests.Response) -> None:
        """Say that no answer is a redirect: requests would read it by itself, unbounded, to offer the next request."""


def _new_session(prefix: str, adapter: HTTPAdapter) -> requests.Session:
    session = _Session()
    session.mount(prefix, adapter)
    session.headers.clear()
    session.headers.update({"user-agent": "tenure", "connection": "close", "accept-encoding": "identity"})
    session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
    return session


def _no_auth(request: requests.PreparedRequest) -> requests.PreparedRequest:
    """Stand in for authentication, so that requests does not look for one in ~/.netrc."""
    return request


def _describe(problem: BaseException) -> str:
    """Name the innermost cause by its class only: texts of exceptions may hold anything."""
    seen: set[int] = set()
    while id(problem) not in seen:
        seen.add(id(problem))
        inner = getattr(problem, "reason", None) or problem.__cause__ or problem.__context__
        if not isinstance(inner, BaseException):
            inner = next((part for part in problem.args if isinstance(part, BaseException)), None)
        if inner is None:
            break
        problem = inner
    words = os.strerror(problem.errno) if isinstance(problem, OSError) and problem.errno else ""
    return words or type(problem).__name__
