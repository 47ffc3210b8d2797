"""Watch 32 threads share one session through everything that usually ends one.

An embedded authorization service hands out tokens that live for seconds.
All threads ask for tokens all the time, while an answer gets lost, the service
fails, its clock is hours off, and a token dies on everybody at once. At the
end a table says what was seen; the exit code is 1 if anything in it is not as
it has to be. Takes about 20 seconds.

On a terminal it is drawn; piped, or with --plain, it is told line by line.
NO_COLOR is respected.
"""
# The options, and who plays together: a cast of callers (demo_crowd.py), what they see (demo_record.py), what happens
# to them (demo_script.py), how it is shown (demo_screen.py) and judged (demo_verdict.py).

import argparse
import contextlib
import time

from .exits import FAILED, OK

__all__ = ["configure", "run"]

CALLERS = 32
DRIVERS = ("blocking",)


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options of `tenure demo`."""
    parser.add_argument("--driver", choices=DRIVERS, default=DRIVERS[0], help="which driver (default: %(default)s)")
    parser.add_argument("--fast", action="store_true", help="in half the time, with shorter lives")
    parser.add_argument("--plain", action="store_true", help="tell it in lines, on a terminal, too")


def run(options: argparse.Namespace) -> int:
    """Play the script, show it, judge it."""
    from ... import TenureError
    from ..emulator import Emulator  # needs extras, as do those that follow
    from .demo_crowd import Stage, open_crowd
    from .demo_record import Record
    from .demo_screen import open_screen
    from .demo_script import FAST, UNHURRIED, Stuck, play
    from .demo_verdict import broken_promises, gather_facts, report

    pace = FAST if options.fast else UNHURRIED
    record = Record(CALLERS, time.monotonic)
    unfinished = None
    with contextlib.ExitStack() as open_things:
        screen = open_things.enter_context(open_screen(record, options.driver, pace.expected_length, options.plain))
        record.on_moment = screen.tell
        emulator = open_things.enter_context(Emulator(**pace.service_settings()))
        stage = Stage(emulator.url, emulator.resource_url, pace.policy(), record)
        crowd = open_things.enter_context(open_crowd(options.driver, stage))
        try:
            play(emulator, crowd, record, pace)
        except (Stuck, TenureError) as problem:
            unfinished = str(problem)
    facts = gather_facts(record.summary(), emulator.journal, unfinished)
    broken = broken_promises(facts)
    screen.show_report(report(facts), broken)
    return FAILED if broken else OK
