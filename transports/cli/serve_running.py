# `tenure serve` at work: start, say where, log, end.
#
# Requests are logged by the main thread: the service must not wait for whoever reads the log, or does not.

import argparse
import contextlib
import json
import queue
import shlex
import signal
import sys
import time
from collections.abc import Callable, Iterator
from typing import TextIO

from ..emulator import Emulator, Journal, JournalEntry
from .exits import OK, CommandError, discard_output
from .serve import Known
from .serve_faults import plan_faults

__all__ = ["banner", "describe_entry", "json_line", "serve"]

LOOPBACK = ("127.", "localhost", "::1")


class Ended(Exception):
    """A signal asks us to end. Raised by its handler, so that it also ends a write that nobody reads."""


class AnnouncingJournal(Journal):
    """A journal that passes on what it notes."""

    def __init__(self, announce: Callable[[JournalEntry], object]) -> None:
        super().__init__()
        self._announce = announce

    def note(self, entry: JournalEntry) -> None:
        """Append an entry and announce it."""
        super().note(entry)
        self._announce(entry)


def serve(options: argparse.Namespace, known: Known) -> int:
    """Serve until Ctrl-C or SIGTERM."""
    emulator = Emulator(
        host=options.host,
        port=options.port,
        accounts=known.accounts,
        merchant_keys=[known.merchant_key],
        permission_lifetime=options.permission_lifetime,
        refresh_lifetime=options.refresh_lifetime,
        grace=options.grace,
        clock_offset=options.clock_offset,
    )
    plan_faults(emulator.faults, options.fault)
    seen: queue.SimpleQueue[JournalEntry] = queue.SimpleQueue()
    if not options.quiet:
        emulator.service.journal = AnnouncingJournal(seen.put)
    try:
        with contextlib.suppress(Ended), signals_raise_ended(), emulator:
            print(json_line(emulator, known) if options.json else banner(emulator, known), flush=True)
            if not options.host.startswith(LOOPBACK):
                print("note: others can reach this service, and it speaks plain http", file=sys.stderr, flush=True)
            log(seen, sys.stderr if options.json else sys.stdout)
    except BrokenPipeError:
        raise
    except OSError as problem:
        where = f"{options.host} port {options.port}"
        raise CommandError(f"cannot listen on {where}: {problem.strerror or type(problem).__name__}") from None
    return OK


def log(seen: "queue.SimpleQueue[JournalEntry]", stream: TextIO) -> None:
    """Print a line for each request, until a signal comes."""
    while True:
        try:
            entry = seen.get(timeout=1)  # not for ever: on Windows a signal does not end a wait
        except queue.Empty:
            continue
        try:
            print(describe_entry(entry), file=stream, flush=True)
        except Ended:
            discard_output(stream)  # if nobody reads, the rest must not keep us
            raise


@contextlib.contextmanager
def signals_raise_ended() -> Iterator[None]:
    """Within this context the first SIGINT or SIGTERM raises `Ended`, and further ones are ignored."""

    def end(number: int, frame: object) -> None:
        for each in before:
            signal.signal(each, signal.SIG_IGN)
        raise Ended

    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    for number in before:
        signal.signal(number, end)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def banner(emulator: Emulator, known: Known) -> str:
    """Return what a person wants to know of a service that has just started."""
    service = emulator.service
    rows = [("url", emulator.url), ("resource", emulator.resource_url)]
    for name, password in known.accounts.items():
        rows.append(("account", name))
        if known.password_is_random:
            rows.append(("password", f"{password}  (random, shown only here)"))
    if known.merchant_key_is_random:
        rows.append(("merchant key", f"{known.merchant_key}  (random, shown only here)"))
    rows.append(("tokens live", f"{service.permission_lifetime} s; refresh tokens {service.refresh_lifetime} s"))
    rows.append(("grace", f"{service.grace:g} s; clock {service.clock_offset:+g} s"))
    lines = [f"  {name:<13} {value}" for name, value in rows]
    name = next(iter(known.accounts))
    lines += ["  Ctrl-C ends it", "", "Next, in another terminal:"]
    lines += [f"  tenure login --url {emulator.url} --username {shlex.quote(name)}"]
    lines += [f'  curl -H "Authorization: Bearer $(tenure token)" {emulator.resource_url}']
    return "\n".join(["tenure serve: an authorization service for tests", *lines, ""])


def json_line(emulator: Emulator, known: Known) -> str:
    """Return the same for programs. Secrets that were given to us are null: whoever gave them knows them."""
    name, password = next(iter(known.accounts.items()))
    facts = {
        "url": emulator.url,
        "resource_url": emulator.resource_url,
        "username": name,
        "password": password if known.password_is_random else None,
        "merchant_key": known.merchant_key if known.merchant_key_is_random else None,
        "accounts": list(known.accounts),
    }
    return json.dumps(facts)


def describe_entry(entry: JournalEntry) -> str:
    """Return one line of the log. No secret is in it: the journal has none."""
    clock = time.strftime("%H:%M:%S", time.localtime(entry.wall)) + f".{int(entry.wall % 1 * 1000):03}"
    words = [clock, f"{entry.kind:<11}", str(entry.status or "---"), f"{entry.outcome:<9}"]
    words += [entry.request_id or "no request id"] if entry.kind != "resource" or entry.request_id else []
    words += [f"generation {entry.generation}"] if entry.generation and entry.kind != "resource" else []
    words += [f"({entry.fault})"] if entry.fault else []
    return " ".join(words).rstrip()
