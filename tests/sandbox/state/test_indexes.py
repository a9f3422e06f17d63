"""Indexes of the state: they speed lists up and do not change them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import attrs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from coaching_async.sandbox import Sandbox
from coaching_async.sandbox._state.filters import AppointmentFilter
from coaching_async.sandbox._state.seed import seeded_state
from coaching_async.sandbox._wire.formats import format_timestamp
from tests.support.effort import examples

USERS = ["11111111-1111-4111-8111-111111111111", "a", "b", "c"]
MIDNIGHT = datetime(2026, 11, 23, tzinfo=UTC)
NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
STATUSES = ["Scheduled", "InProgress", "Completed"]

moments = st.integers(-50, 50).map(lambda hours: NOON + timedelta(hours=hours))
intervals = st.tuples(moments, moments).map(lambda ends: (min(ends), max(ends)))
edges = st.just((datetime.min.replace(tzinfo=UTC), NOON)) | intervals
users = st.lists(st.sampled_from(USERS), max_size=4)
queries = st.builds(
    AppointmentFilter,
    user_ids=users.map(tuple),
    relationships=st.frozensets(st.sampled_from(["Facilitator", "Attendee", "Creator"])),
    facilitator_ids=users.map(tuple),
    starting=st.none() | intervals,
    completed=st.none() | intervals,
    statuses=st.frozensets(st.sampled_from([*STATUSES, "InvalidSchedule"])),
    overdue=st.none() | st.booleans(),
    now=moments,
    newest_first=st.booleans(),
) | st.builds(
    AppointmentFilter, user_ids=users.map(tuple), overlapping=edges, overdue=st.none() | st.booleans(), now=moments
)
bodies = st.fixed_dictionaries(
    {
        "name": st.just("n"),
        "dateStart": moments.map(format_timestamp),
        "lengthInMinutes": st.integers(1, 10_000),
        "attendeeIds": users,
    },
    optional={"facilitatorId": st.sampled_from(USERS)},
)


class IndexedLists(RuleBasedStateMachine):
    """Lists after any sequence of creates, updates and deletes, by operations or directly in the tables."""

    def __init__(self) -> None:
        super().__init__()
        self.now = NOON
        self.state = seeded_state(8, 2, 1, MIDNIGHT, lambda: self.now)
        self.created = 0

    def pick(self, data: st.DataObject) -> str | None:
        known = list(self.state.appointments)
        return data.draw(st.sampled_from(known)) if known else None

    @rule(body=bodies, by=st.sampled_from([*USERS, None]))
    def create(self, body: dict[str, Any], by: str | None) -> None:
        self.created += 1
        self.state.create(f"{self.created % 3}-{self.created}", body, by)

    @rule(data=st.data(), date=moments, status=st.sampled_from(STATUSES))
    def update(self, data: st.DataObject, date: datetime, status: str) -> None:
        appointment_id = self.pick(data)
        if appointment_id and self.state.appointment(appointment_id)["status"] != "Completed":
            self.state.update(appointment_id, {"dateStart": format_timestamp(date), "status": status}, None)

    @rule(data=st.data(), by_hand=st.booleans())
    def delete(self, data: st.DataObject, by_hand: bool) -> None:
        if appointment_id := self.pick(data):
            if by_hand:
                del self.state.appointments[appointment_id]
            else:
                self.state.delete(appointment_id, None)

    @rule(data=st.data(), body=bodies)
    def replace(self, data: st.DataObject, body: dict[str, Any]) -> None:
        if appointment_id := self.pick(data):
            attendees = [{"id": id_} for id_ in body["attendeeIds"]]
            old = self.state.appointment(appointment_id)
            self.state.appointments |= {appointment_id: {**old, "attendees": attendees, "dateStart": body["dateStart"]}}

    @rule(wanted=queries)
    def lists_hold_what_the_predicates_say(self, wanted: AppointmentFilter) -> None:
        plain = self.state.appointments_where(*wanted.predicates(), newest_first=wanted.newest_first)
        assert list(self.state.find_appointments(wanted)) == [each["id"] for each in plain]

    @invariant()
    def inboxes_hold_what_was_sent_in_order(self) -> None:
        for user in USERS:
            told = [
                notification for notification in self.state.notifications.values() if notification["user"]["id"] == user
            ]
            assert self.state.notifications_of(user) == told


TestIndexedLists = IndexedLists.TestCase
TestIndexedLists.settings = settings(max_examples=examples(40), stateful_step_count=20, deadline=None)


MANY = seeded_state(400, 6, 1, MIDNIGHT, lambda: NOON)


@settings(deadline=None)
@given(queries, st.lists(st.sampled_from(MANY.user_ids)))
def test_lists_of_few_and_of_most_users_match_the_predicate(query: AppointmentFilter, chosen: list[str]):
    wanted = attrs.evolve(query, user_ids=tuple(chosen), facilitator_ids=())
    plain = MANY.appointments_where(*wanted.predicates(), newest_first=wanted.newest_first)
    assert list(MANY.find_appointments(wanted)) == [each["id"] for each in plain]


def test_a_table_behaves_like_a_dictionary():
    state = Sandbox(appointments=6, users=2).state
    table, me = state.appointments, state.user_ids[0]
    everything = dict(table)
    assert table == everything
    first, *_, last = everything
    assert table.pop(first) == everything[first]
    assert table.pop(first, "nothing") == "nothing"
    with pytest.raises(KeyError):
        table.pop(first)
    assert table.popitem() == (last, everything[last])
    assert table.setdefault(first, everything[first]) is everything[first]
    assert table.setdefault(first, {}) is everything[first]
    table.update({last: everything[last]})
    assert table == everything
    listed = state.find_appointments(AppointmentFilter(state.user_ids))
    assert sorted(listed) == sorted(everything)
    table.clear()
    assert state.find_appointments(AppointmentFilter((me,))) == []
    with pytest.raises(KeyError):
        table.popitem()


def test_an_invalid_record_is_refused_and_changes_nothing():
    state = Sandbox(appointments=2).state
    before = dict(state.appointments)
    with pytest.raises(KeyError):
        state.appointments["broken"] = {}
    assert state.appointments == before
