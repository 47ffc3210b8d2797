# A process that has imported all that a worker needs, and forks workers from there. There are hundreds of them, and to
# begin a Python and import everything anew takes longer than what most of them do.

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Sequence

__all__ = ["ForkServer", "serve"]

MESSAGE = 10_000  # bytes; no message is as long


class ForkServer:
    """Forks workers: real processes that can be killed, stopped and waited for, though none of them is our child.

    Args:
        module: what to run as the server; it calls `serve`.
    """

    def __init__(self, module: str) -> None:
        self._socket, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            command = [sys.executable, "-m", module, str(theirs.fileno())]
            self._process = subprocess.Popen(command, stdin=subprocess.DEVNULL, pass_fds=[theirs.fileno()])

    def _ask(self, order: Sequence[int | str], files: "tuple[int, ...]" = ()) -> int:
        socket.send_fds(self._socket, [json.dumps(order).encode()], files)
        answer: int = json.loads(self._socket.recv(MESSAGE))
        return answer

    def fork(self, stdin: int, stdout: int, command: Sequence[str] = ()) -> int:
        """Fork a worker with these two files, or a process that becomes another command; return its process id."""
        return self._ask(command, (stdin, stdout))

    def wait(self, pid: int, options: int = 0) -> int:
        """Wait for a worker as `os.waitpid` does; return its status."""
        return self._ask([pid, options])

    def close(self) -> None:
        """End the server; its workers are not touched."""
        self._socket.close()
        self._process.wait()


def serve(work: Callable[[], None]) -> None:
    """Be the server whose workers do `work`; the number of its socket is the first argument of this process."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for pytest, which ends us
    orders = socket.socket(fileno=int(sys.argv[1]))
    while True:
        order, files, _, _ = socket.recv_fds(orders, MESSAGE, 2)
        if not order:
            return
        if not files:
            _, status = os.waitpid(*json.loads(order))
            orders.send(json.dumps(status).encode())
            continue
        pid = os.fork()
        if pid == 0:
            orders.close()
            for number, file in enumerate(files):
                os.dup2(file, number)
                os.close(file)
            if command := json.loads(order):
                os.execvp(command[0], command)  # noqa: S606
            work()
            os._exit(0)
        for file in files:
            os.close(file)
        orders.send(json.dumps(pid).encode())
