"""Parts of an interval: as many as wanted, or its months. Together they are the interval, and no moment is in two of them."""

from datetime import UTC, datetime, timedelta, timezone, tzinfo
from itertools import pairwise
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from coaching_async import Interval
from coaching_async.models.types import format_interval, format_timestamp
from tests.models.test_periods import ZONES, PytzZone
from tests.support.effort import examples

BERLIN = ZoneInfo("Europe/Berlin")

zones = st.sampled_from(
    [
        UTC,
        timezone(timedelta(hours=5, minutes=45)),
        timezone(timedelta(hours=-14, seconds=1)),
        *map(ZoneInfo, ZONES),
        *(ZoneInfo(name) for name in ("Pacific/Apia", "Pacific/Kiritimati", "Africa/Monrovia", "Atlantic/Azores")),
    ]
)


@st.composite
def intervals(draw: st.DrawFn) -> Interval:
    """Return an interval in any zones, of a second or more, from the first year of the calendar to its last one."""
    start, zone = draw(st.datetimes(datetime(2, 1, 1), datetime(9998, 1, 1))), draw(zones)  # noqa: DTZ001
    length = draw(st.one_of(st.timedeltas(timedelta(seconds=1), timedelta(days=500)), st.just(timedelta(seconds=1))))
    utc = start.replace(tzinfo=UTC)
    if draw(st.booleans()):
        pytz = PytzZone(zone) if isinstance(zone, ZoneInfo) else zone
        return Interval(utc.astimezone(pytz), (utc + length).astimezone(pytz))
    return Interval(utc.astimezone(zone), (utc + length).astimezone(draw(zones)))


def assert_exact(parts: list[Interval], whole: Interval) -> None:
    """Assert that the parts are the interval, on the wire, too: the end of each is the start of the next one."""
    assert (parts[0].start, parts[-1].end) == (whole.start, whole.end)
    assert all(one.end is following.start for one, following in pairwise(parts))
    texts = [format_interval(part).split("/") for part in parts]
    assert all(start < end for start, end in texts)
    assert [texts[0][0], texts[-1][1]] == format_interval(whole).split("/")


@settings(max_examples=examples(800))
@given(whole=intervals(), wanted=st.integers(1, 40))
@example(
    whole=Interval(datetime(2026, 1, 1, 0, 0, 0, 999_999, UTC), datetime(2026, 1, 1, 0, 0, 1, 999_999, UTC)), wanted=1
)
@example(
    whole=Interval(datetime(2026, 1, 1, 0, 0, 0, 999_999, UTC), datetime(2026, 1, 1, 0, 0, 2, 999_999, UTC)), wanted=2
)
def test_as_many_parts_as_wanted_are_the_interval_and_differ_by_a_second_at_most(whole: Interval, wanted: int):
    length = whole.end.astimezone(UTC) - whole.start.astimezone(UTC)
    wanted = min(wanted, length // timedelta(seconds=1))

    parts = whole.split(wanted)

    assert len(parts) == wanted
    assert_exact(parts, whole)
    lengths = [part.end.astimezone(UTC) - part.start.astimezone(UTC) for part in parts]
    assert all(abs(each - length / wanted) <= timedelta(seconds=1) for each in lengths)
    assert not any(part.end.microsecond for part in parts[:-1])


@settings(max_examples=examples(800))
@given(
    whole=intervals(), zone=st.one_of(st.none(), zones, st.sampled_from([PytzZone(ZoneInfo(name)) for name in ZONES]))
)
@example(whole=Interval(datetime(2026, 1, 31, tzinfo=UTC), datetime(2026, 2, 1, 0, 0, 0, 400, UTC)), zone=None)
def test_months_are_the_interval_cut_at_the_first_midnight_of_each_month(whole: Interval, zone: tzinfo | None):
    parts = whole.months(zone)

    assert_exact(parts, whole)
    here = zone or whole.start.tzinfo
    edges = [part.start.astimezone(here) for part in parts[1:]]
    following = [(edge.year, edge.month) for edge in edges]
    first = whole.start.astimezone(here)
    last = (whole.end.astimezone(UTC) - timedelta(milliseconds=1)).astimezone(here)
    assert following == [
        (index // 12, index % 12 + 1) for index in range(first.year * 12 + first.month, last.year * 12 + last.month)
    ]  # each month begins one part
    for edge in edges:
        before = (edge.astimezone(UTC) - timedelta(milliseconds=1)).astimezone(here)
        assert (before.year, before.month) != (edge.year, edge.month)
        assert edge.day == 1


@pytest.mark.parametrize("zone", [BERLIN, PytzZone(BERLIN)], ids=["zoneinfo", "pytz"])
def test_a_year_has_its_twelve_months_in_its_own_zone(zone: tzinfo):
    year = Interval.parse("2026-01/2026-12", tz=zone)

    months = year.months()

    expected = [Interval.month(2026, month, BERLIN) for month in range(1, 13)]
    assert list(map(format_interval, months)) == list(map(format_interval, expected))
    assert list(map(format_interval, year.months(BERLIN))) == list(map(format_interval, expected))
    assert [each.start.hour for each in months] == [0] * 12
    assert len(year.months(UTC)) == 13  # an hour of the last January of UTC


def test_a_month_without_a_midnight_at_its_beginning_begins_with_its_first_moment():
    paraguay = ZoneInfo("America/Asuncion")  # where the clocks went forward at midnight of 1 October 2023

    _, october = Interval.parse("2023-09/2023-10", tz=paraguay).months()

    assert format_timestamp(october.start) == "2023-10-01T04:00:00.000Z"


def test_an_interval_within_a_month_is_its_only_part():
    week = Interval.parse("2026-W48")

    assert week.months() == week.split(1) == [week]


def test_parts_are_in_the_zone_of_the_start():
    first, second = Interval.parse("2026-10-25", tz=BERLIN).split(2)  # 25 hours

    assert first.end.isoformat() == "2026-10-25T11:30:00+01:00"
    assert second == Interval(datetime(2026, 10, 25, 10, 30, tzinfo=UTC), datetime(2026, 10, 26, tzinfo=BERLIN))


def test_clocks_that_are_turned_back_over_the_beginning_of_a_month_begin_it_once():
    labrador = ZoneInfo("America/Goose_Bay")  # a minute after midnight it was 23:01 again
    turned = datetime(2009, 11, 1, 2, 31, tzinfo=UTC)  # 23:31 for the first time, then for the second

    late, later = (Interval(turned + timedelta(hours=hour), datetime(2009, 11, 2, tzinfo=UTC)) for hour in (0, 1))

    assert [format_timestamp(each.start) for each in late.months(labrador)][1:] == ["2009-11-01T03:00:00.000Z"]
    assert later.months(labrador) == [later]


@pytest.mark.parametrize("zone", [UTC, timezone(timedelta(hours=14)), timezone(timedelta(hours=-12))], ids=str)
def test_the_ends_of_the_calendar_are_no_ends_of_the_laws(zone: tzinfo):
    first = Interval(datetime(1, 1, 2, tzinfo=zone), datetime(3, 1, 1, tzinfo=UTC))
    last = Interval(datetime(9998, 1, 1, tzinfo=UTC), datetime(9999, 12, 31, tzinfo=zone))
    always = Interval(datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC))

    for whole, months in ((first, 24), (last, 24)):
        assert_exact(whole.months(), whole)
        assert len(whole.months()) in {months, months + 1}
    for whole in (first, last, always):
        assert_exact(whole.split(7), whole)


@pytest.mark.parametrize(
    "parts, error, says",
    [
        (0, ValueError, "1 part or more"),
        (-1, ValueError, "1 part or more"),
        (86_401, ValueError, "86400 seconds, too few for 86401 parts"),
        (10**30, ValueError, "too few"),
        (2.0, TypeError, "whole number"),
        (True, TypeError, "whole number"),
        ("2", TypeError, "whole number"),
    ],
)
def test_parts_that_an_interval_cannot_have_are_refused(parts: Any, error: type[Exception], says: str):
    with pytest.raises(error, match=says):
        Interval.parse("2026-11-01").split(parts)


@pytest.mark.parametrize("zone", ["Europe/Berlin", 1, datetime.now(UTC)])
def test_a_zone_that_is_none_is_refused(zone: Any):
    for cut in (
        lambda: Interval.parse("2026-11").months(zone),
        lambda: Interval.parse("2026-11", zone),
        lambda: Interval.month(2026, 11, zone),
    ):
        with pytest.raises(TypeError, match="tz is a tzinfo, for example zoneinfo"):
            cut()


def test_a_month_has_a_number():
    with pytest.raises(TypeError, match="year is an int, not str"):
        Interval.month("2026", 11)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="month is an int, not None"):
        Interval.month(2026, None)  # type: ignore[arg-type]


def test_months_of_a_zone_that_has_no_such_years_are_refused():
    end = datetime.max.replace(tzinfo=UTC)

    with pytest.raises(ValueError, match="out of range"):
        Interval(end - timedelta(hours=1), end).months(timezone(timedelta(hours=14)))
    with pytest.raises(ValueError, match="out of range"):
        Interval(datetime(9999, 12, 31, 20, tzinfo=timezone(timedelta(hours=14))), end).split(100)
