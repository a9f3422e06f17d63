"""Time zones and intervals of time in options."""

import re
from datetime import UTC, tzinfo
from zoneinfo import ZoneInfo

from coaching_async import Interval

from ._failures import fail

__all__ = ["to_interval", "to_zone"]


def to_zone(name: str) -> tzinfo:
    """Return the time zone of an option, or exit with an error."""
    if name.upper() == "UTC":
        return UTC  # without the database of time zones
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):  # there is none of that name, it is a path, it is a folder of zones
        fail(
            f"--timezone {name}: no such time zone; names are like Europe/Berlin, and a machine without a database of time "
            "zones needs pip install tzdata"
        )


def to_interval(option: str, text: str, zone: tzinfo | None) -> Interval:
    """Return the interval of an option, or exit with an error."""
    try:
        if month := re.fullmatch(r"(\d{4})-(\d\d)", text):
            return Interval.month(int(month[1]), int(month[2]), zone or UTC)  # whose error names the month
        return Interval.parse(text, tz=zone)
    except ValueError as error:
        fail(f"{option} {text}: {error}")
