import copy
import pickle
from datetime import UTC, datetime, timedelta, timezone
from zoneinfo import ZoneInfo

import pytest

from coaching_async import UNSET, AppointmentStatus, Interval
from coaching_async._auth.secret import Secret

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)


def test_an_unknown_enum_value_is_kept_verbatim():
    status = AppointmentStatus("Rescheduling")

    assert isinstance(status, AppointmentStatus)
    assert (status, str(status), status.value, status.is_known) == (*["Rescheduling"] * 3, False)
    assert "Rescheduling" not in list(AppointmentStatus)


@pytest.mark.parametrize("value", ["Scheduled", "Rescheduling"])
def test_an_enum_value_survives_copies_and_pickles(value: str):
    status = AppointmentStatus(value)

    for twin in (copy.copy(status), copy.deepcopy(status), pickle.loads(pickle.dumps(status))):
        assert twin == status
        assert type(twin) is AppointmentStatus
    assert {status: 1}[AppointmentStatus(value)] == 1


def test_an_enum_value_of_another_type_is_refused():
    with pytest.raises(ValueError, match="3 is not a valid AppointmentStatus"):
        AppointmentStatus(3)


def test_the_name_of_a_member_is_not_its_value():
    assert not AppointmentStatus("COMPLETED").is_known
    with pytest.raises(ValueError, match="'COMPLETED' is no AppointmentStatus"):
        AppointmentStatus.known("COMPLETED")


def test_asking_for_a_known_value_lists_the_choices():
    assert AppointmentStatus.known("Completed") is AppointmentStatus.COMPLETED
    with pytest.raises(ValueError, match="'completed' is no AppointmentStatus: choose one of Scheduled, InProgress"):
        AppointmentStatus.known("completed")


def test_unset_is_falsy_and_names_itself():
    assert not UNSET
    assert repr(UNSET) == "UNSET"
    assert pickle.loads(pickle.dumps(UNSET)) is UNSET


def test_a_month_runs_from_midnight_to_midnight_and_over_the_year():
    assert Interval.month(2026, 11) == Interval(datetime(2026, 11, 1, tzinfo=UTC), datetime(2026, 12, 1, tzinfo=UTC))
    assert Interval.month(2026, 12).end == datetime(2027, 1, 1, tzinfo=UTC)
    east = timezone(timedelta(hours=9))
    assert Interval.month(2026, 1, east).start == datetime(2026, 1, 1, tzinfo=east)


def test_an_interval_parses_its_own_text():
    assert Interval.parse("2026-11-01T00:00Z/2026-12-01T00:00:00.000Z") == Interval.month(2026, 11)
    assert Interval.parse("2026-11-01t00:00z/2026-11-30T24:00Z") == Interval.month(2026, 11)
    with pytest.raises(ValueError, match="start/end"):
        Interval.parse("2026-11-01T00:00Z")


@pytest.mark.parametrize("end", [NOON, NOON - timedelta(seconds=1)])
def test_an_interval_that_does_not_end_after_it_starts_is_refused(end: datetime):
    with pytest.raises(ValueError, match="has to end after it starts"):
        Interval(NOON, end)


def test_an_interval_is_compared_as_it_is_sent():
    berlin = ZoneInfo("Europe/Berlin")  # turns its clocks back at 03:00 on 2026-10-25
    before = datetime(2026, 10, 25, 2, 30, tzinfo=berlin)
    after = datetime(2026, 10, 25, 2, 15, tzinfo=berlin, fold=1)

    Interval(before, after)  # 45 minutes
    with pytest.raises(ValueError, match="has to end after it starts"):
        Interval(after, before)
    with pytest.raises(ValueError, match="has to end after it starts"):
        Interval(NOON, NOON + timedelta(microseconds=900))


def test_a_time_out_of_range_in_utc_is_rejected():
    with pytest.raises(ValueError, match="out of range in UTC"):
        Interval(datetime(1, 1, 1, tzinfo=timezone(timedelta(hours=9))), NOON)


def test_a_naive_datetime_is_refused():
    with pytest.raises(ValueError, match="no time zone"):
        Interval(NOON.replace(tzinfo=None), NOON)
    with pytest.raises(TypeError, match="a datetime is needed, not str"):
        Interval(NOON, "tomorrow")  # type: ignore[arg-type]


def test_a_secret_shows_itself_only_when_asked():
    secret = Secret("s3cret")

    assert "s3cret" not in f"{secret} {secret!r} {[secret]}"
    assert secret.reveal() == "s3cret"
    assert secret == Secret("s3cret") != Secret("other")
    assert secret != "s3cret"
    assert len({secret, Secret("s3cret")}) == 1
    with pytest.raises(TypeError, match="not pickled"):
        pickle.dumps(secret)
