# Where things are kept, and what that takes.

import sys
from pathlib import Path

import pytest
from tenure.transports.cli import main
from tenure.transports.cli.exits import CommandError
from tenure.transports.cli.places import check_place, config_directory, describe_place, open_store
from tenure.transports.stores import FileStore, RedisStore


@pytest.fixture(autouse=True)
def nothing_said(monkeypatch: pytest.MonkeyPatch) -> None:
    """An environment without a word about places."""
    for name in ("CONFIG_DIR", "STATE_DIR", "STORE_KEY", "REDIS_PASSWORD", "PROFILE"):
        monkeypatch.delenv(f"TENURE_{name}", raising=False)


def test_the_platforms_directories(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A library knows them; on Linux they follow the XDG base directories."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "c"))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "s"))
    assert config_directory() == tmp_path / "c" / "tenure"
    assert describe_place(None) == str(tmp_path / "s" / "tenure" / "sessions")


def test_directories_of_the_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Made absolute: a command may run elsewhere next time."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TENURE_CONFIG_DIR", "here")
    monkeypatch.setenv("TENURE_STATE_DIR", "there")
    assert config_directory() == tmp_path / "here"
    assert describe_place(None) == str(tmp_path / "there" / "sessions")
    assert check_place("d") == str(tmp_path / "d")


def test_without_the_library_the_extra_is_named(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit code 2; with both variables set it is not needed."""
    monkeypatch.setitem(sys.modules, "platformdirs", None)
    assert main(["token"]) == 2
    assert capsys.readouterr().err == (
        "tenure token: this needs platformdirs, not installed here: pip install 'tenure[cli]'\n"
    )


@pytest.mark.parametrize(
    "place", ["redis://host", "redis://ann@host:6379/0", "rediss://host/3?ssl_cert_reqs=required", "redis://[::1]/0"]
)
def test_urls_that_are_kept_as_they_are(place: str) -> None:
    """A user's name is no secret."""
    assert check_place(place) == place


@pytest.mark.parametrize(
    "place",
    [
        "redis://ann:hunter2@host",
        "redis://:hunter2@host",
        "rediss://ann:hun@ter2@host",
        "redis://ann:hun/ter2@host",
        "redis://host?password=hunter2",
        "redis://host/0?ssl_PASSWORD=hunter2",
    ],
)
def test_a_password_in_a_url_is_refused(place: str) -> None:
    """Invariant 9: it would stand in an argument. The remedy is named, the password is not."""
    with pytest.raises(CommandError, match="TENURE_REDIS_PASSWORD") as refused:
        check_place(place)
    assert refused.value.exit_code == 2
    assert "ter2" not in str(refused.value)


def test_stores_by_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A path is a directory, a url is Redis, which gets its password."""
    assert isinstance(open_store(str(tmp_path / "sessions")), FileStore)
    monkeypatch.setenv("TENURE_REDIS_PASSWORD", "p@ss/word")
    for place, user in (("redis://ann@host:7000/2", "ann"), ("redis://host:7000/2", None)):
        store = open_store(place)
        assert isinstance(store, RedisStore)
        told = store._client.connection_pool.connection_kwargs
        assert (told["host"], told["port"], told["db"]) == ("host", 7000, 2)
        assert (told.get("username"), told["password"]) == (user, "p@ss/word")


@pytest.mark.parametrize(
    ("place", "need", "extra"),
    [("redis://host", "redis", "redis"), ("d", "filelock", "file"), ("d", "cryptography", "encryption")],
)
def test_a_store_whose_library_is_missing_names_the_extra(
    place: str, need: str, extra: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """DESIGN.md, Packaging."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(sys.modules, need, None)
    monkeypatch.setenv("TENURE_STORE_KEY", "k")
    with pytest.raises(CommandError) as refused:
        open_store(place)
    assert str(refused.value) == f"this needs {need}, not installed here: pip install 'tenure[{extra}]'"


def test_a_place_that_only_the_library_finds_wanting() -> None:
    """Exit code 2, and what a url looks like."""
    with pytest.raises(CommandError, match="--store is of no use: url must be like redis://") as refused:
        open_store("redis://host:nowhere")
    assert refused.value.exit_code == 2
