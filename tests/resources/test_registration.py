"""A filter or an error that was added in one place only is found here: CONTRIBUTING.md lists the places of each."""

import inspect
import json
from collections.abc import Callable, Iterator
from io import BytesIO
from typing import Any, get_type_hints

import httpx
import pytest

import coaching_async
from coaching_async import (
    AccessToken,
    AppointmentFilters,
    CoachingClient,
    CoachingError,
    Interval,
    Relationship,
    _exceptions,
)
from coaching_async._resources.appointments import Appointments
from coaching_async._resources.filters import _CONVERTERS
from coaching_async._serialization.names import to_camel
from coaching_async.export import export
from coaching_async.sandbox import CLIENT_ID, CLIENT_SECRET, Sandbox
from tests.conftest import DATA
from tests.support.fault_server import HANG

pytestmark = pytest.mark.anyio

CONTRACT = json.loads((DATA / "coaching.openapi.json").read_text())
LIST = "/api/v2/coaching/appointments"
PAGING = {"userIds", "pageNumber", "pageSize"}
"""Parameters of the list that are no filters."""

FILTERS = get_type_hints(AppointmentFilters)
"""The type of each filter, by name."""

PERIOD = Interval.month(2026, 11)
GIVEN = AppointmentFilters(
    interval=PERIOD,
    statuses="Completed",
    facilitator_ids="f",
    sort_order="Asc",
    relationships=["Attendee", Relationship.CREATOR],
    completion_interval=PERIOD,
    overdue=False,
    interval_condition="StartsIn",
)

NEVER = "2001-01-01T00:00:00.000Z/2001-01-02T00:00:00.000Z"
EFFECTS: dict[str, dict[str, str]] = {
    "interval": {"interval": NEVER},
    "statuses": {"statuses": "InvalidSchedule"},
    "facilitator_ids": {"facilitatorIds": "00000000-0000-4000-8000-000000000000"},
    "sort_order": {"sortOrder": "Desc"},
    "relationships": {"relationships": "Creator"},
    "completion_interval": {"completionInterval": NEVER},
    "overdue": {"overdue": "True"},
    "interval_condition": {"intervalCondition": "Overlaps"},
}
"""For each filter a query that changes the list of the sandbox."""


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    with Sandbox(appointments=60, users=3) as sandbox:
        yield sandbox


@pytest.fixture(scope="module")
def http(sandbox: Sandbox) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=sandbox.base_url, trust_env=False, verify=False, timeout=HANG) as http:
        form = {"grant_type": "client_credentials"}
        token = http.post("/oauth/token", data=form, auth=(CLIENT_ID, CLIENT_SECRET)).json()["access_token"]
        http.headers["Authorization"] = f"Bearer {token}"
        yield http


def parameters(path: str) -> set[str]:
    """Return the names of a list's query parameters in the contract."""
    found: list[Any] = CONTRACT["paths"][path]["get"]["parameters"]
    resolved = (
        CONTRACT["components"]["parameters"][each["$ref"].rpartition("/")[2]] if "$ref" in each else each
        for each in found
    )
    return {parameter["name"] for parameter in resolved if parameter["in"] == "query"}


def test_the_contract_has_every_filter_and_every_filter_is_converted():
    filters = {to_camel(name) for name in FILTERS}

    assert filters == parameters(LIST) - PAGING
    assert filters == {to_camel(name) for name in _CONVERTERS}


@pytest.mark.parametrize("method", [Appointments.list, Appointments.list_mine, export])
def test_the_filters_are_keyword_arguments_of_every_method_that_takes_them(method: Callable[..., Any]):
    taken = inspect.signature(method).parameters
    types = get_type_hints(method)

    assert {name: types[name] for name in FILTERS} == FILTERS
    assert {taken[name].kind for name in FILTERS} == {inspect.Parameter.KEYWORD_ONLY}
    assert {taken[name].default for name in FILTERS} == {None}


async def test_every_filter_of_a_method_is_sent():
    sent: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        sent.append(request)
        return httpx.Response(200, json={"entities": []})

    http = httpx.AsyncClient(transport=httpx.MockTransport(answer))
    async with CoachingClient(AccessToken("t"), base_url="http://127.0.0.1:1", http_client=http) as client:
        await client.appointments.list("u", **GIVEN).collect()
        await client.appointments.list_mine(**GIVEN).collect()
        await export(client, "u", BytesIO(), **GIVEN)

    wanted = {to_camel(name) for name in FILTERS}
    assert [wanted - request.url.params.keys() for request in sent] == [set()] * 3


@pytest.mark.parametrize("name", FILTERS)
def test_the_sandbox_applies_every_filter(http: httpx.Client, sandbox: Sandbox, name: str):
    def listed(query: dict[str, str]) -> list[str]:
        user = {"userIds": sandbox.state.user_ids[0], "pageSize": "100"}
        return [row["id"] for row in http.get(LIST, params=user | query).raise_for_status().json()["entities"]]

    base = {"interval": overlap(sandbox)} if name == "interval_condition" else {}

    assert listed(base | EFFECTS[name]) != listed(base)


def overlap(sandbox: Sandbox) -> str:
    """Return an interval that begins a minute after an appointment of the first user, and ends with it."""
    user = sandbox.state.user_ids[0]
    longest = max(
        (
            row
            for row in sandbox.state.appointments.values()
            if user in {attendee["id"] for attendee in row["attendees"]}
        ),
        key=lambda row: row["lengthInMinutes"],
    )
    day, _, time = longest["dateStart"].partition("T")
    hours, minutes = time[:2], int(time[3:5])
    return f"{day}T{hours}:{minutes + 1:02}:00.000Z/{day}T{hours}:{minutes + 2:02}:00.000Z"


def test_the_tree_of_exceptions_at_the_top_of_their_module_has_every_one():
    errors = {
        name
        for name in coaching_async.__all__
        if isinstance(kind := getattr(coaching_async, name), type) and issubclass(kind, CoachingError)
    }

    assert {name for name in errors if name not in (_exceptions.__doc__ or "")} == set()
