"""The state in memory and what may be done to it.

Everything is kept as it travels, but for `isOverdue`, which the clock decides when an appointment is shown.
Objects are replaced and never changed in place, so another thread sees the old one or the new one, whole. Whoever
wants all of the state as it is between two changes holds the lock.
"""

import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from functools import wraps
from typing import Any, Concatenate, ParamSpec, TypeVar

import attrs

from coaching_async.sandbox._wire import errors
from coaching_async.sandbox._wire.formats import JsonObject, appointment_pointer, pointer, timestamp

from .appointment import due, is_overdue, related
from .filters import BEGINNING, Predicate, Wanted
from .indexes import Appointments, Table
from .records import fields, if_user, notification, status_line

P = ParamSpec("P")
R = TypeVar("R")


def _whole(change: "Callable[Concatenate[State, P], R]") -> "Callable[Concatenate[State, P], R]":
    """Nobody who holds the lock sees it half done."""

    @wraps(change)
    def locked(state: "State", /, *arguments: P.args, **named: P.kwargs) -> R:
        with state.lock:
            return change(state, *arguments, **named)

    return locked


@attrs.define(eq=False)
class State:
    """Annotations and statuses are kept per appointment id; `by` is the user who acts, None for a client of its own.

    A job has all its results from the start, and how often it was read.
    """

    user_ids: tuple[str, ...]
    clock: Callable[[], datetime]
    new_id: Callable[[], str]
    appointments: Appointments = attrs.field(factory=Appointments)
    statuses: dict[str, list[JsonObject]] = attrs.field(factory=dict)
    annotations: dict[str, dict[str, JsonObject]] = attrs.field(factory=dict)
    notifications: Table = attrs.field(factory=lambda: Table(lambda told: (told["user"]["id"],)))
    jobs: dict[str, JsonObject] = attrs.field(factory=dict)
    lock: threading.RLock = attrs.field(factory=threading.RLock, init=False, repr=False)

    def tables(self) -> dict[str, dict[str, Any]]:
        names = ("appointments", "statuses", "annotations", "notifications", "jobs")
        return {name: getattr(self, name) for name in names}

    # appointments

    def appointment(self, appointment_id: str) -> JsonObject:
        return _found(self.appointments, "appointment", appointment_id)

    def appointments_where(self, *predicates: Predicate, newest_first: bool = False) -> Sequence[JsonObject]:
        found: Iterable[JsonObject] = list(self.appointments.values())
        for predicate in predicates:
            found = filter(predicate, found)
        return sorted(found, key=due, reverse=newest_first)

    def appointments_wanted(self, wanted: Wanted) -> Sequence[str]:
        """The ids of what `appointments_where` all its predicates hold, without asking them of everything."""
        table = self.appointments
        with table.lock:
            found = table.of(wanted.user_ids, wanted.relationships)
            if wanted.facilitator_ids:
                found &= table.of(wanted.facilitator_ids, ["Facilitator"])
            if wanted.statuses:
                found &= table.under(wanted.statuses)
            if wanted.overdue is not None:
                late = self._overdue(found, wanted.now)
                found = late if wanted.overdue else found - late
            ids = table.in_order(found, wanted.starts_within(table.longest))
            for predicate in wanted.not_indexed():
                ids = [each for each in ids if predicate(table[each])]
        return ids[::-1] if wanted.newest_first else ids

    def _overdue(self, ids: set[str], now: datetime) -> set[str]:
        table = self.appointments
        begun = table.in_order(ids - table.under(["Completed"]), (BEGINNING, now))
        return {each for each in begun if is_overdue(table[each], now)}

    def shown(self, appointment: JsonObject) -> JsonObject:
        return {**appointment, "isOverdue": is_overdue(appointment, self.clock())}

    @_whole
    def create(self, appointment_id: str, body: JsonObject, by: str | None) -> JsonObject:
        appointment: JsonObject = {"id": appointment_id, **fields(body), "status": "Scheduled"}
        appointment |= {"dateCreated": timestamp(self.clock()), **if_user("createdBy", by)}
        appointment["selfUri"] = appointment_pointer(appointment_id)["selfUri"]
        self.appointments[appointment_id] = appointment
        self._remember_status(appointment, by)
        self._notify(appointment, "Create", by)
        return appointment

    @_whole
    def update(self, appointment_id: str, body: JsonObject, by: str | None) -> JsonObject:
        appointment = self.appointment(appointment_id)
        changes = {name: value for name, value in body.items() if name != "status"}
        if changes and appointment["status"] == "Completed":
            raise errors.completed()
        if changes:
            appointment = self._replace(appointment, fields(changes), by)
            self._notify(appointment, "Update", by)
        if "status" in body:
            self.set_status(appointment_id, body["status"], by)
        return self.appointment(appointment_id)

    @_whole
    def add_conversation(self, appointment_id: str, conversation: JsonObject, by: str | None) -> None:
        appointment = self.appointment(appointment_id)
        linked = appointment.get("conversations", [])
        if appointment["status"] == "Completed":
            raise errors.completed()
        if conversation in linked:
            raise errors.conflict("That conversation is linked already.")
        self._notify(self._replace(appointment, {"conversations": [*linked, conversation]}, by), "Update", by)

    @_whole
    def delete(self, appointment_id: str, by: str | None) -> None:
        appointment = self.appointment(appointment_id)
        for kept in (self.appointments, self.annotations, self.statuses):
            kept.pop(appointment_id, None)
        self._notify(appointment, "Delete", by)

    @_whole
    def set_status(self, appointment_id: str, status: str, by: str | None) -> JsonObject:
        """Answer the newest line of the history; a status that is already set adds none."""
        appointment = self.appointment(appointment_id)
        if appointment["status"] != status:
            completed = timestamp(self.clock()) if status == "Completed" else None
            appointment = self._replace(appointment, {"status": status, "dateCompleted": completed}, by)
            self._remember_status(appointment, by)
            self._notify(appointment, "StatusChange", by)
        return self.history(appointment_id)[-1]

    def history(self, appointment_id: str) -> list[JsonObject]:
        self.appointment(appointment_id)
        return self.statuses.setdefault(appointment_id, [])

    # annotations

    def annotation(self, appointment_id: str, annotation_id: str) -> JsonObject:
        return _found(self._annotations(appointment_id), "annotation", annotation_id)

    def annotations_of(self, appointment_id: str) -> Sequence[JsonObject]:
        return list(self._annotations(appointment_id).values())

    @_whole
    def add_annotation(self, appointment_id: str, body: JsonObject, by: str | None) -> JsonObject:
        appointment = self.appointment(appointment_id)
        named = pointer(f"{appointment['selfUri']}/annotations", self.new_id())
        annotation: JsonObject = {
            "id": named["id"],
            **if_user("createdBy", by),
            "dateCreated": timestamp(self.clock()),
            "text": body["text"],
            "isDeleted": False,
            "accessType": body["accessType"],
            "selfUri": named["selfUri"],
        }
        self._annotations(appointment_id)[named["id"]] = annotation
        self._notify(appointment, "AnnotationAdded", by)
        return annotation

    @_whole
    def edit_annotation(self, appointment_id: str, annotation_id: str, text: str, by: str | None) -> JsonObject:
        annotation = {**self.annotation(appointment_id, annotation_id), "text": text, **self._modified(by)}
        self.annotations[appointment_id][annotation_id] = annotation
        self._notify(self.appointment(appointment_id), "AnnotationEdited", by)
        return annotation

    @_whole
    def delete_annotation(self, appointment_id: str, annotation_id: str, by: str | None) -> None:
        self.annotation(appointment_id, annotation_id)
        del self.annotations[appointment_id][annotation_id]
        self._notify(self.appointment(appointment_id), "AnnotationDeleted", by)

    # notifications

    def notification(self, notification_id: str) -> JsonObject:
        return _found(self.notifications, "notification", notification_id)

    def notifications_of(self, user_id: str) -> Sequence[JsonObject]:
        return self.notifications.rows_under(user_id)

    def expanded(self, notification: JsonObject) -> JsonObject:
        """Show the whole appointment, where it still exists."""
        appointment = self.appointments.get(notification["appointment"]["id"])
        return {**notification, "appointment": self.shown(appointment)} if appointment else notification

    @_whole
    def mark(self, notification_id: str, *, read: bool) -> JsonObject:
        notification = {**self.notification(notification_id), "markedAsRead": read}
        self.notifications[notification_id] = notification
        return notification

    # jobs that look for slots

    def add_job(self, job: JsonObject) -> JsonObject:
        self.jobs[job["id"]] = job
        return job

    @_whole
    def read_job(self, job_id: str) -> JsonObject:
        job = _found(self.jobs, "job", job_id)
        self.jobs[job_id] = {**job, "reads": job["reads"] + 1}
        return self.jobs[job_id]

    # what comes of it

    def _annotations(self, appointment_id: str) -> dict[str, JsonObject]:
        self.appointment(appointment_id)
        return self.annotations.setdefault(appointment_id, {})

    def _replace(self, appointment: JsonObject, changes: Mapping[str, Any], by: str | None) -> JsonObject:
        merged = {**appointment, **changes, **self._modified(by)}
        replaced = {name: value for name, value in merged.items() if value is not None}
        self.appointments[appointment["id"]] = replaced
        return replaced

    def _modified(self, by: str | None) -> JsonObject:
        return {**if_user("modifiedBy", by), "dateModified": timestamp(self.clock())}

    def _remember_status(self, appointment: JsonObject, by: str | None) -> None:
        self.history(appointment["id"]).append(status_line(appointment, appointment["status"], self.clock(), by))

    def _notify(self, appointment: JsonObject, action: str, by: str | None) -> None:
        for user_id, relationship in related(appointment).items():
            if user_id != by:
                told = notification(self.new_id(), appointment, action, user_id, relationship)
                self.notifications[told["id"]] = told


def _found(kept: Mapping[str, JsonObject], name: str, entity_id: str) -> JsonObject:
    if (found := kept.get(entity_id)) is None:
        raise errors.not_found(name, entity_id)
    return found
