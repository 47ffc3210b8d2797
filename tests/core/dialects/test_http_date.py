# http_date.py: dates in HTTP headers.

from datetime import datetime, timezone
from email.utils import format_datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tenure.dialects.http_date import parse_http_date

EXAMPLE = 784111777  # Sun, 06 Nov 1994 08:49:37 GMT


@pytest.mark.parametrize(
    "text",
    [
        "Sun, 06 Nov 1994 08:49:37 GMT",
        "Sunday, 06-Nov-94 08:49:37 GMT",
        "Sun Nov  6 08:49:37 1994",
        "sun,  6 nov 1994 08:49:37 GMT",
        "Sun,06 Nov 1994 08:49:37 GMT",
    ],
)
def test_the_three_forms(text: str) -> None:
    """RFC 9110, section 5.6.7: one moment in each of the forms a recipient must accept."""
    assert parse_http_date(text) == EXAMPLE


@given(st.datetimes(datetime(1, 1, 2), datetime(9999, 12, 30)))
def test_agrees_with_the_standard_library(moment: datetime) -> None:
    """Every second from the year 1 to 9999, by somebody else's calendar."""
    moment = moment.replace(microsecond=0, tzinfo=timezone.utc)
    expected = int((moment - datetime(1970, 1, 1, tzinfo=timezone.utc)).total_seconds())
    assert parse_http_date(format_datetime(moment, usegmt=True)) == expected
    assert parse_http_date(moment.strftime("%a %b %d %H:%M:%S ") + f"{moment.year:04d}") == expected


@pytest.mark.parametrize(
    ("year", "full"), [("70", 1970), ("99", 1999), ("00", 2000), ("69", 2069), ("26", 2026), ("100", 100), ("0001", 1)]
)
def test_two_digits_of_a_year(year: str, full: int) -> None:
    """The obsolete form means 1970 to 2069; any other number of digits means what it says, from the year 1."""
    expected = int(datetime(full, 11, 6, 8, 49, 37, tzinfo=timezone.utc).timestamp())
    assert parse_http_date(f"Sunday, 06-Nov-{year} 08:49:37 GMT") == expected


@pytest.mark.parametrize(
    "day", ["29 Feb 2024", "28 Feb 2023", "01 Mar 2024", "31 Dec 1999", "01 Jan 2000", "29 Feb 2000"]
)
def test_turns_of_months_and_years(day: str) -> None:
    """Leap days and year ends, against the standard library."""
    expected = datetime.strptime(day, "%d %b %Y").replace(tzinfo=timezone.utc).timestamp()
    assert parse_http_date(f"Mon, {day} 00:00:00 GMT") == expected


@pytest.mark.parametrize("clock", ["00:00:00", "23:59:59", "23:59:60"])
def test_leap_second_is_a_time(clock: str) -> None:
    """RFC 9110 allows a second 60."""
    assert parse_http_date(f"Sun, 06 Nov 1994 {clock} GMT") is not None


@pytest.mark.parametrize(
    "text",
    [
        None,
        "",
        "now",
        "120",
        "-5",
        "1.5",
        "1994-11-06T08:49:37Z",
        "Sun, 06 Nov 1994 08:49:37",
        "Sun, 06 Nov 1994 08:49:37 CET",
        "Sun, 06 Nov 1994 08:49:37 +0000 x",
        "Sun, 06 Nov 1994 08:49 GMT",
        "Sun, 06 Nov 1994 08:49:37:01 GMT",
        "Sun, 06 Nov 1994 24:00:00 GMT",
        "Sun, 06 Nov 1994 08:60:00 GMT",
        "Sun, 06 Nov 1994 08:49:61 GMT",
        "Sun, 00 Nov 1994 08:49:37 GMT",
        "Sun, 32 Nov 1994 08:49:37 GMT",
        "Sun, 06 Nox 1994 08:49:37 GMT",
        "Sun, 06 Nov 0 08:49:37 GMT",
        "Sun, 06 Nov 10000 08:49:37 GMT",
        "Sun, 06 Nov " + "9" * 5000 + " 08:49:37 GMT",
        "Sun, six Nov 1994 08:49:37 GMT",
        "\ud800 \x00",
    ],
)
def test_what_is_no_date(text: "str | None") -> None:
    """A header is a stranger's word: nothing but a number or None comes out."""
    assert parse_http_date(text) is None


@given(st.text())
def test_any_text_is_a_date_or_not(text: str) -> None:
    """Fuzz: whatever the header holds, the parser never raises."""
    assert isinstance(parse_http_date(text), (int, type(None)))


@given(st.lists(st.sampled_from(["Sun,", "06", "Nov", "94", "08:49:37", "GMT", "1:2:x", "-", "é"]), max_size=7))
def test_shuffled_words_are_a_date_or_not(words: "list[str]") -> None:
    """Fuzz with the grammar's own words: the parser never raises."""
    assert isinstance(parse_http_date(" ".join(words)), (int, type(None)))
