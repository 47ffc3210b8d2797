# What happens in the demo, scene by scene, and how long everything lives in it.
#
# The times. The service reckons in whole seconds, so a token that lives for n seconds may be refused after n - 1. The
# default policy's leeway of 10 seconds covers that; it is cut to a tenth of a lifetime, and here a lifetime is as short
# as 8 seconds. So this policy refreshes earlier, and what happens to a refresh is over before second n - 1:
#
#   unhurried, n = 8: due after 2.0 to 2.4 s, two failures cost 2 s, so at most 4.4 s of 7
#   fast, n = 5: due after 0.9 to 1.0 s, likewise at most 3.0 s of 4
#
# Everything else about the policy is the default.

import threading
import time
from typing import Any, NamedTuple

from ... import Policy
from ..emulator import Emulator, latency, lose_answer, status
from .demo_crowd import Crowd
from .demo_record import Record

__all__ = ["FAST", "UNHURRIED", "Pace", "Stuck", "play"]

PATIENCE = 15.0  # seconds that the script waits for what must happen; it takes a few
HOUR = 3600
GRACE = 5.0  # seconds
CLOCK_AHEAD = 5 * HOUR
CLOCK_BEHIND = -3 * HOUR
FAILURES = 2


class Pace(NamedTuple):
    """How long things last, in seconds; see above.

    Attributes:
        lifetime: of a permission token.
        last_lifetime: of the last two.
        last_refresh_lifetime: of the refresh token that comes with the last one.
        fresh_fraction, jitter: of the policy.
        calm_rotations: refreshes before anything goes wrong.
        stampede_latency: how long callers wait when all of them do.
        last_work: how long callers use the last two tokens; together with that latency less than they are fresh.
        expected_length: of the whole demo.
    """

    lifetime: int
    last_lifetime: int
    last_refresh_lifetime: int
    fresh_fraction: float
    jitter: float
    calm_rotations: int
    stampede_latency: float
    last_work: float
    expected_length: float

    def policy(self) -> Policy:
        """Return the session's policy."""
        return Policy(fresh_fraction=self.fresh_fraction, jitter=self.jitter)

    def service_settings(self) -> dict[str, Any]:
        """Return what the service is made of."""
        return {"permission_lifetime": self.lifetime, "grace": GRACE, "clock_offset": CLOCK_AHEAD}


UNHURRIED = Pace(8, 3, 5, 0.3, 0.05, 2, 0.3, 0.3, 22.0)
FAST = Pace(5, 2, 2, 0.2, 0.02, 1, 0.1, 0.1, 10.0)


class Stuck(Exception):
    """Something that must happen did not."""


def play(emulator: Emulator, crowd: Crowd, record: Record, pace: Pace) -> None:
    """Play all scenes.

    Raises:
        Stuck: a scene did not come to its end.
    """
    script = Script(emulator, crowd, record, pace)
    script.set_the_scene()
    script.all_is_well()
    script.an_answer_is_lost()
    script.the_service_fails()
    script.the_clock_jumps()
    script.everybody_at_once()
    script.the_end()


class Script:
    """The scenes, in order. Most end with the refresh that they are about."""

    def __init__(self, emulator: Emulator, crowd: Crowd, record: Record, pace: Pace) -> None:
        self.emulator = emulator
        self.service = emulator.service
        self.crowd = crowd
        self.record = record
        self.pace = pace

    def set_the_scene(self) -> None:
        """Establish, and let the crowd begin."""
        tell = self.record.tell
        tell(f"tokens live {self.pace.lifetime} s; the service's clock is {CLOCK_AHEAD // HOUR} hours ahead of ours")
        self.crowd.establish(*self.emulator.credentials)
        self.crowd.begin()
        self._await_pair(0)

    def all_is_well(self) -> None:
        """Nothing happens."""
        for _ in range(self.pace.calm_rotations):
            self._next_pair()

    def an_answer_is_lost(self) -> None:
        """The service rotates, and nobody hears of it."""
        self.record.tell("next: the answer to a refresh gets lost on its way back")
        self.emulator.faults.add(lose_answer())
        self._next_pair()

    def the_service_fails(self) -> None:
        """Refreshes are turned away, while the token still works."""
        self.record.tell(f"next: the service answers {FAILURES} refreshes with 503 and Retry-After: 1")
        self.emulator.faults.add(status(503, retry_after=1), times=FAILURES)
        self._next_pair()

    def the_clock_jumps(self) -> None:
        """Tokens now expire, as the service sees it, before they were made, as we see it."""
        hours = (CLOCK_AHEAD - CLOCK_BEHIND) // HOUR
        self.record.tell(f"next: the service's clock is set back {hours} hours, to {-CLOCK_BEHIND // HOUR} behind ours")
        self.service.clock_offset = CLOCK_BEHIND
        self.service.permission_lifetime = self.pace.last_lifetime
        self._next_pair()

    def everybody_at_once(self) -> None:
        """A token dies while nobody looks, and then all of them ask."""
        self._work(self.pace.last_work)
        self.record.tell("next: everybody rests until the token has died ...")
        self._rest()
        self._pass_since_pair(self.pace.policy().dead_after(self.pace.last_lifetime))
        self.service.refresh_lifetime = self.pace.last_refresh_lifetime
        self.emulator.faults.add(latency(self.pace.stampede_latency))
        self.record.tell(f"... and then {self.record.callers} callers ask at the same moment")
        before = self.record.newest_in_hand()
        self.crowd.resume()
        self._await_pair(before)

    def the_end(self) -> None:
        """The refresh token expires, as refresh tokens do when nobody uses them."""
        self._work(self.pace.last_work)
        lifetime = self.pace.last_refresh_lifetime
        self.record.tell(f"last: everybody rests until the refresh token has expired ({lifetime} s) ...")
        self._rest()
        self._pass_since_pair(lifetime)
        self.record.tell("... and then asks again")
        self.record.let_it_end()
        self.crowd.resume()
        if not self.record.wait_for(lambda: self.record.told_over() == self.record.callers, PATIENCE):
            raise Stuck("not every caller was told that the session is over")
        self.record.tell(f"all {self.record.callers} callers were told: establish it anew")

    # What scenes are made of

    def _next_pair(self) -> None:
        self._await_pair(self.record.newest_in_hand())

    def _await_pair(self, generation: int) -> None:
        """Wait until a caller has got a newer token than that of a generation."""
        if not self.record.wait_for(lambda: self.record.newest_in_hand() > generation, PATIENCE):
            raise Stuck(f"token {generation} of the session had no successor")

    @staticmethod
    def _work(seconds: float) -> None:
        """Let the crowd go on as it does."""
        threading.Event().wait(seconds)

    def _rest(self) -> None:
        if not self.crowd.rest(PATIENCE):
            raise Stuck("not every caller came to rest")

    def _pass_since_pair(self, seconds: float) -> None:
        """Wait until the newest pair is so old; should a newer one still arrive, until that one is."""
        while (left := self.record.pair_came_at + seconds + 0.05 - time.monotonic()) > 0:
            threading.Event().wait(left)
