# Dates in HTTP headers (RFC 9110, section 5.6.7), without datetime or email.utils: MicroPython has neither.

__all__ = ["parse_http_date"]

_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")


def parse_http_date(text: "str | None") -> "int | None":
    """Return the Unix time (whole seconds) that `text` names, or None if it is not a date.

    All three forms are read: `Sun, 06 Nov 1994 08:49:37 GMT` and the obsolete `Sunday, 06-Nov-94 08:49:37 GMT` and
    `Sun Nov  6 08:49:37 1994`.
    """
    words = (text or "").replace(",", " ").replace("-", " ").split()
    if len(words) == 5:  # asctime: the year stands last, and there is no zone
        words = [words[0], words[2], words[1], words[4], words[3], "GMT"]
    try:
        _, day, month, year, clock, zone = words
        hours, minutes, seconds = [int(part) for part in clock.split(":")]
        full_year, month_number, day_number = _full_year(year), _MONTHS.index(month.lower()) + 1, int(day)
    except ValueError:
        return None
    fits = 0 < full_year < 10000 and 0 < day_number < 32 and 0 <= hours < 24 and 0 <= minutes < 60
    if not fits or not 0 <= seconds < 61 or zone != "GMT":
        return None
    days = _days_since_1970(full_year, month_number, day_number)
    return days * 86400 + hours * 3600 + minutes * 60 + seconds


def _full_year(text: str) -> int:
    """Return the year; two digits mean 1970 to 2069, which will do for a header that was obsolete in 1997."""
    year = int(text)
    if len(text) == 2:
        return year + (1900 if year >= 70 else 2000)
    return year


def _days_since_1970(year: int, month: int, day: int) -> int:
    """Count the days in the Gregorian calendar. The year is taken to begin in March, so that February ends it."""
    if month < 3:
        year, month = year - 1, month + 12
    return 365 * year + year // 4 - year // 100 + year // 400 + (153 * month - 457) // 5 + day - 719469
