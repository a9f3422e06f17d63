"""Appointments: create, update, status, delete."""

from __future__ import annotations

import json
from typing import Any

import pytest

from coaching_async.sandbox import Sandbox
from tests.sandbox.api import (
    APPOINTMENTS,
    MINIMAL,
    Api,
    led_appointment,
)


def test_create_returns_the_whole_appointment_and_stores_it(api: Api):
    body = {
        **MINIMAL,
        "dateStart": "2026-12-01T10:30:59.999+01:00",
        "facilitatorId": "someone else",
        "conversationIds": ["c"],
        "documentIds": ["d"],
        "wfmSchedule": {"id": "s", "businessUnit": {"id": "u"}, "weekDate": "2026-11-30"},
        "externalLinks": ["https://x.example"],
        "location": "Room 4",
        "shareInsightsData": True,
        "addToSchedule": True,
    }
    created = api.post(APPOINTMENTS, json=body)
    assert created.status_code == 201
    shown = created.json()
    assert shown["dateStart"] == "2026-12-01T09:30:00.000Z"
    assert shown["status"] == "Scheduled"
    assert shown["facilitator"]["selfUri"] == "/api/v2/users/someone%20else"
    assert api.get(shown["selfUri"]).json() == shown
    assert [entity["status"] for entity in api.get(f"{shown['selfUri']}/statuses").json()["entities"]] == ["Scheduled"]


@pytest.mark.parametrize(
    "change",
    [
        {"name": 1},
        {"description": None},
        {"dateStart": "Soon"},
        {"dateStart": "2026-12-01T09:30:00"},
        {"dateStart": "2026-12-01"},
        {"dateStart": "0001-01-01T00:00:00+14:00"},
        {"lengthInMinutes": "30"},
        {"lengthInMinutes": True},
        {"lengthInMinutes": 30.0},
        {"lengthInMinutes": 0},
        {"attendeeIds": "someone"},
        {"attendeeIds": [1]},
        {"wfmSchedule": {"id": "s"}},
        {"wfmSchedule": {"id": "s", "businessUnit": {"id": "u"}, "weekDate": "2026-11-31"}},
        {"shareInsightsData": "yes"},
    ],
)
def test_a_field_with_a_wrong_value_is_named_and_nothing_is_created(sandbox: Sandbox, api: Api, change: dict[str, Any]):
    refused = api.post(APPOINTMENTS, json=MINIMAL | change)
    assert refused.status_code == 400
    assert refused.json()["details"][0]["fieldName"] == next(iter(change))
    assert len(sandbox.state.appointments) == 60


@pytest.mark.parametrize("missing", MINIMAL)
def test_a_missing_required_field_is_named(api: Api, missing: str):
    refused = api.post(APPOINTMENTS, json={name: value for name, value in MINIMAL.items() if name != missing})
    assert refused.json()["details"][0]["fieldName"] == missing


@pytest.mark.parametrize("raw", [b"", b"{", b"[]", b"1", b"\xff", b"[" * 100_000, b'{"x": ' + b"9" * 5000 + b"}"])
def test_a_body_that_is_no_json_object_is_a_bad_request(api: Api, raw: bytes):
    refused = api.post(APPOINTMENTS, content=raw, headers={"Content-Type": "application/json; charset=utf-8"})
    assert (refused.status_code, refused.json()["code"]) == (400, "bad.request")


def test_unusual_strings_and_extreme_dates_are_returned_unchanged(api: Api):
    body = {**MINIMAL, "dateStart": "9999-12-31T23:59:00Z", "lengthInMinutes": 2**31 - 1}
    raw = json.dumps({**body, "name": "\ud800 \0 ü 🙂", "attendeeIds": ["\ud800"]})
    created = api.post(APPOINTMENTS, content=raw, headers={"Content-Type": "application/json"})
    assert created.json()["name"] == "\ud800 \0 ü 🙂"
    everything = "0001-01-01T00:00:00Z/9999-12-31T23:59:59Z"
    assert api.ids(userIds="\ufffd", interval=everything, intervalCondition="Overlaps") == []


def test_non_ascii_text_is_sent_unescaped(api: Api):
    created = api.post(APPOINTMENTS, json={**MINIMAL, "name": "Zoë"})
    assert '"name":"Zoë"'.encode() in created.content


def test_an_update_changes_the_given_fields_and_null_clears_them(api: Api):
    one = api.post(APPOINTMENTS, json={**MINIMAL, "location": "Room 4"}).json()["selfUri"]
    before = api.get(one).json()
    changed = api.patch(one, json={"name": "m", "location": None, "attendeeIds": ["x"], "whatever": 1}).json()
    expected = {**before, "name": "m", "dateModified": changed["dateModified"]}
    del expected["location"]
    assert changed == expected
    assert api.patch(one, json={"name": None}).status_code == 400
    assert api.patch(one, json={"status": "InvalidSchedule"}).status_code == 400
    assert api.get(one).json() == changed


def test_a_completed_appointment_accepts_only_another_status(api: Api):
    one = api.post(APPOINTMENTS, json=MINIMAL).json()["selfUri"]
    completed = api.patch(one, json={"name": "m", "status": "Completed"}).json()
    assert completed["dateCompleted"]
    refused = api.patch(one, json={"name": "x", "status": "Scheduled"})
    assert (refused.status_code, refused.json()["code"]) == (409, "general.conflict")
    assert api.get(one).json() == completed
    reopened = api.patch(one, json={"status": "Scheduled"}).json()
    assert "dateCompleted" not in reopened
    assert api.patch(one, json={"name": "x"}).status_code == 200


def test_the_history_grows_with_each_change_of_status(api: Api):
    one = api.post(APPOINTMENTS, json=MINIMAL).json()["selfUri"]
    for status in ("InProgress", "InProgress", "Completed"):
        assert api.patch(f"{one}/status", json={"status": status}).json()["status"] == status
    page = api.get(f"{one}/statuses").json()
    assert [entity["status"] for entity in page["entities"]] == ["Scheduled", "InProgress", "Completed"]
    assert set(page) == {"entities", "pageSize", "pageNumber", "total", "pageCount"}
    assert api.patch(f"{one}/status", json={"status": "InvalidSchedule"}).status_code == 400


def test_a_deleted_appointment_is_gone_with_its_statuses_and_annotations(api: Api, me: str):
    one = f"{APPOINTMENTS}/{led_appointment(api, me)}"
    assert api.delete(one).status_code == 204
    for path in (one, f"{one}/statuses", f"{one}/annotations"):
        assert api.get(path).json()["entityName"] == "appointment"
    assert api.delete(one).status_code == 404
