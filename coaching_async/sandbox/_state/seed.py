"""Data to develop against: plausible, varied, and the same for the same seed."""

import random
import uuid
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import attrs

from coaching_async.sandbox._wire.formats import (
    JsonObject,
    appointment_pointer,
    conversation_pointer,
    document_pointer,
    pointer,
    schedule_pointer,
    timestamp,
    user_pointer,
)

from .appointment import due, related
from .records import notification, status_line
from .state import State

FIRST_USER_ID = "11111111-1111-4111-8111-111111111111"
FIRST_DAY = datetime(2026, 10, 1, tzinfo=UTC)
LAST_DAY = datetime(2027, 1, 31, tzinfo=UTC)
# What is past and what is to come must not depend on the day on which somebody runs this.
SEEDED_AT = datetime(2026, 11, 23, 12, tzinfo=UTC)

_TOPICS = ("Call opening", "Wrap-up codes", "Tone of voice", "Difficult customers", "Quality review", "New product")
_PLACES = ("Room 4", "Room 5", "Video call", "Café, 2nd floor")
_NOTES = ("Slow down in the greeting.", "Much better than last time.", "Ready for the next level?", "Übung hilft.")
_FATES = ("Completed",) * 16 + ("Scheduled", "Scheduled", "InProgress", "InvalidSchedule")


def seeded_state(appointments: int, users: int, seed: int, clock: Callable[[], datetime]) -> State:
    chance = random.Random(seed)  # noqa: S311 - data to play with, not secrets

    def new_id() -> str:
        return str(uuid.UUID(int=chance.getrandbits(128), version=4))

    user_ids = (FIRST_USER_ID, *(new_id() for _ in range(users - 1)))
    state = State(user_ids, clock, new_id)
    planted = [_Planting(state, chance).appointment(index, appointments) for index in range(appointments)]
    # In order of date, because that is how they are listed and sorting what is sorted costs least.
    state.appointments.update({each["id"]: each for each in sorted(planted, key=due)})
    return state


@attrs.frozen
class _Planting:
    """Makes one appointment with all that hangs on it."""

    state: State
    chance: random.Random

    def appointment(self, index: int, count: int) -> JsonObject:
        chance, new_id = self.chance, self.state.new_id
        start = self._start(index, count)
        created = min(start, SEEDED_AT) - timedelta(
            days=chance.randint(1, 21), milliseconds=chance.randrange(36_000_000)
        )
        facilitator, attendees, creator = self._people(index, count)
        named = appointment_pointer(new_id())
        appointment: JsonObject = {
            "id": named["id"],
            "name": chance.choice(_TOPICS),
            "description": chance.choice(("", "Which code when.", "Greeting, tone and the first thirty seconds.")),
            "dateStart": timestamp(start),
            "lengthInMinutes": chance.choice((15, 30, 45, 60)),
            "status": "Scheduled",
            "facilitator": user_pointer(facilitator),
            "attendees": [user_pointer(each) for each in attendees],
            "dateCreated": timestamp(created),
        }
        if creator is not None:
            appointment["createdBy"] = user_pointer(creator)
        self._extras(appointment, start)
        appointment["selfUri"] = named["selfUri"]
        self._history(appointment, start, created, facilitator)
        self._annotations(appointment, start, facilitator)
        self._notifications(appointment, creator)
        return appointment

    def _start(self, index: int, count: int) -> datetime:
        slots = (LAST_DAY - FIRST_DAY) // timedelta(minutes=15)
        return FIRST_DAY + timedelta(minutes=15) * ((index * slots + self.chance.randrange(slots)) // count)

    def _people(self, index: int, count: int) -> tuple[str, list[str], str | None]:
        """Choose facilitator, attendees and creator; the first user is sure to lead one, to attend two and to be told."""
        chance, user_ids = self.chance, self.state.user_ids
        first, *others = user_ids
        facilitator = first if index == 0 else chance.choice(others if index in {1, count - 1} and others else user_ids)
        rest = [each for each in user_ids if each != facilitator] or list(user_ids)
        attendees = chance.sample(rest, min(len(rest), chance.randint(1, 3)))
        if index in {1, count - 1} and first in rest and first not in attendees:
            attendees[0] = first
        if index in {0, 1, count - 1}:
            return facilitator, attendees, chance.choice(others) if others else None
        return facilitator, attendees, chance.choice((facilitator, facilitator, chance.choice(user_ids), None))

    def _extras(self, appointment: JsonObject, start: datetime) -> None:
        chance, new_id = self.chance, self.state.new_id
        if chance.random() < 0.4:
            appointment["conversations"] = [conversation_pointer(new_id())]
        if chance.random() < 0.2:
            appointment["documents"] = [document_pointer(new_id())]
        if chance.random() < 0.2:
            monday = start.date() - timedelta(days=start.weekday())
            appointment["wfmSchedule"] = schedule_pointer(new_id(), new_id(), monday.isoformat())
        if chance.random() < 0.2:
            appointment["externalLinks"] = ["https://intranet.example/openings"]
        if chance.random() < 0.6:
            appointment["location"] = chance.choice(_PLACES)
        if chance.random() < 0.5:
            appointment["shareInsightsData"] = chance.random() < 0.5

    def _history(self, appointment: JsonObject, start: datetime, created: datetime, facilitator: str) -> None:
        end = start + timedelta(minutes=appointment["lengthInMinutes"])
        creator = appointment.get("createdBy", {}).get("id")
        lines = [status_line(appointment, "Scheduled", created, creator)]
        fate = self.chance.choice(_FATES) if end < SEEDED_AT else "Scheduled"
        if fate in {"InProgress", "Completed"}:
            lines.append(status_line(appointment, "InProgress", start + timedelta(minutes=1), facilitator))
        if fate == "Completed":
            completed = end + timedelta(seconds=self.chance.randrange(1, 600))
            lines.append(status_line(appointment, "Completed", completed, facilitator))
            appointment["dateCompleted"] = timestamp(completed)
        if fate == "InvalidSchedule":
            lines.append(status_line(appointment, "InvalidSchedule", created + timedelta(hours=3), None))
        if fate != "Scheduled":
            appointment["modifiedBy"] = user_pointer(facilitator)
            appointment["dateModified"] = lines[-1]["dateCreated"]
        appointment["status"] = fate
        self.state.statuses[appointment["id"]] = lines

    def _annotations(self, appointment: JsonObject, start: datetime, author: str) -> None:
        annotations = self.state.annotations[appointment["id"]] = {}
        for _ in range(self.chance.choice((0, 0, 1, 2))):
            named = pointer(f"{appointment['selfUri']}/annotations", self.state.new_id())
            annotations[named["id"]] = {
                "id": named["id"],
                "createdBy": user_pointer(author),
                "dateCreated": timestamp(min(start, SEEDED_AT) + timedelta(minutes=self.chance.randint(1, 90))),
                "text": self.chance.choice(_NOTES),
                "isDeleted": False,
                "accessType": self.chance.choice(("Public", "Public", "Private")),
                "selfUri": named["selfUri"],
            }

    def _notifications(self, appointment: JsonObject, creator: str | None) -> None:
        for user_id, relationship in related(appointment).items():
            if user_id != creator:
                told = notification(self.state.new_id(), appointment, "Create", user_id, relationship)
                self.state.notifications[told["id"]] = told
