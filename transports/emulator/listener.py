# A listening socket and the thread that accepts from it: open, closed, or bound without listening.

import os
import socket
from collections.abc import Callable
from selectors import EVENT_READ, DefaultSelector
from threading import Event, Thread

__all__ = ["Listener"]

BACKLOG = 1024  # connections that may wait to be accepted; the kernel may allow fewer


class Listener:
    """Listens on one address.

    Args:
        host: the address to bind to.
        port: 0 for any free one.
        accepted: called in the accepting thread with every new connection; must not block.
    """

    def __init__(self, host: str, port: int, accepted: Callable[[socket.socket], None]) -> None:
        self._host = host
        self._accepted = accepted
        self.port = port  # once bound it is kept, so that a restart has the same address
        self._bound: socket.socket | None = None
        self._thread: Thread | None = None
        self._bell: tuple[socket.socket, socket.socket] | None = None

    def open(self) -> None:
        """Listen, and accept what comes; OSError if the address is not to be had."""
        listening = self._bound or self._bind()
        self._bound = listening
        try:
            listening.listen(BACKLOG)
        except OSError:  # somebody else listens already on what could be bound
            self.close()
            raise
        listening.setblocking(False)
        self._bell = socket.socketpair()
        self._thread = Thread(
            target=self._accept_all, args=(listening, self._bell[0]), name="tenure-emulator-accept", daemon=True
        )
        self._thread.start()

    def refuse(self) -> None:
        """Stop listening, so that connections are refused, but keep the port from being taken by somebody else."""
        self.close()
        self._bound = self._bind()

    def close(self) -> None:
        """Stop listening and give the port back. What was not accepted yet is reset by the kernel."""
        if self._thread is not None and self._bell is not None:
            self._bell[1].send(b"!")
            self._thread.join()
            for end in self._bell:
                end.close()
        if self._bound is not None:
            self._bound.close()
        self._thread = self._bell = self._bound = None

    def _bind(self) -> socket.socket:
        bound = socket.socket(socket.AF_INET6 if ":" in self._host else socket.AF_INET)
        try:
            if os.name == "posix":  # elsewhere this option would let others take the port
                bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            bound.bind((self._host, self.port))
        except OSError:
            bound.close()
            raise
        self.port = bound.getsockname()[1]
        return bound

    def _accept_all(self, listening: socket.socket, bell: socket.socket) -> None:
        with DefaultSelector() as selector:
            selector.register(listening, EVENT_READ)
            selector.register(bell, EVENT_READ)
            while True:
                ready = {key.fileobj for key, _ in selector.select()}
                if bell in ready:
                    return
                try:
                    connection, _ = listening.accept()
                except OSError:
                    # Gone again, or there are no descriptors left: those come back when connections end.
                    Event().wait(0.005)
                    continue
                connection.setblocking(True)
                self._accepted(connection)
