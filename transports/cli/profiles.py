# A profile: which session of which service a shell means, and where it is kept. No secret is in it.
#
# One JSON file each, `profiles/NAME.json` in the config directory, replaced as a whole. What is fit for the service is
# the core's to say; here only what a damaged or foreign file could hold is refused.

import json
import os
from pathlib import Path
from typing import Any

from .exits import LOGIN_NEEDED, UNUSABLE, CommandError
from .places import config_directory

__all__ = [
    "Draft",
    "Profile",
    "chosen_name",
    "find_profile",
    "forget_profile",
    "list_profiles",
    "login_command",
    "read_profile",
]

PROFILE_VARIABLE = "TENURE_PROFILE"
USUAL = "default"
FORMAT = "tenure profile"
VERSION = 1
KINDS = {
    "url": (str,),
    "token_id": (str,),
    "permissions": (list,),
    "store": (str, type(None)),
    "username": (str, type(None)),
    "allow_http": (bool,),
}
LONGEST_NAME = 64
EXAMPLE = "--url https://host/authorization/v1"


class Profile:
    """What `tenure login` was told.

    Attributes:
        name: of the profile.
        url, token_id, permissions, allow_http: as `AuthorizationSession` takes them.
        store: a directory or a redis:// url, or None for the state directory.
        username: of the account, or None for a merchant.
    """

    __slots__ = ("name", "url", "token_id", "permissions", "store", "username", "allow_http")

    def __init__(
        self,
        name: str,
        url: str,
        token_id: str,
        permissions: list[str],
        store: str | None,
        username: str | None,
        allow_http: bool,
    ) -> None:
        self.name = name
        self.url = url
        self.token_id = token_id
        self.permissions = permissions
        self.store = store
        self.username = username
        self.allow_http = allow_http

    def __repr__(self) -> str:
        return f"<Profile {self.name}: {self.url}>"


class Draft:
    """A profile on its way to the disk: `keep()` puts it in its place, `drop()` leaves everything as it was.

    So that what cannot be written is found out before anything is asked of the service.
    """

    def __init__(self, profile: Profile) -> None:
        self._target = _path(profile.name)
        self._draft = self._target.with_name(f".{self._target.name}.{os.getpid()}")
        facts: dict[str, object] = {"format": FORMAT, "version": VERSION}
        facts.update((field, getattr(profile, field)) for field in KINDS)
        try:
            self._target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._draft.unlink(missing_ok=True)
            with os.fdopen(os.open(self._draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
                json.dump(facts, file, indent=2)
                file.write("\n")
                file.flush()
                os.fsync(file.fileno())
        except OSError as problem:
            raise CommandError(f"cannot write the profile {self._target}: {problem.strerror}", UNUSABLE) from None

    def keep(self) -> None:
        """Replace the profile there is."""
        try:
            self._draft.replace(self._target)
        except OSError as problem:
            raise CommandError(f"cannot write the profile {self._target}: {problem.strerror}") from None

    def drop(self) -> None:
        """Leave no trace."""
        self._draft.unlink(missing_ok=True)


def chosen_name(option: str | None) -> str:
    """Return the name that was given as an option, or else in the environment, or else the usual one."""
    name = option or os.environ.get(PROFILE_VARIABLE) or USUAL
    fit = name.isascii() and all(letter.isalnum() or letter in "-_." for letter in name) and name[0] not in "-."
    if not fit or len(name) > LONGEST_NAME:
        raise CommandError("a profile's name is made of letters, digits and any of - _ . between them", UNUSABLE)
    return name


def login_command(name: str) -> str:
    """Return what to type in order to log in with this profile."""
    return "tenure login" if name == (os.environ.get(PROFILE_VARIABLE) or USUAL) else f"tenure login --profile {name}"


def list_profiles() -> list[str]:
    """Return the names of the profiles there are."""
    return sorted(path.stem for path in _path("any").parent.glob("*.json") if not path.name.startswith("."))


def read_profile(option: str | None) -> Profile:
    """Return the chosen profile, or raise a `CommandError` that says what to run."""
    name = chosen_name(option)
    profile = find_profile(name)
    if profile is None:
        others = ", ".join(list_profiles())
        there_are = f" (there are: {others})" if others else ""
        text = f"there is no profile {name} yet{there_are}. Run: {login_command(name)} {EXAMPLE}"
        raise CommandError(text, LOGIN_NEEDED)
    return profile


def find_profile(name: str) -> Profile | None:
    """Return the profile of that name, or None if there is none."""
    path = _path(name)
    try:
        return _understand(name, json.loads(path.read_bytes()))
    except FileNotFoundError:
        return None
    except OSError as problem:
        raise CommandError(f"cannot read the profile {path}: {problem.strerror}", UNUSABLE) from None
    except ValueError as problem:  # of json, of a codec, or ours
        reason = str(problem) if type(problem) is ValueError else "it is not JSON"
        remedy = f"Mend the file, or remove it and run: {login_command(name)} {EXAMPLE}"
        raise CommandError(f"the profile {path} is damaged: {reason}. {remedy}", UNUSABLE) from None


def forget_profile(name: str) -> None:
    """Remove the profile's file."""
    path = _path(name)
    try:
        path.unlink(missing_ok=True)
    except OSError as problem:
        raise CommandError(f"cannot remove the profile {path}: {problem.strerror}") from None


def _understand(name: str, facts: Any) -> Profile:
    if not isinstance(facts, dict) or facts.get("format") != FORMAT:
        raise ValueError("it is not a profile of tenure")
    version = facts.get("version")
    if type(version) is not int or not 1 <= version <= VERSION:
        raise ValueError(f"its version is not {VERSION}: it may be from a newer tenure")
    for field, kinds in KINDS.items():
        if type(facts.get(field)) not in kinds:
            raise ValueError(f"{field} is missing, or of the wrong type")
    fields: dict[str, Any] = {field: facts.get(field) for field in KINDS}
    return Profile(name, **fields)


def _path(name: str) -> Path:
    return config_directory() / "profiles" / f"{name}.json"
