# Shells that share a profile: where theirs is kept, what the service saw of them, and how a session grows old.

import contextlib
import io
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from tenure.transports.cli import main
from tenure.transports.cli.places import open_store
from tenure.transports.emulator import REFRESH, Emulator

from .helpers import Tenure, run_tenure

__all__ = ["DEAD", "LIFETIME", "OVER", "STALE", "Shells"]

LIFETIME = 900  # seconds; of a permission token
STALE, DEAD = 800, 895  # ages in seconds: beyond any jitter; not handed out any more
OVER = 31 * 86400  # an age of seconds at which the refresh token has expired

Ended = tuple[str, str, int]  # what was printed on stdout and stderr, and the exit code


class Shells:
    """Any number of shells with one configuration, an `Emulator` that they log in to, and a store.

    Attributes:
        emulator: the service.
        variables: what stands in the environment of each command.
    """

    def __init__(self, directory: Path, emulator: Emulator, place: str | None = None, **variables: str) -> None:
        self.emulator = emulator
        self.place = place
        self.config, self.state = directory / "config", directory / "state"
        self.variables = {"TENURE_CONFIG_DIR": str(self.config), "TENURE_STATE_DIR": str(self.state), **variables}

    def run(self, *arguments: str, typed: str | None = None, **more: str) -> Ended:
        """Run one command to its end."""
        return run_tenure(*arguments, typed=typed, **{**self.variables, **more})

    def start(self, *arguments: str, **more: str) -> Tenure:
        """Begin a command."""
        return Tenure(*arguments, typed=None, terminal=None, **{**self.variables, **more})

    def run_at_once(self, count: int, *arguments: str) -> Sequence[Ended]:
        """Run the same command in many shells at the same time."""
        with contextlib.ExitStack() as running:
            commands = [running.enter_context(self.start(*arguments)) for _ in range(count)]
            return [command.finish() for command in commands]

    def log_in(self, *options: str) -> None:
        """Log in for the first time, in this process: starting another one takes longer than logging in."""
        where = () if self.place is None else ("--store", self.place)
        name, password = self.emulator.credentials
        arguments = ("login", "--url", self.emulator.url, "--username", name, *where, *options)
        with pytest.MonkeyPatch.context() as patched, contextlib.redirect_stdout(io.StringIO()):
            for variable, value in {**self.variables, "TENURE_PASSWORD": password}.items():
                patched.setenv(variable, value)
            assert main(arguments) == 0

    def token(self) -> str:
        """Return what `tenure token` prints, which has to be a token and nothing else."""
        out, err, code = self.run("token")
        assert (err, code) == ("", 0), err
        token = out.removesuffix("\n")
        assert token == out[:-1]
        return token

    def refreshes(self) -> list[str]:
        """Return what became of each refresh that the service has seen."""
        return [entry.outcome for entry in self.emulator.journal.of(REFRESH)]

    @contextlib.contextmanager
    def stored(self, token_id: str) -> Iterator[dict[str, Any]]:
        """Hand out what is stored; what is changed of it within the context is saved."""
        store = open_store(self.place or str(self.state / "sessions"))
        found = store.acquire(token_id, 10)
        assert found.lease is not None
        assert found.state is not None
        state: dict[str, Any] = found.state
        yield state
        store.save(found.lease, state, release=True)

    def grow_older(self, seconds: float, token_id: str) -> None:
        """Let the session be as old as if that many seconds had passed since it was saved."""
        with self.stored(token_id) as state:
            pair = state["pair"]
            for name in ("since_age", "arrived_age"):
                pair[name] += seconds
            for name in ("since", "arrived"):
                pair[name] -= seconds


NewShells = Callable[..., Shells]
