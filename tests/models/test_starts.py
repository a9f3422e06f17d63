"""What relies on a field that the service may leave out: a clear error where it is left out."""

import pickle
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from coaching_async import (
    AggregateMetric,
    AggregateStats,
    Appointment,
    AvailableTime,
    CoachingSlot,
    MissingField,
    Notification,
    ScheduleActivity,
    from_dict,
    to_dict,
)

START = datetime(2026, 11, 20, 14, tzinfo=UTC)


def test_an_appointment_starts_and_ends_when_it_says():
    appointment = Appointment(id="1", date_start=START, length_in_minutes=45)

    assert (appointment.starts_at, appointment.ends_at) == (START, START + timedelta(minutes=45))
    assert set(to_dict(appointment)) == {"id", "dateStart", "lengthInMinutes"}
    assert "starts_at" not in repr(appointment)


def test_an_end_is_reckoned_in_elapsed_time_where_clocks_are_turned_back():
    start = datetime(2026, 10, 25, 2, 30, tzinfo=ZoneInfo("Europe/Berlin"))

    end = Appointment(id="1", date_start=start, length_in_minutes=60).ends_at

    assert end.astimezone(UTC) - start.astimezone(UTC) == timedelta(hours=1)
    assert end.tzinfo is start.tzinfo


@pytest.mark.parametrize("kind", [Appointment, Notification, CoachingSlot, AvailableTime])
def test_a_row_without_a_start_or_a_length_is_read_and_says_what_it_lacks(kind: type[Appointment]):
    bare = from_dict(kind, {"id": "1"} if kind in (Appointment, Notification) else {})

    with pytest.raises(
        MissingField, match=f"^the service sent no date_start for this {kind.__name__}: its date_start is None$"
    ):
        _ = bare.starts_at
    with pytest.raises(MissingField, match="no length_in_minutes"):
        _ = bare.ends_at


def test_an_activity_without_a_start_says_so():
    with pytest.raises(ValueError, match="no date_start for this ScheduleActivity"):
        _ = ScheduleActivity().starts_at


def test_a_metric_has_its_count_or_says_that_it_has_none():
    assert AggregateMetric(stats=AggregateStats(count=0)).count == 0
    for bare in (AggregateMetric(), AggregateMetric(stats=AggregateStats())):
        with pytest.raises(MissingField, match="no count"):
            _ = bare.count


def test_the_error_can_be_pickled():
    assert str(pickle.loads(pickle.dumps(MissingField("no start")))) == "no start"
