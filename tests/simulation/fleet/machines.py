# Time in a fleet: true time goes on for all, and every machine has two clocks of its own.

from tenure import Instant

from ..clocks import EPOCH

__all__ = ["Machine", "TrueTime"]


class TrueTime:
    """True time in seconds from 0, and the server's clock, which is off."""

    def __init__(self, server_offset: float) -> None:
        self.now = 0.0
        self.server_offset = server_offset

    def server(self) -> float:
        """Return what the server reads."""
        return EPOCH + self.now + self.server_offset


class Machine:
    """A machine: clocks, and whether it is suspended or cut off from the store.

    Its monotonic clock began to count some time before true time 0, and stands still while it is suspended. Its wall
    clock is whatever somebody has set it to.
    """

    def __init__(self, time: TrueTime, number: int, wall_offset: float) -> None:
        self.time = time
        self.number = number
        self.wall_offset = wall_offset
        self.booted = 1000.0 * number
        self.asleep_until = 0.0  # true time
        self.cut_until = 0.0  # true time until which it cannot reach the store
        self.set_at = self.suspended_at = -1.0  # true times at which the one clock or the other began to lie
        self._missed = 0.0  # seconds of suspend
        self._monotonic = 0.0

    @property
    def is_asleep(self) -> bool:
        """Whether it is suspended now."""
        return self.time.now < self.asleep_until

    def suspend(self, seconds: float) -> None:
        """Let nothing run on it for so long."""
        began = max(self.time.now, self.asleep_until)
        self.client()
        self.suspended_at = self.time.now
        self.asleep_until = max(self.asleep_until, self.time.now + seconds)
        self._missed += max(0.0, self.asleep_until - began)

    def set_wall(self, by: float) -> None:
        """Set its wall clock, forwards or backwards."""
        self.wall_offset += by
        self.set_at = self.time.now

    def is_lied_to(self, since: float) -> bool:
        """Whether both clocks have lied since a true time."""
        return self.set_at >= since and self.suspended_at >= since

    def client(self) -> Instant:
        """Return what a process on it reads."""
        # While it is asleep, all of `_missed` is subtracted already, and the clock stands still.
        self._monotonic = max(self._monotonic, self.time.now - self._missed)
        return Instant(self.booted + self._monotonic, EPOCH + self.time.now + self.wall_offset)
