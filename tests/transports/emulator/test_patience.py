from threading import Event, Thread

import pytest
from tenure.transports.emulator.patience import Interrupted, Patience


def test_waiting_ends_by_its_event_or_its_time():
    """Neither is an interruption."""
    patience, event = Patience(), Event()
    event.set()
    patience.wait(event)
    patience.pause(0)
    patience.check()


def test_the_end_interrupts_all_who_wait():
    """A closing server wakes everybody, with `Interrupted`."""
    patience, began, ended = Patience(), Event(), []

    class Waiting(Event):
        def wait(self, timeout=None):
            began.set()
            return super().wait(timeout)

    def wait():
        try:
            patience.wait(Waiting(), 60)
        except Interrupted:
            ended.append(True)

    thread = Thread(target=wait)
    thread.start()
    assert began.wait(10)
    patience.end()
    thread.join(10)
    assert ended == [True]


def test_nobody_waits_after_the_end():
    """Who comes later is interrupted at once."""
    patience = Patience()
    patience.end()
    for wait in (patience.check, lambda: patience.pause(60), lambda: patience.wait(Event())):
        with pytest.raises(Interrupted):
            wait()
