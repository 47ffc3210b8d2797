# Running `tenure` as its users do, and pieces to fabricate a run of the demo from.

import json
import os
import re
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from typing import Any
from uuid import uuid4

from tenure.transports.cli.demo_record import Summary
from tenure.transports.emulator import ISSUE, REFRESH, RESOURCE, Emulator, JournalEntry

TIMEOUT = 60.0  # seconds; never reached unless a test fails
COMMAND = (sys.executable, "-W", "error", "-m", "tenure.transports.cli")
# What every JSON Web Token begins with, and the shortest random secret that the emulator makes.
SECRET_LOOK = re.compile(r"eyJ|(?<![0-9a-f-])[0-9a-f]{24,}")


def environment(**changes: str) -> dict[str, str]:
    """Return the environment without what would change the output, and with some changes."""
    changing = ("LC_", "LANG", "TENURE_", "PYTHONUNBUFFERED", "PYTHONIOENCODING", "PYTHONUTF8")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(changing)}
    return {**kept, **changes}


class Tenure:
    """The command line in a process of its own, with its output piped; a context manager that leaves none behind."""

    def __init__(
        self, *arguments: str, typed: str | None = None, terminal: int | None = None, **variables: str
    ) -> None:
        self.typed = typed
        self.process = subprocess.Popen(
            [*COMMAND, *arguments],
            stdin=terminal or (subprocess.DEVNULL if typed is None else subprocess.PIPE),
            stdout=subprocess.PIPE,
            stderr=terminal or subprocess.PIPE,
            start_new_session=terminal is not None,  # else getpass asks on the terminal that the tests run on
            text=True,
            encoding="utf-8",
            env=environment(**variables),
        )
        assert self.process.stdout is not None
        self.stdout = self.process.stdout
        if terminal is None:
            assert self.process.stderr is not None
            self.stderr = self.process.stderr

    def __enter__(self) -> "Tenure":
        return self

    def __exit__(self, *exception: object) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        if self.process.stdin is not None:
            self.process.stdin.close()
        self.stdout.close()
        if self.process.stderr is not None:
            self.process.stderr.close()

    def finish(self, number: int | None = None) -> tuple[str, str, int]:
        """Send a signal, if one is given, and wait for the end; return what was still printed, and the exit code."""
        if number is not None:
            self.process.send_signal(number)
        out, err = self.process.communicate(self.typed, timeout=TIMEOUT)
        return out, err, self.process.returncode


def run_tenure(*arguments: str, typed: str | None = None, **variables: str) -> tuple[str, str, int]:
    """Run the command line to its end; return what it printed, and the exit code."""
    with Tenure(*arguments, typed=typed, terminal=None, **variables) as tenure:
        return tenure.finish()


def post(url: str, content: Mapping[str, object], request_id: str | None = None) -> tuple[int, Any]:
    """Post JSON and return the status and the JSON that is answered."""
    headers = {"content-type": "application/json", "request-id": request_id or str(uuid4())}
    request = urllib.request.Request(url, json.dumps(content).encode(), headers)
    try:
        with urllib.request.urlopen(request, timeout=TIMEOUT) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as refused:
        with refused:
            return refused.code, json.load(refused)


def use_resource(emulator: Emulator, token: str) -> int:
    """Use the protected resource with a token and return the status."""
    request = urllib.request.Request(emulator.resource_url, headers={"authorization": f"Bearer {token}"})
    try:
        with urllib.request.urlopen(request, timeout=TIMEOUT) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as refused:
        with refused:
            return refused.code


def refreshed(number: int, status: int = 200, outcome: str = "refreshed", fault: str = "") -> JournalEntry:
    """Return a refresh with the token of a generation; each token has the request id `r<generation>`."""
    return JournalEntry(REFRESH, f"r{number}", status, outcome, 0.0, "f", "family", number, fault)


def kept_back(number: int, status: int = 503) -> JournalEntry:
    """Return a refresh that a fault kept from the service, which then does not know what it was about."""
    return JournalEntry(REFRESH, f"r{number}", status, "not acted", 0.0, fault="status")


def expired(number: int) -> JournalEntry:
    """Return a refresh with a token that has expired: the service then does not look any further."""
    return JournalEntry(REFRESH, f"r{number}", 401, "refused", 0.0, "f")


def a_good_journal() -> list[JournalEntry]:
    """Return what the service writes down when all goes as it has to."""
    return [
        JournalEntry(ISSUE, "i", 200, "issued", 0.0, None, "family", 1),
        JournalEntry(RESOURCE, None, 200, "served", 0.0, "f", "family", 1),
        refreshed(1),
        refreshed(2, fault="lose_answer"),
        refreshed(2, outcome="replayed"),
        kept_back(3),
        kept_back(3),
        refreshed(3, fault=""),
        expired(4),
    ]


def a_good_summary(**changes: Any) -> Summary:
    """Return what the callers then see, with some changes."""
    seen: Sequence[tuple[str, object]] = (("handed_out", 9000), ("distinct_tokens", 4), ("told_over", 32), ("used", 40))
    return Summary(**{"callers": 32, **dict(seen), **changes})
