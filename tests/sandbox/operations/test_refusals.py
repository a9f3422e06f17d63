"""Requests for counts, slots and jobs that are refused."""

from __future__ import annotations

from typing import Any

import pytest

from coaching_async.sandbox import Sandbox
from tests.sandbox.api import (
    Api,
)
from tests.sandbox.operations.requests import (
    AGGREGATES,
    COUNT,
    JOB,
    JOBS,
    MONDAY,
    SEARCH,
    SLOTS,
    clause,
)


@pytest.mark.parametrize("path, body", [(AGGREGATES, COUNT), (SLOTS, SEARCH), (JOBS, JOB)])
def test_each_missing_required_field_is_named(api: Api, path: str, body: dict[str, Any]):
    for missing in body:
        refused = api.post(path, json={name: value for name, value in body.items() if name != missing})
        assert refused.json()["details"][0]["fieldName"] == missing


@pytest.mark.parametrize(
    "path, body, change",
    [
        (AGGREGATES, COUNT, {"interval": "soon"}),
        (AGGREGATES, COUNT, {"interval": ["2026-11-01T00:00:00Z"]}),
        (AGGREGATES, COUNT, {"interval": "2026-12-01T00:00:00Z/2026-11-01T00:00:00Z"}),
        (AGGREGATES, COUNT, {"metrics": ["nNothing"]}),
        (AGGREGATES, COUNT, {"metrics": "nActivities"}),
        (AGGREGATES, COUNT, {"groupBy": ["facilitatorId"]}),
        (AGGREGATES, COUNT, {"filter": None}),
        (AGGREGATES, COUNT, {"filter": {"type": "Not", "clauses": []}}),
        (AGGREGATES, COUNT, {"filter": {"type": "And"}}),
        (AGGREGATES, COUNT, {"filter": {"type": "And", "clauses": [{"type": "And", "predicates": None}]}}),
        (AGGREGATES, COUNT, {"filter": {"type": "And", "clauses": [clause("Nor")]}}),
        (AGGREGATES, COUNT, {"filter": {"type": "And", "clauses": [clause("And", teamId="t")]}}),
        (AGGREGATES, COUNT, {"filter": {"type": "And", "clauses": [clause("And", status=1)]}}),  # type: ignore[arg-type]
        (SLOTS, SEARCH, {"lengthInMinutes": 75}),
        (SLOTS, SEARCH, {"lengthInMinutes": 20}),
        (SLOTS, SEARCH, {"lengthInMinutes": 0}),
        (SLOTS, SEARCH, {"attendeeIds": []}),
        (SLOTS, SEARCH, {"attendeeIds": "u"}),
        (SLOTS, SEARCH, {"facilitatorIds": [1]}),
        (SLOTS, SEARCH, {"interruptibleAppointmentIds": "a"}),
        (SLOTS, SEARCH, {"interval": "2027-01-01T00:00:00Z/2027-02-12T00:00:01Z"}),
        (SLOTS, SEARCH, {"interval": 1}),
        (JOBS, JOB, {"lengthInMinutes": 50}),
        (JOBS, JOB, {"attendeeIds": []}),
        (JOBS, JOB, {"activityCodeId": 5}),
        (JOBS, JOB, {"intervals": []}),
        (JOBS, JOB, {"intervals": MONDAY}),
        (JOBS, JOB, {"intervals": [MONDAY, "soon"]}),
        (JOBS, JOB, {"intervals": ["2027-01-01T00:00:00Z/2027-02-12T00:00:00Z", MONDAY]}),
        (JOBS, JOB, {"slotsType": "WorstTime"}),
    ],
)
def test_the_field_of_an_invalid_value_is_named(
    api: Api, sandbox: Sandbox, path: str, body: Any, change: dict[str, Any]
):
    refused = api.post(path, json=body | change)
    assert refused.status_code == 400
    assert refused.json()["details"][0]["fieldName"] == next(iter(change))
    assert sandbox.state.jobs == {}
