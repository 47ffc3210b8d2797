# What the callers of the demo see, counted and kept. Any thread may write here, and the screen reads.
#
# It knows no driver, no service and no screen. It holds the tokens, to tell them apart, and shows none of them: for
# people they are A, B, C, … in the order in which callers first got them.

import threading
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

from ... import AttemptFailed, Event, SessionEstablished, SessionExpired, SessionExpiredError, TokenRotated

__all__ = ["Moment", "Record", "Summary", "View", "letter"]

# Kinds of moments.
PLAN = "plan"  # what the script does to everybody
GOOD = "good"  # a token came
LOST = "lost"  # an attempt of which nobody knows what became
FAILED = "failed"  # an attempt that the service turned away
OVER = "over"  # the session is

# What a caller is doing.
WORKING, WAITING, RESTING, TOLD = "working", "waiting", "resting", "told"


@dataclass(frozen=True)
class Moment:
    """Something worth telling: seconds since the start, which kind, and a line of text."""

    at: float
    kind: str
    text: str


@dataclass(frozen=True)
class Summary:
    """What all callers together saw.

    Attributes:
        callers: how many there are.
        handed_out: how often a caller got a token.
        distinct_tokens: how many different ones.
        steps_back: how often a caller got an older token than it had before.
        errors: the class names of what callers got before the session was meant to end, or other than that it has.
        told_over: callers that were told that the session is over, when it was.
        used, refused: tokens that the protected resource accepted and refused.
    """

    callers: int
    handed_out: int = 0
    distinct_tokens: int = 0
    steps_back: int = 0
    errors: tuple[str, ...] = ()
    told_over: int = 0
    used: int = 0
    refused: int = 0


@dataclass
class Life:
    """The time in which callers got a token, and how often."""

    first: float
    last: float
    times: int = 0
    marks: list[Moment] = field(default_factory=list)


@dataclass(frozen=True)
class View:
    """What a screen shows, at one moment."""

    now: float
    callers: list[tuple[str, int]]  # what it is doing, and the number of the token it got last (-1: none)
    lives: dict[int, Life]  # by the number of the token, oldest first
    moments: list[Moment]
    summary: Summary
    accepted: int  # pairs that arrived by refresh
    attempts_failed: int


class Record:
    """What happens in one run of the demo.

    Args:
        callers: how many; they are numbered from 0.
        clock: monotonic, in seconds.

    Attributes:
        generation: how many pairs have come.
        pair_came_at: when the newest one did, on the monotonic clock.
        on_moment: called after each `Moment`, without a lock, in the thread in which it happened.
    """

    def __init__(self, callers: int, clock: Callable[[], float]) -> None:
        self.callers = callers
        self._clock = clock
        self._began = clock()
        self._changed = threading.Condition()
        self._numbers: dict[str, int] = {}  # token to number
        self._lives: dict[int, Life] = {}
        self._doing = [RESTING] * callers
        self._holding = [-1] * callers
        self._counts: Counter[str] = Counter()
        self._errors: list[str] = []
        self._moments: list[Moment] = []
        self._may_be_over = False
        self._answer_missing = False
        self.generation = 0
        self.pair_came_at = 0.0
        self.on_moment: Callable[[], object] = lambda: None

    def __repr__(self) -> str:
        return f"<Record of {self.callers} callers>"

    # What callers report

    def asks(self, caller: int) -> None:
        """A caller asks for a token."""
        with self._changed:
            self._doing[caller] = WAITING

    def got(self, caller: int, token: str) -> None:
        """A caller got a token."""
        with self._changed:
            now = self._now()
            if token not in self._numbers:
                # A caller may get a token before the listener hears of it, and some token perhaps no caller ever gets.
                number = max([0, self.generation - 1, *(known + 1 for known in self._lives)])
                self._numbers[token] = number
                self._changed.notify_all()
                self._lives[number] = Life(now, now)
            number = self._numbers[token]
            life = self._lives[number]
            life.last = now
            life.times += 1
            self._counts["handed out"] += 1
            self._counts["steps back"] += number < self._holding[caller]
            self._doing[caller], self._holding[caller] = WORKING, number

    def failed(self, caller: int, error: BaseException) -> None:
        """A caller got an error instead."""
        name = type(error).__name__
        with self._changed:
            self._changed.notify_all()
            if self._may_be_over and isinstance(error, SessionExpiredError):
                self._doing[caller] = TOLD
                self._counts["told over"] += 1
                return
            self._doing[caller] = WORKING
            self._errors.append(name)
            is_first = self._errors.count(name) == 1
        if is_first:
            self._tell(FAILED, f"a caller got {name}")

    def used(self, status: int) -> None:
        """The protected resource answered a request with a token."""
        with self._changed:
            self._counts["used" if status == 200 else "refused"] += 1

    def rests(self, caller: int) -> None:
        """A caller pauses."""
        with self._changed:
            self._doing[caller] = RESTING

    # What the session reports

    def listen(self, event: Event) -> None:
        """Take an event of the session; give this as its `listener`."""
        if isinstance(event, SessionEstablished):
            self._pair_came(event, "established: token A for everybody")
        elif isinstance(event, TokenRotated):
            again = " (the same answer, given again)" if self._answer_missing else ""
            self._pair_came(event, f"refreshed{again}: token {letter(self.generation)} for everybody")
        elif isinstance(event, AttemptFailed):
            self._attempt_failed(event)
        elif isinstance(event, SessionExpired):
            self._tell(OVER, f"the session is over: {event.reason}")

    def _pair_came(self, event: Event, text: str) -> None:
        with self._changed:
            self._note(GOOD, text)
            self.generation += 1
            self.pair_came_at = event.at.monotonic
            self._answer_missing = False
            self._changed.notify_all()  # only now: what the script does about it is told after it
        self.on_moment()

    def _attempt_failed(self, event: AttemptFailed) -> None:
        with self._changed:
            self._counts["attempts failed"] += 1
            self._answer_missing = event.status is None
        if event.status is None:
            self._tell(LOST, "the answer is lost: asking again, with the same request id")
        else:
            keep = letter(self.generation - 1)
            self._tell(FAILED, f"{event.reason}: callers keep token {keep}, next try in {event.retry_in or 0:.1f} s")

    # What the script does

    def tell(self, text: str) -> None:
        """Tell what is being done to everybody."""
        self._tell(PLAN, text)

    def let_it_end(self) -> None:
        """From now on the session may be over."""
        with self._changed:
            self._may_be_over = True

    def wait_for(self, condition: Callable[[], bool], seconds: float) -> bool:
        """Wait until a condition on what was reported is true; return False if it does not become true in time."""
        with self._changed:
            return self._changed.wait_for(condition, seconds)

    def newest_in_hand(self) -> int:
        """Return of which generation the newest token is that a caller got; 0 before the first."""
        return max(self._lives, default=-1) + 1

    def told_over(self) -> int:
        """Return how many callers were told that the session is over."""
        return self._counts["told over"]

    # What can be read

    def summary(self) -> Summary:
        """Return what was seen so far."""
        with self._changed:
            return self._summarize()

    def moments_from(self, first: int) -> list[Moment]:
        """Return the moments from that one on, counted from 0."""
        with self._changed:
            return self._moments[first:]

    def view(self, moments: int) -> View:
        """Return what there is to show, with so many of the latest moments."""
        with self._changed:
            return View(
                self._now(),
                list(zip(self._doing, self._holding, strict=True)),
                {n: Life(life.first, life.last, life.times, list(life.marks)) for n, life in self._lives.items()},
                self._moments[-moments:],
                self._summarize(),
                max(0, self.generation - 1),
                self._counts["attempts failed"],
            )

    def _summarize(self) -> Summary:
        counts = self._counts
        return Summary(
            callers=self.callers,
            handed_out=counts["handed out"],
            distinct_tokens=len(self._numbers),
            steps_back=counts["steps back"],
            errors=tuple(self._errors),
            told_over=counts["told over"],
            used=counts["used"],
            refused=counts["refused"],
        )

    def _tell(self, kind: str, text: str) -> None:
        with self._changed:
            self._note(kind, text)
        self.on_moment()

    def _note(self, kind: str, text: str) -> None:
        moment = Moment(self._now(), kind, text)
        self._moments.append(moment)
        if kind in (LOST, FAILED) and self._lives:
            self._lives[max(self._lives)].marks.append(moment)

    def _now(self) -> float:
        return self._clock() - self._began


def letter(number: int) -> str:
    """Return what people call the token of a number, counted from 0."""
    return chr(ord("A") + number % 26)
