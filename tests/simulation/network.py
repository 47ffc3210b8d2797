# What a network, a gateway and a server under stress may do to one request. A fate is drawn by chance; what it does is
# told in three facts: when the server sees the request, what the client is told, and when.

import json
import time
from collections.abc import Callable, Sequence
from random import Random
from typing import NamedTuple

from tenure import AMBIGUOUS, NOT_SENT, Request, Response, SendFailure

from .clocks import EPOCH
from .damage import damage

__all__ = ["ANSWERED", "FATES", "Fate", "Letter", "Report", "answered", "draw_fate", "draw_name", "make_fate"]

Report = Response | SendFailure
Tell = Callable[[Response | None, Sequence[Response]], Report]
RESET = SendFailure(AMBIGUOUS, "connection reset")
TIMED_OUT = SendFailure(AMBIGUOUS, "timed out")
REFUSED = SendFailure(NOT_SENT, "connection refused")

KINDS = {
    "credentials": "verify credentials",
    "issue-by-factors": "establish",
    "issue-by-key": "establish by key",
    "refresh": "refresh",
}


class Letter(NamedTuple):
    """A request, read as anybody on the wire could read it."""

    number: int
    request: Request
    request_id: str
    kind: str
    refresh_token: str | None  # that it presents

    @classmethod
    def read(cls, number: int, request: Request) -> "Letter":
        """Read a request of the client's."""
        kind = KINDS.get(request.url.rpartition("/")[2], "?")
        token = json.loads(request.body).get("permissionRefreshToken")
        assert token is None or isinstance(token, str)
        return cls(number, request, dict(request.headers)["request-id"], kind, token)


class Fate:
    """What becomes of one request.

    Attributes:
        name: for the history.
        arrivals: seconds after sending at which the server gets the request: none, once, or twice (a duplicate).
        told_after: seconds after sending at which the client is told something.
        is_clear: whether what the client is told is the server's own word, for sure.
    """

    def __init__(
        self,
        name: str,
        arrivals: tuple[float, ...],
        told_after: float,
        tell: Tell,
        is_clear: bool = False,
    ) -> None:
        self.name = name
        self.arrivals = arrivals
        self.told_after = told_after
        self.is_clear = is_clear
        self._tell = tell

    def tell(self, answer: Response | None, earlier: Sequence[Response] = ()) -> Report:
        """Return what the client is told.

        Args:
            answer: the server's first answer, None if it got nothing in time.
            earlier: its good answers so far, to whichever request.
        """
        return self._tell(answer, earlier)


def _answered(name: str, rng: Random, timeout: float) -> Fate:
    """Nothing goes wrong."""
    there = rng.uniform(0, timeout / 3)
    return Fate(name, (there,), there + rng.uniform(0, timeout / 3), _pass_on, is_clear=True)


def _at_the_last_moment(name: str, rng: Random, timeout: float) -> Fate:
    return Fate(name, (rng.uniform(0, timeout),), timeout, _pass_on, is_clear=True)


def _duplicated(name: str, rng: Random, timeout: float) -> Fate:
    there = rng.uniform(0, timeout / 3)
    return Fate(name, (there, there + rng.uniform(0, timeout)), there + timeout / 3, _pass_on, is_clear=True)


def _refused(name: str, rng: Random, timeout: float) -> Fate:
    return Fate(name, (), rng.uniform(0, timeout), _always(REFUSED))


def _request_lost(name: str, rng: Random, timeout: float) -> Fate:
    return Fate(name, (), rng.choice([timeout, rng.uniform(0, timeout)]), _always(TIMED_OUT))


def _answer_lost(name: str, rng: Random, timeout: float) -> Fate:
    there = rng.uniform(0, timeout / 2)
    return Fate(name, (there,), rng.choice([timeout, there]), _always(RESET))


def _late(name: str, rng: Random, timeout: float) -> Fate:
    """The client gives up, and only then the server gets the request, maybe behind the next one."""
    return Fate(name, (timeout + rng.uniform(0, timeout),), timeout, _always(TIMED_OUT))


def _crossed(name: str, rng: Random, timeout: float) -> Fate:
    """The answer to an earlier request comes in place of this one's: a cache, or a proxy that lost count."""
    there, which = rng.uniform(0, timeout / 2), rng.random()

    def tell(_: Response | None, earlier: Sequence[Response]) -> Report:
        return earlier[int(which * len(earlier))] if earlier else RESET

    return Fate(name, rng.choice([(), (there,)]), there, tell)


def _gateway_is_busy(name: str, rng: Random, timeout: float, wall: float = EPOCH) -> Fate:
    status = rng.choice([408, 425, 429, 500, 502, 503, 504])
    date = _draw_date(Random(rng.random()), wall)
    wait = rng.choice(["0", "1", "7", "100", "99999999999", "-3", "soon", "", date])
    return Fate(name, (), rng.uniform(0, timeout), _always(Response(status, [("retry-after", wait)], b"")))


def _draw_date(rng: Random, wall: float) -> str:
    """Return a date in one of the three forms of RFC 9110, section 5.6.7; about half of them can be waited for."""
    when = time.gmtime(wall + rng.choice([rng.uniform(0, 60), rng.uniform(-1e6, 1e6)]))
    fixed, obsolete = "%a, %d %b %Y %H:%M:%S GMT", "%A, %d-%b-%y %H:%M:%S GMT"
    return rng.choice([time.strftime(fixed, when), time.strftime(obsolete, when), time.asctime(when)])


def _gateway_lost_backend(name: str, rng: Random, timeout: float) -> Fate:
    there = rng.uniform(0, timeout / 2)
    return Fate(name, (there,), timeout / 2, _always(Response(502, (), b"bad gateway")))


def _captive_portal(name: str, rng: Random, timeout: float) -> Fate:
    page = Response(200, (("content-type", "text/html"),), b"<html>please log in</html>")
    return Fate(name, (), rng.uniform(0, timeout), _always(page))


def _redirected(name: str, rng: Random, timeout: float) -> Fate:
    status = rng.choice([301, 302, 303, 307, 308])
    away = Response(status, (("location", "https://elsewhere.example/authorization/v1"),), b"")
    return Fate(name, (), rng.uniform(0, timeout), _always(away))


def _odd_status(name: str, rng: Random, timeout: float) -> Fate:
    return Fate(
        name, (), rng.uniform(0, timeout), _always(Response(rng.choice([100, 204, 206, 405, 418, 999]), (), b""))
    )


def _damaged(name: str, rng: Random, timeout: float) -> Fate:
    there = rng.uniform(0, timeout / 2)
    seed = rng.random()

    def tell(answer: Response | None, _: Sequence[Response]) -> Report:
        assert answer is not None
        return damage(Random(seed), answer)

    return Fate(name, (there,), timeout / 2, tell)


def _pass_on(answer: Response | None, _: Sequence[Response]) -> Report:
    assert answer is not None
    return answer


def _always(report: Report) -> Tell:
    return lambda answer, earlier: report


ANSWERED = "answered"
BUSY = "gateway answers: busy"

# From the simplest to the oddest: whoever shrinks a life tries the first ones first.
FATES: dict[str, Callable[[str, Random, float], Fate]] = {
    ANSWERED: _answered,
    "connection refused": _refused,
    "request lost": _request_lost,
    "answer lost": _answer_lost,
    "answered at the last moment": _at_the_last_moment,
    "request delayed beyond the time-out": _late,
    "request duplicated": _duplicated,
    BUSY: _gateway_is_busy,
    "server acts, gateway answers 502": _gateway_lost_backend,
    "answered by a captive portal": _captive_portal,
    "redirected": _redirected,
    "answered with an odd status": _odd_status,
    "answer damaged": _damaged,
    "an earlier answer comes instead": _crossed,
}
TROUBLE = [name for name in FATES if name != ANSWERED]


def make_fate(name: str, rng: Random, timeout: float, is_prompt: bool = False, wall: float = EPOCH) -> Fate:
    """Return the fate of that name.

    Args:
        name: a key of `FATES`.
        rng: the source of chance.
        timeout: seconds that the client waits for the answer.
        is_prompt: times are short and fixed where nothing goes wrong.
        wall: what the client's wall clock reads, near which a gateway may name a time.
    """
    if name == ANSWERED and is_prompt:
        return Fate(name, (min(0.05, timeout / 3),), min(0.1, timeout / 2), _pass_on, is_clear=True)
    if name == BUSY:
        return _gateway_is_busy(name, rng, timeout, wall)
    return FATES[name](name, rng, timeout)


def answered(rng: Random, timeout: float) -> Fate:
    """Return the fate of a request to which nothing happens."""
    return make_fate(ANSWERED, rng, timeout)


def draw_fate(rng: Random, trouble: float, timeout: float) -> Fate:
    """Return what becomes of a request of which the client waits `timeout` seconds for the answer."""
    return make_fate(draw_name(rng, trouble), rng, timeout)


def draw_name(rng: Random, trouble: float) -> str:
    """Return the name of what becomes of a request.

    Args:
        rng: the source of chance.
        trouble: the probability that anything goes wrong, 0 to 1.
    """
    return ANSWERED if rng.random() >= trouble else rng.choice(TROUBLE)
