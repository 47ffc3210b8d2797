# What callers see when the store fails under a session, with real Redis servers and real files: nothing while a token
# works, an error that says why at the end of its life, and all is well again when the store is.

import os
import shutil
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ..stores.redis_server import RedisServer
from .conftest import NewFleet, Service
from .fleet import Fleet, Process
from .small_disk import SmallDisk

pytestmark = pytest.mark.once

HASTY = {"deadline": 4, "attempt_timeout": 5, "backoff_base": 0.01, "backoff_cap": 0.05}
DISK_TROUBLES = ("full", "read-only")
Trouble = Callable[[RedisServer], object]


@pytest.fixture
def redis_store(redis_server: RedisServer) -> dict[str, Any]:
    """A Redis that is given up soon."""
    return {"kind": "redis", "url": redis_server.url, "timeout": 0.2}


@pytest.fixture
def small_disk(tmp_path: Path) -> SmallDisk:
    """A disk that can be filled."""
    return SmallDisk(tmp_path / "disk", policy=HASTY)


def let_die(fleet: Fleet, service: Service) -> None:
    """Let time pass until the permission token is dead."""
    service.passed += 1000
    fleet.all_do("advance", seconds=1000)


TROUBLES: dict[str, tuple[Trouble, Trouble, str]] = {
    "unreachable": (RedisServer.stop, RedisServer.start, "cannot be reached"),
    "paused": (RedisServer.pause, RedisServer.resume, "did not answer in time"),
    "out of memory": (lambda server: server.limit_memory(1), lambda server: server.limit_memory(0), "out of memory"),
}


@pytest.mark.parametrize("name", TROUBLES)
def test_redis_fails_and_comes_back(
    new_fleet: NewFleet, service: Service, redis_server: RedisServer, redis_store: dict[str, Any], name: str
) -> None:
    """DESIGN.md, stores: callers notice nothing while the token works; then a RefreshError says why; then it works."""
    fail, mend, words = TROUBLES[name]
    fleet = new_fleet(2, redis_store, policy=HASTY)
    before = {answer["token"] for answer in fleet.all_do("get")}
    fail(redis_server)
    assert {answer["token"] for answer in fleet.all_do("get")} == before
    let_die(fleet, service)
    for answer in fleet.all_do("get"):
        assert answer["error"] == "RefreshError"
        assert words in answer["text"]
        assert not answer["ambiguous"]
    assert service.refreshes() == []
    mend(redis_server)
    fleet.all_do("advance", seconds=60)  # whatever was to be waited for
    assert len({answer["token"] for answer in fleet.all_do("get")}) == 1
    assert "reuse" not in service.refreshes()


def test_redis_fails_and_the_policy_goes_on_without_it(
    new_fleet: NewFleet, service: Service, redis_server: RedisServer, redis_store: dict[str, Any]
) -> None:
    """on_store_failure="refresh": the other risk. The pair is saved when the store is back, and the others adopt it."""
    policy = {**HASTY, "deadline": 6, "attempt_timeout": 4, "on_store_failure": "refresh"}
    fleet = new_fleet(2, redis_store, policy=policy)
    fleet.all_do("get")
    redis_server.pause()
    let_die(fleet, service)
    alone = fleet.processes[0].do("get")
    assert "token" in alone
    redis_server.resume()
    assert "token" in fleet.processes[0].do("refresh")  # saves the first pair, and gets another
    assert "token" in fleet.processes[1].do("get")
    assert service.refreshes() == ["refreshed", "refreshed"]


def test_redis_fails_between_the_answer_and_the_save(
    new_fleet: NewFleet, service: Service, redis_server: RedisServer, redis_store: dict[str, Any]
) -> None:
    """Invariant 8: nobody is given what is not durable; it is kept back, and saved first when the store is back."""
    fleet = new_fleet(2, redis_store, policy={**HASTY, "deadline": 5})
    fleet.all_do("get")
    let_die(fleet, service)
    holder, other = fleet.processes
    stop_before_save(holder)
    redis_server.pause()
    holder.go_on()
    answer = holder.answer()
    assert answer["error"] == "RefreshError"
    assert "could not be saved" in answer["text"]
    redis_server.resume()
    holder.do("advance", seconds=60)
    kept = holder.do("get")
    assert "token" in kept
    assert other.do("get") == kept
    assert service.refreshes() == ["refreshed"]


def stop_before_save(process: Process) -> None:
    """Let a process stop itself right before it saves a new pair."""
    process.do("arm", signal_at="before save", number=signal.SIGSTOP)
    process.ask("get")
    assert process.stops() == "before save"


def test_redis_fails_over_to_an_empty_instance(
    new_fleet: NewFleet, service: Service, redis_server: RedisServer, redis_store: dict[str, Any]
) -> None:
    """Whoever still holds the pair goes on with it, and the others adopt what it saves anew."""
    fleet = new_fleet(3, redis_store)
    fleet.all_do("get")
    redis_server.fail_over_to_empty()
    let_die(fleet, service)
    assert len({answer["token"] for answer in fleet.all_do("get")}) == 1
    assert service.refreshes() == ["refreshed"]
    assert "token" in fleet.add().do("get")


def state_file(store: dict[str, Any]) -> Path:
    (path,) = Path(store["directory"]).glob("*.json")
    return path


def unsafe_mode(path: Path) -> Callable[[], object]:
    path.chmod(0o644)
    return lambda: path.chmod(0o600)


def open_directory(path: Path) -> Callable[[], object]:
    path.parent.chmod(0o755)
    return lambda: path.parent.chmod(0o700)


def foreign_owner(path: Path) -> Callable[[], object]:
    os.chown(path, 12345, 12345)
    return lambda: os.chown(path, os.geteuid(), os.getegid())


def truncated(path: Path) -> Callable[[], object]:
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    return lambda: path.write_bytes(content)


def emptied(path: Path) -> Callable[[], object]:
    content = path.read_bytes()
    path.write_bytes(b"")
    return lambda: path.write_bytes(content)


def overwritten(path: Path) -> Callable[[], object]:
    content = path.read_bytes()
    path.write_bytes(b"\xff\x00" * 500)
    return lambda: path.write_bytes(content)


FILE_TROUBLES: dict[Callable[[Path], Callable[[], object]], str] = {
    unsafe_mode: "chmod 600",
    open_directory: "chmod 700",
    foreign_owner: "belongs to another user",
    truncated: "damaged",
    emptied: "damaged",
    overwritten: "damaged",
}


@pytest.mark.parametrize("spoil", FILE_TROUBLES, ids=lambda spoil: spoil.__name__)
def test_a_file_is_spoilt_and_mended(
    new_fleet: NewFleet, service: Service, file_store: dict[str, Any], spoil: Callable[[Path], Callable[[], object]]
) -> None:
    """Nobody notices while the token works; then the error says what is wrong with the file; mended, it goes on."""
    fleet = new_fleet(2, file_store, policy=HASTY)
    fleet.all_do("get")
    mend = spoil(state_file(file_store))
    assert all("token" in answer for answer in fleet.all_do("get"))
    let_die(fleet, service)
    for process in fleet.processes:  # one by one: else the other one may have the lock, and that be the reason
        answer = process.do("get")
        assert answer["error"] in ("RefreshError", "SnapshotError"), answer
        assert FILE_TROUBLES[spoil] in answer["text"]
    assert service.refreshes() == []
    mend()
    fleet.all_do("advance", seconds=60)
    assert len({answer["token"] for answer in fleet.all_do("get")}) == 1
    assert service.refreshes() == ["refreshed"]


@pytest.mark.parametrize("spoil", [truncated, emptied, overwritten], ids=lambda spoil: spoil.__name__)
def test_a_damaged_file_is_replaced_by_establishing(
    new_fleet: NewFleet, service: Service, file_store: dict[str, Any], spoil: Callable[[Path], Callable[[], object]]
) -> None:
    """A state that cannot be read is in nobody's way who is about to replace it."""
    fleet = new_fleet(2, file_store, policy=HASTY)
    spoil(state_file(file_store))
    assert "token" in fleet.processes[0].do("establish", tokens=[service.security_token()])
    assert "token" in fleet.processes[1].do("get")


@pytest.mark.parametrize("spoil", DISK_TROUBLES)
def test_a_disk_is_full_or_read_only(new_fleet: NewFleet, service: Service, small_disk: SmallDisk, spoil: str) -> None:
    """Nobody notices while the token works; then the error says what to do; with room, it goes on."""
    fleet = small_disk.fleet(new_fleet)
    before = {answer["token"] for answer in fleet.all_do("get")}
    mend, words = small_disk.fill() if spoil == "full" else small_disk.make_read_only()
    assert {answer["token"] for answer in fleet.all_do("get")} == before
    let_die(fleet, service)
    for process in fleet.processes:  # one by one: else the other one may have the lock, and that be the reason
        answer = process.do("get")
        assert answer["error"] == "RefreshError"
        assert words in answer["text"]
        assert not answer["ambiguous"]
    assert service.refreshes() == []
    mend()
    fleet.all_do("advance", seconds=60)
    assert len({answer["token"] for answer in fleet.all_do("get")}) == 1
    assert service.refreshes() == ["refreshed"]


def test_a_disk_is_full_between_the_answer_and_the_save(
    new_fleet: NewFleet, service: Service, small_disk: SmallDisk
) -> None:
    """Invariant 8: the pair is kept back, and saved first when that can be done."""
    fleet = small_disk.fleet(new_fleet)
    fleet.all_do("get")
    let_die(fleet, service)
    holder, other = fleet.processes
    stop_before_save(holder)
    mend, words = small_disk.fill()
    holder.go_on()
    answer = holder.answer()
    assert answer["error"] == "RefreshError"
    assert "could not be saved" in answer["text"]
    assert words in answer["text"]
    mend()
    holder.do("advance", seconds=60)
    kept = holder.do("get")
    assert "token" in kept
    assert other.do("get") == kept
    assert service.refreshes() == ["refreshed"]


def test_the_directory_is_deleted(new_fleet: NewFleet, service: Service, file_store: dict[str, Any]) -> None:
    """Whoever holds the pair goes on with it, and saves it in a directory made anew."""
    fleet = new_fleet(2, file_store)
    fleet.all_do("get")
    shutil.rmtree(file_store["directory"])
    let_die(fleet, service)
    assert len({answer["token"] for answer in fleet.all_do("get")}) == 1
    assert service.refreshes() == ["refreshed"]


@pytest.mark.parametrize("wall", [3600, -3600])
def test_wall_clocks_jump_between_processes(
    new_fleet: NewFleet, service: Service, plain_store: dict[str, Any], wall: float
) -> None:
    """The age of what is stored is the store's word: whoever's wall clock is an hour off refreshes no more often."""
    fleet = new_fleet(3, plain_store)
    fleet.all_do("get")
    for expiry in range(3):
        fleet.processes[expiry].do("advance", seconds=0, wall=wall)
        let_die(fleet, service)
        tokens = {answer.get("token") for answer in fleet.all_do("get")}
        assert len(tokens) == 1
        assert None not in tokens
        assert {answer.get("token") for answer in fleet.all_do("get")} == tokens
    assert service.refreshes() == ["refreshed"] * 3
