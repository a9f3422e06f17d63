"""The state in memory, and the changes that the operations make.

Records are kept as they are sent, except for `isOverdue`, which depends on the clock when an appointment is shown.
Records are replaced and never changed in place, so that another thread sees the old one or the new one. To see the whole
state between two changes, hold the lock.
"""

import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from functools import wraps
from typing import Any, Concatenate, ParamSpec, TypeVar

import attrs

from coaching_async.sandbox._wire import errors
from coaching_async.sandbox._wire.formats import JsonObject, format_timestamp
from coaching_async.sandbox._wire.references import appointment_reference, reference

from .appointment import date_and_id, is_overdue, related_users
from .filters import EARLIEST, AppointmentFilter, Predicate
from .indexes import AppointmentTable, Table
from .records import appointment_fields, notification, status_change, user_field

P = ParamSpec("P")
R = TypeVar("R")


def _atomic(change: "Callable[Concatenate[State, P], R]") -> "Callable[Concatenate[State, P], R]":
    """Run the change with the lock held."""

    @wraps(change)
    def locked(state: "State", /, *arguments: P.args, **named: P.kwargs) -> R:
        with state.lock:
            return change(state, *arguments, **named)

    return locked


@attrs.define(eq=False)
class State:
    """All records, by kind. Annotations and statuses are kept by appointment id, members by the id of a team or group.

    `by` is the id of the user who makes a change, or None for client credentials. A job holds all its results from the
    start, and the number of times that it was read. `on_notification` are called with each notification that is made
    or marked, with the lock held.
    """

    user_ids: tuple[str, ...]
    """Ids of the users, in their order."""
    clock: Callable[[], datetime]
    """Returns the time of the service."""
    new_id: Callable[[], str]
    """Returns the id of a new record."""
    appointments: AppointmentTable = attrs.field(factory=AppointmentTable)
    """Appointments by id."""
    statuses: dict[str, list[JsonObject]] = attrs.field(factory=dict)
    """History of the status, by the id of the appointment."""
    annotations: dict[str, dict[str, JsonObject]] = attrs.field(factory=dict)
    """Annotations by their id, by the id of the appointment."""
    notifications: Table = attrs.field(factory=lambda: Table(lambda row: (row["user"]["id"],)))
    """Notifications by id."""
    jobs: dict[str, JsonObject] = attrs.field(factory=dict)
    """Searches for slots by id, with all their results and the number of times that they were read."""
    users: dict[str, JsonObject] = attrs.field(factory=dict)
    """Users by id."""
    teams: dict[str, JsonObject] = attrs.field(factory=dict)
    """Teams by id."""
    groups: dict[str, JsonObject] = attrs.field(factory=dict)
    """Groups by id."""
    members: dict[str, list[str]] = attrs.field(factory=dict)
    """Ids of the members, by the id of a team or group."""
    lock: threading.RLock = attrs.field(factory=threading.RLock, init=False, repr=False)
    """Held while records change."""
    on_notification: list[Callable[[JsonObject], None]] = attrs.field(factory=list, init=False, repr=False)
    """Functions that are called with each notification that is made or marked, with the lock held."""

    def tables(self) -> dict[str, dict[str, Any]]:
        people = ("users", "teams", "groups", "members")
        names = ("appointments", "statuses", "annotations", "notifications", "jobs", *people)
        return {name: getattr(self, name) for name in names}

    # appointments

    def appointment(self, appointment_id: str) -> JsonObject:
        return _get(self.appointments, "appointment", appointment_id)

    def appointments_where(self, *predicates: Predicate, newest_first: bool = False) -> Sequence[JsonObject]:
        found: Iterable[JsonObject] = list(self.appointments.values())
        for predicate in predicates:
            found = filter(predicate, found)
        return sorted(found, key=date_and_id, reverse=newest_first)

    def find_appointments(self, wanted: AppointmentFilter) -> Sequence[str]:
        """Return the ids of the appointments that match, in order. Uses the indexes, unlike `appointments_where`."""
        table = self.appointments
        with table.lock:
            found = table.ids_concerning(wanted.user_ids, wanted.relationships)
            if wanted.facilitator_ids:
                found &= table.ids_concerning(wanted.facilitator_ids, ["Facilitator"])
            if wanted.statuses:
                found &= table.ids_with(wanted.statuses)
            if wanted.overdue is not None:
                late = self._overdue(found, wanted.now)
                found = late if wanted.overdue else found - late
            ids = table.sorted_by_date(found, wanted.start_bounds(table.max_length))
            for predicate in wanted.unindexed_predicates():
                ids = [id_ for id_ in ids if predicate(table[id_])]
        return ids[::-1] if wanted.newest_first else ids

    def _overdue(self, ids: set[str], now: datetime) -> set[str]:
        table = self.appointments
        started = table.sorted_by_date(ids - table.ids_with(["Completed"]), (EARLIEST, now))
        return {id_ for id_ in started if is_overdue(table[id_], now)}

    def shown(self, appointment: JsonObject) -> JsonObject:
        return {**appointment, "isOverdue": is_overdue(appointment, self.clock())}

    @_atomic
    def create(self, appointment_id: str, body: JsonObject, by: str | None) -> JsonObject:
        appointment: JsonObject = {"id": appointment_id, **appointment_fields(body), "status": "Scheduled"}
        appointment |= {"dateCreated": format_timestamp(self.clock()), **user_field("createdBy", by)}
        appointment["selfUri"] = appointment_reference(appointment_id)["selfUri"]
        self.appointments[appointment_id] = appointment
        self._add_status_change(appointment, by)
        self._notify(appointment, "Create", by)
        return appointment

    @_atomic
    def update(self, appointment_id: str, body: JsonObject, by: str | None) -> JsonObject:
        appointment = self.appointment(appointment_id)
        changes = {name: value for name, value in body.items() if name != "status"}
        if changes and appointment["status"] == "Completed":
            raise errors.appointment_completed()
        if changes:
            appointment = self._replace(appointment, appointment_fields(changes), by)
            self._notify(appointment, "Update", by)
        if "status" in body:
            self.set_status(appointment_id, body["status"], by)
        return self.appointment(appointment_id)

    @_atomic
    def add_conversation(self, appointment_id: str, conversation: JsonObject, by: str | None) -> None:
        appointment = self.appointment(appointment_id)
        linked = appointment.get("conversations", [])
        if appointment["status"] == "Completed":
            raise errors.appointment_completed()
        if conversation in linked:
            raise errors.conflict("That conversation is linked already.")
        self._notify(self._replace(appointment, {"conversations": [*linked, conversation]}, by), "Update", by)

    @_atomic
    def delete(self, appointment_id: str, by: str | None) -> None:
        appointment = self.appointment(appointment_id)
        for table in (self.appointments, self.annotations, self.statuses):
            table.pop(appointment_id, None)
        self._notify(appointment, "Delete", by)

    @_atomic
    def set_status(self, appointment_id: str, status: str, by: str | None) -> JsonObject:
        """Return the newest change in the history. Setting the present status adds none."""
        appointment = self.appointment(appointment_id)
        if appointment["status"] != status:
            completed = format_timestamp(self.clock()) if status == "Completed" else None
            appointment = self._replace(appointment, {"status": status, "dateCompleted": completed}, by)
            self._add_status_change(appointment, by)
            self._notify(appointment, "StatusChange", by)
        return self.history(appointment_id)[-1]

    def history(self, appointment_id: str) -> list[JsonObject]:
        self.appointment(appointment_id)
        return self.statuses.setdefault(appointment_id, [])

    # annotations

    def annotation(self, appointment_id: str, annotation_id: str) -> JsonObject:
        return _get(self._annotations(appointment_id), "annotation", annotation_id)

    def annotations_of(self, appointment_id: str) -> Sequence[JsonObject]:
        return list(self._annotations(appointment_id).values())

    @_atomic
    def add_annotation(self, appointment_id: str, body: JsonObject, by: str | None) -> JsonObject:
        appointment = self.appointment(appointment_id)
        own = reference(f"{appointment['selfUri']}/annotations", self.new_id())
        annotation: JsonObject = {
            "id": own["id"],
            **user_field("createdBy", by),
            "dateCreated": format_timestamp(self.clock()),
            "text": body["text"],
            "isDeleted": False,
            "accessType": body["accessType"],
            "selfUri": own["selfUri"],
        }
        self._annotations(appointment_id)[own["id"]] = annotation
        self._notify(appointment, "AnnotationAdded", by)
        return annotation

    @_atomic
    def edit_annotation(self, appointment_id: str, annotation_id: str, text: str, by: str | None) -> JsonObject:
        annotation = {**self.annotation(appointment_id, annotation_id), "text": text, **self._modified(by)}
        self.annotations[appointment_id][annotation_id] = annotation
        self._notify(self.appointment(appointment_id), "AnnotationEdited", by)
        return annotation

    @_atomic
    def delete_annotation(self, appointment_id: str, annotation_id: str, by: str | None) -> None:
        self.annotation(appointment_id, annotation_id)
        del self.annotations[appointment_id][annotation_id]
        self._notify(self.appointment(appointment_id), "AnnotationDeleted", by)

    # notifications

    def notification(self, notification_id: str) -> JsonObject:
        return _get(self.notifications, "notification", notification_id)

    def notifications_of(self, user_id: str) -> Sequence[JsonObject]:
        return self.notifications.rows_with(user_id)

    def expanded(self, notification: JsonObject) -> JsonObject:
        """Return the notification with its whole appointment, if that still exists."""
        appointment = self.appointments.get(notification["appointment"]["id"])
        return {**notification, "appointment": self.shown(appointment)} if appointment else notification

    @_atomic
    def mark(self, notification_id: str, *, read: bool) -> JsonObject:
        return self._published({**self.notification(notification_id), "markedAsRead": read})

    @_atomic
    def notify(self, user_id: str, action: str, appointment_id: str | None = None) -> JsonObject:
        """Make a notification about an appointment: the given one, or the user's first one, or the first one of all."""
        rows = [self.appointment(appointment_id)] if appointment_id is not None else list(self.appointments.values())
        about = next((row for row in rows if user_id in related_users(row)), rows[0] if rows else None)
        if about is None:
            raise errors.bad_request("There is no appointment that a notification could be about.")
        return self._add_notification(about, action, user_id, related_users(about).get(user_id, "Attendee"))

    # schedule slot jobs

    def add_job(self, job: JsonObject) -> JsonObject:
        self.jobs[job["id"]] = job
        return job

    @_atomic
    def read_job(self, job_id: str) -> JsonObject:
        job = _get(self.jobs, "job", job_id)
        self.jobs[job_id] = {**job, "reads": job["reads"] + 1}
        return self.jobs[job_id]

    # people

    def user(self, user_id: str) -> JsonObject:
        return _get(self.users, "user", user_id)

    def users_named(self, id_or_email: str) -> Sequence[str]:
        """Return the ids of the users with this id, or with this e-mail address in any case."""
        if id_or_email in self.users:
            return [id_or_email]
        return [
            id_
            for id_, row in list(self.users.items())
            if id_or_email and row.get("email", "").lower() == id_or_email.lower()
        ]

    def team(self, team_id: str) -> JsonObject:
        return _get(self.teams, "team", team_id)

    def group(self, group_id: str) -> JsonObject:
        return _get(self.groups, "group", group_id)

    def team_of(self, user_id: str) -> JsonObject | None:
        return next((team for id_, team in list(self.teams.items()) if user_id in self.members.get(id_, ())), None)

    def groups_of(self, user_id: str) -> Sequence[JsonObject]:
        return [group for id_, group in list(self.groups.items()) if user_id in self.members.get(id_, ())]

    # shared by the changes

    def _annotations(self, appointment_id: str) -> dict[str, JsonObject]:
        self.appointment(appointment_id)
        return self.annotations.setdefault(appointment_id, {})

    def _replace(self, appointment: JsonObject, changes: Mapping[str, Any], by: str | None) -> JsonObject:
        merged = {**appointment, **changes, **self._modified(by)}
        replaced = {name: value for name, value in merged.items() if value is not None}
        self.appointments[appointment["id"]] = replaced
        return replaced

    def _modified(self, by: str | None) -> JsonObject:
        return {**user_field("modifiedBy", by), "dateModified": format_timestamp(self.clock())}

    def _add_status_change(self, appointment: JsonObject, by: str | None) -> None:
        self.history(appointment["id"]).append(status_change(appointment, appointment["status"], self.clock(), by))

    def _notify(self, appointment: JsonObject, action: str, by: str | None) -> None:
        for user_id, relationship in related_users(appointment).items():
            if user_id != by:
                self._add_notification(appointment, action, user_id, relationship)

    def _add_notification(self, about: JsonObject, action: str, user_id: str, relationship: str) -> JsonObject:
        return self._published(notification(self.new_id(), about, action, user_id, relationship))

    def _published(self, row: JsonObject) -> JsonObject:
        self.notifications[row["id"]] = row
        for tell in self.on_notification:
            tell(row)
        return row


def _get(table: Mapping[str, JsonObject], name: str, entity_id: str) -> JsonObject:
    if (record := table.get(entity_id)) is None:
        raise errors.not_found(name, entity_id)
    return record
