"""Every operation of the API, one row each: what is called, what goes over the wire, what comes back."""

import inspect
import json
import re
from collections.abc import Awaitable, Callable
from datetime import UTC, date, datetime
from typing import Any
from urllib.parse import parse_qsl

import attrs
import httpx
import pytest
import respx
from openapi_schema_validator import OAS30WriteValidator, oas30_format_checker

from coaching_async import (
    AccessToken,
    AccessType,
    AggregateFilter,
    Annotation,
    Appointment,
    AppointmentAggregates,
    AppointmentCreate,
    AppointmentMetric,
    AppointmentReference,
    AppointmentStatus,
    AppointmentUpdate,
    AvailableTopic,
    BusinessUnitReference,
    Channel,
    CoachingClient,
    CoachingSlots,
    ConversationLink,
    Interval,
    IntervalCondition,
    Notification,
    ScheduleSlotsJob,
    SortOrder,
    StatusChange,
    Team,
    TeamMember,
    User,
    WfmScheduleReference,
    __version__,
)
from coaching_async._permissions import PERMISSIONS
from tests.conftest import DATA

pytestmark = pytest.mark.anyio

DOCUMENTS = [json.loads((DATA / f"{name}.openapi.json").read_text()) for name in ("coaching", "people", "channels")]
HOST = "https://api.mypurecloud.ie"
A, N = "appointment-1", "note-1"
ALL = "/api/v2/coaching/appointments"
ONE, NOTES, NOTE = f"{ALL}/{A}", f"{ALL}/{A}/annotations", f"{ALL}/{A}/annotations/{N}"
CHANNELS = "/api/v2/notifications"
USERS, TEAMS = "/api/v2/users", "/api/v2/teams"
INBOX = "/api/v2/coaching/notifications"
SLOTS = "/api/v2/coaching/scheduleslots"
COACH, AGENT = "0b7c5d1e-4a3f-4c0e-9e9b-1f2a3b4c5d01", "5c9a7b22-7d1e-4b8e-8a2d-6e5f4d3c2b02"

CREATE = AppointmentCreate(
    name="Call opening",
    description="Greeting, tone and the first thirty seconds.",
    date_start=datetime(2026, 11, 20, 14, tzinfo=UTC),
    length_in_minutes=45,
    facilitator_id="0b7c5d1e-4a3f-4c0e-9e9b-1f2a3b4c5d01",
    attendee_ids=["5c9a7b22-7d1e-4b8e-8a2d-6e5f4d3c2b02", "9d8e7f66-1a2b-4c3d-8e4f-5a6b7c8d9e03"],
    conversation_ids=["b5e6f708-192a-43b4-85d6-e7f8091a2b09"],
    document_ids=["c6f70819-2a3b-44c5-96e7-f8091a2b3c0a"],
    wfm_schedule=WfmScheduleReference(
        id="d708192a-3b4c-45d6-87f8-091a2b3c4d0b",
        business_unit=BusinessUnitReference(id="e8192a3b-4c5d-46e7-98f9-1a2b3c4d5e0c", self_uri="/x"),
        week_date=date(2026, 11, 16),
        self_uri="/x",
    ),
    external_links=["https://intranet.example/openings"],
    location="Room 4",
    share_insights_data=True,
    add_to_schedule=False,
)
MINIMAL = AppointmentCreate(
    name="n",
    description="d",
    date_start=datetime(2026, 12, 1, 9, 30, tzinfo=UTC),
    length_in_minutes=30,
    attendee_ids="5c9a7b22-7d1e-4b8e-8a2d-6e5f4d3c2b02",
)
CLEAR = AppointmentUpdate(
    name="x",
    description=None,
    wfm_schedule=None,
    location=None,
    external_links=[],
    conversation_ids=[],
    document_ids=[],
)


@attrs.frozen
class Row:
    """One operation as a caller uses it."""

    call: Callable[[CoachingClient], Any]
    http: str
    answer: str | None
    gives: Any
    status: int = 200
    query: list[tuple[str, str]] = attrs.field(factory=list)
    body: str | dict[str, Any] | None = None
    """The name of an example, or the body itself."""


DAY = Interval(datetime(2026, 11, 20, tzinfo=UTC), datetime(2026, 11, 21, tzinfo=UTC))
JOB: dict[str, Any] = {
    "attendee_ids": AGENT,
    "facilitator_ids": [COACH],
    "length_in_minutes": 30,
    "activity_code_id": "5",
    "intervals": DAY,
}
FILTERS: dict[str, Any] = {
    "interval": Interval.month(2026, 11),
    "statuses": ["Scheduled", AppointmentStatus.INVALID_SCHEDULE],
    "facilitator_ids": ["f1", "f2"],
    "sort_order": SortOrder.DESC,
    "relationships": "Attendee",
    "completion_interval": (datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 2, 1, tzinfo=UTC)),
    "overdue": False,
    "interval_condition": IntervalCondition.OVERLAPS,
    "page_size": 50,
}
FILTERS_SENT = [
    ("interval", "2026-11-01T00:00:00.000Z/2026-12-01T00:00:00.000Z"),
    ("statuses", "Scheduled"),
    ("statuses", "InvalidSchedule"),
    ("facilitatorIds", "f1"),
    ("facilitatorIds", "f2"),
    ("sortOrder", "Desc"),
    ("relationships", "Attendee"),
    ("completionInterval", "2026-01-01T00:00:00.000Z/2026-02-01T00:00:00.000Z"),
    ("overdue", "False"),
    ("intervalCondition", "Overlaps"),
    ("pageSize", "50"),
    ("pageNumber", "1"),
]
PAGING = [("pageSize", "100"), ("pageNumber", "1")]
WHOLE, REFERENCE = "appointment", AppointmentReference(id=A, self_uri=ONE)

ROWS = {
    "list": Row(
        lambda c: c.appointments.list("u1").collect(limit=1),
        f"GET {ALL}",
        "appointments_page",
        [Appointment],
        query=[("userIds", "u1"), *PAGING],
    ),
    "list, filtered": Row(
        lambda c: c.appointments.list(iter(["u1", "u2"]), **FILTERS).collect(limit=1),
        f"GET {ALL}",
        "appointments_page",
        [Appointment],
        query=[("userIds", "u1"), ("userIds", "u2"), *FILTERS_SENT],
    ),
    "list_mine": Row(
        lambda c: c.appointments.list_mine().collect(limit=1),
        f"GET {ALL}/me",
        "appointments_page",
        [Appointment],
        query=PAGING,
    ),
    "list_mine, filtered": Row(
        lambda c: c.appointments.list_mine(**FILTERS).collect(limit=1),
        f"GET {ALL}/me",
        "appointments_page",
        [Appointment],
        query=FILTERS_SENT,
    ),
    "get": Row(lambda c: c.appointments.get(A), f"GET {ONE}", WHOLE, Appointment),
    "create": Row(
        lambda c: c.appointments.create(CREATE), f"POST {ALL}", WHOLE, Appointment, 201, body="request_create"
    ),
    "create, minimal": Row(
        lambda c: c.appointments.create(MINIMAL), f"POST {ALL}", WHOLE, Appointment, 201, body="request_create_minimal"
    ),
    "update": Row(
        lambda c: c.appointments.update(A, AppointmentUpdate(location="Room 5", status="InProgress")),
        f"PATCH {ONE}",
        WHOLE,
        Appointment,
        body="request_update",
    ),
    "update, clearing": Row(
        lambda c: c.appointments.update(A, CLEAR),
        f"PATCH {ONE}",
        WHOLE,
        Appointment,
        body={
            "name": "x",
            "description": None,
            "wfmSchedule": None,
            "location": None,
            "externalLinks": [],
            "conversationIds": [],
            "documentIds": [],
        },
    ),
    "delete, done": Row(lambda c: c.appointments.delete(A), f"DELETE {ONE}", None, REFERENCE, 204),
    "delete, accepted": Row(
        lambda c: c.appointments.delete(A), f"DELETE {ONE}", "appointment_reference", REFERENCE, 202
    ),
    "list_statuses": Row(
        lambda c: c.appointments.list_statuses(A).collect(limit=1),
        f"GET {ONE}/statuses",
        "statuses_page",
        [StatusChange],
        query=PAGING,
    ),
    "set_status": Row(
        lambda c: c.appointments.set_status(A, "Completed"),
        f"PATCH {ONE}/status",
        "status",
        StatusChange,
        body="request_status",
    ),
    "annotations.list": Row(
        lambda c: c.annotations.list(A, page_size=7).collect(limit=1),
        f"GET {NOTES}",
        "annotations_page",
        [Annotation],
        query=[("pageSize", "7"), ("pageNumber", "1")],
    ),
    "annotations.get": Row(lambda c: c.annotations.get(A, N), f"GET {NOTE}", "annotation", Annotation),
    "annotations.create": Row(
        lambda c: c.annotations.create(A, "Slow down in the greeting.", access_type=AccessType.PUBLIC),
        f"POST {NOTES}",
        "annotation",
        Annotation,
        201,
        body="request_annotation",
    ),
    "annotations.update": Row(
        lambda c: c.annotations.update(A, N, "Slow down, please."),
        f"PATCH {NOTE}",
        "annotation",
        Annotation,
        body="request_annotation_update",
    ),
    "annotations.delete": Row(lambda c: c.annotations.delete(A, N), f"DELETE {NOTE}", None, None, 204),
    "notifications.list": Row(
        lambda c: c.notifications.list().collect(limit=1),
        f"GET {INBOX}",
        "notifications_page",
        [Notification],
        query=PAGING,
    ),
    "notifications.list, expanded": Row(
        lambda c: c.notifications.list(expand_appointment=True).collect(limit=1),
        f"GET {INBOX}",
        "notifications_page",
        [Notification],
        query=[("expand", "appointment"), *PAGING],
    ),
    "notifications.get": Row(
        lambda c: c.notifications.get(N, expand_appointment=True),
        f"GET {INBOX}/{N}",
        "notification_expanded",
        Notification,
        query=[("expand", "appointment")],
    ),
    "notifications.mark_read": Row(
        lambda c: c.notifications.mark_read(N),
        f"PATCH {INBOX}/{N}",
        "notification",
        Notification,
        body="request_notification_update",
    ),
    "notifications.mark_read, unread": Row(
        lambda c: c.notifications.mark_read(N, read=False),
        f"PATCH {INBOX}/{N}",
        "notification",
        Notification,
        body={"markedAsRead": False},
    ),
    "add_conversation": Row(
        lambda c: c.appointments.add_conversation(A, "b5e6f708-192a-43b4-85d6-e7f8091a2b09"),
        f"POST {ONE}/conversations",
        "extra_add_conversation",
        ConversationLink,
        body="extra_request_add_conversation",
    ),
    "aggregate": Row(
        lambda c: c.appointments.aggregate(
            interval=Interval.month(2026, 11),
            metrics=["nActivities", AppointmentMetric.N_OVERDUE_ACTIVITIES],
            group_by="attendeeId",
            attendee_ids=AGENT,
        ),
        f"POST {ALL}/aggregates/query",
        "extra_aggregate",
        AppointmentAggregates,
        body="extra_request_aggregate",
    ),
    "aggregate, filtered": Row(
        lambda c: c.appointments.aggregate(
            interval=(datetime(2026, 11, 1, tzinfo=UTC), datetime(2026, 12, 1, tzinfo=UTC)),
            attendee_ids=["u1", "u2"],
            facilitator_ids="f",
            statuses=["Scheduled"],
        ),
        f"POST {ALL}/aggregates/query",
        "extra_aggregate",
        AppointmentAggregates,
        body={
            "interval": "2026-11-01T00:00:00.000Z/2026-12-01T00:00:00.000Z",
            "filter": {
                "type": "And",
                "clauses": [
                    {
                        "type": "Or",
                        "predicates": [
                            {"dimension": "attendeeId", "value": "u1"},
                            {"dimension": "attendeeId", "value": "u2"},
                        ],
                    },
                    {"type": "Or", "predicates": [{"dimension": "facilitatorId", "value": "f"}]},
                    {"type": "Or", "predicates": [{"dimension": "status", "value": "Scheduled"}]},
                ],
            },
        },
    ),
    "aggregate, everything": Row(
        lambda c: c.appointments.aggregate(interval=DAY),
        f"POST {ALL}/aggregates/query",
        "extra_aggregate",
        AppointmentAggregates,
        body={
            "interval": "2026-11-20T00:00:00.000Z/2026-11-21T00:00:00.000Z",
            "filter": {"type": "And", "clauses": []},
        },
    ),
    "aggregate, with a filter of its own": Row(
        lambda c: c.appointments.aggregate(interval=DAY, filter=AggregateFilter(type="Or", clauses=[])),
        f"POST {ALL}/aggregates/query",
        "extra_aggregate",
        AppointmentAggregates,
        body={
            "interval": "2026-11-20T00:00:00.000Z/2026-11-21T00:00:00.000Z",
            "filter": {"type": "Or", "clauses": []},
        },
    ),
    "schedule_slots.query": Row(
        lambda c: c.schedule_slots.query(
            interval=DAY, length_in_minutes=45, attendee_ids=AGENT, facilitator_ids=[COACH]
        ),
        f"POST {SLOTS}/query",
        "extra_slots",
        CoachingSlots,
        body="extra_request_slots",
    ),
    "schedule_slots.query, interrupting": Row(
        lambda c: c.schedule_slots.query(
            interval=DAY, length_in_minutes=15, attendee_ids=["u1", "u2"], interruptible_appointment_ids=A
        ),
        f"POST {SLOTS}/query",
        "extra_slots",
        CoachingSlots,
        body={
            "interval": "2026-11-20T00:00:00.000Z/2026-11-21T00:00:00.000Z",
            "lengthInMinutes": 15,
            "attendeeIds": ["u1", "u2"],
            "interruptibleAppointmentIds": [A],
        },
    ),
    "schedule_slots.start_job": Row(
        lambda c: c.schedule_slots.start_job(**JOB),
        f"POST {SLOTS}/jobs",
        "extra_job_in_progress",
        ScheduleSlotsJob,
        202,
        body="extra_request_job",
    ),
    "schedule_slots.get_job": Row(
        lambda c: c.schedule_slots.get_job("j"), f"GET {SLOTS}/jobs/j", "extra_job_in_progress", ScheduleSlotsJob
    ),
    "schedule_slots.find": Row(
        lambda c: c.schedule_slots.find(**JOB),
        f"POST {SLOTS}/jobs",
        "extra_job_complete",
        ScheduleSlotsJob,
        202,
        body="extra_request_job",
    ),
    "topics.available": Row(
        lambda c: c.topics.available(),
        f"GET {CHANNELS}/availabletopics",
        "channels_available_topics",
        [AvailableTopic],
        query=[
            ("expand", "description"),
            ("expand", "enforced"),
            ("expand", "visibility"),
            ("expand", "transports"),
            ("expand", "requiresPermissions"),
            ("expand", "topicParameters"),
        ],
    ),
    "topics.channels": Row(
        lambda c: c.topics.channels(),
        f"GET {CHANNELS}/channels",
        "channels_channels",
        [Channel, Channel],
        query=[("includechannels", "oauthclient")],
    ),
    "users.get": Row(lambda c: c.users.get(COACH), f"GET {USERS}/{COACH}", "people_user", User),
    "users.me": Row(lambda c: c.users.me(), f"GET {USERS}/me", "people_me", User),
    "users.list": Row(
        lambda c: c.users.list(page_size=25).collect(limit=1),
        f"GET {USERS}",
        "people_users_page",
        [User],
        query=[("state", "active"), ("pageSize", "25"), ("pageNumber", "1")],
    ),
    "users.search": Row(
        lambda c: c.users.search(email="Sam.Sample@corp.example", page_size=25).collect(),
        f"POST {USERS}/search",
        "people_search",
        [User],
        body="people_request_search_email",
    ),
    "users.search, by name": Row(
        lambda c: c.users.search(name="Sam  Sample", states="deleted").collect(),
        f"POST {USERS}/search",
        "people_search",
        [User],
        body={
            "pageSize": 100,
            "pageNumber": 1,
            "sortBy": "name",
            "sortOrder": "ASC",
            "query": [
                {"type": "TERM", "fields": ["name"], "value": "Sam"},
                {"type": "TERM", "fields": ["name"], "value": "Sample"},
                {"type": "EXACT", "fields": ["state"], "values": ["deleted"]},
            ],
        },
    ),
    "teams.list": Row(
        lambda c: c.teams.list(name="North", page_size=2).collect(limit=1),
        f"GET {TEAMS}",
        "people_teams_page",
        [Team],
        query=[("name", "North"), ("pageSize", "2")],
    ),
    "teams.list_members": Row(
        lambda c: c.teams.list_members("t1").collect(limit=1),
        f"GET {TEAMS}/t1/members",
        "people_team_members_page",
        [TeamMember],
        query=[("expand", "entities"), ("pageSize", "100")],
    ),
}

OTHER_SEARCHES = {"people_request_search_deleted", "people_request_search_name", "people_request_team_search"}
"""Searches that the contract shows, and that the client makes in another way or not at all."""


def test_every_example_of_a_request_is_sent_by_some_operation():
    examples = {file.stem for file in (DATA / "examples").glob("*request_*.json") if not file.stem.startswith("ws_")}

    assert examples - OTHER_SEARCHES == {row.body for row in ROWS.values() if isinstance(row.body, str)}


def same_time(body: Any) -> Any:
    """Milliseconds are optional on the wire."""
    return json.loads(json.dumps(body).replace(':00Z"', ':00.000Z"'))


@pytest.mark.parametrize("name", ROWS)
async def test_an_operation_sends_and_returns_what_the_contract_specifies(
    name: str, example: Callable[[str], Any], respx_mock: respx.MockRouter
):
    row = ROWS[name]
    method, _, path = row.http.partition(" ")
    content = json.dumps(example(row.answer)).encode() if row.answer else b""
    route = respx_mock.request(method, url__startswith=f"{HOST}{path}").respond(row.status, content=content)

    async with CoachingClient(AccessToken("t1"), region="eu-west-1") as client:
        given = await row.call(client)

    request: httpx.Request = route.calls.last.request
    assert route.call_count == 1
    assert request.url.path == path
    assert parse_qsl(request.url.query.decode()) == row.query
    assert request.headers["Authorization"] == "Bearer t1"
    assert request.headers["Accept"] == "application/json"
    assert request.headers["User-Agent"] == f"coaching-async/{__version__}"
    if row.body is None:
        assert request.content == b""
        assert "Content-Type" not in request.headers
    else:
        expected = example(row.body) if isinstance(row.body, str) else row.body
        assert json.loads(request.content) == same_time(expected)
        assert request.headers["Content-Type"] == "application/json"
        validate(method, path, json.loads(request.content))
    match row.gives:
        case list():
            assert [type(each) for each in given] == row.gives
        case type():
            assert type(given) is row.gives
        case _:
            assert given == row.gives


def operation_of(method: str, path: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """The document with a request, and its entry for the request."""
    candidates = [
        (document, operations[method.lower()])
        for document in DOCUMENTS
        for template, operations in document["paths"].items()
        if re.fullmatch(re.sub(r"\{\w+\}", "[^/]+", template), path) and method.lower() in operations
    ]
    return candidates[0]


def validate(method: str, path: str, body: Any) -> None:
    document, operation = operation_of(method, path)
    schema = operation["requestBody"]["content"]["application/json"]["schema"]
    components = {"schemas": document["components"]["schemas"]}
    validator = OAS30WriteValidator({"allOf": [schema], "components": components}, format_checker=oas30_format_checker)
    assert [error.message for error in validator.iter_errors(body)] == []


def test_the_validator_rejects_a_wrong_body():
    with pytest.raises(AssertionError):
        validate("POST", ALL, {"name": "x"})
    with pytest.raises(AssertionError):
        validate("PATCH", f"{INBOX}/{N}", {"markedAsRead": True, "id": "x"})


OPERATIONS = {
    f"{method.upper()} {path}": operation
    for document in DOCUMENTS
    for path, operations in document["paths"].items()
    for method, operation in operations.items()
    if path.startswith("/api/") and operation.get("x-core", True)
}


DOCSTRINGS = {
    f"{resource.__name__}.{name}": method
    for resource in (
        type(getattr(CoachingClient(AccessToken("t")), each))
        for each in ("appointments", "annotations", "notifications", "schedule_slots", "users", "teams", "topics")
    )
    for name, method in inspect.getmembers(resource, inspect.isfunction)
    if not name.startswith("_")
}


def sources(method: Callable[..., Any]) -> list[str]:
    """What a docstring says that it asks the service."""
    said = re.search(r"HTTP: (.*)", inspect.getdoc(method) or "")
    assert said
    return said[1].split(", ")


UNDER_ANOTHERS_NAME = {
    *(f"Appointments.{name}" for name in ("create_many", "find_created", "find_created_many", "get_many")),
    *(f"Notifications.{name}" for name in ("mark_all_read", "watch")),
    *(f"Users.{name}" for name in ("get_many", "names")),
}
"""Methods that make the calls of other methods, and so have their errors."""

LISTENING = {
    "Topics.create_channel": "POST /api/v2/notifications/channels",
    "Topics.subscribe": "PUT /api/v2/notifications/channels/{channelId}/subscriptions",
}
"""Operations that only listeners use."""

COMPOSED = {"ScheduleSlots.find", "Topics.subscribe", "Notifications.listen", *UNDER_ANOTHERS_NAME}
"""Methods that are made of others."""


def test_there_is_one_method_for_each_operation():
    single = [sources(method)[0] for name, method in DOCSTRINGS.items() if name not in COMPOSED]

    assert sorted([*single, *LISTENING.values()]) == sorted(OPERATIONS)


def test_a_403_names_the_permissions_that_the_docstring_names():
    for name, method in DOCSTRINGS.items():
        said = re.search(r"Permission: ((?:.|\n)*?)\nRaises: ", inspect.getdoc(method) or "")
        assert said
        operation = re.sub(r"(?<!^)([A-Z])", r"_\1", name).lower()
        if name not in UNDER_ANOTHERS_NAME:
            assert set(re.findall(r"\w+:\w+:\w+", said[1])) == set(PERMISSIONS.get(operation, ()))


@pytest.mark.parametrize("method", DOCSTRINGS.values(), ids=DOCSTRINGS)
def test_a_docstring_names_source_permission_and_errors(method: Callable[..., Awaitable[Any]]):
    doc = inspect.getdoc(method) or ""
    permissions = [name for source in sources(method) for name in OPERATIONS[source]["x-permissions"]["permissions"]]

    said = re.search(r"Permission: ((?:.|\n)*?)\nRaises: ", doc)
    assert said, "both are said, in this order"
    assert set(re.findall(r"\w+:\w+:\w+", said[1])) == set(permissions)
    needs_user = not OPERATIONS[sources(method)[0]].get("x-client-credentials", bool(permissions))
    assert permissions or said[1].startswith("none, but a user's token" if needs_user else "none")
