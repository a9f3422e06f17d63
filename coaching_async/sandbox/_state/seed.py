"""Generated data: plausible, varied, and the same for the same seed."""

import random
import uuid
from collections.abc import Callable
from datetime import datetime, timedelta

import attrs

from coaching_async.sandbox._wire.formats import JsonObject, format_timestamp
from coaching_async.sandbox._wire.references import (
    appointment_reference,
    conversation_reference,
    document_reference,
    reference,
    schedule_reference,
    user_reference,
)

from .appointment import date_and_id, related_users
from .people import add_people
from .records import notification, status_change
from .state import State

FIRST_USER_ID = "11111111-1111-4111-8111-111111111111"
# In days, not in months: so the data of two days differ in their dates only.
PAST = timedelta(days=53)
FUTURE = timedelta(days=69)

_TOPICS = ("Call opening", "Wrap-up codes", "Tone of voice", "Difficult customers", "Quality review", "New product")
_PLACES = ("Room 4", "Room 5", "Video call", "Café, 2nd floor")
_NOTES = ("Slow down in the greeting.", "Much better than last time.", "Ready for the next level?", "Übung hilft.")
_FINAL_STATUSES = ("Completed",) * 16 + ("Scheduled", "Scheduled", "InProgress", "InvalidSchedule")


def seeded_state(appointments: int, users: int, seed: int, today: datetime, clock: Callable[[], datetime]) -> State:
    """Generate a state whose present is noon of the day that begins at `today`."""
    rng = random.Random(seed)  # noqa: S311 - test data, not secrets

    def new_id() -> str:
        return str(uuid.UUID(int=rng.getrandbits(128), version=4))

    user_ids = (FIRST_USER_ID, *(new_id() for _ in range(users - 1)))
    state = State(user_ids, clock, new_id)
    add_people(state, seed, today)
    generator = _Generator(state, rng, today)
    generated = [generator.appointment(index, appointments) for index in range(appointments)]
    # In order of date, because appending to the index by date is faster than inserting.
    state.appointments.update({appointment["id"]: appointment for appointment in sorted(generated, key=date_and_id)})
    return state


@attrs.frozen
class _Generator:
    """Generates appointments, each with its history, annotations and notifications."""

    state: State
    rng: random.Random
    today: datetime

    @property
    def now(self) -> datetime:
        return self.today + timedelta(hours=12)

    def appointment(self, index: int, count: int) -> JsonObject:
        rng, new_id = self.rng, self.state.new_id
        start = self._start(index, count)
        created = min(start, self.now) - timedelta(days=rng.randint(1, 21), milliseconds=rng.randrange(36_000_000))
        facilitator, attendees, creator = self._users(index, count)
        own = appointment_reference(new_id())
        appointment: JsonObject = {
            "id": own["id"],
            "name": rng.choice(_TOPICS),
            "description": rng.choice(("", "Which code when.", "Greeting, tone and the first thirty seconds.")),
            "dateStart": format_timestamp(start),
            "lengthInMinutes": rng.choice((15, 30, 45, 60)),
            "status": "Scheduled",
            "facilitator": user_reference(facilitator),
            "attendees": [user_reference(user_id) for user_id in attendees],
            "dateCreated": format_timestamp(created),
        }
        if creator is not None:
            appointment["createdBy"] = user_reference(creator)
        self._optional_fields(appointment, start)
        appointment["selfUri"] = own["selfUri"]
        self._history(appointment, start, created, facilitator)
        self._annotations(appointment, start, facilitator)
        self._notifications(appointment, creator)
        return appointment

    def _start(self, index: int, count: int) -> datetime:
        slots = (PAST + FUTURE) // timedelta(minutes=15)
        number = (index * slots + self.rng.randrange(slots)) // count
        return self.today - PAST + number * timedelta(minutes=15)

    def _users(self, index: int, count: int) -> tuple[str, list[str], str | None]:
        """Choose facilitator, attendees and creator.

        The first user facilitates at least one appointment, attends two, and is notified.
        """
        rng, user_ids = self.rng, self.state.user_ids
        first, *others = user_ids
        facilitator = first if index == 0 else rng.choice(others if index in {1, count - 1} and others else user_ids)
        rest = [user_id for user_id in user_ids if user_id != facilitator] or list(user_ids)
        attendees = rng.sample(rest, min(len(rest), rng.randint(1, 3)))
        if index in {1, count - 1} and first in rest and first not in attendees:
            attendees[0] = first
        if index in {0, 1, count - 1}:
            return facilitator, attendees, rng.choice(others) if others else None
        return facilitator, attendees, rng.choice((facilitator, facilitator, rng.choice(user_ids), None))

    def _optional_fields(self, appointment: JsonObject, start: datetime) -> None:
        rng, new_id = self.rng, self.state.new_id
        if rng.random() < 0.4:
            appointment["conversations"] = [conversation_reference(new_id())]
        if rng.random() < 0.2:
            appointment["documents"] = [document_reference(new_id())]
        if rng.random() < 0.2:
            monday = start.date() - timedelta(days=start.weekday())
            appointment["wfmSchedule"] = schedule_reference(new_id(), new_id(), monday.isoformat())
        if rng.random() < 0.2:
            appointment["externalLinks"] = ["https://intranet.example/openings"]
        if rng.random() < 0.6:
            appointment["location"] = rng.choice(_PLACES)
        if rng.random() < 0.5:
            appointment["shareInsightsData"] = rng.random() < 0.5

    def _history(self, appointment: JsonObject, start: datetime, created: datetime, facilitator: str) -> None:
        end = start + timedelta(minutes=appointment["lengthInMinutes"])
        creator = appointment.get("createdBy", {}).get("id")
        changes = [status_change(appointment, "Scheduled", created, creator)]
        status = self.rng.choice(_FINAL_STATUSES) if end < self.now else "Scheduled"
        if status in {"InProgress", "Completed"}:
            changes.append(status_change(appointment, "InProgress", start + timedelta(minutes=1), facilitator))
        if status == "Completed":
            completed = end + timedelta(seconds=self.rng.randrange(1, 600))
            changes.append(status_change(appointment, "Completed", completed, facilitator))
            appointment["dateCompleted"] = format_timestamp(completed)
        if status == "InvalidSchedule":
            changes.append(status_change(appointment, "InvalidSchedule", created + timedelta(hours=3), None))
        if status != "Scheduled":
            appointment["modifiedBy"] = user_reference(facilitator)
            appointment["dateModified"] = changes[-1]["dateCreated"]
        appointment["status"] = status
        self.state.statuses[appointment["id"]] = changes

    def _annotations(self, appointment: JsonObject, start: datetime, author: str) -> None:
        annotations = self.state.annotations[appointment["id"]] = {}
        for _ in range(self.rng.choice((0, 0, 1, 2))):
            own = reference(f"{appointment['selfUri']}/annotations", self.state.new_id())
            annotations[own["id"]] = {
                "id": own["id"],
                "createdBy": user_reference(author),
                "dateCreated": format_timestamp(min(start, self.now) + timedelta(minutes=self.rng.randint(1, 90))),
                "text": self.rng.choice(_NOTES),
                "isDeleted": False,
                "accessType": self.rng.choice(("Public", "Public", "Private")),
                "selfUri": own["selfUri"],
            }

    def _notifications(self, appointment: JsonObject, creator: str | None) -> None:
        for user_id, relationship in related_users(appointment).items():
            if user_id != creator:
                row = notification(self.state.new_id(), appointment, "Create", user_id, relationship)
                self.state.notifications[row["id"]] = row
