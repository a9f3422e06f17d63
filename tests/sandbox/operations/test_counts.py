"""Counts of appointments, by attendee and by filter."""

from __future__ import annotations

from typing import Any

import pytest

from coaching_async.sandbox import Sandbox
from tests.sandbox.api import Api
from tests.sandbox.operations.requests import (
    AGGREGATES,
    COUNT,
    MONDAY,
    NOON,
    clause,
    create_meeting,
)


def counts(api: Api, **query: Any) -> dict[str | None, dict[str, int]]:
    """Return the counts by group (None without groups) and metric."""
    results = api.post(AGGREGATES, json=COUNT | query).json()["results"]
    return {
        result["group"].get("attendeeId"): {
            line["metric"]: line["stats"]["count"] for line in result["data"][0]["metrics"]
        }
        for result in results
    }


def test_counts_are_those_of_the_lists(api: Api, sandbox: Sandbox):
    interval = "2026-11-01T00:00:00.000Z/2026-12-01T00:00:00.000Z"
    sandbox.state.clock = lambda: NOON

    def listed(user_ids: Any, **filters: str) -> dict[str, int]:
        def many(**more: str) -> int:
            return len(api.ids(userIds=user_ids, pageSize=100, interval=interval, **filters, **more))

        return {
            "nActivities": many(),
            "nPlannedActivities": many(statuses="Scheduled"),
            "nInProgressActivities": many(statuses="InProgress"),
            "nCompleteActivities": many(statuses="Completed"),
            "nOverdueActivities": many(overdue="True"),
            "nInvalidScheduleActivities": many(statuses="InvalidSchedule"),
        }

    everybody = sandbox.state.user_ids
    assert counts(api, interval=interval) == {None: listed(everybody)}
    assert counts(api, interval=interval, groupBy=[]) == {None: listed(everybody)}
    assert counts(api, interval=interval, groupBy=["attendeeId"]) == {
        user: listed(user, relationships="Attendee") for user in everybody
    }


def test_only_the_requested_metrics_are_returned_with_the_interval(api: Api):
    asked = COUNT | {"interval": "2027-01-11T01:00:00+01:00/2027-01-12T00:00:00", "metrics": ["nActivities"]}
    assert api.post(AGGREGATES, json=asked).json() == {
        "results": [
            {"group": {}, "data": [{"interval": MONDAY, "metrics": [{"metric": "nActivities", "stats": {"count": 0}}]}]}
        ]
    }
    assert counts(api, metrics=[]) == {None: {}}


def test_an_interval_of_counts_includes_its_start_and_excludes_its_end(idle_sandbox: Sandbox, idle_api: Api):
    create_meeting(idle_sandbox, "11T00:00", 30, "u")
    create_meeting(idle_sandbox, "12T00:00", 30, "u")

    assert counts(idle_api, interval=MONDAY, metrics=["nActivities"]) == {None: {"nActivities": 1}}


def test_a_user_who_attends_twice_is_counted_once(idle_sandbox: Sandbox, idle_api: Api):
    create_meeting(idle_sandbox, "11T09:00", 30, "u", "u")

    assert counts(idle_api, groupBy=["attendeeId"], metrics=["nActivities"]) == {"u": {"nActivities": 1}}


@pytest.mark.parametrize(
    "wanted, found",
    [
        ({"type": "And", "clauses": []}, "abc"),
        ({"type": "Or", "clauses": []}, ""),
        ({"type": "And", "clauses": [clause("And")]}, "abc"),
        ({"type": "And", "clauses": [clause("Or")]}, ""),
        ({"type": "And", "clauses": [clause("Or", attendeeId="u")]}, "ac"),
        ({"type": "And", "clauses": [clause("And", attendeeId="u", facilitatorId="f")]}, "a"),
        ({"type": "And", "clauses": [clause("Or", attendeeId="v", facilitatorId="f")]}, "abc"),
        ({"type": "And", "clauses": [clause("Or", attendeeId="u"), clause("Or", attendeeId="v")]}, "c"),
        ({"type": "Or", "clauses": [clause("Or", attendeeId="w"), clause("Or", status="InProgress")]}, "b"),
        ({"type": "Or", "clauses": [clause("Or", attendeeId="nobody")]}, ""),
        ({"type": "Or", "clauses": [clause("Or", status="Gone")]}, ""),
    ],
)
def test_a_filter_combines_clauses_and_clauses_combine_predicates(
    idle_sandbox: Sandbox, idle_api: Api, wanted: Any, found: str
):
    meetings = {
        "a": create_meeting(idle_sandbox, "11T09:00", 30, "u", facilitatorId="f"),
        "b": create_meeting(idle_sandbox, "11T10:00", 30, "v", facilitatorId="g"),
        "c": create_meeting(idle_sandbox, "11T11:00", 30, "u", "v"),
    }
    idle_sandbox.state.set_status(meetings["b"], "InProgress", None)
    attendees = {"a": ["u"], "b": ["v"], "c": ["u", "v"]}
    expected = [user for each in found for user in attendees[each]]

    grouped = counts(idle_api, filter=wanted, groupBy=["attendeeId"], metrics=["nActivities"])

    assert counts(idle_api, filter=wanted, metrics=["nActivities"]) == {None: {"nActivities": len(found)}}
    assert grouped == {user: {"nActivities": expected.count(user)} for user in expected}
