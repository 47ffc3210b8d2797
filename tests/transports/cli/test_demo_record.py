import pytest
from tenure import (
    AttemptFailed,
    Instant,
    RefreshError,
    SessionEstablished,
    SessionExpired,
    SessionExpiredError,
    TokenRotated,
)
from tenure.transports.cli.demo_record import Record, letter

AT = Instant(100.0, 1_700_000_000)


class Clock:
    def __init__(self) -> None:
        self.now = 50.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def record(clock: Clock) -> Record:
    return Record(3, clock)


def texts(record: Record) -> list[str]:
    return [moment.text for moment in record.moments_from(0)]


def test_tokens_are_counted_and_told_apart(record: Record, clock: Clock) -> None:
    """A caller that gets the same token again is one more token handed out, and no other token."""
    for caller, token in ((0, "one"), (1, "one"), (0, "two"), (0, "two")):
        clock.now += 1
        record.got(caller, token)
    seen = record.summary()
    assert (seen.handed_out, seen.distinct_tokens, seen.steps_back) == (4, 2, 0)
    lives = record.view(0).lives
    assert [(life.first, life.last, life.times) for life in lives.values()] == [(1, 2, 2), (3, 4, 2)]


def test_an_older_token_than_before_is_a_step_back(record: Record) -> None:
    """Invariant 3: never an older one than before."""
    for token in ("one", "two", "one"):
        record.got(0, token)
    record.got(1, "two")
    assert record.summary().steps_back == 1


def test_a_token_that_no_caller_got_leaves_its_letter_unused(record: Record) -> None:
    """So that the letters of the bars are those of the story."""
    record.listen(SessionEstablished("t", AT))
    record.got(0, "one")
    record.listen(TokenRotated("t", AT))
    record.listen(TokenRotated("t", AT))
    record.got(0, "three")
    assert [letter(number) for number in record.view(0).lives] == ["A", "C"]
    assert record.newest_in_hand() == 3


def test_a_token_may_be_had_before_the_listener_hears_of_it(record: Record) -> None:
    """The session publishes first and tells afterwards."""
    record.listen(SessionEstablished("t", AT))
    record.got(0, "one")
    record.got(0, "two")
    record.listen(TokenRotated("t", AT))
    assert [letter(number) for number in record.view(0).lives] == ["A", "B"]


def test_errors_before_the_end_are_errors(record: Record) -> None:
    """Also that the session is over, if nobody has meant it to be."""
    record.failed(0, RefreshError("later"))
    record.failed(1, SessionExpiredError("over"))
    record.failed(2, SessionExpiredError("over"))
    seen = record.summary()
    assert (seen.errors, seen.told_over) == (("RefreshError", "SessionExpiredError", "SessionExpiredError"), 0)
    assert texts(record) == ["a caller got RefreshError", "a caller got SessionExpiredError"]


def test_at_the_end_only_the_end_is_no_error(record: Record) -> None:
    """Whoever is told anything else than that it is over got an error."""
    record.let_it_end()
    record.failed(0, SessionExpiredError("over"))
    record.failed(1, RefreshError("later"))
    seen = record.summary()
    assert (seen.errors, seen.told_over) == (("RefreshError",), 1)
    assert record.wait_for(lambda: record.told_over() == 1, 0)
    assert not record.wait_for(lambda: record.told_over() == 2, 0)


def test_what_the_resource_answers_is_counted(record: Record) -> None:
    """Only 200 is an accepted token."""
    for status in (200, 200, 401, 500):
        record.used(status)
    seen = record.summary()
    assert (seen.used, seen.refused) == (2, 2)


def test_the_story_of_a_session(record: Record, clock: Clock) -> None:
    """Events become lines for people; times count from the beginning, failures mark the bar of the current token."""
    told = []
    record.on_moment = lambda: told.append(texts(record)[-1])
    record.listen(SessionEstablished("t", AT))
    record.got(0, "one")
    clock.now += 2.5
    record.listen(AttemptFailed("t", AT, "RemoteDisconnected", 0.0, None))
    record.listen(TokenRotated("t", AT))
    record.listen(AttemptFailed("t", AT, "the service answered 503", 1.0, 503))
    record.listen(TokenRotated("t", AT))
    record.listen(SessionExpired("t", AT, "the service answered 401", False))
    assert told == texts(record)
    assert told == [
        "established: token A for everybody",
        "the answer is lost: asking again, with the same request id",
        "refreshed (the same answer, given again): token B for everybody",
        "the service answered 503: callers keep token B, next try in 1.0 s",
        "refreshed: token C for everybody",
        "the session is over: the service answered 401",
    ]
    view = record.view(2)
    assert [moment.at for moment in view.moments] == [2.5, 2.5]
    assert [mark.text for mark in view.lives[0].marks] == [told[1], told[3]]
    assert (view.accepted, view.attempts_failed) == (2, 2)
    assert (record.generation, record.pair_came_at) == (3, 100.0)


def test_what_callers_are_doing(record: Record) -> None:
    """A screen shows it for each of them."""
    record.asks(0)
    record.got(0, "one")
    record.asks(1)
    assert record.view(0).callers == [("working", 0), ("waiting", -1), ("resting", -1)]
    record.rests(0)
    assert record.view(0).callers[0] == ("resting", 0)


def test_no_token_is_shown(record: Record) -> None:
    """Invariant 9: the record holds tokens, and nothing it shows does."""
    record.got(0, "a-secret-token")
    assert "a-secret-token" not in repr(record) + repr(record.view(9)) + repr(record.summary())
