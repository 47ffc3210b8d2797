# What do 10 000 sessions in one Redis cost, shared by 8 processes? No peer: the question is how many commands and bytes
# a refresh takes, how many refreshes a second there are, and how both grow. Needs redis-server on the path.
#
# Every process holds every session. At each expiry one process (its turn) refreshes a session, and the others take over
# the new pair. The authorization service is a function in each process that gives out tokens of the usual length,
# so that what is measured is the store and the core, not a server.

import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256
from typing import Any
from uuid import UUID

import redis
from _measure import show_machine
from tenure import (
    AuthorizationProtocol,
    Call,
    Instant,
    Request,
    Response,
    SendRequest,
    Sleep,
)
from tenure.transports.stores import RedisStore

PROCESSES = (1, 2, 4, 8)
SESSIONS = (1_000, 10_000)
TOKEN_LENGTH = 600  # characters; what the published example's tokens come to
LIFETIME = 900
URL = "https://service.example/authorization/v1"


def answer(request: Request, now: int) -> Response:
    """Stand in for the service: the next pair is a function of the token presented, as long as a real one."""
    request_id = dict(request.headers)["request-id"]
    seed = sha256(request.body).hexdigest()
    names = (("permissionToken", LIFETIME), ("permissionRefreshToken", 30 * 86400))
    data = {
        name: {name: (sha256((name + seed).encode()).hexdigest() * 10)[:TOKEN_LENGTH], "expiresAt": now + lifetime}
        for name, lifetime in names
    }
    return Response(200, (), json.dumps({"requestId": request_id, "data": data}).encode())


class Member:
    """One process of the fleet: all the sessions, on one connection to Redis."""

    def __init__(self, port: int, sessions: int) -> None:
        self.store = RedisStore.from_url(f"redis://127.0.0.1:{port}/0")
        self.passed = 0.0
        self.sessions = [
            AuthorizationProtocol(URL, str(UUID(int=number + 1)), ["read"], random_bytes=os.urandom, stored=True)
            for number in range(sessions)
        ]

    def now(self) -> Instant:
        return Instant(time.monotonic() + self.passed, time.time() + self.passed)

    def run(self, protocol: AuthorizationProtocol, call: Call) -> None:
        while (step := protocol.next_step(self.now())) is not None:
            if isinstance(step, SendRequest):
                protocol.receive_response(answer(step.request, self.now().wall), self.now())
            elif isinstance(step, Sleep):
                time.sleep(step.seconds)
            elif "state" in step.reports:
                protocol.receive_state(step.ask(self.store), self.now())
            else:
                protocol.receive_done(self.now(), step.ask(self.store))
        call.result()

    def obey(self, order: str, first: int, last: int) -> float:
        """Do something with some of the sessions; return the seconds it took."""
        begin = time.perf_counter()
        for protocol in self.sessions[first:last]:
            if order == "establish":
                self.run(protocol, protocol.establish(["proof"]))
            elif order == "get":
                self.run(protocol, protocol.request_token(self.now()))
        if order == "advance":
            self.passed += LIFETIME
        return time.perf_counter() - begin


def member() -> None:
    told = json.loads(sys.stdin.readline())
    process = Member(told["port"], told["sessions"])
    print("{}", flush=True)
    for line in sys.stdin:
        print(json.dumps(process.obey(*json.loads(line))), flush=True)


class Fleet:
    """The processes, told by lines of JSON."""

    def __init__(self, count: int, port: int, sessions: int) -> None:
        command = [sys.executable, __file__, "member"]
        pipe = subprocess.PIPE
        self.processes = [subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True) for _ in range(count)]
        self.sessions = sessions
        for process in self.processes:
            self._tell(process, {"port": port, "sessions": sessions})
        for process in self.processes:
            self._hear(process)

    def _tell(self, process: "subprocess.Popen[str]", content: object) -> None:
        assert process.stdin is not None
        process.stdin.write(json.dumps(content) + "\n")
        process.stdin.flush()

    def _hear(self, process: "subprocess.Popen[str]") -> Any:
        assert process.stdout is not None
        return json.loads(process.stdout.readline())

    def all_do(self, order: str, shift: int | None = None) -> float:
        """Let each process do it with its share of the sessions, or with all; return the seconds until all are done."""
        begin = time.perf_counter()
        count = len(self.processes)
        size = self.sessions // count
        for number, process in enumerate(self.processes):
            share = (number + (shift or 0)) % count
            self._tell(process, [order, *((0, self.sessions) if shift is None else (share * size, (share + 1) * size))])
        for process in self.processes:
            self._hear(process)
        return time.perf_counter() - begin

    def end(self) -> None:
        for process in self.processes:
            process.kill()
            process.wait()


@contextmanager
def redis_server() -> Iterator[int]:
    """Run a Redis on a free port of this machine."""
    if shutil.which("redis-server") is None:
        sys.exit("this needs redis-server on the path: apt-get install redis-server")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with tempfile.TemporaryDirectory() as folder:
        options = ["--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", folder, "--appendonly", "no"]
        with subprocess.Popen(["redis-server", *options], stdout=subprocess.DEVNULL) as process:
            client = redis.Redis(port=port, socket_timeout=5)
            while True:
                try:
                    client.ping()
                    break
                except redis.ConnectionError:
                    assert process.poll() is None, "redis-server did not start"
            try:
                yield port
            finally:
                client.close()
                process.kill()


def counters(client: "redis.Redis") -> tuple[int, int, int, float]:
    """Return Redis' own counts: commands from clients, bytes in, bytes out, and seconds of processor time."""
    info: dict[str, Any] = client.info("all")
    calls = sum(int(info.get(f"cmdstat_{name}", {}).get("calls", 0)) for name in ("evalsha", "eval", "script"))
    busy = float(info["used_cpu_user"]) + float(info["used_cpu_sys"])
    return calls, int(info["total_net_input_bytes"]), int(info["total_net_output_bytes"]), busy


def measure(count: int, sessions: int, port: int) -> None:
    client = redis.Redis(port=port, socket_timeout=5)
    client.flushall()
    fleet = Fleet(count, port, sessions)
    fleet.all_do("establish", 0)
    fleet.all_do("get")  # everybody has looked once
    memory = int(client.info("memory")["used_memory"]) / sessions
    fleet.all_do("advance")
    before = counters(client)
    took = fleet.all_do("get", 0)  # each refreshes its share
    refreshed = counters(client)
    adopted_in = fleet.all_do("get") if count > 1 else 0.0  # and the others take over the rest
    after = counters(client)
    calls, received, sent, busy = ((late - early) / sessions for early, late in zip(before, refreshed, strict=True))
    line = (
        f"{count:>9} {sessions:>9} {sessions / took:>11.0f} {calls:>9.2f} {received:>9.0f} {sent:>9.0f}"
        f" {busy * 1e6:>10.0f} {memory:>10.0f}"
    )
    if count > 1:
        others = sessions * (count - 1)
        adopted = [(late - early) / others for early, late in zip(refreshed, after, strict=True)]
        line += f" {others / adopted_in:>11.0f} {adopted[0]:>9.2f} {adopted[1] + adopted[2]:>9.0f}"
    print(line, flush=True)
    fleet.end()
    client.close()


def main() -> None:
    show_machine()
    print(f"{'':>9} {'':>9} {'a refresh':-^62} {'a take-over':-^31}")
    print(
        f"{'processes':>9} {'sessions':>9} {'per second':>11} {'commands':>9} {'bytes in':>9} {'bytes out':>9}"
        f" {'Redis, us':>10} {'bytes kept':>10} {'per second':>11} {'commands':>9} {'bytes':>9}"
    )
    with redis_server() as port:
        for sessions in SESSIONS:
            for count in PROCESSES:
                measure(count, sessions, port)


if __name__ == "__main__":
    member() if sys.argv[1:] == ["member"] else main()
