"""Requests for counts, slots and jobs."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from coaching_async.sandbox import Sandbox
from tests.sandbox.api import (
    APPOINTMENTS,
    MINIMAL,
)

AGGREGATES = f"{APPOINTMENTS}/aggregates/query"
SLOTS = "/api/v2/coaching/scheduleslots/query"
JOBS = "/api/v2/coaching/scheduleslots/jobs"
MIDNIGHT = datetime(2026, 11, 23, tzinfo=UTC)
NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
EVER = "0001-01-01T00:00:00Z/9999-12-31T00:00:00Z"
MONDAY = "2027-01-11T00:00:00.000Z/2027-01-12T00:00:00.000Z"
SUNDAY = "2027-01-10T00:00:00.000Z/2027-01-11T00:00:00.000Z"
EVERYTHING: dict[str, Any] = {"type": "And", "clauses": []}
COUNT = {"interval": EVER, "filter": EVERYTHING}
SEARCH = {"interval": MONDAY, "lengthInMinutes": 60, "attendeeIds": ["u"]}
JOB = {
    "attendeeIds": ["u"],
    "lengthInMinutes": 60,
    "activityCodeId": "5",
    "intervals": [MONDAY],
    "slotsType": "BestTime",
}


def create_meeting(sandbox: Sandbox, start: str, minutes: int, *attendees: str, **changes: Any) -> str:
    body = {**MINIMAL, "dateStart": f"2027-01-{start}:00Z", "lengthInMinutes": minutes, "attendeeIds": attendees}
    appointment_id: str = sandbox.state.create(sandbox.state.new_id(), body | changes, None)["id"]
    return appointment_id


def clause(kind: str, **values: str) -> dict[str, Any]:
    return {"type": kind, "predicates": [{"dimension": name, "value": value} for name, value in values.items()]}
