import asyncio
import json
import os
import socket
import ssl
import struct
import threading
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPConnection
from uuid import uuid4

import pytest
from tenure.transports.emulator import (
    AuthorizationService,
    Emulator,
    Fault,
    hold,
    hold_answer,
    latency,
    reset_after,
    serve,
    slow_drip,
    wrong_content_length,
)
from tenure.transports.emulator import server as server_module

from .conftest import leftovers
from .helpers import (
    REFRESH_PATH,
    START,
    TIMEOUT,
    Pair,
    SocketClient,
    error_of,
    open_connection,
    raw_refresh,
    read_all,
    send_raw,
)

THREADS = 32

needs_proc = pytest.mark.skipif(not os.path.isdir("/proc/self/fd"), reason="counts descriptors")  # noqa: PTH112


def in_parallel(count, action):
    """Run an action on so many threads, all starting at the same moment."""
    barrier = threading.Barrier(count)

    def run(number):
        barrier.wait(TIMEOUT)
        return action(number)

    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(run, range(count)))


def open_descriptors():
    """Return how many file descriptors this process has open."""
    return len(os.listdir("/proc/self/fd"))  # noqa: PTH208  a directory of the kernel's


# --- the service over sockets ---


def test_the_whole_round(emulator, client):
    """Verify, issue, refresh and use, each over a connection of its own."""
    pair = Pair(client.refresh(client.establish().refresh))
    answer = client.resource(pair.permission)
    assert json.loads(answer.body)["accountId"] in emulator.service.account_ids.values()
    assert emulator.statistics.requests == 4
    assert [entry.kind for entry in emulator.journal] == ["credentials", "issue", "refresh", "resource"]


def test_addresses(emulator):
    """The base URL is what a client is given; the resource lies below it."""
    assert emulator.url == emulator.origin + "/authorization/v1"
    assert emulator.resource_url == emulator.url + "/api/resource"
    assert emulator.origin.startswith("http://127.0.0.1:")


def test_no_address_before_the_start():
    """A free port is found at the start, not before."""
    with pytest.raises(RuntimeError, match="start"):
        _ = Emulator().url


def test_the_connection_ends_after_the_answer(emulator):
    """By default each exchange has a connection of its own."""
    content = send_raw(emulator, raw_refresh(emulator, "x"))
    assert content.startswith(b"HTTP/1.1 401 Unauthorized\r\n")
    assert b"connection: close\r\n" in content


def test_keep_alive():
    """With the option a connection serves many requests, until the client says close."""
    with Emulator(keep_alive=True) as emulator:
        connection = HTTPConnection(emulator.origin.removeprefix("http://"), timeout=TIMEOUT)
        headers = {"request-id": str(uuid4())}
        for name in ("keep-alive", "close"):
            connection.request(
                "POST", emulator.service.base_path + REFRESH_PATH, b"{}", {**headers, "connection": name}
            )
            answer = connection.getresponse()
            assert (answer.read() != b"", answer.getheader("connection")) == (True, name)
            assert (connection.sock is None) == (name == "close")
    assert leftovers() == []


def test_no_keep_alive_after_an_answer_that_is_cut():
    """Nobody could tell where the next answer begins."""
    with Emulator(keep_alive=True) as emulator:
        emulator.faults.add(wrong_content_length(5))
        assert b"connection: close" in send_raw(emulator, raw_refresh(emulator, "x"))


def test_a_head_request_gets_no_body(emulator):
    """RFC 9110, section 9.3.2: nor does its refusal have one."""
    content = send_raw(emulator, b"HEAD /x HTTP/1.1\r\n\r\n")
    assert content.startswith(b"HTTP/1.1 404 ")
    assert content.endswith(b"\r\n\r\n")


def test_a_request_in_single_bytes(emulator, client):
    """However slowly a request comes, it is read."""
    request = raw_refresh(emulator, client.establish().refresh)
    with open_connection(emulator) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for i in range(len(request)):
            connection.send(request[i : i + 1])
        assert read_all(connection).startswith(b"HTTP/1.1 200 ")


def test_unreadable_requests_are_answered_counted_and_journalled(emulator):
    """400 and the like, also for a body that is too long to be read; the journal has one entry for each request."""
    assert send_raw(emulator, b"nonsense\r\n\r\n").startswith(b"HTTP/1.1 400 ")
    assert send_raw(emulator, b"GET http://[ HTTP/1.1\r\n\r\n").startswith(b"HTTP/1.1 404 ")
    with open_connection(emulator) as connection:
        connection.sendall(b"POST /x HTTP/1.1\r\ncontent-length: 9000000\r\n\r\n" + b"x" * 1_000_000)
        connection.shutdown(socket.SHUT_WR)
        assert read_all(connection).startswith(b"HTTP/1.1 413 ")
    assert (emulator.statistics.requests, emulator.statistics.malformed) == (3, 3)
    assert [(entry.kind, entry.outcome) for entry in emulator.journal] == [("unknown", "malformed")] * 3
    assert [entry.status for entry in emulator.journal] == [400, 404, 413]


def test_expect_continue(emulator):
    """A client that waits for leave gets it before it sends its body."""
    request = raw_refresh(emulator, "x").replace(b"host: x", b"expect: 100-continue")
    head, _, body = request.partition(b"\r\n\r\n")
    with open_connection(emulator) as connection:
        connection.sendall(head + b"\r\n\r\n")
        assert connection.recv(100) == b"HTTP/1.1 100 Continue\r\n\r\n"
        connection.sendall(body)
        assert read_all(connection).startswith(b"HTTP/1.1 401 ")


def test_the_clock_is_settable(client):
    """All times of the service come from the clock that is handed in."""
    with Emulator(clock=lambda: START, clock_offset=10) as emulator:
        pair = SocketClient(emulator).establish()
        assert pair.permission_expires == START + 10 + 900
        assert emulator.journal[-1].wall == START


def test_a_service_can_be_handed_in():
    """Then its settings are its own."""
    service = AuthorizationService(accounts={"ann": "secret"}, merchant_keys=["key"])
    emulator = Emulator(service)
    assert emulator.service is service
    assert emulator.credentials == ("ann", "secret")
    assert emulator.merchant_key == "key"
    with pytest.raises(TypeError, match="settings"):
        Emulator(service, grace=3)
    with pytest.raises(TypeError, match="unknown"):
        Emulator(unknown=3)


def test_no_secret_in_the_repr(emulator):
    """Port and state only."""
    assert repr(emulator) == f"<Emulator on port {emulator.origin.rpartition(':')[2]}, running>"


@pytest.fixture
def contexts():
    """A server's and a client's side of TLS, anonymous: no certificate to keep, and none to expire."""
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    client.check_hostname = False
    client.verify_mode = ssl.CERT_NONE
    for context in (server, client):
        context.maximum_version = ssl.TLSVersion.TLSv1_2
        context.set_ciphers("aNULL@SECLEVEL=0")
    return server, client


def test_tls(contexts):
    """With a context it is https, and the connection ends with a good-bye (close_notify)."""
    server, client = contexts
    with Emulator(ssl_context=server) as emulator:
        assert emulator.url.startswith("https://")
        pair = SocketClient(emulator, client).establish()
        with client.wrap_socket(open_connection(emulator), suppress_ragged_eofs=False) as connection:
            connection.sendall(raw_refresh(emulator, pair.refresh))
            assert read_all(connection).startswith(b"HTTP/1.1 200 ")
    assert leftovers() == []


def test_who_does_not_speak_tls_is_cut_off(contexts):
    """Plain text, and silence in the handshake, hurt nobody else and hold nothing up."""
    server, client = contexts
    with Emulator(ssl_context=server) as emulator, open_connection(emulator) as silent:
        with pytest.raises(ConnectionResetError):
            send_raw(emulator, b"GET / HTTP/1.1\r\n\r\n")
        assert SocketClient(emulator, client).verify().status == 200
        emulator.stop()
        assert leftovers() == []
        assert silent.recv(1) == b""


def test_a_reset_over_tls_is_a_reset(contexts):
    """A fault means the same with TLS as without."""
    server, client = contexts
    with Emulator(ssl_context=server) as emulator:
        emulator.faults.add(reset_after(), kind="credentials")
        with pytest.raises(ConnectionResetError):
            SocketClient(emulator, client).verify()


# --- many at once ---


def test_one_of_many_wins_without_grace(emulator, client):
    """32 threads present one refresh token: one gets a pair, the others are refused, and the family is revoked."""
    pair = client.establish()
    answers = in_parallel(THREADS, lambda _: client.refresh(pair.refresh))
    won = [answer for answer in answers if answer.status == 200]
    lost = [error_of(answer) for answer in answers if answer.status == 401]
    assert (len(won), len(lost)) == (1, THREADS - 1)
    assert lost.count("refresh_token_reused") == emulator.statistics.reuse_detected == 1
    assert client.refresh(Pair(won[0]).refresh).status == 401


def test_all_get_the_same_pair_within_the_grace_window(emulator, client):
    """32 threads present one refresh token with one request id: one rotation, and the same answer for all."""
    emulator.service.grace = 30
    pair, request_id = client.establish(), str(uuid4())
    answers = in_parallel(THREADS, lambda _: client.refresh(pair.refresh, request_id))
    assert len({answer.body for answer in answers}) == 1
    assert client.refresh(Pair(answers[0]).refresh).status == 200
    statistics = emulator.statistics
    assert (statistics.refreshes, statistics.replayed, statistics.reuse_detected) == (2, THREADS - 1, 0)


def test_the_service_acts_on_one_request_at_a_time():
    """The pure service knows no threads: while it acts on a request, no other thread may come in."""
    second_inside, overlaps = threading.Event(), []

    class Watched(AuthorizationService):
        busy = False

        def handle(self, request, wall, *, fault=""):
            if self.busy:
                overlaps.append(True)
                second_inside.set()
            self.busy = True
            second_inside.wait(0.02)  # time for the others to come in, if they could
            self.busy = False
            return super().handle(request, wall, fault=fault)

    with Emulator(Watched()) as emulator:
        in_parallel(3, lambda _: SocketClient(emulator).resource("x"))
    assert overlaps == []


def test_nothing_is_lost_under_load(emulator, client):
    """Parallel sessions of many threads: all succeed, all are counted."""

    def live(_):
        pair = client.establish(str(uuid4()))
        for _ in range(3):
            pair = Pair(client.refresh(pair.refresh))
        return client.resource(pair.permission).status

    assert in_parallel(THREADS, live) == [200] * THREADS
    assert emulator.statistics.requests == len(emulator.journal) == THREADS * 6
    assert emulator.statistics.refreshes == THREADS * 3


def test_a_burst_of_connections_is_accepted(emulator):
    """200 at once: the backlog holds those that are not accepted yet, and nobody is refused."""

    async def ask():
        reader, writer = await asyncio.open_connection("127.0.0.1", emulator._listener.port)
        writer.write(b"GET /x HTTP/1.1\r\n\r\n")
        line = await reader.readline()
        writer.close()
        await writer.wait_closed()
        return line

    async def ask_all():
        return await asyncio.gather(*[ask() for _ in range(200)])

    assert set(asyncio.run(ask_all())) == {b"HTTP/1.1 404 Not Found\r\n"}


# --- starting, stopping, refusing ---


def test_a_restart_keeps_port_and_state():
    """stop and start: the same address, the same sessions."""
    emulator = Emulator()
    with emulator:
        client = SocketClient(emulator)
        pair, url = client.establish(), emulator.url
    with pytest.raises(ConnectionRefusedError):
        client.refresh(pair.refresh)
    emulator.start()
    try:
        assert emulator.url == url
        assert client.refresh(pair.refresh).status == 200
    finally:
        emulator.stop()
    emulator.stop()
    assert leftovers() == []


def test_starting_twice_is_a_mistake(emulator):
    """One emulator is one server."""
    with pytest.raises(RuntimeError, match="running"):
        emulator.start()


def test_a_taken_port_is_an_error(emulator):
    """OSError, and nothing is left behind."""
    other = Emulator(port=emulator._listener.port)
    with pytest.raises(OSError, match=r"[Aa]ddress"):
        other.start()
    assert len(leftovers()) == 1  # the first emulator's
    other.stop()


def test_a_port_that_can_be_bound_but_not_listened_on_is_an_error():
    """As while another emulator refuses connections: OSError, and no socket is left behind."""
    with Emulator() as emulator, socket.socket() as other, emulator.connections_refused():
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            other.bind(("127.0.0.1", emulator._listener.port))
        except OSError:
            return  # this system keeps the port even from being bound
        other.listen()
        with pytest.raises(OSError, match=r"[Aa]ddress"):
            emulator._listener.open()
        other.close()


def test_connections_refused(emulator, client):
    """Within the context nobody listens, and nobody else can take the port; after it all is as before."""
    pair = client.establish()
    with emulator.connections_refused():
        with pytest.raises(ConnectionRefusedError):
            client.refresh(pair.refresh)
        with pytest.raises(OSError, match=r"[Aa]ddress"):
            open_taker(emulator)
    assert client.refresh(pair.refresh).status == 200


def open_taker(emulator):
    """Try to bind the emulator's port."""
    with socket.socket() as taker:
        taker.bind(("127.0.0.1", emulator._listener.port))


def test_open_connections_go_on_while_others_are_refused(emulator, client):
    """Only new connections are refused."""
    pair = client.establish()
    gate = emulator.faults.add(hold())
    with ThreadPoolExecutor(1) as pool:
        answer = pool.submit(client.refresh, pair.refresh)
        assert gate.arrived.wait(TIMEOUT)
        with emulator.connections_refused():
            gate.release()
            assert answer.result(TIMEOUT).status == 200


def test_refusing_needs_a_running_emulator():
    """A stopped one refuses anyway; and one that is stopped meanwhile is not revived."""
    emulator = Emulator()
    with pytest.raises(RuntimeError, match="not running"), emulator.connections_refused():
        pass
    with emulator, emulator.connections_refused():
        emulator.stop()
    assert leftovers() == []


@pytest.mark.parametrize(
    "fault", [hold(), hold_answer(), latency(3600), latency(3600, answer=True), slow_drip(3600)], ids=repr
)
def test_stopping_cuts_everybody_off(fault):
    """Holds, latencies and drips end at once; the client sees a broken connection; nothing is left."""
    began = threading.Event()
    with Emulator() as emulator:
        emulator.faults.add(Fault("began", lambda exchange: began.set()), fault)
        connection = open_connection(emulator)
        connection.sendall(raw_refresh(emulator, "x"))
        assert began.wait(TIMEOUT)
    assert leftovers() == []
    with connection:
        try:
            assert len(read_all(connection)) <= 1
        except ConnectionResetError:
            pass


@needs_proc
def test_stopping_leaves_no_thread_and_no_socket():
    """Silent clients, half a request, an idle connection: all are cut off, every descriptor is given back."""
    before = open_descriptors()
    with Emulator(keep_alive=True) as emulator:
        clients = [open_connection(emulator) for _ in range(3)]
        clients[1].sendall(b"POST / HTTP/1.1\r\ncontent-length: 10\r\n\r\nhalf")
        clients[2].sendall(b"GET / HTTP/1.1\r\n\r\n")
        assert clients[2].recv(10) == b"HTTP/1.1 4"
    for each in clients:
        each.close()
    assert leftovers() == []
    assert open_descriptors() == before


@needs_proc
def test_clients_that_go_away_leave_nothing():
    """Whether in good order or by a reset, before or within a request."""
    before = open_descriptors()
    with Emulator() as emulator:
        for content in (b"", b"POST", raw_refresh(emulator, "x")):
            for lingering in (True, False):
                connection = open_connection(emulator)
                connection.sendall(content)
                if not lingering:
                    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                connection.close()
    assert leftovers() == []
    assert open_descriptors() == before


def test_ended_threads_are_not_hoarded(emulator, client):
    """A server that runs for weeks keeps nothing of connections that have ended."""
    for _ in range(20):
        client.resource("x")
    assert len(emulator._connections) + len(emulator._ended) < 10  # some may be on their way out


def test_a_fault_that_never_returns_is_named(monkeypatch):
    """RuntimeError instead of a silent leak."""
    monkeypatch.setattr(server_module, "STOP_LIMIT", 0.01)
    began, release = threading.Event(), threading.Event()

    def block(exchange):
        began.set()
        release.wait(TIMEOUT)

    emulator = Emulator()
    emulator.start()
    emulator.faults.add(Fault("block", block))
    with open_connection(emulator) as connection:
        connection.sendall(raw_refresh(emulator, "x"))
        assert began.wait(TIMEOUT)
        with pytest.raises(RuntimeError, match="fault"):
            emulator.stop()
        release.set()
        for thread in threading.enumerate():
            if thread.name == "tenure-emulator":
                thread.join(TIMEOUT)
    assert leftovers() == []


# --- for the command line ---


def test_serve_runs_until_it_is_told_to_stop():
    """`ready` is told where; the event ends it; nothing is left."""
    stop = threading.Event()
    seen = []

    def ready(emulator):
        seen.append(SocketClient(emulator).verify().status)
        stop.set()

    serve(Emulator(), stop, ready)
    assert seen == [200]
    assert leftovers() == []
