# How runs of trio end, or are given up, while they use a session; and two of them at once. What both async drivers have
# in common is test_endings.py's.

import subprocess
import sys
from typing import Any

import pytest
import trio
from tenure import AuthorizationProtocol, Call, Request, Response, TenureError, UsageError
from tenure.transports import _session, _trio_runs
from tenure.transports.trio import AuthorizationSession

from .driver_helpers import QUICK, TOKEN_ID
from .drivers import TIMEOUT
from .memory_service import MemoryService


def make(service: MemoryService, **options: Any) -> AuthorizationSession:
    """A session with a service in memory."""
    return AuthorizationSession(service.url, TOKEN_ID, ["read"], **{"send": service.send, "policy": QUICK, **options})


@pytest.mark.parametrize("name", ["refresh", "close", "keep_alive"])
def test_a_second_run_at_once_is_told(name: str) -> None:
    """Two threads' runs cannot wake each other's tasks: the second one gets an error, the first one goes on."""
    service = MemoryService(trio.lowlevel.checkpoint)
    problems: list[BaseException] = []

    def intrude() -> None:
        try:
            trio.run(getattr(session, name))
        except UsageError as problem:
            problems.append(problem)

    async def send(request: Request, timeout: float) -> Response:
        if service.outcomes:
            await trio.to_thread.run_sync(intrude)
        return await service.send(request, timeout)

    async def main() -> None:
        with trio.fail_after(TIMEOUT):
            await session.establish([service.security_token])
            await session.refresh()
            await session.close()

    session = make(service, send=send)
    trio.run(main)
    assert service.outcomes == ["issued", "refreshed"]
    assert len(problems) == 1
    assert "another thread" in str(problems[0])


def test_two_runs_by_turns() -> None:
    """While nothing is under way in the one, the other may go on."""
    service = MemoryService(trio.lowlevel.checkpoint)
    session = make(service)

    async def main() -> None:
        await session.establish([service.security_token])
        await trio.to_thread.run_sync(trio.run, session.refresh)
        await session.refresh()

    trio.run(main)
    assert service.outcomes == ["issued", "refreshed", "refreshed"]


GIVEN_UP = """
import gc, queue, time
import trio
from tenure.transports.emulator import AuthorizationService
from tenure.transports.trio import AuthorizationSession

service = AuthorizationService(grace=60)

async def send(request, timeout):
    response = service.handle(request, time.time())
    await trio.sleep(0.01)
    return response

token_id = "11111111-1111-4111-8111-111111111111"
session = AuthorizationSession("https://host.example/authorization/v1", token_id, ["read"], send=send)
trio.run(session.establish_by_key, service.merchant_key)
turns = queue.Queue()

async def guest():
    await session.refresh()

async def go_on():
    with trio.fail_after(20):
        await session.refresh()
        gc.collect()
        await session.refresh()
        await session.close()

trio.lowlevel.start_guest_run(guest, run_sync_soon_threadsafe=turns.put, done_callback=turns.put)
while len(service.journal) < 2:
    turns.get(timeout=20)()
del turns
gc.collect()  # or trio takes itself to be running still
trio.run(go_on)
print(*[entry.outcome for entry in service.journal], service.statistics.reuse_detected, session._held.generation)
"""


def test_a_run_that_its_host_gave_up() -> None:
    """Guest mode: the host's loop ends during an exchange. The session goes on in the next run, with the same request.

    What is left of the first run is collected then, and does not interfere.
    """
    done = subprocess.run(  # a process of its own, since trio has much to say about such a run
        [sys.executable, "-c", GIVEN_UP], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "issued refreshed replayed refreshed 0 3"


def test_what_is_asked_of_the_core_is_safe_from_ctrl_c(monkeypatch: pytest.MonkeyPatch) -> None:
    """A pump of which nobody knows would become two."""
    protected: list[bool] = []
    refresh = AuthorizationProtocol.refresh

    def watched(self: AuthorizationProtocol) -> Call:
        protected.append(trio.lowlevel.currently_ki_protected())
        return refresh(self)

    monkeypatch.setattr(AuthorizationProtocol, "refresh", watched)
    service = MemoryService(trio.lowlevel.checkpoint)
    session = make(service)

    async def main() -> None:
        with pytest.raises(TenureError):
            await session.refresh()
        assert not trio.lowlevel.currently_ki_protected()

    trio.run(main)
    assert protected == [True]


def test_ctrl_c_does_not_set_the_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    """It may come while the session looks at the clock of a new run for the first time."""
    clock = _trio_runs.RunsClock()
    read_clocks = _session.read_clocks

    def interrupted() -> Any:
        monkeypatch.setattr(_trio_runs, "read_clocks", read_clocks)
        raise KeyboardInterrupt

    async def look() -> float:
        return clock.now().monotonic

    async def look_twice() -> float:
        monkeypatch.setattr(_trio_runs, "read_clocks", interrupted)
        with pytest.raises(KeyboardInterrupt):
            clock.now()
        return clock.now().monotonic

    before = trio.run(look)
    assert before <= trio.run(look_twice) < before + TIMEOUT


def test_a_run_that_is_over_is_known_to_be() -> None:
    """One that goes on as well."""
    tokens: list[trio.lowlevel.TrioToken] = []

    async def main() -> None:
        tokens.append(trio.lowlevel.current_trio_token())
        assert _trio_runs.goes_on(tokens[0])

    trio.run(main)
    assert not _trio_runs.goes_on(tokens[0])
