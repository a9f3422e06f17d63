"""Lists of appointments: pages, query parameters and filters."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from coaching_async.sandbox import Sandbox
from tests.sandbox.api import (
    APPOINTMENTS,
    MINIMAL,
    Api,
    token_of,
)

if TYPE_CHECKING:
    from collections.abc import Callable


def test_the_pages_have_each_appointment_once_in_order(sandbox: Sandbox, api: Api):
    users = sandbox.state.user_ids
    found = api.ids(userIds=users, pageSize=7, sortOrder="Asc")
    assert sorted(found) == sorted(sandbox.state.appointments)
    dates = [sandbox.state.appointments[each]["dateStart"] for each in found]
    assert dates == sorted(dates)
    assert api.ids(userIds=users, pageSize=7, sortOrder="Desc") == found[::-1]
    assert api.ids(userIds=",".join(users)) == found


def test_a_page_has_the_fields_of_the_examples(api: Api, sandbox: Sandbox):
    users = {"userIds": sandbox.state.user_ids, "pageSize": 25}
    second = api.get(APPOINTMENTS, params={**users, "pageNumber": 2}).json()
    assert {name: value for name, value in second.items() if name != "entities"} == {
        "pageSize": 25,
        "pageNumber": 2,
        "total": 60,
        "pageCount": 3,
        "firstUri": f"{APPOINTMENTS}?pageSize=25&pageNumber=1",
        "selfUri": f"{APPOINTMENTS}?pageSize=25&pageNumber=2",
        "lastUri": f"{APPOINTMENTS}?pageSize=25&pageNumber=3",
        "nextUri": f"{APPOINTMENTS}?pageSize=25&pageNumber=3",
        "previousUri": f"{APPOINTMENTS}?pageSize=25&pageNumber=1",
    }
    beyond = api.get(APPOINTMENTS, params={**users, "pageNumber": 9}).json()
    assert beyond == {"entities": [], "pageSize": 25, "pageNumber": 9, "total": 60, "pageCount": 3}
    empty = api.get(APPOINTMENTS, params={"userIds": "nobody"}).json()
    assert (empty["total"], empty["pageCount"]) == (0, 0)
    assert empty["lastUri"] == f"{APPOINTMENTS}?pageSize=25&pageNumber=1"


def test_a_page_is_capped_silently_and_its_size_returned(start_sandbox: Callable[..., Sandbox]):
    sandbox = start_sandbox(appointments=20, page_cap=6)
    with Api(sandbox, token_of(sandbox)) as api:
        page = api.get(APPOINTMENTS, params={"userIds": sandbox.state.user_ids, "pageSize": 500}).json()
    assert (len(page["entities"]), page["pageSize"], page["pageCount"]) == (6, 6, 4)


@pytest.mark.parametrize(
    "name, value",
    [
        ("pageSize", "0"),
        ("pageSize", "many"),
        ("pageNumber", "-1"),
        ("pageNumber", "1.5"),
        ("sortOrder", "asc"),
        ("statuses", "Completed,Gone"),
        ("relationships", "Boss"),
        ("overdue", "true"),
        ("intervalCondition", "EndsIn"),
        ("interval", "soon"),
        ("interval", "2026-11-01T00:00:00Z"),
        ("interval", "2026-12-01T00:00:00Z/2026-11-01T00:00:00Z"),
        ("completionInterval", "2026-13-01T00:00:00Z/2026-14-01T00:00:00Z"),
    ],
)
def test_a_parameter_with_a_wrong_value_is_named(api: Api, name: str, value: str):
    refused = api.get(APPOINTMENTS, params={"userIds": "x", name: value})
    assert (refused.status_code, refused.json()["code"]) == (400, "invalid.query.param.value")
    assert refused.json()["details"][0]["fieldName"] == name


def test_an_interval_includes_its_start_and_excludes_its_end(api: Api):
    def between(condition: str, start: str, end: str) -> int:
        window = {"interval": f"2026-12-01T{start}/2026-12-01T{end}", "intervalCondition": condition}
        return len(api.ids(userIds="someone", **window))

    appointment_id = api.post(APPOINTMENTS, json=MINIMAL).json()["id"]
    assert between("StartsIn", "09:30:00", "09:31:00") == 1
    assert between("StartsIn", "09:00:00.000Z", "09:30:00.000Z") == 0
    assert between("StartsIn", "10:30:00+01:00", "10:31:00+01:00") == 1
    assert between("Overlaps", "09:59:00Z", "11:00:00Z") == 1
    assert between("Overlaps", "10:00:00Z", "11:00:00Z") == 0
    assert between("Overlaps", "09:00:00Z", "09:30:00Z") == 0
    api.patch(f"{APPOINTMENTS}/{appointment_id}/status", json={"status": "Completed"})
    long_ago = "1999-01-01T00:00:00Z/2000-01-01T00:00:00Z"
    assert api.ids(userIds="someone", completionInterval=long_ago) == []
    ever = "2000-01-01T00:00:00Z/2100-01-01T00:00:00Z"
    assert api.ids(userIds="someone", completionInterval=ever) == [appointment_id]


def test_each_filter_selects_matching_appointments(api: Api, sandbox: Sandbox, me: str):
    def found(**query: Any) -> list[dict[str, Any]]:
        return [api.get(f"{APPOINTMENTS}/{id_}").json() for id_ in api.ids(userIds=me, pageSize=100, **query)]

    assert all(me in json.dumps(each) for each in found())
    assert {each["status"] for each in found(statuses=["Completed", "InProgress"])} <= {"Completed", "InProgress"}
    assert {each["facilitator"]["id"] for each in found(facilitatorIds=me)} == {me}
    assert {each["facilitator"]["id"] for each in found(relationships="Facilitator")} == {me}
    attended = found(relationships=["Attendee"])
    assert attended
    assert all(me in [attendee["id"] for attendee in each["attendees"]] for each in attended)
    overdue, timely = found(overdue="True"), found(overdue="False")
    assert {each["isOverdue"] for each in overdue} == {True}
    assert {each["isOverdue"] for each in timely} == {False}
    assert len(overdue) + len(timely) == len(found(overdue="Any"))


def test_the_largest_page_size_of_the_contract_is_capped_like_any_other(sandbox: Sandbox, api: Api):
    answer = api.get(APPOINTMENTS, params={"userIds": sandbox.state.user_ids, "pageSize": 2**31 - 1})

    assert answer.json()["pageSize"] == 100
