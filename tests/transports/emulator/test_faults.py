# Each fault, seen from the client's side of a real socket.

import http.client
import json
from concurrent.futures import ThreadPoolExecutor
from email.utils import parsedate_to_datetime
from time import monotonic, time

import pytest
from tenure.transports.emulator import (
    Fault,
    acted_status,
    hold,
    hold_answer,
    latency,
    lose_answer,
    redirect,
    reset_after,
    reset_before,
    slow_drip,
    status,
)

from .helpers import TIMEOUT, Pair, raw_refresh, send_raw


@pytest.fixture
def background():
    """Runs what blocks on a thread."""
    with ThreadPoolExecutor(4) as pool:
        yield pool


def test_hold_keeps_the_request_before_the_service_acts(emulator, client, background):
    """The request is in the server, nothing has happened yet; then it goes on as if nothing had been."""
    pair = client.establish()
    gate = emulator.faults.add(hold())
    answer = background.submit(client.refresh, pair.refresh)
    assert gate.arrived.wait(TIMEOUT)
    assert emulator.statistics.refreshes == 0
    gate.release()
    assert answer.result(TIMEOUT).status == 200
    assert emulator.journal[-1].fault == "hold"


def test_hold_answer_keeps_the_answer(emulator, client, background):
    """The service has acted, but the client does not know yet."""
    pair = client.establish()
    gate = emulator.faults.add(hold_answer())
    answer = background.submit(client.refresh, pair.refresh)
    assert gate.arrived.wait(TIMEOUT)
    assert emulator.statistics.refreshes == 1
    assert not answer.done()
    gate.release()
    assert answer.result(TIMEOUT).status == 200


def test_a_released_hold_keeps_nothing(emulator, client):
    """Releasing beforehand is not lost."""
    pair = client.establish()
    gate = emulator.faults.add(hold())
    gate.release()
    assert client.refresh(pair.refresh).status == 200
    assert gate.arrived.is_set()


def test_a_hold_does_not_hold_up_others(emulator, client, background):
    """Requests overlap: whoever waits, waits outside of the service's lock."""
    pair = client.establish()
    gate = emulator.faults.add(hold())
    answer = background.submit(client.refresh, pair.refresh)
    assert gate.arrived.wait(TIMEOUT)
    assert client.resource(pair.permission).status == 200
    gate.release()
    assert answer.result(TIMEOUT).status == 200


@pytest.mark.parametrize("answer", [False, True])
def test_latency(emulator, client, answer):
    """The wait is before the service acts, or after it has acted."""
    moments = []
    mark = Fault("mark", lambda _: moments.append(monotonic()), lambda _: moments.append(monotonic()))
    emulator.faults.add(latency(0.05, answer=answer), mark)
    moments.append(monotonic())
    assert client.refresh(client.establish().refresh).status == 200
    sent, acting, answering = moments
    assert (answering - acting if answer else acting - sent) >= 0.05


def test_latencies_overlap(emulator, client, background):
    """Four requests wait at the same time: a second one has come before the first has gone."""
    gates = [emulator.faults.add(hold(), latency(0.01), kind="resource") for _ in range(4)]
    answers = [background.submit(client.resource, "x") for _ in gates]
    assert all(gate.arrived.wait(TIMEOUT) for gate in gates)
    for gate in gates:
        gate.release()
    assert [answer.result(TIMEOUT).status for answer in answers] == [401] * 4


@pytest.mark.parametrize(("part", "slow_head", "slow_body"), [("everything", 1, 1), ("headers", 1, 0), ("body", 0, 1)])
def test_slow_drip(emulator, client, part, slow_head, slow_body):
    """The answer comes whole, byte by byte, in the part that was asked for."""
    emulator.faults.add(slow_drip(0.0001, part), kind="resource")
    began = monotonic()
    answer = client.resource("x")
    head = sum(len(name) + len(value) + 4 for name, value in answer.headers)
    assert answer.status == 401
    assert json.loads(answer.body)["error"] == "invalid_token"
    assert monotonic() - began >= 0.0001 * (slow_head * head + slow_body * len(answer.body))


def test_slow_drip_of_nothing_known():
    """Another part is a mistake of the test."""
    with pytest.raises(ValueError, match="part"):
        slow_drip(1, "tail")


def test_reset_before(emulator, client):
    """A reset; the service never saw the request, so the refresh token is as good as before."""
    pair = client.establish()
    emulator.faults.add(reset_before())
    with pytest.raises(ConnectionResetError):
        client.refresh(pair.refresh)
    assert client.refresh(pair.refresh).status == 200
    assert [(entry.outcome, entry.status, entry.fault) for entry in emulator.journal.of("refresh")] == [
        ("not acted", 0, "reset_before"),
        ("refreshed", 200, ""),
    ]


def test_reset_after(emulator, client):
    """A reset; the service has rotated, so the refresh token is used."""
    pair = client.establish()
    emulator.faults.add(reset_after())
    with pytest.raises(ConnectionResetError):
        client.refresh(pair.refresh)
    assert client.refresh(pair.refresh).status == 401
    assert emulator.statistics.reuse_detected == 1


def test_lose_answer(emulator, client):
    """The connection ends in good order without a byte, though the service has rotated."""
    pair = client.establish()
    emulator.faults.add(lose_answer())
    assert send_raw(emulator, raw_refresh(emulator, pair.refresh)) == b""
    assert emulator.statistics.refreshes == 1


def test_the_grace_window_gives_a_lost_answer_back(emulator, client):
    """DESIGN.md, Failures: the same refresh token with the same request id."""
    emulator.service.grace = 30
    pair = client.establish()
    emulator.faults.add(lose_answer())
    request_id = "11111111-2222-4333-8444-555555555555"
    with pytest.raises(http.client.RemoteDisconnected):
        client.refresh(pair.refresh, request_id)
    again = Pair(client.refresh(pair.refresh, request_id))
    assert client.refresh(again.refresh).status == 200
    assert [entry.outcome for entry in emulator.journal.of("refresh")] == ["refreshed", "replayed", "refreshed"]


def test_status(emulator, client):
    """That status, and the service never saw the request."""
    pair = client.establish()
    emulator.faults.add(status(503))
    answer = client.refresh(pair.refresh)
    assert (answer.status, answer.header("retry-after")) == (503, None)
    assert json.loads(answer.body)["error"] == "gateway"
    assert (emulator.journal[-1].outcome, emulator.journal[-1].status) == ("not acted", 503)
    assert client.refresh(pair.refresh).status == 200


@pytest.mark.parametrize(("retry_after", "text"), [(0, "0"), (2, "2"), (1.5, "1.5"), ("soon", "soon")])
def test_retry_after(emulator, client, retry_after, text):
    """RFC 9110, section 10.2.3: seconds; or whatever a server may say."""
    emulator.faults.add(status(429, retry_after, body=b""))
    answer = client.refresh("x")
    assert (answer.status, answer.header("retry-after"), answer.body) == (429, text, b"")


def test_retry_after_as_a_date(emulator, client):
    """The other form is a date on the service's clock, as the header Date is."""
    emulator.service.clock_offset = 7200
    emulator.faults.add(status(503, 60, as_date=True))
    answer = client.refresh("x")
    date, retry_after = (parsedate_to_datetime(str(answer.header(name))) for name in ("date", "retry-after"))
    assert (retry_after - date).total_seconds() == 60
    assert abs(date.timestamp() - time() - 7200) < 60


def test_acted_status(emulator, client):
    """A gateway that lost its backend: 503, and the service has rotated."""
    pair = client.establish()
    emulator.faults.add(acted_status(502, 1))
    answer = client.refresh(pair.refresh)
    assert (answer.status, answer.header("retry-after")) == (502, "1")
    assert emulator.statistics.refreshes == 1
    assert (emulator.journal[-1].outcome, emulator.journal[-1].fault) == ("refreshed", "acted_status")


def test_redirect(emulator, client):
    """307 to elsewhere, and the service never saw the request."""
    emulator.faults.add(redirect("http://127.0.0.1:9/"), kind="credentials")
    answer = client.verify()
    assert (answer.status, answer.header("location"), answer.body) == (307, "http://127.0.0.1:9/", b"")
    assert emulator.statistics.verified == 0


def test_faults_combine(emulator, client):
    """Several faults befall one request in their order, and the journal names them all."""
    pair = client.establish()
    gate = hold_answer()
    gate.release()
    emulator.faults.add(latency(0.001), gate, reset_after())
    with pytest.raises(ConnectionResetError):
        client.refresh(pair.refresh)
    assert emulator.journal[-1].fault == "latency+hold_answer+reset_after"


def test_a_fault_of_ones_own(emulator, client):
    """Two callables make a fault; both get the exchange."""
    seen = []

    def before(exchange):
        seen.append(exchange.response)

    def after(exchange):
        seen.append(exchange.response.status)

    emulator.faults.add(Fault("mine", before, after))
    client.refresh("x")
    assert seen == [None, 401]
    assert emulator.journal[-1].fault == "mine"


def test_no_secret_in_any_repr(emulator, client):
    """An exchange and a fault show neither bodies nor headers."""
    shown = []
    pair = client.establish()
    emulator.faults.add(Fault("look", after=lambda exchange: shown.append(repr(exchange))))
    client.refresh(pair.refresh)
    assert pair.refresh not in shown[0]
    assert repr(hold()) == "<Fault hold>"
