"""The vendor's SDK with the sandbox, which responds like Genesys Cloud."""

from __future__ import annotations

import json
import os
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import attrs
import pytest
from websockets.sync.client import connect

from coaching_async.sandbox import CLIENT_ID, CLIENT_SECRET, REFRESH_TOKEN, Fault, Sandbox
from coaching_async.sandbox._state.aggregates import aggregates
from coaching_async.sandbox._state.slots import suggestions
from tests.conftest import DATA
from tests.support.fault_server import HANG

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

# The first test builds the environment of the SDK, which has 170 MB.
pytestmark = pytest.mark.real_time

HERE = Path(__file__).parent
NOW = datetime(2026, 12, 1, tzinfo=UTC)

Json: TypeAlias = Any


@attrs.frozen
class ApiException:
    """The exception that the SDK raised."""

    status: int
    body: Json


@attrs.frozen
class OfficialSdk:
    """The SDK in another process, called through a pipe; `called` records the calls."""

    process: subprocess.Popen[str]
    called: set[str] = attrs.field(factory=set)

    def __call__(self, call: str, *arguments: Json, by: str = "client", **options: Json) -> Json:
        """Call a method; return the name of the result's type and its JSON."""
        outcome = self._outcome(by, call, arguments, options)
        assert "error" not in outcome, outcome
        self.called.add(call)
        return outcome["type"], outcome["value"]

    def refused(self, call: str, *arguments: Json, by: str = "client", **options: Json) -> ApiException:
        return ApiException(**self._outcome(by, call, arguments, options)["error"])

    def _outcome(self, by: str, call: str, arguments: Json, options: Json) -> Json:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        order = {"by": by, "call": call, "arguments": arguments, "options": options}
        self.process.stdin.write(f"{json.dumps(order)}\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        assert line, "the SDK died; its last words are on stderr"
        return json.loads(line)


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    with Sandbox(appointments=60, users=5) as sandbox:
        sandbox.state.clock = lambda: NOW
        yield sandbox


@pytest.fixture(scope="module")
def sdk(sandbox: Sandbox, sdk_python: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[OfficialSdk]:
    """The SDK, started once, because its import takes seconds; with an empty home, because it watches the files there."""
    home = tmp_path_factory.mktemp("home")
    command = [
        sdk_python,
        HERE.parent / "support" / "official_sdk" / "tour.py",
        sandbox.base_url,
        CLIENT_ID,
        CLIENT_SECRET,
        REFRESH_TOKEN,
    ]
    environment = {"PATH": os.environ.get("PATH", ""), "HOME": str(home)}
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment, cwd=home
    ) as process:
        try:
            yield OfficialSdk(process)
            process.communicate(timeout=HANG)
        finally:
            process.kill()
    assert process.returncode == 0


@pytest.fixture
def me(sandbox: Sandbox) -> str:
    return sandbox.state.user_ids[0]


def body(model: str, **fields: Json) -> Json:
    return {"model": model, "fields": fields}


def new(sandbox: Sandbox, **fields: Json) -> Json:
    given = {
        "name": "Call opening",
        "description": "The first thirty seconds.",
        "dateStart": "2026-12-01T09:30:00.000Z",
        "lengthInMinutes": 30,
        "attendeeIds": list(sandbox.state.user_ids[1:3]),
    }
    return body("CreateCoachingAppointmentRequest", **given | fields)


def shown(sandbox: Sandbox, appointment_id: str) -> Json:
    return sandbox.state.shown(sandbox.state.appointments[appointment_id])


def ids(page: tuple[str, Json]) -> list[str]:
    return [entity["id"] for entity in page[1]["entities"]]


def where(sandbox: Sandbox, wanted: Callable[[Json], bool]) -> list[str]:
    """Return the ids of the matching appointments, by date."""
    found = [appointment for appointment in sandbox.state.appointments.values() if wanted(appointment)]
    return [each["id"] for each in sorted(found, key=lambda each: (each["dateStart"], each["id"]))]


def test_all_sixteen_operations_return_the_data_of_the_sandbox(sdk: OfficialSdk, sandbox: Sandbox, me: str):
    state = sandbox.state
    schedule = {"id": "s", "businessUnit": {"id": "u"}, "weekDate": "2026-11-30"}
    order = new(sandbox, facilitatorId=me, conversationIds=["c"], wfmSchedule=schedule, shareInsightsData=False)

    kind, created = sdk("post_coaching_appointments", order)
    one = created["id"]
    assert (kind, created) == ("CoachingAppointmentResponse", shown(sandbox, one))
    assert (created["facilitator"]["id"], created["wfmSchedule"]["weekDate"]) == (me, "2026-11-30")
    assert sdk("get_coaching_appointment", one) == (kind, created)
    kind, page = sdk("get_coaching_appointments", list(state.user_ids), page_size=100)
    assert kind == "CoachingAppointmentResponseList"
    assert page["entities"] == [shown(sandbox, each) for each in where(sandbox, lambda _: True)]
    assert ids(sdk("get_coaching_appointments_me", by="user", page_size=100)) == where(
        sandbox, lambda each: me in json.dumps(each)
    )

    change = body("UpdateCoachingAppointmentRequest", name="Wrap-up", status="InProgress")
    kind, changed = sdk("patch_coaching_appointment", one, change)
    assert (kind, changed) == ("CoachingAppointmentResponse", shown(sandbox, one))
    assert (changed["name"], changed["status"], changed["description"]) == (
        "Wrap-up",
        "InProgress",
        created["description"],
    )
    kind, line = sdk(
        "patch_coaching_appointment_status", one, body("CoachingAppointmentStatusRequest", status="Completed")
    )
    assert (kind, line) == ("CoachingAppointmentStatusResponse", state.statuses[one][-1])
    kind, page = sdk("get_coaching_appointment_statuses", one)
    assert (kind, page["entities"]) == ("CoachingAppointmentStatusResponseList", state.statuses[one])
    assert [entity["status"] for entity in page["entities"]] == ["Scheduled", "InProgress", "Completed"]

    note = body("CoachingAnnotationCreateRequest", text="Slow down.", accessType="Private")
    kind, written = sdk("post_coaching_appointment_annotations", one, note)
    assert (kind, written) == ("CoachingAnnotation", state.annotations[one][written["id"]])
    assert (written["text"], written["accessType"], written["isDeleted"]) == ("Slow down.", "Private", False)
    edited = sdk(
        "patch_coaching_appointment_annotation", one, written["id"], body("CoachingAnnotation", text="Slower.")
    )
    assert edited == (kind, state.annotations[one][written["id"]]) != (kind, written)
    assert sdk("get_coaching_appointment_annotation", one, written["id"]) == edited
    kind, page = sdk("get_coaching_appointment_annotations", one)
    assert (kind, page["entities"]) == ("CoachingAnnotationList", [edited[1]])
    assert sdk("delete_coaching_appointment_annotation", one, written["id"]) == ("NoneType", None)
    assert state.annotations[one] == {}

    kind, page = sdk("get_coaching_notifications", by="user", page_size=100)
    assert (kind, page["entities"]) == ("CoachingNotificationList", list(state.notifications_of(me)))
    told = page["entities"][-1]
    assert (told["actionType"], told["relationship"], told["appointment"]["id"]) == (
        "AnnotationDeleted",
        "Facilitator",
        one,
    )
    kind, whole = sdk("get_coaching_notification", told["id"], by="user", expand=["appointment"])
    assert (kind, whole) == ("CoachingNotification", told | {"appointment": shown(sandbox, one)})
    for read in (True, False):
        marked = sdk(
            "patch_coaching_notification", told["id"], body("CoachingNotification", markedAsRead=read), by="user"
        )
        assert marked == (kind, state.notifications[told["id"]]) == (kind, told | {"markedAsRead": read})

    assert sdk("delete_coaching_appointment", one) == ("CoachingAppointmentReference", {})
    assert one not in state.appointments

    assert {camel(call) for call in sdk.called} >= operations(seed=True)


def test_the_five_newer_operations_return_the_responses_of_the_sandbox(sdk: OfficialSdk, sandbox: Sandbox, me: str):
    state = sandbox.state
    one = sdk("post_coaching_appointments", new(sandbox, dateStart="2027-01-11T09:00:00.000Z"))[1]["id"]
    linked = sdk("post_coaching_appointment_conversations", one, body("AddConversationRequest", conversationId="c"))
    (conversation,) = state.appointments[one]["conversations"]
    reference = {name: state.appointments[one][name] for name in ("id", "selfUri")}
    assert linked == ("AddConversationResponse", {"conversation": conversation, "appointment": reference})

    predicate = {"dimension": "attendeeId", "value": me}
    counted = {
        "interval": "2026-10-01T00:00:00.000Z/2027-02-01T00:00:00.000Z",
        "metrics": ["nActivities", "nOverdueActivities"],
        "groupBy": ["attendeeId"],
        "filter": {"type": "And", "clauses": [{"type": "Or", "predicates": [predicate]}]},
    }
    question = body("CoachingAppointmentAggregateRequest", **counted)
    kind, aggregated = sdk("post_coaching_appointments_aggregates_query", question)
    assert (kind, aggregated) == ("CoachingAppointmentAggregateResponse", aggregates(state, counted))
    (mine,) = [result["data"] for result in aggregated["results"] if result["group"]["attendeeId"] == me]
    attended = where(sandbox, lambda each: me in [user["id"] for user in each["attendees"]])
    assert mine[0]["metrics"][0] == {"metric": "nActivities", "stats": {"count": len(attended)}}

    search = {"lengthInMinutes": 60, "attendeeIds": [me], "facilitatorIds": [state.user_ids[1]]}
    asked = search | {"interval": "2027-01-11T00:00:00.000Z/2027-01-12T00:00:00.000Z"}
    kind, slots = sdk("post_coaching_scheduleslots_query", body("CoachingSlotsRequest", **asked))
    assert (kind, slots) == ("CoachingSlotsResponse", suggestions(state, asked))
    assert slots["suggestedSlots"][0]["dateStart"] == "2027-01-11T09:30:00.000Z"
    assert slots["wfmScheduleActivities"][1]["activities"][0]["externalActivityId"] == one

    order = search | {"activityCodeId": "5", "slotsType": "BestTime", "intervals": [asked["interval"]]}
    kind, job = sdk("post_coaching_scheduleslots_jobs", body("CoachingScheduleSlotsJobRequest", **order))
    assert job["results"] == [{"interval": asked["interval"], "status": "InProgress"}]
    assert sdk("get_coaching_scheduleslots_job", job["id"]) == (kind, job)
    assert sdk("get_coaching_scheduleslots_job", job["id"]) == (
        kind,
        job | {"results": state.jobs[job["id"]]["results"]},
    )
    assert sdk.refused("get_coaching_scheduleslots_job", "nothing").status == 404

    assert {camel(call) for call in sdk.called} >= operations(seed=False)
    assert sdk("delete_coaching_appointment", one) == ("CoachingAppointmentReference", {})


def test_the_operations_of_people_return_the_people_of_the_sandbox(sdk: OfficialSdk, sandbox: Sandbox, me: str):
    state = sandbox.state
    of_group = (next(iter(state.groups)),)

    kind, page = sdk("get_users", id=list(state.user_ids), state="any", page_size=100)
    assert (kind, page["total"]) == ("UserEntityListing", len(state.users))
    assert {user["id"]: user for user in page["entities"]} == state.users
    assert sdk("get_user", me) == ("User", state.users[me])
    assert sdk("get_users_me", by="user") == ("UserMe", state.users[me])
    assert sdk.refused("get_users_me").body["code"] == "not.a.user"
    assert [user["id"] for user in sdk("get_group_members", *of_group)[1]["entities"]] == state.members[of_group[0]]

    email = {"type": "EXACT", "fields": ["email"], "values": [state.users[me]["email"]]}
    kind, found = sdk("post_users_search", body("UserSearchRequest", query=[email], pageSize=10))
    assert (kind, found["results"]) == ("UsersSearchResponse", [state.users[me]])

    kind, teams = sdk("get_teams", page_size=10, expand="entities.division")
    (team,) = teams["entities"]
    assert (kind, team) == ("TeamEntityListing", state.teams[team["id"]] | {"memberCount": 5})
    kind, members = sdk("get_team_members", team["id"], page_size=10, expand="entities")
    assert kind == "TeamMemberEntityListing"
    assert {member["name"] for member in members["entities"]} == {user["name"] for user in state.users.values()}
    name = {"type": "STARTS_WITH", "fields": ["name"], "value": team["name"]}
    kind, searched = sdk("post_teams_search", body("TeamSearchRequest", query=[name]))
    assert (kind, [each["id"] for each in searched["results"]]) == ("TeamsSearchResponse", [team["id"]])

    people = json.loads((DATA / "people.openapi.json").read_text(encoding="utf-8"))
    names = {each["operationId"] for path in people["paths"].values() for each in path.values()}
    assert {camel(call) for call in sdk.called} >= names


def test_the_operations_of_channels_return_the_channels_of_the_sandbox(sdk: OfficialSdk, sandbox: Sandbox, me: str):
    def topics(*names: str) -> Json:
        return [body("ChannelTopic", id=name) for name in names]

    own, job = f"v2.users.{me}.wem.coaching.notification", "v2.coaching.scheduleslots.jobs.j"
    kind, channel = sdk("post_notifications_channels", by="user")
    assert (kind, channel.keys()) == ("Channel", {"id", "connectUri", "expires"})
    assert sdk("get_notifications_channels", by="user") == ("ChannelEntityListing", {"entities": [channel]})
    assert sdk("get_notifications_channels", by="user", includechannels="oauthclient")[1]["entities"] == [channel]
    assert sdk("head_notifications_channel", channel["id"], by="user") == ("NoneType", None)
    assert sdk.refused("head_notifications_channel", "none", by="user") == ApiException(404, None)

    permitted = {"id": own, "state": "Permitted"}
    added = sdk("post_notifications_channel_subscriptions", channel["id"], topics(own), by="user")
    assert added == ("ChannelTopicEntityListing", {"entities": [permitted]})
    refused = sdk.refused("put_notifications_channel_subscriptions", channel["id"], topics(own, job), by="user")
    assert (refused.status, refused.body["messageParams"]) == (403, {"permissions": "coaching:scheduleSlotJob:view"})
    partly = sdk(
        "put_notifications_channel_subscriptions", channel["id"], topics(job, own), by="user", ignore_errors=True
    )
    (rejected, kept) = partly[1]["entities"]
    assert (kept, rejected["state"]) == (permitted, "Rejected")
    assert (rejected["id"], rejected["missingPermissions"]) == (job, ["coaching:scheduleSlotJob:view"])
    assert sdk("get_notifications_channel_subscriptions", channel["id"], by="user")[1] == {"entities": [permitted]}
    with connect(channel["connectUri"], open_timeout=HANG) as socket:
        row = sandbox.notify(me)
        assert json.loads(socket.recv(HANG))["eventBody"]["id"] == row["id"]
    assert sdk("delete_notifications_channel_subscriptions", channel["id"], by="user") == ("NoneType", None)
    assert sdk("get_notifications_channel_subscriptions", channel["id"], by="user")[1] == {"entities": []}

    kind, available = sdk("get_notifications_availabletopics", expand=["requiresPermissions"])
    assert kind == "AvailableTopicEntityListing"
    assert available["entities"][0]["requiresPermissions"] == ["coaching:notification:view"]

    document = json.loads((DATA / "channels.openapi.json").read_text(encoding="utf-8"))
    names = {each["operationId"] for path in document["paths"].values() for each in path.values()}
    assert {camel(call) for call in sdk.called} >= names


def operations(*, seed: bool) -> set[str]:
    """Return the names of the first sixteen operations, or of the newer ones."""
    found = [each for path in contract()["paths"].values() for each in path.values() if "operationId" in each]
    return {each["operationId"] for each in found if each["x-seed"] is seed and each["operationId"] != "postOauthToken"}


def contract() -> Json:
    return json.loads((DATA / "coaching.openapi.json").read_text(encoding="utf-8"))


def camel(snake: str) -> str:
    first, *others = snake.split("_")
    return first + "".join(map(str.capitalize, others))


FILTERS: list[tuple[Json, Callable[[Json, set[str]], bool]]] = [
    ({"statuses": ["Completed", "InProgress"]}, lambda each, _: each["status"] in {"Completed", "InProgress"}),
    ({"statuses": ["InvalidSchedule"]}, lambda each, _: each["status"] == "InvalidSchedule"),
    ({"relationships": ["Facilitator"]}, lambda each, users: each["facilitator"]["id"] in users),
    ({"relationships": ["Attendee", "Creator"]}, lambda each, users: bool(users & {*attendees(each), creator(each)})),
    ({"interval": "2026-11-01T00:00:00/2026-12-01T00:00:00"}, lambda each, _: each["dateStart"].startswith("2026-11")),
    (
        {"interval": "2026-11-09T00:00:00.000Z/2026-11-16T00:00:00.000Z", "interval_condition": "Overlaps"},
        lambda each, _: each["dateStart"] < "2026-11-16" and end(each) > datetime(2026, 11, 9, tzinfo=UTC),
    ),
    (
        {"completion_interval": "2026-10-01T00:00:00.000Z/2026-11-01T00:00:00.000Z"},
        lambda each, _: each.get("dateCompleted", "").startswith("2026-10"),
    ),
    ({"overdue": "True"}, lambda each, _: each["status"] != "Completed" and end(each) < NOW),
    ({"overdue": "False"}, lambda each, _: each["status"] == "Completed" or end(each) >= NOW),
]


def attendees(appointment: Json) -> list[str]:
    return [user["id"] for user in appointment["attendees"]]


def creator(appointment: Json) -> str | None:
    return appointment.get("createdBy", {}).get("id")


def end(appointment: Json) -> datetime:
    return datetime.fromisoformat(appointment["dateStart"]) + timedelta(minutes=appointment["lengthInMinutes"])


@pytest.mark.parametrize("options, wanted", FILTERS, ids=[str(options) for options, _ in FILTERS])
def test_the_filters_of_the_sdk_select_appointments(
    sdk: OfficialSdk, sandbox: Sandbox, options: Json, wanted: Callable[..., bool]
):
    users = set(sandbox.state.user_ids[1:3])
    concerned = where(sandbox, lambda each: bool(users & {each["facilitator"]["id"], *attendees(each), creator(each)}))

    found = ids(sdk("get_coaching_appointments", list(users), page_size=100, **options))

    assert found == [each for each in concerned if wanted(sandbox.state.appointments[each], users)]
    assert 0 < len(found) < len(concerned)


def test_a_facilitator_an_order_and_a_page_are_respected(sdk: OfficialSdk, sandbox: Sandbox, me: str):
    users = list(sandbox.state.user_ids)
    led = where(sandbox, lambda each: each["facilitator"]["id"] == me)
    assert ids(sdk("get_coaching_appointments", users, facilitator_ids=[me], sort_order="Desc")) == led[::-1][:25]
    everything = where(sandbox, lambda _: True)
    pages = [sdk("get_coaching_appointments", users, page_size=25, page_number=number) for number in (1, 2, 3, 4)]
    assert [id_ for page in pages for id_ in ids(page)] == everything
    assert [page[1].get("nextUri") is not None for page in pages] == [True, True, False, False]
    assert {(page[1]["total"], page[1]["pageCount"]) for page in pages} == {(len(everything), 3)}


def test_an_accepted_appointment_is_returned_as_an_id_only(sdk: OfficialSdk, sandbox: Sandbox):
    sandbox.faults.add(Fault("accepted", "POST", "appointments$"))
    kind, stub = sdk("post_coaching_appointments", new(sandbox))
    assert (kind, set(stub)) == ("CoachingAppointmentResponse", {"id", "selfUri"})
    sandbox.faults.add(Fault("accepted", "DELETE", "appointments/"))
    assert sdk("delete_coaching_appointment", stub["id"]) == ("CoachingAppointmentReference", stub)


def test_a_missing_appointment_is_not_found(sdk: OfficialSdk, sandbox: Sandbox):
    one = next(iter(sandbox.state.appointments))
    for refused, entity in (
        (sdk.refused("get_coaching_appointment", "no such id"), ("appointment", "no such id")),
        (sdk.refused("delete_coaching_appointment_annotation", one, "none"), ("annotation", "none")),
        (sdk.refused("get_coaching_notification", "none"), ("notification", "none")),
    ):
        assert (refused.status, refused.body["code"]) == (404, "not.found")
        assert (refused.body["entityName"], refused.body["entityId"]) == entity


def test_a_forbidden_call_of_a_user_names_the_required_permission(sdk: OfficialSdk, sandbox: Sandbox):
    for refused, permission in (
        (sdk.refused("post_coaching_appointments", new(sandbox), by="user"), "coaching:appointment:add"),
        (sdk.refused("get_coaching_appointments", ["someone"], by="user"), "coaching:appointment:view"),
    ):
        assert (refused.status, refused.body["code"]) == (403, "missing.any.permissions")
        assert refused.body["messageParams"] == {"permissions": permission}


@pytest.mark.parametrize("call", ["get_coaching_appointments_me", "get_coaching_notifications"])
def test_operations_of_a_user_are_refused_for_a_client(sdk: OfficialSdk, call: str):
    refused = sdk.refused(call)
    assert (refused.status, refused.body["code"]) == (400, "not.a.user")


def test_a_wrong_value_is_a_bad_request_that_names_its_field(sdk: OfficialSdk, sandbox: Sandbox):
    for refused, field in (
        (sdk.refused("post_coaching_appointments", new(sandbox, lengthInMinutes=0)), "lengthInMinutes"),
        (sdk.refused("get_coaching_appointments", ["someone"], interval="soon"), "interval"),
        (sdk.refused("get_coaching_appointments", []), "userIds"),
    ):
        assert (refused.status, refused.body["details"][0]["fieldName"]) == (400, field)


def test_a_completed_appointment_cannot_be_changed(sdk: OfficialSdk, sandbox: Sandbox):
    completed = where(sandbox, lambda each: each["status"] == "Completed")[0]
    refused = sdk.refused("patch_coaching_appointment", completed, body("UpdateCoachingAppointmentRequest", name="x"))
    assert (refused.status, refused.body["code"]) == (409, "general.conflict")


def test_an_invalid_token_is_refused(sdk: OfficialSdk):
    refused = sdk.refused("get_coaching_appointments", ["someone"], by="stranger")
    assert (refused.status, refused.body["code"]) == (401, "bad.credentials")


def test_a_wrong_secret_gets_no_token(sdk: OfficialSdk):
    refused = sdk.refused("get_client_credentials_token", CLIENT_ID, "wrong", by="login")
    assert (refused.status, refused.body["error"]) == (400, "invalid_client")
