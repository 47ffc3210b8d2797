# One HTTP exchange on `requests`: a core Request in, a core Response out, or a SendFailure that says whether the server
# can have seen it.
#
# Three things that requests does not do by itself:
# - Tell "not sent" from "ambiguous". Its exceptions do not (a failed handshake and a broken read are both SSLError),
#   so the connection notes the moment at which it stood. Before it, nothing of the request can have left; whatever
#   happens after it is ambiguous, while reading and while closing too.
# - End in time. Its time-outs are per read, so a server that drips a byte a second holds it for ever. A watchdog shuts
#   the socket down when the exchange's time is up.
# - Leave the environment alone. No ~/.netrc, no cookies; and no proxy for plain http, which is for loopback only: the
#   proxy would be another machine (invariant 9).

import contextlib
import os
import socket
import threading
from http.cookiejar import DefaultCookiePolicy
from typing import Any

from .. import AMBIGUOUS, MAX_BODY, NOT_SENT, Request, Response, SendFailure

try:
    import requests
    from requests.adapters import HTTPAdapter
    from urllib3.connection import HTTPConnection, HTTPSConnection
    from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
except ImportError as problem:  # pragma: no cover  # tested in a process of its own
    raise ImportError(
        "the blocking driver sends with requests, which is not installed: pip install 'tenure[requests]'"
    ) from problem

__all__ = ["RequestsSender"]


class RequestsSender:
    """Sends each request on a connection of its own, follows no redirects, and reads at most `MAX_BODY` + 1 bytes.

    Callable as `sender(request, timeout)`; safe to share between threads.
    """

    def __init__(self) -> None:
        self._session = requests.Session()
        self._session.mount("https://", _Adapter())
        self._session.mount("http://", _Adapter())
        self._session.headers.clear()
        self._session.headers["user-agent"] = "tenure"
        self._session.headers["connection"] = "close"
        self._session.headers["accept-encoding"] = "identity"
        self._session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))

    def __call__(self, request: Request, timeout: float) -> Response:
        """Send `request` and return its answer, whatever its status, within `timeout` seconds.

        Raises:
            SendFailure: there is no answer.
        """
        _line.exchange = exchange = _Exchange()
        watchdog = threading.Timer(timeout, exchange.cut)
        watchdog.daemon = True
        watchdog.start()
        try:
            return self._exchange(request, timeout)
        except Exception as problem:
            kind = AMBIGUOUS if exchange.connected else NOT_SENT
            reason = f"timed out after {timeout:g} s" if exchange.was_cut else _describe(problem)
        finally:
            watchdog.cancel()
            exchange.close()
        # Raised out here, so that no traceback holds frames of requests, with the body among their variables.
        raise SendFailure(kind, reason)

    def _exchange(self, request: Request, timeout: float) -> Response:
        self._session.trust_env = request.url.startswith("https:")
        answer = self._session.request(
            request.method,
            request.url,
            data=request.body,
            headers=dict(request.headers),
            auth=_no_auth,
            timeout=timeout,
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
            return Response(answer.status_code, answer.headers, body)

    def close(self) -> None:
        """Close what may still be open."""
        self._session.close()


class _Exchange:
    """What is known of the exchange under way in this thread."""

    def __init__(self) -> None:
        self.connected = False  # name resolved, TCP and TLS up: from here on bytes may have left
        self.was_cut = False
        self._socket: socket.socket | None = None
        self._lock = threading.Lock()

    def watch(self, sock: socket.socket) -> None:
        """Keep a second handle of the connection: TLS takes the first one over, and shutting down works on either."""
        with self._lock:
            self._socket = socket.socket(fileno=os.dup(sock.fileno()))

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


class _Connection(HTTPConnection):
    def _new_conn(self) -> socket.socket:
        sock = super()._new_conn()
        _line.exchange.watch(sock)
        return sock

    def connect(self) -> None:
        super().connect()
        _line.exchange.connected = True


class _TLSConnection(_Connection, HTTPSConnection):
    pass


class _Pool(HTTPConnectionPool):
    ConnectionCls = _Connection


class _TLSPool(HTTPSConnectionPool):
    ConnectionCls = _TLSConnection


class _Adapter(HTTPAdapter):
    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, **kwargs)
        self.poolmanager.pool_classes_by_scheme = {"http": _Pool, "https": _TLSPool}

    def proxy_manager_for(self, *args: Any, **kwargs: Any) -> Any:
        manager = super().proxy_manager_for(*args, **kwargs)
        manager.pool_classes_by_scheme = {"http": _Pool, "https": _TLSPool}
        return manager


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
