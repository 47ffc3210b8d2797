# A profile's file: its name, what it may hold, and how it is replaced.

import json
from pathlib import Path

import pytest
from tenure.transports.cli.exits import CommandError
from tenure.transports.cli.profiles import (
    Draft,
    Profile,
    chosen_name,
    find_profile,
    forget_profile,
    list_profiles,
    login_command,
    read_profile,
)

GOOD = {
    "format": "tenure profile",
    "version": 1,
    "url": "https://host/authorization/v1",
    "token_id": "t",
    "permissions": ["read"],
    "store": None,
    "username": "ann",
    "allow_http": False,
}


@pytest.fixture(autouse=True)
def directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where profiles are."""
    monkeypatch.setenv("TENURE_CONFIG_DIR", str(tmp_path))
    monkeypatch.delenv("TENURE_PROFILE", raising=False)
    profiles = tmp_path / "profiles"
    profiles.mkdir()
    return profiles


def profile(name: str, url: str = "https://host") -> Profile:
    return Profile(name, url, "t", ["read", "secret"], "/place", None, True)


def test_a_profile_is_what_was_kept() -> None:
    """Each field comes back."""
    Draft(profile("work")).keep()
    found = read_profile("work")
    for field in Profile.__slots__:
        assert getattr(found, field) == getattr(profile("work"), field)
    assert repr(found) == "<Profile work: https://host>"


def test_a_draft_replaces_nothing_until_it_is_kept(directory: Path) -> None:
    """And leaves no trace when it is dropped, before or after."""
    Draft(profile("work", "https://old")).keep()
    draft = Draft(profile("work", "https://new"))
    assert read_profile("work").url == "https://old"
    draft.drop()
    assert read_profile("work").url == "https://old"
    draft = Draft(profile("work", "https://new"))
    draft.keep()
    draft.drop()
    assert read_profile("work").url == "https://new"
    assert [path.name for path in directory.iterdir()] == ["work.json"]
    assert list_profiles() == ["work"]


def test_a_draft_that_cannot_be_kept_is_an_error(directory: Path) -> None:
    """With the reason."""
    draft = Draft(profile("work"))
    (directory / "work.json").mkdir()
    with pytest.raises(CommandError, match="cannot write the profile"):
        draft.keep()


def test_a_profile_that_cannot_be_read_or_removed_is_an_error(directory: Path) -> None:
    """A directory in its place, say."""
    (directory / "work.json").mkdir()
    with pytest.raises(CommandError, match="cannot read the profile") as refused:
        find_profile("work")
    assert refused.value.exit_code == 2
    with pytest.raises(CommandError, match="cannot remove the profile"):
        forget_profile("work")


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("", "it is not JSON"),
        ('{"format": "tenure profile"', "it is not JSON"),
        ("\udcff", "it is not JSON"),
        ("[]", "it is not a profile of tenure"),
        ("{}", "it is not a profile of tenure"),
        ({"format": "else"}, "it is not a profile of tenure"),
        ({"version": 2}, "it may be from a newer tenure"),
        ({"version": True}, "it may be from a newer tenure"),
        ({"version": None}, "it may be from a newer tenure"),
        ({"url": 7}, "url is missing, or of the wrong type"),
        ({"token_id": None}, "token_id is missing"),
        ({"permissions": "read"}, "permissions is missing"),
        ({"store": 7}, "store is missing"),
        ({"username": []}, "username is missing"),
        ({"allow_http": "yes"}, "allow_http is missing"),
    ],
)
def test_a_damaged_profile_is_told_with_the_remedy(
    content: str | dict[str, object], reason: str, directory: Path
) -> None:
    """Exit code 2: which file, what is wrong with it, and what to do."""
    text = content if isinstance(content, str) else json.dumps({**GOOD, **content})
    path = directory / "work.json"
    path.write_bytes(text.encode("utf-8", "surrogateescape"))
    with pytest.raises(CommandError) as refused:
        read_profile("work")
    assert refused.value.exit_code == 2
    assert str(refused.value).startswith(f"the profile {path} is damaged: ")
    assert reason in str(refused.value)
    assert "remove it and run: tenure login --profile work --url " in str(refused.value)


def test_a_field_that_may_be_null_may_be_missing(directory: Path) -> None:
    """A hand-written profile need not say it."""
    facts = {name: value for name, value in GOOD.items() if name != "store"}
    (directory / "work.json").write_text(json.dumps(facts))
    assert read_profile("work").store is None


@pytest.mark.parametrize("name", ["../x", "a/b", ".hidden", "-x", "a b", "ä", "x" * 65, "a\n"])
def test_a_name_that_is_no_file_name_is_refused(name: str) -> None:
    """It stands in a path and in what people are told to type."""
    with pytest.raises(CommandError) as refused:
        chosen_name(name)
    assert refused.value.exit_code == 2


def test_which_profile(monkeypatch: pytest.MonkeyPatch) -> None:
    """The option, else the environment, else the usual one; and what to type says so only where it must."""
    assert chosen_name(None) == "default"
    assert login_command("default") == "tenure login"
    assert login_command("work") == "tenure login --profile work"
    monkeypatch.setenv("TENURE_PROFILE", "work")
    assert chosen_name(None) == "work"
    assert chosen_name("play") == "play"
    assert login_command("work") == "tenure login"
    assert login_command("default") == "tenure login --profile default"


def test_there_is_none(directory: Path) -> None:
    """None, or an error that says what to run; a missing directory is no other matter."""
    directory.rmdir()
    assert find_profile("work") is None
    assert list_profiles() == []
    with pytest.raises(CommandError) as refused:
        read_profile(None)
    assert refused.value.exit_code == 3
