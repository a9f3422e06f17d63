"""Dates, durations and numbers in the English of a report, whatever the locale of the process is."""

from datetime import date, datetime, timedelta, tzinfo
from typing import Final

__all__ = ["DASH", "day", "duration", "moment", "of", "percent", "plural", "span", "zone_name"]

DASH: Final = "\N{EN DASH}"

MONTHS: Final = (
    *("January", "February", "March", "April", "May", "June"),
    *("July", "August", "September", "October", "November", "December"),
)
WEEKDAYS: Final = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")


def day(value: date) -> str:
    """Return a day without its year: 7 Nov."""
    return f"{value.day} {MONTHS[value.month - 1][:3]}"


def span(first: date, last: date) -> str:
    """Return days as text, the first and the last: 1 to 30 November 2026, with a dash."""
    end = f"{last.day} {MONTHS[last.month - 1]} {last.year}"
    if first == last:
        return end
    if first.year != last.year:
        return f"{first.day} {MONTHS[first.month - 1]} {first.year} {DASH} {end}"
    return (
        f"{first.day} {DASH} {end}"
        if first.month == last.month
        else f"{first.day} {MONTHS[first.month - 1]} {DASH} {end}"
    )


def moment(value: datetime, tz: tzinfo) -> str:
    """Return a time in a zone, to the minute: Sat 7 Nov 2026, 14:30."""
    local = value.astimezone(tz)
    return f"{WEEKDAYS[local.weekday()]} {day(local)} {local.year}, {local.hour:02}:{local.minute:02}"


def zone_name(tz: tzinfo, at: datetime) -> str:
    """Return the name of a time zone; its offset if it has none."""
    name = getattr(tz, "key", None) or getattr(tz, "zone", None) or at.astimezone(tz).tzname()
    return str(name or tz)


def duration(value: timedelta) -> str:
    """Return a duration in its largest unit, rounded: 40 minutes, 5 hours, 12 days."""
    for unit, length, least in (("day", timedelta(days=1), 2), ("hour", timedelta(hours=1), 2)):
        if value >= least * length:
            return plural(round(value / length), unit)
    return plural(round(value / timedelta(minutes=1)), "minute")


def percent(part: int, whole: int) -> str:
    """Return a share in percent. Only all is 100%, and only nothing is 0%. There is no share of nothing: a dash stands for it."""
    if not whole:
        return DASH
    rounded = round(100 * part / whole)
    if part and not rounded:
        return "1%"
    return f"{min(rounded, 99) if part < whole else 100}%"


def of(part: int, whole: int) -> str:
    """Return a share in numbers: 3 of 4."""
    return f"{part:,} of {whole:,}"


def plural(number: int, noun: str, nouns: str = "") -> str:
    """Return a number with its noun, whose plural `nouns` is."""
    return f"{number:,} {noun if number == 1 else nouns or noun + 's'}"
