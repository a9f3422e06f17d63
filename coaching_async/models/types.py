"""Value types that the models share: `UNSET`, open enums, intervals; and the formats of times."""

import enum
import re
from collections.abc import Iterable
from datetime import UTC, date, datetime, timedelta, tzinfo
from itertools import pairwise, takewhile
from typing import Final, Self

import attrs

from coaching_async._refusals.arguments import checked_instance, checked_zone, kind_of
from coaching_async._refusals.suggestions import choices

from .periods import in_zone, is_misplaced, midnight, months_after, parse_period

__all__ = [
    "PARSE_TEXT",
    "UNSET",
    "Interval",
    "OpenEnum",
    "Unset",
    "format_interval",
    "format_timestamp",
    "parse_interval",
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

    def __reduce_ex__(self, protocol: object) -> tuple[type[Self], tuple[str]]:
        """Copy and pickle by the value: Python 3.11 does so by the name until 3.11.3, and an unknown value has none."""
        return type(self), (self.value,)

    @property
    def is_known(self) -> bool:
        """Whether this release has a name for the value."""
        return type(self)._member_map_.get(self._name_) is self  # an unknown value may equal the name of a member

    @classmethod
    def known(cls, value: str) -> Self:
        """Return the member with that value. Raises `ValueError`, which lists the choices, if there is none."""
        member = cls(value)
        if not member.is_known:
            raise ValueError(f"{str(value)!r} is no {cls.__name__}: {choices(value, cls)}")
        return member


def require_aware(moment: datetime) -> datetime:
    """Return `moment`. Raises `ValueError` if it has no time zone, and `TypeError` if it is no datetime."""
    if not isinstance(moment, datetime):  # pyright: ignore[reportUnnecessaryIsInstance] # callers without a type checker
        raise TypeError(f"a datetime is needed, not {kind_of(moment)}")
    if moment.utcoffset() is None:
        raise ValueError("the datetime has no time zone: give it one, for example tzinfo=datetime.UTC")
    if hasattr(moment.tzinfo, "localize") and is_misplaced(moment):
        raise ValueError(
            "the datetime's offset is not that of its zone of pytz: make it with the zone's localize(), call normalize() "
            "after computing with it, or use zoneinfo"
        )
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


def parse_timestamp(text: str, tz: tzinfo | None = None) -> datetime:
    """Parse a time in any spelling of RFC 3339, or of ISO 8601. One without a time zone is in `tz`. Raises `ValueError`.

    24:00 is the end of a day, so it is the next midnight. A leap second is too, because a datetime has none. Digits beyond
    microseconds are dropped.
    """
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        moment = _parse_rare_spelling(text)
    if tz is not None and moment.tzinfo is None:
        moment = in_zone(moment, tz)
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
    if not isinstance(moment, datetime):  # pyright: ignore[reportUnnecessaryIsInstance] # callers without a type checker
        raise TypeError(f"a datetime is needed, not {kind_of(moment)}: {PARSE_TEXT}")
    require_aware(moment)


PARSE_TEXT: Final = 'Interval.parse("2026-11-01/2026-11-30", tz=...) makes one of days or weeks, Interval.month(2026, 11, tz) of a month'
"""What to do with a text where an interval is wanted."""


@attrs.frozen
class Interval:
    """A span of time between two aware datetimes, the end excluded."""

    start: datetime = attrs.field(validator=_aware)
    """First moment, with a time zone."""
    end: datetime = attrs.field(validator=_aware)
    """First moment after it, with a time zone."""

    def __attrs_post_init__(self) -> None:
        # Compared in UTC, because times of one zone compare by wall time, which repeats when clocks are turned back.
        if format_timestamp(self.end) <= format_timestamp(self.start):
            raise ValueError("an interval has to end after it starts")

    @classmethod
    def month(cls, year: int, month: int, tz: tzinfo = UTC) -> Self:
        """Return a calendar month, from midnight to midnight in `tz`.

            november = Interval.month(2026, 11)
            berlin = Interval.month(2026, 11, ZoneInfo("Europe/Berlin"))

        `tz` is UTC by default. Raises `ValueError` for a month that there is not.
        """
        checked_instance("year", year, int)
        checked_instance("month", month, int)
        checked_zone(tz)
        following = (year + 1, 1) if month == 12 else (year, month + 1)
        return cls(midnight(date(year, month, 1), tz), midnight(date(*following, 1), tz))

    @classmethod
    def parse(cls, text: str, tz: tzinfo | None = None) -> Self:
        """Parse an ISO 8601 interval, `start/end`. Raises `ValueError`.

            Interval.parse("2026-11-01T00:00Z/2026-12-01T00:00Z")
            Interval.parse("2026-11-01/2026-11-30", tz=UTC)
            Interval.parse("2026-W48", tz=ZoneInfo("Europe/Berlin"))

        Each end is a time, or a day, an ISO week or a month, which is included as a whole. A single day, week or month is an
        interval, too. They are those of `tz` (default: UTC), and so is a time without a time zone; without `tz` it is refused.
        """
        if not isinstance(text, str):  # pyright: ignore[reportUnnecessaryIsInstance] # callers without a type checker
            raise TypeError(f"text is needed, not {kind_of(text)}: {PARSE_TEXT}")
        if tz is not None:
            checked_zone(tz)
        start, slash, end = (part.strip() for part in text.partition("/"))
        first = parse_period(start)
        if not slash and first is None:
            raise ValueError(
                "an interval is a month (2026-11), a week (2026-W48), a day, or start/end: 2026-11-01/2026-11-30"
            )
        last = parse_period(end) if slash else first
        return cls(
            parse_timestamp(start, tz) if first is None else midnight(first[0], tz or UTC),
            parse_timestamp(end, tz) if last is None else midnight(last[1], tz or UTC),
        )

    def split(self, parts: int) -> list[Self]:
        """Return that many intervals of equal length, to the second, which together are this one. Raises `ValueError`.

            november = Interval.month(2026, 11)
            for part in november.split(4):
                print(part.start)

        Each begins where the one before it ends, at a whole second, in the time zone of `start`.
        """
        if not isinstance(parts, int) or isinstance(parts, bool):  # pyright: ignore[reportUnnecessaryIsInstance] # as above
            raise TypeError(f"parts is a whole number, not {kind_of(parts)}")
        if parts < 1:
            raise ValueError("an interval is split into 1 part or more")
        start, end = self.start.astimezone(UTC), self.end.astimezone(UTC)
        length = (end - start) // timedelta.resolution
        # Whole seconds, because the API documents no fractions of them.
        if parts > 1 and length < parts * 1_000_000:
            raise ValueError(f"the interval has {length // 1_000_000} seconds, too few for {parts} parts")
        moments = (start + length * number // parts * timedelta.resolution for number in range(1, parts))
        return self._cut((moment.replace(microsecond=0) for moment in moments), self.start.tzinfo)

    def months(self, tz: tzinfo | None = None) -> list[Self]:
        """Return the parts of the interval that are in different calendar months of `tz` (default: the time zone of `start`).

            year = Interval.parse("2026-01/2026-12")
            for month in year.months(ZoneInfo("Europe/Berlin")):
                print(month.start)

        Each begins where the one before it ends, with the first moment of a month. The first part begins with the interval, and
        the last one ends with it.
        """
        if tz is not None:
            checked_zone(tz)
        zone = tz or self.start.tzinfo or UTC
        start, end = format_timestamp(self.start), format_timestamp(self.end)
        following = months_after(_in_zone_of(self.start, zone), zone)
        starts = takewhile(lambda moment: format_timestamp(moment) < end, following)
        return self._cut((moment for moment in starts if format_timestamp(moment) > start), zone)

    def _cut(self, moments: Iterable[datetime], zone: tzinfo | None) -> list[Self]:
        edges = [self.start, *(_in_zone_of(moment, zone) for moment in moments), self.end]
        return [type(self)(start, end) for start, end in pairwise(edges)]


def _in_zone_of(moment: datetime, zone: tzinfo | None) -> datetime:
    try:
        return moment.astimezone(zone)
    except OverflowError:
        raise ValueError("the interval is out of range in the time zone") from None


def parse_interval(text: str) -> Interval:
    """Parse an interval as the API writes it: two times with a time zone. Raises `ValueError`."""
    start, _, end = text.partition("/")
    return Interval(parse_timestamp(start), parse_timestamp(end))


def format_interval(interval: Interval) -> str:
    """Return `start/end` in UTC."""
    return f"{format_timestamp(interval.start)}/{format_timestamp(interval.end)}"
