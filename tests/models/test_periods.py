"""Intervals from text, and in zones of pytz and of the standard library."""

from datetime import UTC, date, datetime, timedelta, timezone, tzinfo
from typing import Any, cast
from zoneinfo import ZoneInfo

import pytest

from coaching_async import AppointmentCreate, Interval
from coaching_async.models.types import parse_interval, require_aware

BERLIN = ZoneInfo("Europe/Berlin")


class PytzZone(tzinfo):
    """A zone as pytz makes them: its own offset is that of the 19th century, and `localize` gives the right one."""

    def __init__(self, zone: ZoneInfo, offset: timedelta = timedelta(minutes=53)) -> None:
        self.zone, self.offset = zone, offset

    def utcoffset(self, _: datetime | None, /) -> timedelta:
        return self.offset

    def dst(self, _: datetime | None, /) -> timedelta:
        return timedelta(0)

    def tzname(self, _: datetime | None, /) -> str:
        return "LMT"

    def fromutc(self, moment: datetime, /) -> datetime:
        found = moment.replace(tzinfo=UTC).astimezone(self.zone)
        return found.replace(tzinfo=PytzZone(self.zone, cast("timedelta", found.utcoffset())))

    def localize(self, moment: datetime, is_dst: bool = False) -> datetime:  # as in pytz
        offsets = [cast("timedelta", moment.replace(tzinfo=self.zone, fold=fold).utcoffset()) for fold in (0, 1)]
        return moment.replace(tzinfo=PytzZone(self.zone, max(offsets) if is_dst else min(offsets)))


ZONES = [
    "Europe/Berlin",
    "America/New_York",
    "Asia/Kolkata",
    "America/Havana",
    "America/Asuncion",
    "Australia/Lord_Howe",
]


@pytest.mark.parametrize("month", range(1, 13))
@pytest.mark.parametrize("name", ZONES)
def test_a_month_in_a_zone_of_pytz_is_that_of_the_standard_library(name: str, month: int):
    found = Interval.month(2026, month, PytzZone(ZoneInfo(name)))

    expected = Interval.month(2026, month, ZoneInfo(name))
    assert (found.start.astimezone(UTC), found.end.astimezone(UTC)) == (
        expected.start.astimezone(UTC),
        expected.end.astimezone(UTC),
    )


@pytest.mark.parametrize(
    "day", ["2026-03-08", "2026-11-01", "2024-10-06", "2024-03-24"], ids=["spring", "autumn", "spring", "autumn"]
)
def test_a_day_that_has_its_midnight_twice_or_never_begins_at_the_same_moment(day: str):
    zone = ZoneInfo("America/Havana" if day.startswith("2026") else "America/Asuncion")

    found = Interval.parse(day, tz=PytzZone(zone))

    assert found.start.astimezone(UTC) == Interval.parse(day, tz=zone).start.astimezone(UTC)


def test_a_zone_of_pytz_as_a_tzinfo_is_refused():
    zone = PytzZone(BERLIN)
    wrong = datetime(2026, 11, 1, tzinfo=zone)

    for refused in (
        lambda: Interval(wrong, zone.localize(datetime(2026, 12, 1))),  # noqa: DTZ001
        lambda: Interval(zone.localize(datetime(2026, 10, 1)), wrong),  # noqa: DTZ001
        lambda: AppointmentCreate(name="n", description="d", date_start=wrong, length_in_minutes=30, attendee_ids="a"),
    ):
        with pytest.raises(ValueError, match=r"its zone of pytz: make it with the zone's localize\(\)"):
            refused()


@pytest.mark.parametrize("day", [date(2026, 1, 15), date(2026, 7, 15), date(1, 1, 1), date(9999, 12, 31)])
def test_a_time_that_pytz_has_localized_is_right(day: date):
    moment = PytzZone(BERLIN).localize(datetime.combine(day, datetime.min.time()))

    assert require_aware(moment) == moment


def test_a_time_that_was_computed_over_a_change_of_the_clocks_has_to_be_normalized():
    moment = PytzZone(BERLIN).localize(datetime(2026, 10, 1))  # noqa: DTZ001
    assert require_aware(moment + timedelta(days=20))

    with pytest.raises(ValueError, match=r"normalize\(\) after computing with it"):
        require_aware(moment + timedelta(days=60))


def month(number: int, zone: tzinfo = UTC) -> Interval:
    return Interval.month(2026, number, zone)


WEEK = Interval(datetime(2026, 11, 23, tzinfo=UTC), datetime(2026, 11, 30, tzinfo=UTC))
DAY = Interval(datetime(2026, 11, 23, tzinfo=UTC), datetime(2026, 11, 24, tzinfo=UTC))


@pytest.mark.parametrize(
    "text, expected",
    [
        ("2026-11", month(11)),
        ("2026-12", month(12)),
        ("2026-02", month(2)),
        ("2026-11/2026-11", month(11)),
        ("2026-11-01/2026-11-30", month(11)),
        (" 2026-11-01 / 2026-11-30 ", month(11)),
        ("20261101/20261130", month(11)),
        ("2026-11-01/2026-11", month(11)),
        ("2026-11-01/2026-12-01T00:00Z", month(11)),
        ("2026-11-01T00:00Z/2026-11-30", month(11)),
        ("2026-W48", WEEK),
        ("2026W48", WEEK),
        ("2026-w48", WEEK),
        ("2026-W48/2026-W48", WEEK),
        ("2026-11-23/2026-11-29", WEEK),
        ("2026-W48-1/2026-W48-7", WEEK),
        ("2026-W48-1", DAY),
        ("2026-11-23", DAY),
        ("2026-11-23/2026-11-23", DAY),
    ],
)
def test_days_weeks_and_months_are_included_as_a_whole(text: str, expected: Interval):
    assert Interval.parse(text) == expected


def test_years_have_weeks_of_their_own():
    assert Interval.parse("2026-W53").start == datetime(2026, 12, 28, tzinfo=UTC)
    assert Interval.parse("2027-W01").start == datetime(2027, 1, 4, tzinfo=UTC)
    with pytest.raises(ValueError, match="the calendar has no day, week or month 2027-W53"):
        Interval.parse("2027-W53")


@pytest.mark.parametrize("zone", [BERLIN, PytzZone(BERLIN), timezone(timedelta(hours=9))])
def test_they_are_those_of_the_given_zone(zone: tzinfo):
    found = Interval.parse("2026-10-01/2026-10-31", tz=zone)

    assert found == month(10, zone)
    assert found == Interval.parse("2026-10", tz=zone) == Interval.parse("2026-10-01T00:00/2026-11-01T00:00", tz=zone)


def test_a_time_with_a_zone_keeps_it():
    assert Interval.parse("2026-11-01T00:00Z/2026-12-01T00:00Z", tz=BERLIN) == month(11)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "/",
        "november",
        "2026",
        "2026-13",
        "2026-00",
        "2026-W00",
        "2026-W54",
        "2026-11-31",
        "2026-11-01/",
        "/2026-11-30",
        "2026-11-30/2026-11-01",
        "2026-11-01T00:00Z",
        "2026-11-01T00:00/2026-12-01T00:00",
        "2026-11-01/2026-11-30/2026-12-31",
        "9999-12-31",
        "9999-12",
        "٢٠٢٦-11",
    ],
)
def test_other_text_is_refused(text: str):
    with pytest.raises(ValueError, match=r"."):
        Interval.parse(text)


@pytest.mark.parametrize("wrong", [5, None, b"2026-11", date(2026, 11, 1)])
def test_what_is_no_text_is_refused(wrong: Any):
    with pytest.raises(TypeError, match=f"text is needed, not {type(wrong).__name__.removesuffix('Type')}"):
        Interval.parse(wrong)


def test_what_the_api_writes_has_times_with_a_zone():
    assert parse_interval("2026-11-01T00:00:00.000Z/2026-12-01T00:00:00.000Z") == month(11)
    for text in ("2026-11-01/2026-11-30", "2026-W48", "2026-11-01T00:00/2026-12-01T00:00"):
        with pytest.raises(ValueError, match=r"."):
            parse_interval(text)


@pytest.mark.parametrize(
    "wrong", ["2026-11-01/2026-11-30", ("2026-11-01", "2026-11-30"), (date(2026, 11, 1), date(2026, 11, 30)), 5, None]
)
def test_where_an_interval_is_wanted_other_values_are_pointed_to_the_parser(wrong: Any):
    from coaching_async.models.coercion import to_interval

    with pytest.raises(TypeError, match=r'Interval\.parse\("2026-11-01/2026-11-30", tz=\.\.\.\) makes one of days'):
        to_interval(wrong)
