import json
from datetime import UTC, date, datetime, timedelta, timezone
from typing import Any

import pytest

from coaching_async import (
    UNSET,
    Annotation,
    Appointment,
    AppointmentCreate,
    AppointmentReference,
    AppointmentStatus,
    AppointmentUpdate,
    BusinessUnitReference,
    ErrorDetail,
    Interval,
    Notification,
    Page,
    StatusChange,
    WfmScheduleReference,
    from_dict,
    to_dict,
)
from coaching_async._wire import camel, encode, parse_json, path, query

from .conftest import DATA

MODELS: dict[str, Any] = {
    "appointment": Appointment,
    "appointment_plain": Appointment,
    "appointment_bare": Appointment,
    "appointment_reference": AppointmentReference,
    "appointments_page": Page[Appointment],
    "appointments_page_2": Page[Appointment],
    "appointments_page_empty": Page[Appointment],
    "appointments_page_beyond_end": Page[Appointment],
    "annotation": Annotation,
    "annotation_private": Annotation,
    "annotations_page": Page[Annotation],
    "status": StatusChange,
    "statuses_page": Page[StatusChange],
    "notification": Notification,
    "notification_expanded": Notification,
    "notifications_page": Page[Notification],
}
FUTURE: dict[str, tuple[Any, dict[str, str]]] = {
    "appointment.future": (Appointment, {"status": "Rescheduling"}),
    "annotation.future": (Annotation, {"access_type": "Managers"}),
    "notification.future": (Notification, {"action_type": "ReminderSent", "relationship": "Observer"}),
    "status.future": (StatusChange, {"status": "Postponed"}),
}
# Elsewhere: answers of the login host (test_tokens), errors (test_api), requests (test_operations); and what the sixteen
# operations do not touch: newer operations and the socket.
ELSEWHERE = ("token", "oauth_", "error", "request_", "extra_", "ws_")


def test_no_example_of_the_contract_is_forgotten():
    names = {file.stem for file in (DATA / "examples").glob("*.json") if not file.name.startswith(ELSEWHERE)}

    assert names == MODELS.keys() | FUTURE.keys()


def without_empty(value: Any) -> Any:
    """What an answer says, apart from empty lists and the addresses of pages, which models do not keep."""
    if isinstance(value, dict):
        return {key: without_empty(inner) for key, inner in value.items() if inner != []}
    return [without_empty(inner) for inner in value] if isinstance(value, list) else value


def same_time(value: Any) -> Any:
    """Milliseconds are optional on the wire."""
    return json.loads(json.dumps(value).replace(':00Z"', ':00.000Z"'))


@pytest.mark.parametrize("name", MODELS)
def test_every_example_decodes_and_comes_back_as_it_was(name: str, example: Any):
    wire = example(name)
    links = {"firstUri", "nextUri", "previousUri", "lastUri"} | ({"selfUri"} if "entities" in wire else set())
    said = same_time(without_empty({key: value for key, value in wire.items() if key not in links}))

    model = from_dict(MODELS[name], wire)

    assert without_empty(to_dict(model)) == said
    assert (
        from_dict(
            MODELS[name], to_dict(model) | {"entities": wire["entities"]} if "entities" in wire else to_dict(model)
        )
        == model
    )


@pytest.mark.parametrize("name", FUTURE)
def test_the_values_of_tomorrow_are_kept_and_its_fields_dropped(name: str, example: Any):
    cls, unknown = FUTURE[name]

    model = from_dict(cls, example(name))

    for field, value in unknown.items():
        assert getattr(model, field) == value
        assert not getattr(model, field).is_known
    assert "tags" not in to_dict(model)


def test_a_full_appointment_has_the_types_it_promises(example: Any):
    appointment = from_dict(Appointment, example("appointment"))

    assert appointment.date_start == datetime(2026, 11, 20, 14, tzinfo=UTC)
    assert appointment.status is AppointmentStatus.COMPLETED
    assert [user.id[:8] for user in appointment.attendees] == ["5c9a7b22", "9d8e7f66"]
    assert appointment.wfm_schedule is not None
    assert appointment.wfm_schedule.week_date == date(2026, 11, 16)
    assert hash(appointment) == hash(from_dict(Appointment, example("appointment")))


def test_a_notification_has_a_reference_or_the_whole_appointment(example: Any):
    assert isinstance(from_dict(Notification, example("notification")).appointment, AppointmentReference)
    assert isinstance(from_dict(Notification, example("notification_expanded")).appointment, Appointment)
    assert from_dict(Notification, {"id": "1", "appointment": None}).appointment is None
    hollow = {"id": "2", "selfUri": "/x", "name": None}
    assert from_dict(Notification, {"id": "1", "appointment": hollow}).appointment == AppointmentReference(
        id="2", self_uri="/x"
    )


@pytest.mark.parametrize(
    "text, moment",
    [
        ("2026-11-20T14:00:00Z", datetime(2026, 11, 20, 14, tzinfo=UTC)),
        ("2026-11-20T14:00:00.1Z", datetime(2026, 11, 20, 14, 0, 0, 100000, tzinfo=UTC)),
        ("2026-11-20T14:00:00.123456789Z", datetime(2026, 11, 20, 14, 0, 0, 123456, tzinfo=UTC)),
        ("2026-11-20T14:00:00+02:00", datetime(2026, 11, 20, 12, tzinfo=UTC)),
    ],
)
def test_times_are_read_in_every_form_the_service_uses(text: str, moment: datetime):
    assert from_dict(Appointment, {"id": "1", "dateStart": text}).date_start == moment


@pytest.mark.parametrize(
    "wire, problem",
    [
        ([], "no Appointment: expected an object"),
        ([["id", "1"]], "no Appointment: expected an object"),
        ("id", "no Appointment: expected an object"),
        (5, "no Appointment: expected an object"),
        (None, "no Appointment: expected an object"),
        ({}, "required field missing @ $.id"),
        ({"id": None}, "expected str @ $.id"),
        ({"id": 5}, "expected str @ $.id"),
        ({"id": ""}, "expected str @ $.id"),
        ({"id": "1", "lengthInMinutes": "abc"}, "expected int | None @ $.lengthInMinutes"),
        ({"id": "1", "lengthInMinutes": "3"}, "expected int | None @ $.lengthInMinutes"),
        ({"id": "1", "lengthInMinutes": 1.9}, "expected int | None @ $.lengthInMinutes"),
        ({"id": "1", "lengthInMinutes": True}, "expected int | None @ $.lengthInMinutes"),
        ({"id": "1", "isOverdue": 1}, "expected bool | None @ $.isOverdue"),
        ({"id": "1", "status": 5}, "expected AppointmentStatus | None @ $.status"),
        ({"id": "1", "attendees": {}}, "@ $.attendees"),
        ({"id": "1", "attendees": "abc"}, "@ $.attendees"),
        ({"id": "1", "attendees": [{"id": "2"}, None]}, "expected UserReference @ $.attendees[1]"),
        ({"id": "1", "wfmSchedule": {"id": "2", "businessUnit": {}}}, "missing @ $.wfmSchedule.businessUnit.id"),
        ({"id": "1", "dateStart": "soon"}, "@ $.dateStart"),
        ({"id": "1", "dateStart": "10000-01-01T00:00:00Z"}, "@ $.dateStart"),
        ({"id": "1", "dateStart": "0000-01-01T00:00:00Z"}, "@ $.dateStart"),
        ({"id": "1", "dateStart": "2026-11-20T14:00:00"}, "@ $.dateStart"),
    ],
)
def test_what_is_not_as_promised_is_refused_with_its_place(wire: Any, problem: str):
    with pytest.raises(ValueError, match="no Appointment") as caught:
        from_dict(Appointment, wire)

    assert problem in str(caught.value)
    assert caught.value.__context__ is None


@pytest.mark.parametrize("wire", [{}, {"entities": None}, {"entities": {}}, {"entities": [None]}, {"entities": [[]]}])
def test_a_page_without_its_entities_is_no_empty_page(wire: Any):
    with pytest.raises(ValueError, match=r"no .*Page.*@ \$.entities"):
        from_dict(Page[StatusChange], wire)


def test_a_null_list_is_an_empty_one():
    assert from_dict(Appointment, {"id": "1", "attendees": None}).attendees == ()


@pytest.mark.parametrize(
    "content, problem",
    [
        (b"", "no JSON"),
        (b"<html>", "no JSON"),
        (b'{"id": "tru', "no JSON"),
        (b"[" * 200_000, "nested too deep"),
        (b"9" * 5000, "no JSON"),
        (b'{"n": NaN}', "NaN is no number"),
        (b"-Infinity", "is no number"),
        (b'"\xff"', "not UTF-8"),
        ("{}".encode("utf-16"), "not UTF-8"),
    ],
)
def test_what_is_no_json_is_refused(content: bytes, problem: str):
    with pytest.raises(ValueError, match=problem):
        parse_json(content)


def test_a_byte_order_mark_does_no_harm():
    assert parse_json(b'\xef\xbb\xbf{"a": 1}') == {"a": 1}


def test_only_models_become_dicts():
    with pytest.raises(TypeError, match="a model is needed, not dict"):
        to_dict({})


def test_names_are_renamed_by_rule():
    assert [camel(name) for name in ("id", "date_start", "length_in_minutes")] == ["id", "dateStart", "lengthInMinutes"]


def body(model: object) -> Any:
    return json.loads(encode(model))


def test_an_update_sends_only_what_is_set():
    assert body(AppointmentUpdate()) == {}
    assert body(AppointmentUpdate(location=None, external_links=[], share_insights_data=False)) == {
        "location": None,
        "externalLinks": [],
        "shareInsightsData": False,
    }
    assert AppointmentUpdate().status is UNSET


def test_times_are_sent_in_utc_with_milliseconds():
    east = timezone(timedelta(hours=9))

    sent = body(AppointmentUpdate(date_start=datetime(2026, 11, 20, 23, 0, 5, 123999, tzinfo=east)))

    assert sent == {"dateStart": "2026-11-20T14:00:05.123Z"}


def test_a_naive_time_is_not_sent():
    with pytest.raises(ValueError, match="no time zone"):
        encode(AppointmentUpdate(date_start=datetime(2026, 11, 20)))  # noqa: DTZ001


def test_what_only_the_service_sets_is_not_sent_back():
    schedule = WfmScheduleReference(
        id="1", self_uri="/x", business_unit=BusinessUnitReference(id="2", self_uri="/y"), week_date=date(2026, 11, 16)
    )

    assert body(AppointmentUpdate(wfm_schedule=schedule)) == {
        "wfmSchedule": {"id": "1", "businessUnit": {"id": "2"}, "weekDate": "2026-11-16"}
    }


def test_one_id_is_one_id_and_not_its_letters():
    create = AppointmentCreate(
        name="n",
        description="d",
        date_start=datetime(2026, 11, 20, tzinfo=UTC),
        length_in_minutes=30,
        attendee_ids="abc",
        conversation_ids=iter(["c1", "c2"]),
    )

    assert create.attendee_ids == ("abc",)
    assert body(create)["conversationIds"] == ["c1", "c2"]


@pytest.mark.parametrize("status, says", [("Gone", "is no AppointmentStatus"), ("InvalidSchedule", "service alone")])
def test_a_status_that_cannot_be_set_is_refused(status: str, says: str):
    with pytest.raises(ValueError, match=says):
        AppointmentUpdate(status=status)


@pytest.mark.parametrize("length", [float("nan"), 30.0, True, "30", 0, -1])
def test_a_length_is_a_whole_number_of_minutes(length: Any):
    with pytest.raises(ValueError, match="length_in_minutes has to be a whole number"):
        AppointmentUpdate(length_in_minutes=length)


@pytest.mark.parametrize("start", ["2026-11-20", date(2026, 11, 20)])
def test_a_start_is_a_datetime(start: Any):
    with pytest.raises(TypeError, match="a datetime is needed"):
        AppointmentUpdate(date_start=start)


@pytest.mark.parametrize("ids", [[""], [None], ["a", 5]])
def test_every_id_is_a_non_empty_str(ids: Any):
    with pytest.raises(ValueError, match="every id has to be a non-empty str"):
        AppointmentUpdate(conversation_ids=ids)


def test_request_bodies_come_back_from_their_json_too():
    update = AppointmentUpdate(
        location=None, status="Completed", external_links=["x"], date_start=datetime(2026, 11, 20, tzinfo=UTC)
    )

    assert from_dict(AppointmentUpdate, to_dict(update)) == update


def test_lists_travel_as_repeated_parameters_and_none_stays_at_home():
    assert query(user_ids=["a", "b"], statuses=None, page_size=3) == "userIds=a&userIds=b&pageSize=3"
    assert query(interval=Interval.month(2026, 12)) == (
        "interval=2026-12-01T00%3A00%3A00.000Z%2F2027-01-01T00%3A00%3A00.000Z"
    )


@pytest.mark.parametrize("items", [["a,b"], [""], [None], [5]])
def test_a_list_item_that_would_be_read_as_another_is_refused(items: Any):
    with pytest.raises(ValueError, match="user_ids: "):
        query(user_ids=items)


@pytest.mark.parametrize(
    "segment", ["a/b", "a?x", "a#b", "a b", "é", "../../users", "\r\n", "\x00", "%2e%2e", "x" * 10_000]
)
def test_an_id_stays_one_path_segment_whatever_is_in_it(segment: str):
    from urllib.parse import unquote

    encoded = path("appointments", segment)

    assert encoded.count("/") == 2
    assert encoded.isascii()
    assert not set(encoded) & set("?# \r\n\x00")
    assert unquote(encoded.rpartition("/")[2]) == segment


@pytest.mark.parametrize("segment", ["", ".", ".."])
def test_an_id_that_clients_fold_away_is_refused(segment: str):
    with pytest.raises(ValueError, match="is no id"):
        path("appointments", segment)


def test_an_id_is_a_str():
    with pytest.raises(TypeError, match="an id is a str, not NoneType"):
        path("appointments", None)  # type: ignore[arg-type]


def test_a_status_change_has_a_status():
    with pytest.raises(ValueError, match=r"missing @ \$.status"):
        from_dict(StatusChange, {})


def test_an_error_detail_is_all_optional():
    assert from_dict(ErrorDetail, {}) == ErrorDetail()
