# How hypothesis runs here: the same examples every time and no clock, so that a slow machine is no failure. And what
# holds for every event in every test.

from collections.abc import Iterator

import pytest
from hypothesis import settings
from tenure import Event, Instant
from tenure.session import Session

settings.register_profile("core", deadline=None, derandomize=True, database=None)
settings.load_profile("core")


@pytest.fixture(scope="module", autouse=True)
def events_tell_when_and_of_what() -> Iterator[None]:
    """Events are for people who look for the moment and the session in a log."""
    record = Session.record

    def check_and_record(self: Session, event: Event) -> None:
        assert isinstance(event.at, Instant)
        assert event.token_id == self.token_id
        record(self, event)

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(Session, "record", check_and_record)
        yield
