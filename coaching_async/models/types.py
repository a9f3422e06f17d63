"""Value types that the models share: `UNSET`, open enums, intervals; and the formats of times."""

import enum
import re
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Final, Self

import attrs

__all__ = [
    "UNSET",
    "Interval",
    "OpenEnum",
    "Unset",
    "format_interval",
    "format_timestamp",
    "parse_timestamp",
    "require_aware",
]


class Unset(enum.Enum):
    """The type of `UNSET`."""

    UNSET = "UNSET"

    def __bool__(self) -> bool:
        return False

    def __repr__(self) -> str:
        return "UNSET"


UNSET: Final = Unset.UNSET
"""The value of a field that a request omits. `None` is sent as null."""


class OpenEnum(enum.StrEnum):
    """An enum that the service may extend: an unknown value is kept verbatim.

    An unknown value is an instance of the class, too, and equals its string. Iteration omits it.
    """

    @classmethod
    def _missing_(cls, value: object) -> Self | None:
        if not isinstance(value, str):
            return None
        member = str.__new__(cls, value)
        member._name_ = value
        member._value_ = value
        return member

    @property
    def is_known(self) -> bool:
        """Whether this release has a name for the value."""
        return type(self)._member_map_.get(self._name_) is self  # an unknown value may equal the name of a member

    @classmethod
    def known(cls, value: str) -> Self:
        """Return the member with that value. Raises `ValueError`, which lists the choices, if there is none."""
        member = cls(value)
        if not member.is_known:
            raise ValueError(f"{str(value)!r} is no {cls.__name__}: choose one of {', '.join(cls)}")
        return member


def require_aware(moment: datetime) -> datetime:
    """Return `moment`. Raises `ValueError` if it has no time zone, and `TypeError` if it is no datetime."""
    if not isinstance(moment, datetime):  # pyright: ignore[reportUnnecessaryIsInstance] # callers without a type checker
        raise TypeError(f"a datetime is needed, not {type(moment).__name__}")
    if moment.utcoffset() is None:
        raise ValueError("the datetime has no time zone: give it one, for example tzinfo=datetime.UTC")
    return moment


def format_timestamp(moment: datetime) -> str:
    """Return a time in UTC with milliseconds and Z, as the API documents. These texts sort like the times.

    Raises `ValueError` for a time without a time zone, or out of range.
    """
    try:
        utc = require_aware(moment).astimezone(UTC)
    except OverflowError:
        utc = None
    if utc is None:
        raise ValueError("the datetime is out of range in UTC")
    return utc.replace(tzinfo=None).isoformat(timespec="milliseconds") + "Z"


TIMESTAMP: Final = re.compile(
    r"([\dW-]+)[T ](\d\d)(:?\d\d)?(:?\d\d)?([.,]\d+)?(Z|[+-][\d:]+)?",
    re.ASCII | re.IGNORECASE,
)
"""Day, hour, minute, second, fraction and zone of a time. Their values are left to `datetime`."""


def parse_timestamp(text: str) -> datetime:
    """Parse a time in any spelling of RFC 3339, or of ISO 8601 with a time zone. Raises `ValueError`.

    24:00 is the end of a day, so it is the next midnight. A leap second is too, because a datetime has none. Digits beyond
    microseconds are dropped.
    """
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        moment = _parse_rare_spelling(text)
    try:
        require_aware(moment).astimezone(UTC)
    except OverflowError:
        raise ValueError("the time is out of range in UTC") from None
    return moment


def _parse_rare_spelling(text: str) -> datetime:
    """Parse a spelling that `datetime.fromisoformat` does not know: a small z, 24:00, or a leap second."""
    match = TIMESTAMP.fullmatch(text)
    if match is None:
        raise ValueError("a time is written as in RFC 3339, for example 2026-11-01T00:00:00Z")
    day, hour, minute, second, fraction, zone = (part or "" for part in match.groups())
    carry = timedelta()
    if hour == "24" and not (minute + second + fraction).strip(":.,0"):
        hour, carry = "00", timedelta(days=1)
    elif second.endswith("60"):
        second, carry = f"{second[:-2]}59", timedelta(seconds=1)
    try:
        moment = datetime.fromisoformat(f"{day}T{hour}{minute}{second}{fraction}{zone.upper()}") + carry
        utc = moment.astimezone(UTC)
    except OverflowError:
        raise ValueError("the time is out of range") from None
    if carry.seconds and (utc.hour, utc.minute, utc.second) != (0, 0, 0):
        raise ValueError("a leap second is the last second of a day in UTC")
    return moment


def _aware(_: object, __: object, moment: datetime) -> None:
    require_aware(moment)


@attrs.frozen
class Interval:
    """A span of time between two aware datetimes, the end excluded."""

    start: datetime = attrs.field(validator=_aware)
    end: datetime = attrs.field(validator=_aware)

    def __attrs_post_init__(self) -> None:
        # Compared in UTC, because times of one zone compare by wall time, which repeats when clocks are turned back.
        if format_timestamp(self.end) <= format_timestamp(self.start):
            raise ValueError("an interval has to end after it starts")

    @classmethod
    def month(cls, year: int, month: int, tz: tzinfo = UTC) -> Self:
        """Return a calendar month, from midnight to midnight in `tz`."""
        following = (year + 1, 1) if month == 12 else (year, month + 1)
        return cls(datetime(year, month, 1, tzinfo=tz), datetime(*following, 1, tzinfo=tz))

    @classmethod
    def parse(cls, text: str) -> Self:
        """Parse an ISO 8601 interval, `start/end`, both with a time zone. Raises `ValueError`."""
        start, slash, end = text.partition("/")
        if not slash:
            raise ValueError("an interval is written start/end, for example 2026-11-01T00:00Z/2026-12-01T00:00Z")
        return cls(parse_timestamp(start), parse_timestamp(end))


def format_interval(interval: Interval) -> str:
    """Return `start/end` in UTC."""
    return f"{format_timestamp(interval.start)}/{format_timestamp(interval.end)}"
