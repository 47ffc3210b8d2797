"""Watch 32 callers share one session through everything that usually ends one.

An embedded authorization service hands out tokens that live for seconds.
All callers ask for tokens all the time, while an answer gets lost, the service
fails, its clock is hours off, and a token dies on everybody at once. At the
end a table says what was seen; the exit code is 1 if anything in it is not as
it has to be. Takes about 20 seconds, or a minute for all drivers in turn.

The callers are threads with the blocking driver, and tasks with the others.
On a terminal it is drawn; piped, or with --plain, it is told line by line.
NO_COLOR is respected.
"""
# The options, and who plays together: a cast of callers (demo_crowd.py), what they see (demo_record.py), what happens
# to them (demo_script.py), how it is shown (demo_screen.py) and judged (demo_verdict.py).

import argparse
import contextlib
import importlib.util
import time
from typing import TYPE_CHECKING

from .exits import FAILED, OK, UNUSABLE, CommandError

if TYPE_CHECKING:
    from .demo_screen import Screen
    from .demo_script import Pace
    from .demo_verdict import Facts

__all__ = ["configure", "run"]

CALLERS = 32
ALL = "all"
# Driver to the extra that brings it, and the modules it cannot do without.
DRIVERS = {
    "blocking": ("requests", ("requests",)),
    "asyncio": ("asyncio", ("h11",)),
    "trio": ("trio", ("trio", "h11")),
}


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options of `tenure demo`."""
    parser.add_argument(
        "--driver",
        choices=(*DRIVERS, ALL),
        default="blocking",
        help="which driver, or all in turn (default: %(default)s)",
    )
    parser.add_argument("--fast", action="store_true", help="in half the time, with shorter lives")
    parser.add_argument("--plain", action="store_true", help="tell it in lines, on a terminal, too")


def run(options: argparse.Namespace) -> int:
    """Play the script with each driver, show it, judge it."""
    drivers = tuple(DRIVERS) if options.driver == ALL else (options.driver,)
    for driver in drivers:
        _require(driver)  # all of them now, rather than in the middle
    from .demo_script import FAST, UNHURRIED  # needs extras, as do those that follow
    from .demo_verdict import broken_promises, report

    pace = FAST if options.fast else UNHURRIED
    runs = {}
    for number, driver in enumerate(drivers, 1):
        title = driver if len(drivers) == 1 else f"{driver}, {number} of {len(drivers)}"
        screen, runs[driver] = _play(driver, title, pace, options.plain)
    broken = {driver: broken_promises(facts) for driver, facts in runs.items()}
    screen.show_report({driver: report(facts) for driver, facts in runs.items()}, broken)
    return FAILED if any(broken.values()) else OK


def _require(driver: str) -> None:
    """Raise CommandError unless what a driver needs is installed."""
    extra, needs = DRIVERS[driver]
    missing = [need for need in needs if importlib.util.find_spec(need) is None]
    if missing:
        raise CommandError(
            f"the driver {driver} needs {' and '.join(missing)}, not installed here: pip install 'tenure[{extra}]'",
            UNUSABLE,
        )


def _play(driver: str, title: str, pace: "Pace", plain: bool) -> "tuple[Screen, Facts]":
    """Play the script with one driver; return the screen on which it was shown, and what became of it."""
    from ... import TenureError
    from ..emulator import Emulator
    from .demo_crowd import Stage, open_crowd
    from .demo_record import Record
    from .demo_screen import open_screen
    from .demo_script import Stuck, play
    from .demo_verdict import gather_facts

    record = Record(CALLERS, time.monotonic)
    unfinished = None
    with contextlib.ExitStack() as open_things:
        screen = open_things.enter_context(open_screen(record, title, pace.expected_length, plain))
        record.on_moment = screen.tell
        emulator = open_things.enter_context(Emulator(**pace.service_settings()))
        stage = Stage(emulator.url, emulator.resource_url, pace.policy(), record)
        crowd = open_things.enter_context(open_crowd(driver, stage))
        try:
            play(emulator, crowd, record, pace)
        except (Stuck, TenureError) as problem:
            unfinished = str(problem)
    return screen, gather_facts(record.summary(), emulator.journal, unfinished)
