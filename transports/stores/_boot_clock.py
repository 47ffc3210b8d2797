# The clock that all processes of one machine agree on: the seconds since it was booted, and which boot that was.
#
# Nobody can set it. Where the system does not say which boot it is (only Linux does, in /proc), or a container has a
# clock of its own, an age is unknown rather than wrong.

import time
from pathlib import Path
from typing import Any

__all__ = ["age_of", "boot_id", "seconds_since_boot"]


def boot_id() -> str | None:
    """Return what tells this boot of the machine from all others, or None if the system does not say."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text("ascii").strip()
    except OSError:
        return None


def seconds_since_boot() -> float:
    """Return the reading of the clock, with the seconds in suspend where the system counts them."""
    return time.clock_gettime(time.CLOCK_BOOTTIME) if hasattr(time, "CLOCK_BOOTTIME") else time.monotonic()


def age_of(reading: Any, boot: object, own_boot: str | None) -> float | None:
    """Return the seconds since `reading`, or None if it was taken from another clock than ours."""
    if own_boot is None or boot != own_boot:
        return None
    age = seconds_since_boot() - reading
    return age if age >= 0 else None
