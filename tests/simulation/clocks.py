# Time in a simulated world. True time only goes forward; every machine has its own idea of it.

from tenure import Instant

__all__ = ["Clocks"]

EPOCH = 1_800_000_000  # true time 0 as Unix time


class Clocks:
    """True time, the client's two clocks and the server's clock, all in seconds.

    The client's monotonic clock stands still while its machine is suspended, and never runs fast. Its wall clock is
    whatever somebody has set it to. The server's clock is off,
    and somebody may set it.
    """

    def __init__(self, server_offset: float) -> None:
        self.true = 0.0
        self.suspended = 0.0  # seconds that the monotonic clock has missed
        self.wall_offset = 0.0  # by which the client's wall clock is ahead
        self.server_offset = server_offset
        self._monotonic = 0.0

    def client(self) -> Instant:
        """Return what the client reads."""
        self._monotonic = max(self._monotonic, self.true - self.suspended)  # rounding must not turn it back
        return Instant(self._monotonic, EPOCH + self.true + self.wall_offset)

    def server(self) -> float:
        """Return what the server reads."""
        return EPOCH + self.true + self.server_offset
