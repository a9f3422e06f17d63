"""Tables: flat columns of models, rows, and data frames."""

import re
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta, timezone, tzinfo
from typing import Any
from zoneinfo import ZoneInfo

import attrs
import duckdb
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

import coaching_async
from coaching_async import (
    AccessToken,
    Annotation,
    Appointment,
    AppointmentStatus,
    CoachingClient,
    CoachingSlot,
    CoachingSlots,
    Interval,
    Notification,
    ScheduleSlotsJobResult,
    StatusChange,
    User,
    UserReference,
    WfmScheduleReference,
    from_dict,
)
from coaching_async.tables import Kind, arrow_schema, columns, to_arrow, to_rows, user_ids
from tests.support.fault_server import HANG

BERLIN = ZoneInfo("Europe/Berlin")
NINE = datetime(2026, 11, 2, 8, tzinfo=UTC)
FULL = Appointment(
    id="a",
    name="Kickoff",
    date_start=NINE,
    length_in_minutes=30,
    status=AppointmentStatus("Nouveau"),
    facilitator=UserReference(id="f", self_uri="/f"),
    attendees=(UserReference(id="u"), UserReference(id="v")),
    wfm_schedule=WfmScheduleReference(id="s", week_date=date(2026, 11, 2)),
    is_overdue=False,
    external_links=("https://x.test",),
)
EMPTY = Appointment(id="b")


def test_a_reference_is_its_id_a_list_of_them_a_list_of_ids_and_an_object_its_fields():
    (row, _) = to_rows([FULL, EMPTY], Appointment)

    assert row["facilitator_id"] == "f"
    assert row["attendee_ids"] == ["u", "v"]
    assert (row["wfm_schedule_id"], row["wfm_schedule_week_date"]) == ("s", date(2026, 11, 2))
    assert row["wfm_schedule_business_unit_id"] is None
    assert (row["status"], type(row["status"])) == ("Nouveau", str)
    assert (row["date_start"], row["length_in_minutes"], row["is_overdue"]) == (NINE, 30, False)


def test_absent_fields_are_null_and_every_column_is_in_every_row():
    full, empty = to_rows([FULL, EMPTY], Appointment)

    assert list(full) == list(empty) == [column.name for column in columns(Appointment)]
    assert {name: value for name, value in empty.items() if value is not None} == {
        "id": "b",
        "attendee_ids": [],
        "conversation_ids": [],
        "document_ids": [],
        "external_links": [],
    }


def test_names_and_addresses_stand_beside_the_ids_and_an_id_where_there_is_no_name():
    names, emails = {"f": "Ada", "u": "Grace"}, {"u": "grace@example.com"}

    (row,) = to_rows([FULL], Appointment, names=names, emails=emails)

    assert (row["facilitator_name"], row["facilitator_email"]) == ("Ada", None)
    assert (row["attendee_names"], row["attendee_emails"]) == (["Grace", "v"], ["grace@example.com"])
    order = list(row)
    assert order[order.index("facilitator_id") :][:3] == ["facilitator_id", "facilitator_name", "facilitator_email"]
    assert to_rows([EMPTY], Appointment, names=names)[0]["facilitator_name"] is None


def test_a_user_whose_name_or_address_is_none_has_none():
    (row,) = to_rows(
        [FULL], Appointment, names={"f": None, "u": None}, emails={"f": None, "u": None, "v": "v@example.com"}
    )

    assert (row["facilitator_name"], row["attendee_names"]) == ("f", ["u", "v"])
    assert (row["facilitator_email"], row["attendee_emails"]) == (None, ["v@example.com"])


@pytest.mark.parametrize("argument", ["names", "emails"])
@pytest.mark.parametrize("odd", [True, {"f": User(id="f", name="Ada")}, ["Ada"]], ids=["flag", "users", "list"])
def test_names_that_are_no_texts_by_id_are_refused_and_not_shown(argument: str, odd: Any):
    with pytest.raises(TypeError, match="texts by the id of the user") as caught:
        to_rows([FULL], Appointment, **{argument: odd})

    assert "Ada" not in str(caught.value)


@pytest.mark.parametrize("make", [to_rows, to_arrow])
def test_a_list_that_was_not_read_is_refused_with_what_to_do(make: Callable[..., object]):
    listing: Any = CoachingClient(AccessToken("t")).appointments.list("u")

    with pytest.raises(TypeError, match=r"not a Listing: `await listing.collect\(\)`"):
        make(listing, Appointment)
    with pytest.raises(TypeError, match=r"not a Listing: `await listing.collect\(\)`"):
        user_ids(listing)


@pytest.mark.parametrize("odd", [{"id": "a"}, "a", UserReference(id="a")], ids=["dict", "text", "another model"])
def test_an_object_of_another_model_is_refused(odd: Any):
    with pytest.raises(TypeError, match="items are of the model Appointment, and one of them is a"):
        to_rows([FULL, odd], Appointment)


@pytest.mark.parametrize("make", [to_rows, to_arrow])
@pytest.mark.parametrize("zone", ["Europe/Berlin", None])
def test_what_is_no_time_zone_is_refused_also_without_items(make: Callable[..., object], zone: Any):
    with pytest.raises(TypeError, match="tz is a tzinfo"):
        make([], Appointment, tz=zone)


def test_the_users_that_items_refer_to_are_those_of_every_model():
    note, change = (
        Annotation(id="n", created_by=UserReference(id="w")),
        StatusChange(status=AppointmentStatus.COMPLETED),
    )

    assert user_ids([FULL, EMPTY, note, change]) == {"f", "u", "v", "w"}


@pytest.mark.parametrize("zone, offset", [(UTC, 0), (BERLIN, 1), (timezone(timedelta(hours=-3)), -3)])
def test_times_are_in_the_zone(zone: tzinfo, offset: int):
    (row,) = to_rows([FULL], Appointment, tz=zone)

    moment = row["date_start"]
    assert isinstance(moment, datetime)
    assert (moment, moment.utcoffset()) == (NINE, timedelta(hours=offset))


def test_a_time_at_the_end_of_the_calendar_is_kept_in_utc():
    last = attrs.evolve(FULL, date_start=datetime.max.replace(tzinfo=UTC))

    assert to_rows([last], Appointment, tz=BERLIN)[0]["date_start"] == last.date_start


@pytest.mark.parametrize("value, shown", [(2**63, None), (-(2**63) - 1, None), (2**63 - 1, 2**63 - 1), (0, 0)])
def test_an_integer_that_no_table_holds_is_null(value: int, shown: int | None):
    odd = attrs.evolve(FULL, length_in_minutes=value)

    assert to_rows([odd], Appointment)[0]["length_in_minutes"] == shown
    assert to_arrow([odd], Appointment)["length_in_minutes"].to_pylist() == [shown]


def test_half_of_an_emoji_is_replaced_and_a_whole_one_is_kept():
    cut = attrs.evolve(FULL, name="\ud83d and \U0001f600", external_links=("\udfff",))

    (row,) = to_rows([cut], Appointment)

    assert (row["name"], row["external_links"]) == ("\ufffd and \U0001f600", ["\ufffd"])
    assert to_arrow([cut], Appointment)["name"].to_pylist() == ["\ufffd and \U0001f600"]


def models() -> list[type[Any]]:
    return [each for each in map(vars(coaching_async).get, coaching_async.models.__all__) if attrs.has(each)]


def test_every_model_has_columns_with_a_schema_or_is_refused_because_of_a_list_of_objects():
    flat, refused = 0, []
    for model in models():
        try:
            found = columns(model, names=True, emails=True)
        except TypeError:
            refused.append(model)
            continue
        names = [column.name for column in found]
        assert len(names) == len(set(names)), model
        assert arrow_schema(found).names == names
        flat += 1
    assert flat > 20
    for model in refused:
        with pytest.raises(TypeError, match=r"is no row of a table: .* are objects of their own"):
            columns(model)


@pytest.mark.parametrize(
    "model, some",
    [
        (Notification, {"appointment_id": Kind.TEXT, "marked_as_read": Kind.BOOLEAN, "user_id": Kind.TEXT}),
        (StatusChange, {"status": Kind.TEXT, "appointment_id": Kind.TEXT, "date_created": Kind.TIMESTAMP}),
        (CoachingSlot, {"staffing_difference": Kind.NUMBER, "length_in_minutes": Kind.INTEGER}),
        (ScheduleSlotsJobResult, {"interval_start": Kind.TIMESTAMP, "slot_schedule_week_date": Kind.DATE}),
    ],
)
def test_a_model_has_these_columns(model: type[Any], some: dict[str, Kind]):
    kinds = {column.name: column.kind for column in columns(model)}

    assert some.items() <= kinds.items()


def test_an_interval_is_its_ends():
    month = Interval.month(2026, 11)

    (row,) = to_rows([ScheduleSlotsJobResult(interval=month)], ScheduleSlotsJobResult)

    assert (row["interval_start"], row["interval_end"]) == (month.start, month.end)


@pytest.mark.parametrize("odd", [CoachingSlots, int, "Appointment", 7, [1], None], ids=str)
def test_what_is_no_row_is_refused(odd: Any):
    with pytest.raises(TypeError, match=r"a model is needed|is no row of a table"):
        to_rows([FULL], odd)


# Frames


def test_an_empty_list_has_the_same_schema_as_a_full_one():
    assert to_arrow([], Appointment).schema.equals(to_arrow([FULL, EMPTY], Appointment).schema)
    types = dict(zip(to_arrow([], Appointment).schema.names, to_arrow([], Appointment).schema.types, strict=True))
    assert types["date_start"] == pa.timestamp("us", "UTC")
    assert types["attendee_ids"] == pa.list_(pa.string())
    assert (types["length_in_minutes"], types["is_overdue"]) == (pa.int64(), pa.bool_())


def test_columns_that_were_chosen_are_the_table():
    chosen = [column for column in columns(Appointment, names=True) if column.name in {"id", "facilitator_name"}]

    assert to_arrow([FULL], chosen, names={"f": "Ada"}).to_pylist() == [{"id": "a", "facilitator_name": "Ada"}]


def test_columns_are_chosen_by_their_names_in_any_order_with_those_of_people():
    chosen = columns(Appointment, only=["facilitator_name", "id", "attendee_emails"])

    assert [each.name for each in chosen] == ["facilitator_name", "id", "attendee_emails"]
    assert to_rows([FULL], chosen, names={"f": "Ada"}) == [
        {"facilitator_name": "Ada", "id": "a", "attendee_emails": []}
    ]


@pytest.mark.parametrize(
    "only, error, says",
    [
        (["id", "facilitater_id"], ValueError, "did you mean facilitator_id?"),
        (["zzz"], ValueError, "there are id, name"),
        ([], ValueError, "at least one column"),
        (["id", "id"], ValueError, "each of them once"),
        ("id", TypeError, "several names"),
    ],
)
def test_columns_that_cannot_be_chosen_are_refused(only: Any, error: type[Exception], says: str):
    with pytest.raises(error, match=re.escape(says)):
        columns(Appointment, only=only)


def test_an_error_about_the_arguments_shows_no_appointment():
    odd: Any = FULL
    with pytest.raises(TypeError, match=r"columns\(Appointment, only=") as caught:
        to_rows([], odd)

    assert "Kickoff" not in str(caught.value)


@pytest.mark.parametrize("items", [[FULL, EMPTY], []], ids=["full", "empty"])
def test_pandas_polars_and_duckdb_take_the_table(items: list[Appointment]):
    found = to_arrow(items, Appointment, tz=BERLIN)

    frame = found.to_pandas()
    assert str(frame["date_start"].dtype) == "datetime64[us, Europe/Berlin]"
    plain = pd.DataFrame(to_rows(items, Appointment), columns=[column.name for column in columns(Appointment)])
    assert list(plain) == list(frame)
    lazy = pl.from_arrow(found)
    assert isinstance(lazy, pl.DataFrame)
    assert lazy.schema["attendee_ids"] == pl.List(pl.String)
    assert lazy.schema["date_start"] == pl.Datetime("us", "Europe/Berlin")
    (counted,) = duckdb.sql("SELECT count(*) FROM found").fetchall()
    assert counted == (len(items),)
    if items:
        assert (frame["date_start"][0], lazy["date_start"][0]) == (NINE, NINE)


def test_a_zone_without_a_name_is_refused():
    class Unnamed(tzinfo):
        def utcoffset(self, _: datetime | None) -> None:
            return None

    with pytest.raises(ValueError, match="the time zone has no name"):
        to_arrow([], Appointment, tz=Unnamed())


def test_a_fixed_offset_is_a_zone():
    assert arrow_schema(columns(Appointment), tz=timezone(timedelta(hours=-3, minutes=-30))).field(
        "date_start"
    ).type == pa.timestamp("us", "-03:30")


def test_without_pyarrow_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "pyarrow", None)

    with pytest.raises(ModuleNotFoundError, match=r"pip install 'coaching_async\[parquet\]'"):
        to_arrow([], Appointment)
    assert to_rows([EMPTY], Appointment)


def test_importing_tables_imports_no_library():
    code = "import sys, coaching_async.tables; assert not {'pyarrow', 'pandas', 'polars'} & sys.modules.keys()"
    subprocess.run([sys.executable, "-W", "error", "-c", code], check=True, timeout=HANG)


def test_a_row_of_the_wire_is_a_row_of_the_table():
    wire = {"id": "a", "attendees": [{"id": "u"}], "dateStart": "2026-11-02T09:00:00.123Z", "lengthInMinutes": 30}

    (row,) = to_rows([from_dict(Appointment, wire)], Appointment)

    assert (row["attendee_ids"], row["date_start"]) == (["u"], datetime(2026, 11, 2, 9, 0, 0, 123000, tzinfo=UTC))
