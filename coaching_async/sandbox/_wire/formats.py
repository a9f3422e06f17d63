"""Timestamps and intervals in JSON and in query parameters."""

import re
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, TypeAlias

JsonObject: TypeAlias = dict[str, Any]
Interval: TypeAlias = tuple[datetime, datetime]

_TIMESTAMP = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)?", re.ASCII)


def format_timestamp(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


@lru_cache(maxsize=2**16)  # lists filter by the same timestamps again and again
def parse_timestamp(text: str) -> datetime:
    """Parse what `format_timestamp` writes, with any offset and fraction; without an offset it is UTC."""
    if not _TIMESTAMP.fullmatch(text):
        raise ValueError(f"not a date-time: {text!r}")
    moment = datetime.fromisoformat(text)
    try:
        return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
    except OverflowError as error:
        raise ValueError(f"out of range: {text!r}") from error


def has_offset(text: str) -> bool:
    return bool((match := _TIMESTAMP.fullmatch(text)) and match[2])


def parse_interval(text: str) -> Interval:
    """Parse two timestamps with a slash between them; they may be equal."""
    start, _, end = text.partition("/")
    interval = parse_timestamp(start), parse_timestamp(end)
    if interval[1] < interval[0]:
        raise ValueError(f"it ends before it starts: {text!r}")
    return interval


def format_interval(interval: Interval) -> str:
    return "/".join(map(format_timestamp, interval))
