# What a network, a gateway and a server under stress may do to one request. A fate is drawn by chance; what it does is
# told in three facts: when the server sees the request, what the client is told, and when.

from collections.abc import Callable
from random import Random

from tenure import AMBIGUOUS, NOT_SENT, Response, SendFailure

__all__ = ["FATES", "Fate", "answered", "draw_fate"]

Report = Response | SendFailure
RESET = SendFailure(AMBIGUOUS, "connection reset")
TIMED_OUT = SendFailure(AMBIGUOUS, "timed out")
REFUSED = SendFailure(NOT_SENT, "connection refused")


class Fate:
    """What becomes of one request.

    Attributes:
        name: for the history.
        arrivals: seconds after sending at which the server gets the request: none, once, or twice (a duplicate).
        told_after: seconds after sending at which the client is told something.
        tell: turns the server's first answer (None if it got nothing in time) into what the client is told.
        is_clear: whether what the client is told is the server's own word.
    """

    def __init__(
        self,
        name: str,
        arrivals: tuple[float, ...],
        told_after: float,
        tell: Callable[[Response | None], Report],
        is_clear: bool = False,
    ) -> None:
        self.name = name
        self.arrivals = arrivals
        self.told_after = told_after
        self.tell = tell
        self.is_clear = is_clear


def answered(rng: Random, timeout: float) -> Fate:
    """Nothing goes wrong."""
    there = rng.uniform(0, timeout / 3)
    return Fate("answered", (there,), there + rng.uniform(0, timeout / 3), _pass_on, is_clear=True)


def _duplicated(rng: Random, timeout: float) -> Fate:
    there = rng.uniform(0, timeout / 3)
    return Fate("duplicated", (there, there + rng.uniform(0, timeout)), there + timeout / 3, _pass_on, is_clear=True)


def _refused(rng: Random, timeout: float) -> Fate:
    return Fate("connection refused", (), rng.uniform(0, timeout), lambda answer: REFUSED)


def _request_lost(rng: Random, timeout: float) -> Fate:
    return Fate("request lost", (), rng.choice([timeout, rng.uniform(0, timeout)]), lambda answer: TIMED_OUT)


def _answer_lost(rng: Random, timeout: float) -> Fate:
    there = rng.uniform(0, timeout / 2)
    return Fate("answer lost", (there,), rng.choice([timeout, there]), lambda answer: RESET)


def _late(rng: Random, timeout: float) -> Fate:
    """The client gives up, and only then the server gets the request, maybe behind the next one."""
    return Fate("late", (timeout + rng.uniform(0, timeout),), timeout, lambda answer: TIMED_OUT)


def _busy(rng: Random, timeout: float) -> Fate:
    status = rng.choice([408, 425, 429, 500, 502, 503, 504])
    headers = [("retry-after", rng.choice(["0", "1", "7", "100", "soon", ""]))]
    return Fate(f"answered {status}", (), rng.uniform(0, timeout), lambda answer: Response(status, headers, b""))


def _gateway_lost_backend(rng: Random, timeout: float) -> Fate:
    there = rng.uniform(0, timeout / 2)
    return Fate("acted, answered 502", (there,), timeout / 2, lambda answer: Response(502, (), b"bad gateway"))


def _captive_portal(rng: Random, timeout: float) -> Fate:
    page = Response(200, (("content-type", "text/html"),), b"<html>please log in</html>")
    return Fate("captive portal", (), rng.uniform(0, timeout), lambda answer: page)


def _redirected(rng: Random, timeout: float) -> Fate:
    away = Response(307, (("location", "https://elsewhere.example/"),), b"")
    return Fate("redirected", (), rng.uniform(0, timeout), lambda answer: away)


def _corrupted(rng: Random, timeout: float) -> Fate:
    there = rng.uniform(0, timeout / 2)
    seed = rng.random()
    return Fate("acted, answer corrupted", (there,), timeout / 2, lambda answer: _corrupt(Random(seed), answer))


def _pass_on(answer: Response | None) -> Report:
    assert answer is not None
    return answer


def _corrupt(rng: Random, answer: Response | None) -> Response:
    """Damage an answer so that no client may take it for whole."""
    assert answer is not None
    body = rng.choice(
        [
            b"",
            answer.body[: rng.randrange(len(answer.body))],
            b"\xff" + answer.body,
            answer.body.replace(b"requestId", b"questId"),
            answer.body.replace(b'"permissionToken": "', b'"permissionToken": "a b').replace(
                b'Token":"', b'Token":"a b'
            ),
            answer.body.replace(b"expiresAt", b"expires"),
            b"[" + answer.body + b"]",
        ]
    )
    return Response(answer.status, answer.headers, body if body != answer.body else b"{}")


FATES = (
    _refused,
    _request_lost,
    _answer_lost,
    _late,
    _duplicated,
    _busy,
    _gateway_lost_backend,
    _captive_portal,
    _redirected,
    _corrupted,
)


def draw_fate(rng: Random, trouble: float, timeout: float) -> Fate:
    """Return what becomes of a request of which the client waits `timeout` seconds for the answer.

    Args:
        rng: the source of chance.
        trouble: the probability that anything goes wrong, 0 to 1.
        timeout: seconds.
    """
    if rng.random() >= trouble:
        return answered(rng, timeout)
    return rng.choice(FATES)(rng, timeout)
