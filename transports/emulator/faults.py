# What can go wrong between a client and the service, by name: time, connections, statuses. distortions.py has the rest.
#
# A fault is what befalls one request. It has two moments: before the service acts on the request (or would have), and
# after. It only says what is to happen (exchange.py); the server does it. Which request it befalls is the plan's
# business (plan.py). That nobody listens befalls no request: see `Emulator.connections_refused`.

from collections.abc import Callable
from email.utils import formatdate
from threading import Event, Lock

from ... import Response
from .exchange import BODY, EVERYTHING, HEADERS, RESET, Exchange

__all__ = [
    "Fault",
    "Hold",
    "acted_status",
    "hold",
    "hold_answer",
    "latency",
    "lose_answer",
    "redirect",
    "reset_after",
    "reset_before",
    "slow_drip",
    "status",
]

Moment = Callable[[Exchange], None]


class Fault:
    """What befalls one request. The functions of this module make them; more can be made of two callables.

    Args:
        name: for the journal.
        before: called with the `Exchange` before the service acts, or None.
        after: called with the `Exchange` when the service has acted, or would have, or None.
        acts: whether the service acts on the request at all.
    """

    def __init__(
        self, name: str, before: Moment | None = None, after: Moment | None = None, *, acts: bool = True
    ) -> None:
        self.name = name
        self.acts = acts
        self._before = before
        self._after = after

    def __repr__(self) -> str:
        return f"<Fault {self.name}>"

    def before(self, exchange: Exchange) -> None:
        """Do what is to be done before the service acts."""
        exchange.acts = exchange.acts and self.acts
        if self._before is not None:
            self._before(exchange)

    def after(self, exchange: Exchange) -> None:
        """Do what is to be done when the service has acted, or would have."""
        if self._after is not None:
            self._after(exchange)


class Hold(Fault):
    """Keeps a request, or its answer, until `release`: so that a test need not sleep. See `hold`, `hold_answer`.

    Attributes:
        arrived: a `threading.Event`, set as soon as one is kept.
    """

    def __init__(self, name: str, *, answer: bool) -> None:
        super().__init__(name, None if answer else self._keep, self._keep if answer else None)
        self.arrived = Event()
        self._lock = Lock()
        self._released = False
        self._kept: list[Event] = []

    def release(self) -> None:
        """Let go what is kept, and keep nothing from now on."""
        with self._lock:
            self._released = True
            for event in self._kept:
                event.set()

    def _keep(self, exchange: Exchange) -> None:
        turn = Event()  # of this request alone: a closing server wakes it without releasing others
        with self._lock:
            self._kept.append(turn)
            if self._released:
                turn.set()
        self.arrived.set()
        exchange.patience.wait(turn)


# --- time ---


def latency(seconds: float, *, answer: bool = False) -> Fault:
    """Wait before the service acts, or with `answer` after it has acted and before the answer is sent."""

    def wait(exchange: Exchange) -> None:
        exchange.patience.pause(seconds)

    return Fault("latency", None if answer else wait, wait if answer else None)


def hold() -> Hold:
    """Keep the request before the service acts, until it is released."""
    return Hold("hold", answer=False)


def hold_answer() -> Hold:
    """Keep the answer after the service has acted, until it is released."""
    return Hold("hold_answer", answer=True)


def slow_drip(seconds: float, part: str = EVERYTHING) -> Fault:
    """Send the answer byte by byte, so many seconds apart; `part` is "everything", "headers" or "body"."""
    if part not in (EVERYTHING, HEADERS, BODY):
        raise ValueError('part must be "everything", "headers" or "body"')

    def drip(exchange: Exchange) -> None:
        exchange.drip_interval, exchange.drip_part = seconds, part

    return Fault("slow_drip", after=drip)


# --- connections ---


def reset_before() -> Fault:
    """Reset the connection; the service never sees the request."""
    return Fault("reset_before", after=_reset, acts=False)


def reset_after() -> Fault:
    """Let the service act, then reset the connection without a byte."""

    def reset(exchange: Exchange) -> None:
        _withhold(exchange)
        _reset(exchange)

    return Fault("reset_after", after=reset)


def lose_answer() -> Fault:
    """Let the service act, then close the connection in good order without a byte."""
    return Fault("lose_answer", after=_withhold)


def _withhold(exchange: Exchange) -> None:
    exchange.response = None


def _reset(exchange: Exchange) -> None:
    exchange.ending = RESET


# --- statuses ---


def status(
    code: int, retry_after: "float | str | None" = None, *, as_date: bool = False, body: bytes | None = None
) -> Fault:
    """Answer with a status; the service never sees the request.

    Args:
        code: the status, 200 to 999.
        retry_after: seconds for the header Retry-After, or the header's text.
        as_date: give the seconds as an HTTP date, reckoned on the service's clock.
        body: of the answer; without it, the JSON of a gateway's error.
    """
    return Fault("status", after=_answer_with(code, retry_after, as_date, body), acts=False)


def acted_status(
    code: int = 503, retry_after: "float | str | None" = None, *, as_date: bool = False, body: bytes | None = None
) -> Fault:
    """Let the service act, then answer with a status all the same: a gateway that lost its backend. As `status`."""
    return Fault("acted_status", after=_answer_with(code, retry_after, as_date, body))


def redirect(location: str, code: int = 307) -> Fault:
    """Send the client elsewhere; the service never sees the request."""

    def point(exchange: Exchange) -> None:
        exchange.response = Response(code, (("location", location), _date(exchange.now)), b"")

    return Fault("redirect", after=point, acts=False)


def _answer_with(code: int, retry_after: "float | str | None", as_date: bool, body: bytes | None) -> Moment:
    content = b'{"error": "gateway", "message": "a fault was asked for"}' if body is None else body

    def answer(exchange: Exchange) -> None:
        headers = [("content-type", "application/json"), _date(exchange.now)]
        if retry_after is not None:
            text = str(retry_after)
            if as_date:
                text = formatdate(exchange.now + float(retry_after), usegmt=True)
            headers.append(("retry-after", text))
        exchange.response = Response(code, headers, content)

    return answer


def _date(now: float) -> tuple[str, str]:
    return ("date", formatdate(now, usegmt=True))
