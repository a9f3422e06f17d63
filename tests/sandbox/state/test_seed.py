"""The seeded data of a sandbox."""

from __future__ import annotations

import json

import pytest

from coaching_async.sandbox import Sandbox
from tests.sandbox.api import (
    Api,
    token_of,
)
from tests.sandbox.operations.requests import AGGREGATES, COUNT, JOB, JOBS, NOON, SEARCH, SLOTS


def test_the_same_seed_gives_the_same_data():
    def data(seed: int) -> str:
        state = Sandbox(seed=seed).state
        return json.dumps([state.user_ids, state.appointments, state.annotations, state.statuses, state.notifications])

    assert data(3) == data(3) != data(4)


@pytest.mark.parametrize("users", [1, 2, 10])
@pytest.mark.parametrize("seed", range(5))
def test_the_first_user_leads_and_attends_appointments_and_has_notifications(users: int, seed: int):
    state = Sandbox(appointments=4, users=users, seed=seed).state
    me = "11111111-1111-4111-8111-111111111111"
    assert state.user_ids[0] == me
    assert any(appointment["facilitator"]["id"] == me for appointment in state.appointments.values())
    assert any(
        me in [attendee["id"] for attendee in appointment["attendees"]] for appointment in state.appointments.values()
    )
    assert len(state.notifications_of(me)) >= 3


def test_the_data_are_varied():
    state = Sandbox().state
    statuses = {each["status"] for each in state.appointments.values()}
    assert statuses == {"Scheduled", "InProgress", "Completed", "InvalidSchedule"}
    assert {len(each["attendees"]) for each in state.appointments.values()} == {1, 2, 3}
    assert 0 < sum("location" in each for each in state.appointments.values()) < len(state.appointments)
    assert any(state.annotations.values())
    for appointment_id, appointment in state.appointments.items():
        assert state.statuses[appointment_id][-1]["status"] == appointment["status"]


def test_the_same_seed_gives_the_same_counts_slots_and_jobs():
    def answers() -> str:
        with Sandbox(appointments=200, users=4, seed=3) as sandbox, Api(sandbox, token_of(sandbox)) as api:
            sandbox.state.clock = lambda: NOON
            people = sandbox.state.user_ids[:2]
            asked = [
                (AGGREGATES, COUNT | {"groupBy": ["attendeeId"]}),
                (SLOTS, SEARCH | {"attendeeIds": people}),
                (JOBS, JOB | {"attendeeIds": people}),
            ]
            return json.dumps([api.post(path, json=body).json() for path, body in asked])

    assert answers() == answers()
