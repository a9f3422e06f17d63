import json
import pickle
from datetime import UTC, date, datetime, timedelta, timezone
from functools import partial
from typing import Any, get_args, get_origin, get_type_hints

import attrs
import pytest

import coaching_async
from coaching_async import (
    UNSET,
    AggregateGroup,
    AggregateQuery,
    Annotation,
    Appointment,
    AppointmentAggregates,
    AppointmentCreate,
    AppointmentReference,
    AppointmentStatus,
    AppointmentUpdate,
    AvailableTopic,
    BusinessUnitReference,
    Channel,
    ChannelEvent,
    ChannelMessage,
    ChannelTopic,
    CoachingSlot,
    CoachingSlots,
    CoachingSlotsQuery,
    ConversationLink,
    ErrorBody,
    ErrorDetail,
    Interval,
    Notification,
    OpenEnum,
    Page,
    ScheduleSlotsJob,
    ScheduleSlotsJobCreate,
    StatusChange,
    SystemMessage,
    Team,
    TeamMember,
    User,
    UserReference,
    WfmScheduleReference,
    from_dict,
    to_dict,
)
from coaching_async._serialization.codec import decode, encode
from coaching_async._serialization.json import parse_json
from coaching_async._serialization.names import to_camel
from coaching_async._serialization.urls import encode_path, encode_query
from coaching_async._transport.body import parse_body
from tests.conftest import DATA

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
    **{f"error_{status}": ErrorBody for status in (400, 401, 403, 404, 408, 409, 413, 415, 429, 500, 503, 504)},
    "error_nested": ErrorBody,
    "extra_add_conversation": ConversationLink,
    "extra_aggregate": AppointmentAggregates,
    "extra_slots": CoachingSlots,
    "extra_job_in_progress": ScheduleSlotsJob,
    "extra_job_complete": ScheduleSlotsJob,
    "request_create": AppointmentCreate,
    "request_create_minimal": AppointmentCreate,
    "request_update": AppointmentUpdate,
    "extra_request_aggregate": AggregateQuery,
    "extra_request_slots": CoachingSlotsQuery,
    "extra_request_job": ScheduleSlotsJobCreate,
    "channels_available_topics": Page[AvailableTopic],
    "channels_channels": Page[Channel],
    "ws_channel": Channel,
    "ws_subscriptions": Page[ChannelTopic],
    "ws_ping_request": ChannelMessage,
    "ws_pong": ChannelEvent[ChannelMessage],
    "ws_heartbeat": ChannelEvent[ChannelMessage],
    "ws_event_coaching": ChannelEvent[Notification],
    "ws_event_job": ChannelEvent[ScheduleSlotsJob],
    "ws_socket_closing": ChannelEvent[SystemMessage],
}
PEOPLE: dict[str, Any] = {
    **{f"people_user{kind}": User for kind in ("", ".future", "_deleted", "_expanded", "_inactive", "_plain")},
    "people_me": User,
    **{f"people_users_{name}": Page[User] for name in ("by_id", "page", "page_2", "page_empty")},
    "people_group_members": Page[User],
    **{f"people_teams_page{name}": Page[Team] for name in ("", "_2", "_divisions", "_empty")},
    **{f"people_team_members_{name}": Page[TeamMember] for name in ("bare", "page", "page_2")},
    **{
        f"people_error_{name}": ErrorBody
        for name in ("max_user_ids", "missing_permission", "not_a_user", "user_not_found")
    },
}
"""The models have a part of the fields."""
FUTURE: dict[str, tuple[Any, dict[str, str]]] = {
    "appointment.future": (Appointment, {"status": "Rescheduling"}),
    "annotation.future": (Annotation, {"access_type": "Managers"}),
    "notification.future": (Notification, {"action_type": "ReminderSent", "relationship": "Observer"}),
    "status.future": (StatusChange, {"status": "Postponed"}),
    "error.future": (ErrorBody, {}),
}
ELSEWHERE = {
    "test_tokens": {"token", "token_with_refresh", "oauth_error_400", "oauth_error_400_rate_limit"},
    "test_operations": {  # bodies of one or two arguments
        "request_annotation",
        "request_annotation_update",
        "request_status",
        "request_notification_update",
        "extra_request_add_conversation",
    },
    "test_users": {  # searches, which have lists of another form
        *(f"people_request_search_{name}" for name in ("deleted", "email", "name")),
        *(f"people_search{name}" for name in ("", "_empty", "_short_page")),
        "people_request_team_search",
        "people_team_search",
    },
    "test_a_subscription_is_a_list_of_topics": {"ws_subscription_request"},
}


def test_no_example_of_the_contract_is_forgotten():
    names = {file.stem for file in (DATA / "examples").glob("*.json")}

    assert names == MODELS.keys() | PEOPLE.keys() | FUTURE.keys() | set().union(*ELSEWHERE.values())


def without_empty(value: Any) -> Any:
    """Return a response without empty lists and page URLs, which models do not keep."""
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


def is_part(read: Any, wire: Any) -> bool:
    """Return whether all that was read is in a response."""
    if isinstance(read, dict):
        return all(name in wire and is_part(value, wire[name]) for name, value in read.items())
    if isinstance(read, list):
        return len(read) == len(wire) and all(map(is_part, read, wire))
    return read == wire


@pytest.mark.parametrize("name", PEOPLE)
def test_a_model_of_people_has_the_fields_of_an_example_that_it_knows(name: str, example: Any):
    wire = same_time(example(name))

    read = to_dict(from_dict(PEOPLE[name], wire))

    assert read
    assert is_part(read, wire)


@pytest.mark.parametrize("name", FUTURE)
def test_unknown_enum_values_are_kept_and_unknown_fields_dropped(name: str, example: Any):
    cls, unknown = FUTURE[name]

    model = from_dict(cls, example(name))

    for field, value in unknown.items():
        assert getattr(model, field) == value
        assert not getattr(model, field).is_known
    new = example(name).keys() - SCHEMAS[SCHEMA_OF[cls]]["properties"].keys()
    assert new
    assert not new & to_dict(model).keys()
    assert from_dict(cls, to_dict(model)) == model


SCHEMAS: dict[str, Any] = json.loads((DATA / "coaching.openapi.json").read_text())["components"]["schemas"]
SCHEMA_OF: dict[Any, str] = {
    Appointment: "CoachingAppointmentResponse",
    AppointmentReference: "CoachingAppointmentReference",
    AppointmentCreate: "CreateCoachingAppointmentRequest",
    AppointmentUpdate: "UpdateCoachingAppointmentRequest",
    Annotation: "CoachingAnnotation",
    StatusChange: "CoachingAppointmentStatusResponse",
    Notification: "CoachingNotification",
    ConversationLink: "AddConversationResponse",
    AggregateQuery: "CoachingAppointmentAggregateRequest",
    coaching_async.AggregateFilter: "QueryRequestFilter",
    coaching_async.AggregateClause: "QueryRequestClause",
    coaching_async.AggregatePredicate: "QueryRequestPredicate",
    AppointmentAggregates: "CoachingAppointmentAggregateResponse",
    AggregateGroup: "QueryResponseGroupedData",
    coaching_async.AggregateData: "QueryResponseData",
    coaching_async.AggregateMetric: "QueryResponseMetric",
    coaching_async.AggregateStats: "QueryResponseStats",
    CoachingSlotsQuery: "CoachingSlotsRequest",
    CoachingSlots: "CoachingSlotsResponse",
    CoachingSlot: "CoachingSlot",
    coaching_async.UserAvailableTimes: "UserAvailableTimes",
    coaching_async.AvailableTime: "AvailableTime",
    coaching_async.WfmScheduleActivity: "WfmScheduleActivity",
    coaching_async.ScheduleActivity: "ScheduleActivity",
    coaching_async.FullDayTimeOffMarker: "FullDayTimeOffMarker",
    ScheduleSlotsJobCreate: "CoachingScheduleSlotsJobRequest",
    ScheduleSlotsJob: "CoachingScheduleSlotsJobResponse",
    coaching_async.ScheduleSlotsJobResult: "CoachingScheduleSlotsJobResult",
    coaching_async.ScheduleSlotsJobSlot: "CoachingScheduleSlotsJobSlot",
    coaching_async.ScheduleSlotsJobSchedule: "CoachingScheduleSlotsJobSchedule",
    UserReference: "UserReference",
    coaching_async.ConversationReference: "ConversationReference",
    coaching_async.DocumentReference: "DocumentReference",
    BusinessUnitReference: "WfmBusinessUnitReference",
    WfmScheduleReference: "WfmScheduleReference",
    ErrorBody: "ErrorBody",
    ErrorDetail: "Detail",
    coaching_async.ErrorLimit: "Limit",
}
INLINE = {"AddConversationRequest", "CoachingAnnotationCreateRequest", "CoachingAppointmentStatusRequest"}


def test_every_schema_of_the_api_has_its_model():
    said = {name for name in SCHEMAS if not name.startswith("OAuth") and not name.endswith(("Grant", "List"))}

    assert said == set(SCHEMA_OF.values()) | INLINE


def mentioned(annotation: Any) -> set[Any]:
    """Yield the classes in an annotation, at any depth."""
    return {annotation}.union(*(mentioned(arg) for arg in get_args(annotation)))


@pytest.mark.parametrize("cls", SCHEMA_OF)
def test_a_model_has_every_field_of_its_schema_and_every_value_of_its_enums(cls: Any):
    properties = SCHEMAS[SCHEMA_OF[cls]]["properties"]
    hints = {to_camel(name): hint for name, hint in get_type_hints(cls).items()}

    assert hints.keys() == properties.keys()
    for name, schema in properties.items():
        values = schema.get("enum") or schema.get("items", {}).get("enum") or ()
        enums = [each for each in mentioned(hints[name]) if isinstance(each, type) and issubclass(each, OpenEnum)]
        assert all(enum(value).is_known for enum in enums for value in values)
        assert bool(enums) == bool(values)
        assert any(get_origin(each) is tuple for each in mentioned(hints[name])) == (schema.get("type") == "array")


def test_a_full_appointment_has_the_declared_types(example: Any):
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
        ("2026-11-20t14:00:00z", datetime(2026, 11, 20, 14, tzinfo=UTC)),
        ("2026-11-20 14:00:00,25z", datetime(2026, 11, 20, 14, 0, 0, 250000, tzinfo=UTC)),
        ("2026-11-20T14:00:00-00:00", datetime(2026, 11, 20, 14, tzinfo=UTC)),
        ("2026-11-30T24:00:00Z", datetime(2026, 12, 1, tzinfo=UTC)),
        ("2026-11-30T24:00:00.000+02:00", datetime(2026, 11, 30, 22, tzinfo=UTC)),
        ("20261130T2400z", datetime(2026, 12, 1, tzinfo=UTC)),
        ("2016-12-31T23:59:60Z", datetime(2017, 1, 1, tzinfo=UTC)),
        ("2017-01-01T05:29:60.5+05:30", datetime(2017, 1, 1, 0, 0, 0, 500000, tzinfo=UTC)),
    ],
)
def test_times_are_read_in_every_legal_spelling(text: str, moment: datetime):
    read = from_dict(Appointment, {"id": "1", "dateStart": text}).date_start

    assert read == moment
    assert from_dict(Page[Appointment], {"entities": [{"id": "1", "dateStart": text}]}).entities[0].date_start == moment


@pytest.mark.parametrize(
    "text",
    [
        *("2026-11-30T24:00:01Z", "2026-11-30T24:01Z", "2026-11-30T25:00Z", "2026-11-30T24:00", "9999-12-31T24:00Z"),
        *("2026-11-30T10:00:60Z", "2026-11-30T23:59:61Z", "2026-11-30T23:59:60", "9999-12-31T23:59:60Z"),
        *("2026-11-30z", "z", "", "2026-11-30T10:00z ", "2026-11-30T10:00zz", "\u0662026-11-30T10:00z"),
        *("0001-01-01T00:00:00+05:00", "9999-12-31T23:59:59-05:00"),
    ],
)
def test_a_time_that_is_none_is_rejected(text: str):
    with pytest.raises(ValueError, match=r"@ \$.dateStart"):
        from_dict(Appointment, {"id": "1", "dateStart": text})


@pytest.mark.parametrize("number, minutes", [("30.0", 30), ("3e1", 30), ("-0.0", 0), ("9007199254740991.0", 2**53 - 1)])
def test_a_whole_number_may_be_written_with_a_fraction_or_an_exponent(number: str, minutes: int):
    read = decode(Appointment, f'{{"id": "1", "lengthInMinutes": {number}}}'.encode()).length_in_minutes

    assert (read, type(read)) == (minutes, int)


@pytest.mark.parametrize("number", ["30.5", "9007199254740993.0", "1e300", "1e999"])
def test_a_number_that_may_be_another_one_is_rejected(number: str):
    with pytest.raises(ValueError, match=r"expected int \| None @ \$.lengthInMinutes"):
        decode(Appointment, f'{{"id": "1", "lengthInMinutes": {number}}}'.encode())


def test_an_integer_of_any_length_is_read_exactly():
    assert decode(Appointment, b'{"id": "1", "lengthInMinutes": 123456789012345678901}').length_in_minutes == (
        123456789012345678901
    )


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
        ({"id": ".."}, "expected str @ $.id"),
        ({"id": "1", "lengthInMinutes": "abc"}, "expected int | None @ $.lengthInMinutes"),
        ({"id": "1", "lengthInMinutes": "3"}, "expected int | None @ $.lengthInMinutes"),
        ({"id": "1", "lengthInMinutes": 1.9}, "expected int | None @ $.lengthInMinutes"),
        ({"id": "1", "lengthInMinutes": True}, "expected int | None @ $.lengthInMinutes"),
        ({"id": "1", "isOverdue": 1}, "expected bool | None @ $.isOverdue"),
        ({"id": "1", "status": 5}, "expected AppointmentStatus | None @ $.status"),
        ({"id": "1", "attendees": {}}, "@ $.attendees"),
        ({"id": "1", "attendees": "abc"}, "@ $.attendees"),
        ({"id": "1", "attendees": [{}, 5]}, "expected UserReference | None @ $.attendees[1]"),
        ({"id": "1", "attendees": [{"id": "2"}, {"id": 5}]}, "expected str @ $.attendees[1].id"),
        ({"id": "1", "attendees": [{"id": ".."}]}, "expected str @ $.attendees[0].id"),
        ({"id": "1", "facilitator": "user"}, "expected UserReference | None @ $.facilitator"),
        ({"id": "1", "facilitator": {"id": 0}}, "expected str @ $.facilitator.id"),
        ({"id": "1", "wfmSchedule": {"id": "2", "businessUnit": []}}, "@ $.wfmSchedule.businessUnit"),
        ({"id": "1", "externalLinks": [5]}, "expected str | None @ $.externalLinks[0]"),
        ({"id": "1", "attendees": [5] * 9}, "$.attendees[4]; and 4 more"),
        ({"id": "1", "dateStart": "soon"}, "@ $.dateStart"),
        ({"id": "1", "dateStart": "10000-01-01T00:00:00Z"}, "@ $.dateStart"),
        ({"id": "1", "dateStart": "0000-01-01T00:00:00Z"}, "@ $.dateStart"),
        ({"id": "1", "dateStart": "2026-11-20T14:00:00"}, "@ $.dateStart"),
    ],
)
def test_a_value_of_the_wrong_type_is_rejected_with_its_place(wire: Any, problem: str):
    with pytest.raises(ValueError, match="no Appointment") as caught:
        from_dict(Appointment, wire)

    assert problem in str(caught.value)
    assert caught.value.__context__ is None


@pytest.mark.parametrize("wire", [{}, {"status": "ok"}, {"entities": {}}, {"entities": [None]}, {"entities": [[]]}])
def test_an_object_that_is_no_page_is_rejected(wire: Any):
    with pytest.raises(ValueError, match=r"no .*Page.*@ \$.entities"):
        from_dict(Page[StatusChange], wire)


def test_a_null_list_is_an_empty_one():
    assert from_dict(Appointment, {"id": "1", "attendees": None}).attendees == ()


@pytest.mark.parametrize("wire", [{"entities": None}, {"entities": None, "total": 0}, {"total": 0}, {"pageNumber": 3}])
def test_a_page_whose_list_is_null_or_absent_is_an_empty_one(wire: Any):
    assert from_dict(Page[StatusChange], wire).entities == ()


NO_REFERENCE: list[Any] = [None, {}, {"id": None}, {"id": ""}, {"id": None, "selfUri": "/x", "name": "gone"}]


@pytest.mark.parametrize("gone", NO_REFERENCE)
def test_a_reference_without_an_id_is_none(gone: Any):
    appointment = from_dict(
        Appointment, {"id": "1", "facilitator": gone, "wfmSchedule": {"id": "2", "businessUnit": gone}}
    )

    assert appointment.facilitator is None
    assert appointment.wfm_schedule == WfmScheduleReference(id="2")
    assert from_dict(Appointment, {"id": "1", "wfmSchedule": gone}).wfm_schedule is None
    assert from_dict(StatusChange, {"status": "Scheduled", "appointment": gone}).appointment is None


@pytest.mark.parametrize("gone", NO_REFERENCE)
def test_a_list_of_a_response_has_no_references_without_an_id(gone: Any):
    appointment = from_dict(
        Appointment, {"id": "1", "attendees": [gone, {"id": "2"}, gone], "documents": [gone], "externalLinks": [None]}
    )

    assert appointment == Appointment(id="1", attendees=(UserReference(id="2"),))


@pytest.mark.parametrize("gone", [{}, {"id": None, "selfUri": "/x"}])
def test_a_notification_without_an_appointment_has_none(gone: Any):
    assert from_dict(Notification, {"id": "1", "appointment": gone}).appointment is None


def test_an_appointment_without_an_id_is_no_reference_without_an_id():
    with pytest.raises(ValueError, match=r"expected str @ \$.appointment.id"):
        from_dict(Notification, {"id": "1", "appointment": {"id": None, "name": "a whole one"}})


def test_a_request_may_lack_nothing():
    with pytest.raises(ValueError, match=r"missing @ \$.wfmSchedule.id"):
        from_dict(AppointmentUpdate, {"wfmSchedule": {}})  # null would clear it
    with pytest.raises(ValueError, match=r"expected str @ \$.conversationIds\[0\]"):
        from_dict(AppointmentUpdate, {"conversationIds": [None]})
    assert from_dict(AppointmentUpdate, {"wfmSchedule": None}).wfm_schedule is None


def test_a_list_in_itself_is_read_in_linear_time():
    body: dict[str, Any] = {"message": 5}
    for _ in range(60):
        body = {"errors": [None, body]}

    with pytest.raises(ValueError, match=r"errors\[1\].message"):
        from_dict(ErrorBody, body)


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
def test_text_that_is_not_json_is_rejected(content: bytes, problem: str):
    with pytest.raises(ValueError, match=problem):
        parse_json(content)


def test_a_byte_order_mark_is_ignored():
    assert parse_json(b'\xef\xbb\xbf{"a": 1}') == {"a": 1}


def test_only_models_become_dicts():
    with pytest.raises(TypeError, match="a model is needed, not dict"):
        to_dict({})


def test_names_become_camel_case():
    assert [to_camel(name) for name in ("id", "date_start", "length_in_minutes")] == [
        "id",
        "dateStart",
        "lengthInMinutes",
    ]


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


def test_a_self_uri_is_not_sent_back():
    schedule = WfmScheduleReference(
        id="1", self_uri="/x", business_unit=BusinessUnitReference(id="2", self_uri="/y"), week_date=date(2026, 11, 16)
    )

    assert body(AppointmentUpdate(wfm_schedule=schedule)) == {
        "wfmSchedule": {"id": "1", "businessUnit": {"id": "2"}, "weekDate": "2026-11-16"}
    }


def test_a_single_id_is_not_split_into_letters():
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
    with pytest.raises(ValueError, match="length_in_minutes is a whole number"):
        AppointmentUpdate(length_in_minutes=length)


@pytest.mark.parametrize("start", ["2026-11-20", date(2026, 11, 20)])
def test_a_start_is_a_datetime(start: Any):
    with pytest.raises(TypeError, match="date_start is a datetime with a time zone, not "):
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


def test_a_list_becomes_repeated_parameters_and_none_is_omitted():
    assert encode_query(user_ids=["a", "b"], statuses=None, page_size=3) == "userIds=a&userIds=b&pageSize=3"
    assert encode_query(interval=Interval.month(2026, 12)) == (
        "interval=2026-12-01T00%3A00%3A00.000Z%2F2027-01-01T00%3A00%3A00.000Z"
    )


@pytest.mark.parametrize("items", [["a,b"], [""], [None], [5]])
def test_a_list_item_with_a_comma_is_rejected(items: Any):
    with pytest.raises(ValueError, match="user_ids: "):
        encode_query(user_ids=items)


@pytest.mark.parametrize(
    "segment", ["a/b", "a?x", "a#b", "a b", "é", "../../users", "\r\n", "\x00", "%2e%2e", "x" * 10_000]
)
def test_an_id_with_any_characters_stays_one_path_segment(segment: str):
    from urllib.parse import unquote

    encoded = encode_path("appointments", segment)

    assert encoded.count("/") == 2
    assert encoded.isascii()
    assert not set(encoded) & set("?# \r\n\x00")
    assert unquote(encoded.rpartition("/")[2]) == segment


@pytest.mark.parametrize("segment", ["", ".", ".."])
def test_a_dot_segment_is_rejected_as_an_id(segment: str):
    with pytest.raises(ValueError, match="is no id"):
        encode_path("appointments", segment)


def test_an_id_is_a_str():
    with pytest.raises(TypeError, match="an id is a str, not None"):
        encode_path("appointments", None)  # type: ignore[arg-type]


def test_a_status_change_has_a_status():
    with pytest.raises(ValueError, match=r"missing @ \$.status"):
        from_dict(StatusChange, {})


@pytest.mark.parametrize("number", [-0.75, 0, 3, 1e300])
def test_a_float_is_read_from_any_number(number: float):
    read = from_dict(CoachingSlot, {"staffingDifference": number}).staffing_difference

    assert (read, type(read)) == (number, float)


@pytest.mark.parametrize("number", ["1", True, [], float("inf"), float("nan"), 10**400])
def test_a_number_that_is_not_finite_is_rejected(number: Any):
    with pytest.raises(ValueError, match=r"expected float \| None @ \$.staffingDifference"):
        from_dict(CoachingSlot, {"staffingDifference": number})


def test_a_mapping_of_a_response_is_immutable_and_hashable():
    group = from_dict(AggregateGroup, {"group": {"attendeeId": "u"}})

    assert group.group == {"attendeeId": "u"}
    assert (len(group.group), list(group.group), repr(group.group)) == (1, ["attendeeId"], "{'attendeeId': 'u'}")
    assert not hasattr(group.group, "__setitem__")
    assert {group: 1}[AggregateGroup(group={"attendeeId": "u"})] == 1
    assert pickle.loads(pickle.dumps(group)) == group
    assert type(to_dict(group)["group"]) is dict


@pytest.mark.parametrize("wire", [{}, {"group": None}, {"group": {}}])
def test_a_mapping_that_is_absent_is_an_empty_one(wire: Any):
    assert from_dict(AggregateGroup, wire) == AggregateGroup()
    assert to_dict(AggregateGroup()) == {}


@pytest.mark.parametrize("group", [[], "abc", 5, {"attendeeId": 5}, {"attendeeId": None}])
def test_a_mapping_with_other_values_is_rejected(group: Any):
    with pytest.raises(ValueError, match=r"@ \$.group"):
        from_dict(AggregateGroup, {"group": group})


def test_a_frame_has_its_body_as_a_model(example: Any):
    told = from_dict(ChannelEvent[Notification], example("ws_event_coaching"))
    found = from_dict(ChannelEvent[ScheduleSlotsJob], example("ws_event_job"))

    assert isinstance(told.event_body.appointment, AppointmentReference)
    assert found.event_body.results[0].interval == Interval(
        datetime(2026, 11, 20, tzinfo=UTC), datetime(2026, 11, 21, tzinfo=UTC)
    )
    assert told.metadata is not None
    assert told.metadata.correlation_id == "0a3b4c5d-6e7f-4809-9012-3c4d5e6f700e"


def test_a_system_message_keeps_all_its_fields():
    wire = {"systemTopicType": "token_revoked", "oauthClientOrgId": "o", "data": {"any": ["thing", {"at": "all"}]}}

    assert to_dict(from_dict(SystemMessage, wire)) == wire


def test_a_subscription_is_a_list_of_topics(example: Any):
    (asked,) = example("ws_subscription_request")
    topic = from_dict(ChannelTopic, asked)

    assert topic == ChannelTopic(id=asked["id"])
    assert body([attrs.evolve(topic, self_uri="/x")]) == [asked]


def test_the_address_of_a_channel_is_not_shown(example: Any):
    channel = from_dict(Channel, example("ws_channel"))

    assert channel.connect_uri.startswith("wss://")
    assert "wss://" not in repr(channel)


def test_an_error_detail_is_all_optional():
    assert from_dict(ErrorDetail, {}) == ErrorDetail()


@pytest.mark.anyio
async def test_an_error_in_a_long_nested_list_has_its_place():
    attendees: list[object] = [{"id": str(number)} for number in range(500)]
    attendees[333] = 5

    with pytest.raises(ValueError, match=r"attendees\[333\]"):
        await parse_body(
            partial(decode, Page[Appointment]), json.dumps({"entities": [{"id": "1", "attendees": attendees}]}).encode()
        )


def test_a_complete_dict_has_every_field_at_every_depth_and_is_read_back():
    for appointment in (
        Appointment(id="a"),
        Appointment(id="b", facilitator=UserReference(id="f"), attendees=(UserReference(id="u"),)),
    ):
        data = to_dict(appointment, complete=True)

        assert len(data) == len(attrs.fields(Appointment))
        assert data["facilitator"] == (appointment.facilitator and {"id": "f", "selfUri": None})
        assert list(data["attendees"]) == [{"id": user.id, "selfUri": None} for user in appointment.attendees]
        assert from_dict(Appointment, json.loads(json.dumps(data))) == appointment


def test_a_complete_request_has_no_more_fields_than_it_sends():
    assert to_dict(AppointmentUpdate(location=None), complete=True) == {"location": None}
