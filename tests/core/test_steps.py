# steps.py: the words between core and driver.

import copy
import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tenure import AMBIGUOUS, MAX_BODY, NOT_SENT, Instant, Request, Response, SendFailure, SendRequest
from tenure.steps import latest_start


@given(st.floats(-1e12, 1e12))
def test_wall_is_a_whole_number(wall: float) -> None:
    """DESIGN.md, Time: nothing may depend on fractions of a wall second."""
    instant = Instant(1.5, wall)
    assert isinstance(instant.wall, int)
    assert abs(instant.wall - wall) < 1
    assert instant.monotonic == 1.5


def test_longest_body_is_a_mebibyte() -> None:
    """DESIGN.md, The driver's contract: responses are bounded."""
    assert MAX_BODY == 2**20


def test_instant_shows_both_clocks() -> None:
    """A moment is shown by its two readings."""
    assert repr(Instant(1.5, 2.9)) == "Instant(monotonic=1.5, wall=2)"


@pytest.mark.parametrize("headers", [[("Date", "x"), ("DATE", "y"), ("n", "1")], {"Date": "x", "n": "1"}])
def test_headers_are_found_in_any_case(headers: "dict[str, str]") -> None:
    """RFC 9110, section 5.1: names are case-insensitive; the first of several is taken; pairs or a mapping will do."""
    response = Response(200, headers, b"")
    assert (response.header("date"), response.header("n"), response.header("other")) == ("x", "1", None)


def test_header_values_become_text() -> None:
    """Whatever a sender gives as a value can be searched as a string."""
    assert Response(200, [("retry-after", 5)], b"").header("retry-after") == "5"  # type: ignore[list-item]


def test_headers_may_come_from_a_generator() -> None:
    """They are taken once, when the response is made."""
    response = Response(200, (pair for pair in [("a", "b")]), b"")
    assert response.header("a") == response.header("a") == "b"


def test_steps_with_secrets_show_none() -> None:
    """Invariant 9: a request's body and headers, and an answer's body, are not shown."""
    request = Request("POST", "https://h/p", (("x", "hunter2"),), b"hunter2")
    assert repr(request) == "<Request POST https://h/p, 7 bytes>"
    assert repr(Response(200, {"x": "hunter2"}, b"hunter2")) == "<Response 200, 7 bytes>"
    assert repr(SendRequest(request, 10)) == "<SendRequest https://h/p, timeout 10.000 s>"


@pytest.mark.parametrize("duplicate", [copy.copy, lambda failure: pickle.loads(pickle.dumps(failure))])  # noqa: S301
def test_send_failure_can_be_copied(duplicate: object) -> None:
    """A `send=` may do its work in another process: what it raises has to come back."""
    assert callable(duplicate)
    same = duplicate(SendFailure(AMBIGUOUS, "timed out"))
    assert (same.kind, same.reason) == (AMBIGUOUS, "timed out")
    assert repr(same) == "SendFailure('ambiguous', 'timed out')"


def test_request_without_a_lease_has_its_time_out_whenever_it_begins() -> None:
    """Nothing ends but the attempt."""
    step = SendRequest(Request("POST", "https://h/p", (), b""), 10)
    assert step.seconds_left(Instant(1e9, 1e9)) == 10


@pytest.mark.parametrize(
    ("monotonic", "wall", "left"),
    [(100, 1000, 10), (105, 1005, 10), (106, 1000, 9), (100, 1006, 9), (114, 1014, 1), (100, 1014, 1), (90, 0, 10)],
)
def test_request_has_no_more_time_than_its_lease(monotonic: float, wall: float, left: float) -> None:
    """shared.py: no byte leaves when it has ended, by either clock."""
    step = SendRequest(Request("POST", "https://h/p", (), b""), 10, 115.0, 1015)
    assert step.seconds_left(Instant(monotonic, wall)) == left


@pytest.mark.parametrize(("timeout", "left"), [(10, 1.0), (0.5, 0.5)])
def test_request_that_could_not_be_answered_any_more_is_not_sent(timeout: float, left: float) -> None:
    """What is sent and cut off may cost the session: it has a second at least, or all the time the policy gives it."""
    step = SendRequest(Request("POST", "https://h/p", (), b""), timeout, 115.0, 1015)
    assert step.seconds_left(Instant(115 - left, 1000)) == left
    with pytest.raises(SendFailure, match="or nearly so"):
        step.seconds_left(Instant(115 - left + 0.01, 1000))


@pytest.mark.parametrize(("timeout", "start"), [(10, 9.5), (1, 0.5), (0.5, 0.25)])
def test_request_is_not_sent_so_late_that_it_is_cut_off_at_once(timeout: float, start: float) -> None:
    """However long connecting took, or a pause of the process in it."""
    assert latest_start(timeout) == start


@pytest.mark.parametrize(("monotonic", "wall"), [(114.01, 1000), (115, 1000), (116, 1000), (100, 1015), (100, 10**9)])
def test_request_whose_lease_has_ended_is_not_sent(monotonic: float, wall: float) -> None:
    """The process was paused, or the machine slept: the driver reports what is raised."""
    step = SendRequest(Request("POST", "https://h/p", (), b""), 10, 115.0, 1015)
    with pytest.raises(SendFailure, match="paused until its lease had ended") as caught:
        step.seconds_left(Instant(monotonic, wall))
    assert caught.value.kind == NOT_SENT
