# The drivers' own senders over real sockets, turn by turn: a caller leaves, the session is closed, a run ends, Ctrl-C
# comes, after 0, 1, 2, … turns of the scheduler, until the operation is done by itself. There is no grace window:
# one answer that is not taken in, or one request that is sent again, and the session is lost.

import shutil
import ssl
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from tenure import TenureError
from tenure.transports.emulator import Emulator

from .driver_helpers import QUICK, TOKEN_ID, security_token
from .loopback import Certificate
from .turns import AsyncioTurns, Operation, TrioTurns, Turns, interrupt, silence, walk, was_interrupted

OPERATIONS = ("verify_credentials", "establish", "establish_by_key", "get_permission_token", "refresh")

CROWDS = {"http": (0, 1, 5), "https": (0, 1)}  # how many other callers wait

NewSession = Callable[[], Any]


@pytest.fixture(params=[AsyncioTurns, TrioTurns], ids=["asyncio", "trio"])
def world(request: pytest.FixtureRequest) -> Iterator[Turns]:
    """Each world; whatever is left behind in it is an error, the emulator's sockets included."""
    made: Turns = request.param()
    with silence(made):
        yield made


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    """A certificate for 127.0.0.1."""
    assert shutil.which("openssl"), "the openssl program makes the certificate for this test"
    return Certificate(tmp_path_factory.mktemp("certificate"), "IP:127.0.0.1")


@pytest.fixture(params=["http", "https"])
def emulator(request: pytest.FixtureRequest, world: Turns) -> Iterator[Emulator]:
    """A service without a grace window."""
    context = request.getfixturevalue("certificate").server_context() if request.param == "https" else None
    with Emulator(ssl_context=context, permission_lifetime=10_000) as emulator:
        yield emulator


@pytest.fixture
def new_session(world: Turns, emulator: Emulator, request: pytest.FixtureRequest) -> NewSession:
    """Return a function that makes a session with the emulator."""
    context: ssl.SSLContext | None = None
    if emulator.url.startswith("https"):
        context = ssl.create_default_context(cafile=str(request.getfixturevalue("certificate").path))

    def make() -> Any:
        return world.driver.AuthorizationSession(emulator.url, TOKEN_ID, ["read"], policy=QUICK, ssl_context=context)

    return make


def rotations(emulator: Emulator) -> int:
    """Return how many pairs the service has given away, each of which has to have arrived."""
    return sum(done(emulator)[outcome] for outcome in ("issued", "refreshed"))


def crowds(emulator: Emulator) -> tuple[int, ...]:
    """Return how many others are to wait, in turn."""
    return CROWDS[emulator.url.partition(":")[0]]


def operation_of(session: Any, emulator: Emulator, name: str) -> Operation:
    """Return the operation of that name as a function without arguments."""
    arguments: dict[str, tuple[Any, ...]] = {
        "verify_credentials": tuple(emulator.credentials),
        "establish": ([security_token(emulator)],),
        "establish_by_key": (emulator.merchant_key,),
    }
    method = getattr(session, name)
    return lambda: method(*arguments.get(name, ()))


def done(emulator: Emulator) -> Counter[str]:
    """Return how often the service has done what."""
    return Counter(entry.outcome for entry in emulator.journal)


class Departure:
    """A caller that leaves after so many turns, and whether it had to."""

    def __init__(self, world: Turns, turns: int, operation: Operation) -> None:
        self._world, self._turns, self._operation = world, turns, operation
        self.was_early = False

    async def __call__(self) -> None:
        self.was_early = await self._world.leave("cancel", self._turns, self._operation)


@pytest.mark.parametrize("name", OPERATIONS)
def test_a_caller_leaves_at_every_turn(world: Turns, emulator: Emulator, new_session: NewSession, name: str) -> None:
    """Invariant 4: only the caller leaves; nothing is lost, sent twice or left behind."""
    session = new_session()
    outcome = {"verify_credentials": "verified", "get_permission_token": "refreshed", "refresh": "refreshed"}

    async def main(others: int, turns: int) -> bool:
        await session.establish_by_key(emulator.merchant_key)
        refused = await session.get_permission_token()
        session.invalidate(refused)
        before = done(emulator)
        ask = operation_of(session, emulator, name)
        departure = Departure(world, turns, ask)
        answers = await world.together(departure, [ask] * others)
        assert not any(isinstance(answer, BaseException) for answer in answers)
        while session._held.busy:
            await session.refresh()  # joins the refresh under way, or waits behind whatever else is
        assert await session.get_permission_token() != refused
        asked = (done(emulator) - before)[outcome.get(name, "issued")]
        assert asked == 1 if name in ("get_permission_token", "refresh") else others <= asked <= others + 1
        return departure.was_early

    for others in crowds(emulator):
        turns = walk(lambda turns, others=others: world.run(lambda: main(others, turns)))  # type: ignore[misc]
        assert turns > 2
    assert emulator.statistics.reuse_detected == 0


def test_close_at_every_turn(world: Turns, emulator: Emulator, new_session: NewSession) -> None:
    """What has left is waited for, what has not is not sent; and whoever waited is told."""

    async def main(others: int, turns: int) -> bool:
        session = new_session()
        await session.establish_by_key(emulator.merchant_key)
        before = done(emulator)
        departure = Departure(world, turns, session.refresh)

        async def close() -> None:
            await departure()
            await session.close()
            assert not session._held.busy
            sent = (done(emulator) - before)["refreshed"]
            assert session._held.generation == 1 + sent  # the answer to what had left was taken in

        answers = await world.together(close, [session.refresh] * others)
        assert all(answer is None or isinstance(answer, TenureError) for answer in answers)
        return departure.was_early

    for others in crowds(emulator):
        assert walk(lambda turns, others=others: world.run(lambda: main(others, turns))) > 2  # type: ignore[misc]


@pytest.mark.parametrize("name", ["get_permission_token", "refresh"])
def test_a_run_ends_at_every_turn(world: Turns, emulator: Emulator, new_session: NewSession, name: str) -> None:
    """Invariant 4: `asyncio.run` cancels every task, and the same session goes on in the next: nothing was lost."""
    session = new_session()

    async def main(others: int, turns: int) -> bool:
        if not session._held.generation:
            await session.establish_by_key(emulator.merchant_key)
        session.invalidate(session._protocol.newest_token())
        departure = Departure(world, turns, getattr(session, name))
        for _ in range(others):
            world.begin(getattr(session, name))
        await departure()
        return departure.was_early

    def visit(others: int, turns: int) -> bool:
        was_early: bool = world.run(lambda: main(others, turns), leftovers=True)
        assert session._held.generation == rotations(emulator)  # before anybody has asked again
        return was_early

    for others in crowds(emulator):
        assert walk(lambda turns, others=others: visit(others, turns)) > 2  # type: ignore[misc]
    world.run(session.refresh)
    assert emulator.statistics.reuse_detected == 0


@pytest.mark.parametrize("name", ["get_permission_token", "refresh"])
def test_ctrl_c_at_every_turn(world: Turns, emulator: Emulator, new_session: NewSession, name: str) -> None:
    """Invariant 4: the program is interrupted, the answer to what has left is taken in, and the session goes on."""
    session = new_session()

    async def main(others: int, turns: int) -> None:
        if not session._held.generation:
            await session.establish_by_key(emulator.merchant_key)
        session.invalidate(session._protocol.newest_token())
        for _ in range(others):
            world.begin(getattr(session, name))
        world.agenda.after(turns + 1, interrupt)
        await getattr(session, name)()
        world.agenda.clear()

    def visit(others: int, turns: int) -> bool:
        was_early = was_interrupted(world, lambda: main(others, turns))
        assert session._held.generation == rotations(emulator)
        return was_early

    for others in crowds(emulator):
        assert walk(lambda turns, others=others: visit(others, turns)) > 2  # type: ignore[misc]
    world.run(session.refresh)
    assert emulator.statistics.reuse_detected == 0
