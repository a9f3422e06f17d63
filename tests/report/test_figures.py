"""Figures of a report: each appointment counts once, in its week, for its facilitator, and for each attendee."""

from collections.abc import Iterable
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from coaching_async import Appointment, AppointmentStatus, Interval
from coaching_async.report import Counts
from coaching_async.report._figures import MAX_WEEKS, figures_of, weeks_of

from .made_up import NOVEMBER, NOW, appointment, figures

ZONES = ["UTC", "Europe/Berlin", "America/New_York", "Asia/Kathmandu", "Pacific/Apia", "America/Sao_Paulo"]
STATUSES = ["Scheduled", "InProgress", "Completed", "InvalidSchedule", "Postponed", None]


def sum_of(counts: Iterable[Counts]) -> Counts:
    counts = list(counts)
    return Counts(
        *(sum(getattr(each, name) for each in counts) for name in ("completed", "overdue", "planned", "other"))
    )


intervals = st.builds(
    lambda start, length, zone: (Interval(start, start + length), ZoneInfo(zone)),
    st.integers(0, 11 * 366 * 1440).map(lambda minutes: datetime(2019, 1, 1, tzinfo=UTC) + timedelta(minutes=minutes)),
    st.timedeltas(timedelta(seconds=1), timedelta(days=400)),
    st.sampled_from(ZONES),
)


@given(intervals)
def test_weeks_cover_the_days_of_the_interval_once_and_each_is_one_iso_week(arguments: tuple[Interval, ZoneInfo]):
    interval, zone = arguments

    weeks = weeks_of(interval, zone)

    days = [
        week.first + timedelta(days=number) for week in weeks for number in range((week.last - week.first).days + 1)
    ]
    assert days == [days[0] + timedelta(days=number) for number in range(len(days))]
    assert days[0] == interval.start.astimezone(zone).date()
    assert days[-1] == (interval.end - timedelta(microseconds=1)).astimezone(zone).date()
    for week in weeks:
        assert week.first.isocalendar()[:2] == week.last.isocalendar()[:2] == (week.year, week.number)
    assert len({(week.year, week.number) for week in weeks}) == len(weeks)


@st.composite
def appointments(draw: st.DrawFn) -> list[Appointment]:
    around = st.integers(0, 53 * 1440).map(
        lambda minutes: datetime(2026, 10, 20, tzinfo=UTC) + timedelta(minutes=minutes)
    )
    some = st.builds(
        lambda **fields: fields,
        start=st.none() | around,
        status=st.sampled_from(STATUSES).map(lambda status: status and AppointmentStatus(status)),
        facilitator=st.sampled_from(["f1", "f2", "p1", None]),
        attendees=st.lists(st.sampled_from(["p1", "p2", "p3", "x"]), max_size=4),
        is_overdue=st.sampled_from([True, False, None]),
        after=st.none() | st.timedeltas(timedelta(days=-3), timedelta(days=40)),
    )
    return [appointment(number, **fields) for number, fields in enumerate(draw(st.lists(some, max_size=25)))]


@settings(max_examples=60)
@given(appointments(), st.sampled_from(ZONES), st.randoms())
def test_every_appointment_counts_once_in_total_by_week_and_by_facilitator(
    listed: list[Appointment], zone: str, random: Any
):
    tz = ZoneInfo(zone)
    interval = Interval.month(2026, 11, tz)

    found = figures(*listed, people=["p1", "p2", "p3"], interval=interval, tz=tz)

    within = [each for each in listed if each.date_start is None or interval.start <= each.date_start < interval.end]
    assert found.counts.total == len(within) == sum(found.statuses.values())
    assert sum_of(each.counts for each in found.facilitators) == found.counts
    assert sum_of(found.by_week).total == len(within) - found.without_start
    for number, counts in enumerate(found.by_week):
        assert sum_of(each.weeks[number] for each in found.facilitators) == counts
    for person in found.people:
        attended = [each for each in within if person.user_id in {attendee.id for attendee in each.attendees}]
        assert person.attended.total == len(attended)
        facilitated = [each for each in within if each.facilitator and each.facilitator.id == person.user_id]
        assert person.facilitated == len(facilitated)
    assert len(found.overdue) == found.counts.overdue
    assert list(found.delays) == sorted(found.delays)
    assert len(found.delays) <= found.counts.completed
    random.shuffle(listed)
    again = figures(*listed, people=["p1", "p2", "p3"], interval=interval, tz=tz)
    assert (again.counts, again.by_week, again.people, again.delays) == (
        found.counts, found.by_week, found.people, found.delays,
    )  # fmt: skip
    assert {each.user_id: each for each in again.facilitators} == {each.user_id: each for each in found.facilitators}


@pytest.mark.parametrize(
    "status, is_overdue, expected",
    [
        ("Completed", False, "completed"),
        ("Completed", True, "completed"),
        ("Scheduled", True, "overdue"),
        ("Scheduled", False, "planned"),
        ("InProgress", False, "planned"),
        ("InProgress", True, "overdue"),
        ("InvalidSchedule", True, "overdue"),
        ("InvalidSchedule", False, "other"),
        ("Postponed", False, "other"),
        (None, False, "other"),
    ],
)
def test_an_appointment_has_one_outcome(status: str | None, is_overdue: bool, expected: str):
    counts = figures(appointment(1, NOW, status, is_overdue=is_overdue)).counts

    assert counts == Counts(**{expected: 1})


def test_without_a_word_of_the_service_an_appointment_is_overdue_after_its_end():
    half_an_hour = timedelta(minutes=30)
    ended, running = (
        appointment(number, NOW - half_an_hour - number * -half_an_hour / 2, "Scheduled") for number in (-1, 1)
    )

    assert figures(ended, running).counts == Counts(overdue=1, planned=1)


def test_a_week_begins_on_monday_at_midnight_of_the_zone():
    berlin = ZoneInfo("Europe/Berlin")
    sunday = datetime(2026, 10, 25, 23, 30, tzinfo=berlin)  # in the night before, clocks were turned back
    monday = datetime(2026, 10, 26, 0, 30, tzinfo=berlin)
    october = Interval.month(2026, 10, berlin)

    here = figures(appointment(1, sunday), appointment(2, monday), interval=october, tz=berlin)
    in_utc = figures(appointment(1, sunday), appointment(2, monday), interval=october)

    assert [counts.completed for counts in here.by_week] == [0, 0, 0, 1, 1]
    assert [counts.completed for counts in in_utc.by_week] == [0, 0, 0, 2, 0]


def test_the_first_week_of_a_year_may_belong_to_the_last_one():
    weeks = weeks_of(Interval.month(2027, 1), UTC)

    assert (weeks[0].first, weeks[0].last) == (date(2027, 1, 1), date(2027, 1, 3))
    assert (weeks[0].year, weeks[0].number) == (2026, 53)


def test_a_day_is_one_week_and_a_year_may_have_54():
    assert len(weeks_of(Interval.parse("2026-11-11"), UTC)) == 1
    assert len(weeks_of(Interval.parse("2028-01-01/2028-12-31"), UTC)) == 53
    assert len(weeks_of(Interval.parse("2000-01-01/2000-12-31"), UTC)) == 53


def test_a_report_of_more_than_two_years_is_refused():
    start = datetime(2026, 1, 5, tzinfo=UTC)
    assert len(weeks_of(Interval(start, start + timedelta(weeks=MAX_WEEKS)), UTC)) == MAX_WEEKS

    with pytest.raises(ValueError, match="up to 106 weeks"):
        weeks_of(Interval(start, start + timedelta(weeks=MAX_WEEKS + 2)), UTC)


@pytest.mark.parametrize(
    "start, end", [("9999-12-01", "9999-12-30"), ("9998-01-01", "9999-12-30"), ("0001-01-01", "0001-01-02")]
)
@pytest.mark.parametrize("zone", ZONES)
def test_an_interval_at_an_end_of_the_calendar_is_a_report_or_a_value_error(start: str, end: str, zone: str):
    interval = Interval.parse(f"{start}T12:00Z/{end}T12:00Z")
    try:
        figures(appointment(1, interval.start), interval=interval, tz=ZoneInfo(zone))
    except ValueError as error:
        assert "calendar" in str(error) or "up to 106 weeks" in str(error)  # noqa: PT017 # either is fine


def test_the_time_to_completion_begins_at_the_planned_end_and_is_never_negative():
    found = figures(
        appointment(1, NOW, after=timedelta(hours=-1)),
        appointment(2, NOW, after=timedelta(hours=3)),
        appointment(3, NOW, after=timedelta(days=2)),
        appointment(4, NOW, after=None),
        appointment(5, NOW, "Scheduled"),
    )

    assert found.delays == (timedelta(0), timedelta(hours=3), timedelta(days=2))
    assert found.median_delay == timedelta(hours=3)
    assert figures().median_delay is None


@pytest.mark.parametrize("length", [None, 0, -5, 10**30])
def test_a_length_that_makes_no_sense_does_not_end_the_report(length: int | None):
    odd = [
        Appointment(
            id=status, date_start=NOW, length_in_minutes=length, status=AppointmentStatus(status), date_completed=NOW
        )
        for status in ("Completed", "Scheduled")
    ]

    assert figures(*odd).counts.total == 2


def test_the_next_appointment_is_the_earliest_from_now_on_of_each_attendee():
    hour = timedelta(hours=1)
    planned = [
        appointment(1, NOW + 3 * hour, "Scheduled", attendees=["p1", "p2"]),
        appointment(2, NOW + hour, "Scheduled", attendees=["p1"]),
        appointment(3, NOW - hour, "Scheduled", attendees=["p2"]),
        appointment(4, None, "Scheduled", attendees=["p3"]),
    ]

    people = figures(people=["p1", "p2", "p3"], planned=planned).people

    assert [person.next_start for person in people] == [NOW + hour, NOW + 3 * hour, None]


def test_people_without_appointments_are_there_and_each_once():
    people = figures_of([], user_ids=["p2", "p1", "p2"], interval=NOVEMBER, tz=UTC, made_at=NOW).people

    assert [(person.user_id, person.attended.total) for person in people] == [("p2", 0), ("p1", 0)]
