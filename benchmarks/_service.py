# The authorization service for benchmarks: in memory for those that measure no network, or in a process of its own, so
# that the server's work is not done under the client's GIL.
#
# Run as a program, it serves until its standard input is closed.

import json
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from types import ModuleType
from typing import Any

from tenure import Policy, Request, Response
from tenure.transports.blocking import AuthorizationSession
from tenure.transports.emulator import REFRESH, AuthorizationService, Emulator, latency

__all__ = ["TOKEN_ID", "ServerProcess", "async_session_in_memory", "server_process", "session_in_memory"]

TOKEN_ID = "11111111-1111-4111-8111-111111111111"


def session_in_memory() -> AuthorizationSession:
    """Return an established session that is answered by a function."""
    service = AuthorizationService()

    def send(request: Request, timeout: float) -> Response:
        return service.handle(request, time.time())

    session = AuthorizationSession("http://localhost" + service.base_path, TOKEN_ID, ["read"], send=send)
    session.establish([session.verify_credentials(*service.credentials)])
    return session


def async_session_in_memory(driver: ModuleType) -> tuple[Any, AuthorizationService]:
    """Return a session of the asyncio or the trio driver that a function answers, and the service behind it."""
    service = AuthorizationService()

    async def send(request: Request, timeout: float) -> Response:
        return service.handle(request, time.time())

    url = "http://localhost" + service.base_path
    return driver.AuthorizationSession(url, TOKEN_ID, ["read"], send=send), service


class ServerProcess:
    """Where the other process serves, and with which credentials."""

    def __init__(self, told: Mapping[str, str]) -> None:
        self.url = told["url"]
        self.username = told["username"]
        self.password = told["password"]

    def session(self, policy: Policy | None = None) -> AuthorizationSession:
        """Return an established session. It voids the refresh tokens of those before it."""
        session = AuthorizationSession(self.url, TOKEN_ID, ["read"], policy=policy)
        session.establish([session.verify_credentials(self.username, self.password)])
        return session


@contextmanager
def server_process(**settings: object) -> Iterator[ServerProcess]:
    """Serve in another process, with settings of `Emulator`; `latency` is in seconds, and for refreshes."""
    command = [sys.executable, __file__]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(json.dumps(settings) + "\n")
        process.stdin.flush()
        try:
            yield ServerProcess(json.loads(process.stdout.readline()))
        finally:
            process.stdin.close()


def serve_until_told() -> None:
    settings = json.loads(sys.stdin.readline())
    seconds = settings.pop("latency", 0)
    with Emulator(**settings) as emulator:
        if seconds:
            emulator.faults.add(latency(seconds), kind=REFRESH, times=None)
        username, password = emulator.credentials
        print(json.dumps({"url": emulator.url, "username": username, "password": password}), flush=True)
        sys.stdin.read()


if __name__ == "__main__":
    serve_until_told()
