# A session outlives the runs of trio that use it. Each run has a clock that begins anywhere, and may end at any time.

from time import time as wall

import trio

from .. import Instant
from ._session import read_clocks

__all__ = ["RunsClock", "goes_on"]


class RunsClock:
    """The clocks of successive runs as one monotonic clock: it goes on from run to run, as the system's does."""

    def __init__(self) -> None:
        self._clock: trio.abc.Clock | None = None  # of the newest run
        self._shift = 0.0  # from that run's clock to this one
        self._lead = 0.0  # by which this clock is ahead of the system's: a MockClock may have jumped

    def now(self) -> Instant:
        """Return now, on this clock and the wall clock. Within a run."""
        now = self._monotonic()
        self._lead = now - read_clocks().monotonic
        return Instant(now, wall())

    def is_before(self, until_monotonic: float, until_wall: float) -> bool:
        """Return whether it is earlier than that by both clocks. Outside of a run, too."""
        return self._monotonic() < until_monotonic and wall() < until_wall

    def _monotonic(self) -> float:
        try:
            clock = trio.lowlevel.current_clock()
        except RuntimeError:  # outside of a run
            return read_clocks().monotonic + self._lead
        if clock is not self._clock:
            self._shift = read_clocks().monotonic + self._lead - monotonic()
            self._clock = clock  # last, since Ctrl-C may come in between
        return monotonic() + self._shift


def monotonic() -> float:
    """Return seconds on the clock of this run."""
    return trio.current_time()


def goes_on(run: "trio.lowlevel.TrioToken") -> bool:
    """Return False if a run has ended, or was given up by its host (guest mode)."""
    try:
        run.run_sync_soon(bool)  # something that does nothing
    except (trio.RunFinishedError, OSError):
        return False
    return True
