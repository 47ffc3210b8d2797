# A real Redis for the tests: a process of its own on a free port of the loopback interface, that can be stopped, paused
# and starved. It keeps nothing on disk unless it is told to.

import os
import random
import shutil
import signal
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import redis

__all__ = ["RedisServer", "free_port", "redis_server"]

PATIENCE = 20.0  # seconds; never reached unless a test fails


def free_port() -> int:
    """Return a port on which nobody listens now, from below those that the kernel hands out to clients."""
    first = 20_000 + 2_500 * (int(os.environ.get("PYTEST_XDIST_WORKER", "gw0")[2:]) % 4)  # workers keep apart
    while True:
        port = random.randrange(first, first + 2_500)
        try:
            with socket.create_server(("127.0.0.1", port)):
                return port
        except OSError:
            pass  # somebody has it


class RedisServer:
    """A redis-server process; a context manager that leaves none behind.

    Args:
        directory: where it may keep what it keeps.
        options: settings, as in redis.conf; an underscore stands for a hyphen.

    Attributes:
        port: where it listens, also after a restart.
        url: the same, for `RedisStore.from_url`.
        directory: what it keeps is in there.
        options: the settings of the next start.
    """

    def __init__(self, directory: Path, **options: object) -> None:
        self.port = free_port()
        self.url = f"redis://127.0.0.1:{self.port}/0"
        self.directory = directory
        self.options = {"save": "", "appendonly": "no", **options}
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> "RedisServer":
        self.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self.stop()

    def start(self, *, wait: bool = True) -> None:
        """Start it, and wait until it accepts connections (or not: it may be loading)."""
        program = shutil.which("redis-server")
        assert program is not None, "redis-server is missing: apt-get install redis-server (.ci/run does so)"
        settings = {"bind": "127.0.0.1", "port": self.port, "dir": self.directory, "daemonize": "no", **self.options}
        arguments = [text for name, value in settings.items() for text in (f"--{name.replace('_', '-')}", str(value))]
        self._process = subprocess.Popen([program, *arguments], stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        said = self._read_until(b"Ready to accept connections" if wait else b"Server initialized")
        assert said, "redis-server did not start"

    def _read_until(self, words: bytes) -> bool:
        assert self._process is not None
        assert self._process.stdout is not None
        return any(words in line for line in self._process.stdout)

    def stop(self) -> None:
        """Kill it, as a machine does that loses its power; what the kernel has been given stays."""
        if self._process is not None:
            self._process.kill()
            self._process.communicate()
            self._process = None

    def restart(self) -> None:
        """Kill it and start it again: empty, unless it was started with appendonly=yes."""
        self.stop()
        self.start()

    def pause(self) -> None:
        """Let it accept connections, as the kernel does for it, and answer nothing."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Let it go on, with what it was sent meanwhile."""
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)

    def fail_over_to_empty(self) -> None:
        """Replace it by another instance, which knows nothing of what this one was told."""
        self.stop()
        for path in self.directory.iterdir():
            shutil.rmtree(path) if path.is_dir() else path.unlink()
        self.start()

    def limit_memory(self, size: int = 1) -> None:
        """Let it take no writes that need memory, from now on; 0 lifts the limit."""
        self.configure("maxmemory", size)

    def configure(self, name: str, value: object) -> None:
        """Change a setting while it runs."""
        with self.client() as client:
            client.config_set(name, str(value))

    def client(self, **options: Any) -> "redis.Redis":
        """Return a client of its own, for looking behind the store's back."""
        return redis.Redis(port=self.port, socket_timeout=PATIENCE, **options)

    def commands(self) -> int:
        """Return how many commands it has been sent; asking is one of them."""
        with self.client() as client:
            return int(client.info("stats")["total_commands_processed"])


@pytest.fixture
def redis_server(tmp_path: Path) -> Iterator[RedisServer]:
    """A server for one test, which may do with it what it likes."""
    directory = tmp_path / "redis"
    directory.mkdir()
    with RedisServer(directory) as server:
        yield server
