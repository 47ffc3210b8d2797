# The emulator: the pure service behind real sockets, with faults on demand.
#
# Decided here: what happens to a connection, in which order service and faults see a request, and how everything ends.
# One daemon thread per connection; one lock around the service and around nothing that waits, so that requests overlap
# as they do in production.

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from socket import SHUT_RDWR, SHUT_WR, socket
from ssl import SSLContext
from threading import Event, Lock, Thread, current_thread
from types import TracebackType
from typing import Any, BinaryIO

from ... import Request
from .accounts import Credentials
from .exchange import CLOSE, RESET, Exchange
from .journal import Journal, Statistics
from .listener import Listener
from .patience import Interrupted, Patience
from .plan import FaultPlan
from .reading import header_of
from .service import AuthorizationService
from .wire import BadRequest, end_connection, read_request, send_answer

__all__ = ["Emulator", "serve"]

IDLE_LIMIT = 60.0  # seconds a connection may be silent, or its client refuse to read
UNREAD_LIMIT = 16 * 1024 * 1024  # bytes that are read and dropped for the sake of a client that sends too much
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
STOP_LIMIT = 10.0  # seconds in which all threads must have ended; they need milliseconds


class Emulator:
    """The authorization service on a socket; use it as a context manager, or call `start` and `stop`.

    Args:
        service: the `AuthorizationService` to serve; without it one is made of `settings`.
        host: the address to listen on.
        port: 0 for any free one, which is then kept over restarts.
        clock: returns Unix time in seconds; called once for each request.
        keep_alive: whether a connection may be used for more than one request.
        ssl_context: a server-side `ssl.SSLContext`, for https.
        settings: what `AuthorizationService` takes.

    Attributes:
        service: the service. Its settings may be changed at any time.
        faults: the `FaultPlan`: what is to go wrong.
    """

    def __init__(
        self,
        service: AuthorizationService | None = None,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        clock: Callable[[], float] = time.time,
        keep_alive: bool = False,
        ssl_context: SSLContext | None = None,
        **settings: Any,
    ) -> None:
        if service is not None and settings:
            raise TypeError("settings belong to the service that is handed in")
        self.service = AuthorizationService(**settings) if service is None else service
        self.faults = FaultPlan()
        self._host = host
        self._clock = clock
        self._keep_alive = keep_alive
        self._ssl_context = ssl_context
        self._listener = Listener(host, port, self._accepted)
        self._patience = Patience()
        self._running = False
        self._service_lock = Lock()
        self._connections_lock = Lock()
        self._connections: dict[Thread, socket] = {}
        self._ended: list[Thread] = []  # done with their connection, to be joined

    def __repr__(self) -> str:
        return f"<Emulator on port {self._listener.port}, {'running' if self._running else 'stopped'}>"

    def __enter__(self) -> "Emulator":
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()

    # --- running ---

    def start(self) -> None:
        """Begin to listen; after a `stop` on the same port and with the same state. OSError if the port is taken."""
        if self._running:
            raise RuntimeError("the emulator is running already")
        self._patience = Patience()
        self._listener.open()
        self._running = True

    def stop(self) -> None:
        """End all connections and give the port back; the service keeps its state. Nothing happens if it is stopped.

        Whoever is in the middle of something is cut off, as by a crash: holds, latencies and drips end at once.

        Raises:
            RuntimeError: a thread did not end, because a fault's own function does not return.
        """
        self._running = False
        self._patience.end()
        self._listener.close()
        with self._connections_lock:
            threads = [*self._connections, *self._ended]
            self._ended = []
            for connection in self._connections.values():
                _shut_down(connection)
        deadline = time.monotonic() + STOP_LIMIT
        for thread in threads:
            thread.join(max(0.0, deadline - time.monotonic()))
            if thread.is_alive():
                raise RuntimeError("a connection's thread did not end: does a fault's function block?")

    @contextmanager
    def connections_refused(self) -> Iterator[None]:
        """Within this context nobody listens on the port; connections that are open already go on."""
        if not self._running:
            raise RuntimeError("the emulator is not running")
        self._listener.refuse()
        try:
            yield
        finally:
            if self._running:
                self._listener.open()

    # --- looking ---

    @property
    def origin(self) -> str:
        """Scheme, host and port, such as "http://127.0.0.1:49152"; RuntimeError before the first start."""
        if not self._listener.port:
            raise RuntimeError("the emulator has no port yet: start it")
        host = f"[{self._host}]" if ":" in self._host else self._host
        return f"{'http' if self._ssl_context is None else 'https'}://{host}:{self._listener.port}"

    @property
    def url(self) -> str:
        """What a client takes as the service's URL: the origin and the base path."""
        return self.origin + self.service.base_path

    @property
    def resource_url(self) -> str:
        """The URL of the protected resource."""
        return self.url + "/api/resource"

    @property
    def credentials(self) -> Credentials:
        """The first account's username and password."""
        return self.service.credentials

    @property
    def merchant_key(self) -> str:
        """The first merchant key."""
        return self.service.merchant_key

    @property
    def statistics(self) -> Statistics:
        """The service's `Statistics`."""
        return self.service.statistics

    @property
    def journal(self) -> Journal:
        """The service's `Journal`: one entry for each request."""
        return self.service.journal

    # --- one connection ---

    def _accepted(self, connection: socket) -> None:
        patience = self._patience
        thread = Thread(target=self._converse, args=(connection, patience), name="tenure-emulator", daemon=True)
        with self._connections_lock:
            ended, self._ended = self._ended, []
            self._connections[thread] = connection
        for other in ended:
            other.join()
        try:
            thread.start()
        except RuntimeError:  # the machine has no thread left: the client sees a reset
            with self._connections_lock:
                del self._connections[thread]
            end_connection(connection, RESET)

    def _converse(self, connection: socket, patience: Patience) -> None:
        """Speak with one client until one of the two has had enough. Runs in a thread of its own."""
        thread = current_thread()
        ending = RESET
        try:
            connection.settimeout(IDLE_LIMIT)
            if self._ssl_context is not None:
                # The handshake can block, so `stop` must know the new socket before it begins.
                connection = self._ssl_context.wrap_socket(connection, True, do_handshake_on_connect=False)
                with self._connections_lock:
                    self._connections[thread] = connection
                patience.check()
                connection.do_handshake()
            with connection.makefile("rb") as stream:
                ending = self._answer_all(connection, stream, patience)
        except (OSError, Interrupted):
            pass  # the client has gone, or we are closing: there is nobody to tell
        finally:
            # From here on `stop` must not touch the socket, but still join the thread.
            with self._connections_lock:
                del self._connections[thread]
                self._ended.append(thread)
            end_connection(connection, ending)

    def _answer_all(self, connection: socket, stream: BinaryIO, patience: Patience) -> str:
        """Answer one request, or with `keep_alive` all that come; return how the connection is to end."""
        while True:
            try:
                request = read_request(stream, self.origin, lambda: connection.sendall(CONTINUE))
            except BadRequest as reason:
                self._refuse_unreadable(connection, reason, patience)
                return CLOSE
            if request is None:
                return CLOSE
            exchange = self._exchange(request, patience)
            close = exchange.is_cut or not self._keep_alive or header_of(request, "connection").lower() == "close"
            send_answer(connection, exchange, close=close)
            if close:
                return exchange.ending

    def _exchange(self, request: Request, patience: Patience) -> Exchange:
        """Let faults and service have their say; the answer is in what is returned."""
        faults = self.faults.take(self.service.kind_of(request))
        names = "+".join(fault.name for fault in faults)
        exchange = Exchange(request, self._clock() + self.service.clock_offset, patience)
        for fault in faults:
            fault.before(exchange)
        if exchange.acts:
            with self._service_lock:
                exchange.response = self.service.handle(request, self._clock(), fault=names)
        for fault in faults:
            fault.after(exchange)
        if not exchange.acts:
            status = 0 if exchange.response is None else exchange.response.status
            with self._service_lock:
                self.service.note_unacted(request, self._clock(), status, names)
        return exchange

    def _refuse_unreadable(self, connection: socket, reason: BadRequest, patience: Patience) -> None:
        with self._service_lock:
            response = self.service.refuse_unreadable(self._clock(), reason.status, str(reason))
        exchange = Exchange(Request("", "", (), b""), 0, patience)
        exchange.response = response
        send_answer(connection, exchange, close=True)
        # To close with something unread is a reset, which may overtake the answer: so read what still comes.
        socket.shutdown(connection, SHUT_WR)
        left = UNREAD_LIMIT
        while left > 0 and (read := connection.recv(65536)):
            left -= len(read)


def _shut_down(connection: socket) -> None:
    """Wake a thread that reads or writes; past TLS, which is not to be touched from another thread."""
    try:
        socket.shutdown(connection, SHUT_RDWR)
    except OSError:
        pass  # it has ended by itself


def serve(emulator: Emulator, stop: Event, ready: Callable[[Emulator], object] | None = None) -> None:
    """Run an emulator until an event is set, or Ctrl-C raises KeyboardInterrupt in here.

    Args:
        emulator: one that is not running.
        stop: set it from another thread or from a signal handler.
        ready: called with the emulator once it listens, to say where.
    """
    with emulator:
        if ready is not None:
            ready(emulator)
        while not stop.wait(1):  # not for ever: on Windows Ctrl-C does not end a wait
            pass
