# Time in a simulated world. True time only goes forward; every machine has its own idea of it.

from typing import NamedTuple

from tenure import Instant

__all__ = ["Clocks", "Moment"]

EPOCH = 1_800_000_000  # true time 0 as Unix time


class Moment(NamedTuple):
    """One moment by all clocks, in seconds: the client's two, the time its machine has been running, true time."""

    read: Instant
    awake: float
    true: float


class Clocks:
    """True time, the client's two clocks and the server's clock, all in seconds.

    The client's monotonic clock never runs backwards: that is its contract. It stands still while its machine is
    suspended, and it may jump ahead (a virtual machine that was paused, a platform that counts the suspended time
    afterwards). When the machine is started again it begins anywhere; that is what a process reads, while the watches
    reckon on as if it had never stopped. The wall clock is whatever somebody has set it to, and so is the server's.
    """

    def __init__(self, server_offset: float) -> None:
        self.true = 0.0
        self.suspended = 0.0  # seconds that the client's machine has slept
        self.ahead = 0.0  # seconds by which the monotonic clock has jumped
        self.wall_offset = 0.0  # by which the client's wall clock is ahead
        self.server_offset = server_offset
        self._monotonic = 0.0
        self._process_ahead = 0.0  # by which the monotonic clock reads more since the machine was last started

    @property
    def awake(self) -> float:
        """The seconds that the client's machine has been running, whatever its clocks say."""
        return self.true - self.suspended

    def client(self) -> Instant:
        """Return what the client's machine would read if it had never been started again."""
        monotonic = self.true - self.suspended + self.ahead
        if monotonic > self._monotonic:  # rounding must not turn it back
            self._monotonic = monotonic
        return Instant(self._monotonic, EPOCH + self.true + self.wall_offset)

    def process(self) -> Instant:
        """Return what the client's process reads."""
        now = self.client()
        return Instant(now.monotonic + self._process_ahead, now.wall)

    def restart_machine(self, off_for: float, begin: float) -> None:
        """The client's machine is off for a while, and its monotonic clock begins anew with `begin`."""
        self.true += off_for
        self._process_ahead = begin - self.client().monotonic

    def moment(self) -> Moment:
        """Return this moment."""
        return Moment(self.client(), self.awake, self.true)

    def server(self) -> float:
        """Return what the server reads."""
        return EPOCH + self.true + self.server_offset
