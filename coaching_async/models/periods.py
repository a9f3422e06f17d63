"""Periods and times of the calendar: days, weeks and months in text, and midnights in a time zone."""

import re
from collections.abc import Iterator
from datetime import MAXYEAR, UTC, date, datetime, time, timedelta, tzinfo
from typing import Any, Final

__all__ = ["in_zone", "is_misplaced", "midnight", "months_after", "parse_period"]


MONTH: Final = re.compile(r"(\d{4})-(\d\d)", re.ASCII)


WEEK: Final = re.compile(r"\d{4}-?W\d\d", re.ASCII | re.IGNORECASE)


DAY: Final = re.compile(r"\d{4}-?\d\d-?\d\d|\d{4}-?W\d\d-?\d", re.ASCII | re.IGNORECASE)


def parse_period(text: str) -> tuple[date, date] | None:
    """Return the first day of a day, an ISO week or a month, and the day after its last; None if the text has another form.

    Raises `ValueError` if the calendar has no such period.
    """
    try:
        if month := MONTH.fullmatch(text):
            first = date(int(month[1]), int(month[2]), 1)
            return first, (first + timedelta(days=31)).replace(day=1)
        if WEEK.fullmatch(text) or DAY.fullmatch(text):
            first = date.fromisoformat(text.upper())
            return first, first + timedelta(days=1 if DAY.fullmatch(text) else 7)
    except (ValueError, OverflowError):
        raise ValueError(f"the calendar has no day, week or month {text}") from None
    return None


def midnight(day: date, tz: tzinfo) -> datetime:
    """Return the first moment of a day."""
    return in_zone(datetime.combine(day, time()), tz)


def months_after(day: date, tz: tzinfo) -> Iterator[datetime]:
    """Return the first moment of each month after that of a day, to the end of the calendar."""
    for months in range(day.year * 12 + day.month, (MAXYEAR + 1) * 12):
        yield midnight(date(months // 12, months % 12 + 1, 1), tz)


def in_zone(moment: datetime, tz: tzinfo) -> datetime:
    """Return a time without a zone as a time in `tz`: the earlier one if clocks are turned back and show it twice.

    A zone of pytz has a method for that. As the `tzinfo` of a datetime it would be minutes off.
    """
    localize: Any = getattr(tz, "localize", None)
    if localize is None:
        return moment.replace(tzinfo=tz)
    both: list[datetime] = sorted(
        (localize(moment, is_dst=is_dst) for is_dst in (True, False)), key=lambda candidate: candidate.astimezone(UTC)
    )
    exact = [candidate for candidate in both if candidate.astimezone(UTC).astimezone(tz).replace(tzinfo=None) == moment]
    return exact[0] if exact else both[-1]  # clocks are turned forward, and never show it


def is_misplaced(moment: datetime) -> bool:
    """Return whether the offset of a datetime with a zone of pytz is not that of the zone at that time."""
    localize: Any = getattr(moment.tzinfo, "localize", None)
    if localize is None:
        return False
    wall, offset = moment.replace(tzinfo=None), moment.utcoffset()
    return all(localize(wall, is_dst=is_dst).utcoffset() != offset for is_dst in (False, True))
