"""What the API speaks: one frozen class per schema, named as the field names things.

What is read has `T | None` wherever the service may leave something out, and tuples for lists. What is sent has
`UNSET` for what is left out; where a field takes `None`, null is sent and the service clears the field.
"""

from collections.abc import Iterable
from datetime import date, datetime
from typing import Any, Generic, TypeVar

import attrs

from ._convert import ids
from ._types import UNSET, OpenEnum, Unset, aware
from ._value import Value

__all__ = [
    "AccessType",
    "Annotation",
    "Appointment",
    "AppointmentCreate",
    "AppointmentReference",
    "AppointmentStatus",
    "AppointmentUpdate",
    "BusinessUnitReference",
    "ConversationLink",
    "ConversationReference",
    "DocumentReference",
    "IntervalCondition",
    "Notification",
    "NotificationAction",
    "Page",
    "Relationship",
    "SortOrder",
    "StatusChange",
    "UserReference",
    "WfmScheduleReference",
]

T = TypeVar("T")


class AppointmentStatus(OpenEnum):
    """Progress of an appointment. `INVALID_SCHEDULE` is set by the service alone."""

    SCHEDULED = "Scheduled"
    IN_PROGRESS = "InProgress"
    COMPLETED = "Completed"
    INVALID_SCHEDULE = "InvalidSchedule"


class AccessType(OpenEnum):
    """Who may read an annotation: everybody related to the appointment, or its creator and facilitator."""

    PUBLIC = "Public"
    PRIVATE = "Private"


class NotificationAction(OpenEnum):
    """What happened to the appointment that a notification is about."""

    CREATE = "Create"
    UPDATE = "Update"
    DELETE = "Delete"
    STATUS_CHANGE = "StatusChange"
    ANNOTATION_ADDED = "AnnotationAdded"
    ANNOTATION_EDITED = "AnnotationEdited"
    ANNOTATION_DELETED = "AnnotationDeleted"


class Relationship(OpenEnum):
    """The role of a user in an appointment."""

    ATTENDEE = "Attendee"
    CREATOR = "Creator"
    FACILITATOR = "Facilitator"


class SortOrder(OpenEnum):
    """Order of a list of appointments, by due date."""

    ASC = "Asc"
    DESC = "Desc"


class IntervalCondition(OpenEnum):
    """How a list's interval selects: appointments that start in it, or that overlap it."""

    STARTS_IN = "StartsIn"
    OVERLAPS = "Overlaps"


@attrs.frozen(kw_only=True, eq=False, repr=False)
class Reference(Value):
    """Points to something on the service."""

    id: str
    self_uri: str | None = None


@attrs.frozen(kw_only=True, eq=False, repr=False)
class UserReference(Reference):
    """Points to a user."""


@attrs.frozen(kw_only=True, eq=False, repr=False)
class ConversationReference(Reference):
    """Points to a conversation."""


@attrs.frozen(kw_only=True, eq=False, repr=False)
class DocumentReference(Reference):
    """Points to a document of content management."""


@attrs.frozen(kw_only=True, eq=False, repr=False)
class AppointmentReference(Reference):
    """Points to a coaching appointment."""


@attrs.frozen(kw_only=True, eq=False, repr=False)
class BusinessUnitReference(Reference):
    """Points to a business unit of workforce management."""


@attrs.frozen(kw_only=True, eq=False, repr=False)
class WfmScheduleReference(Reference):
    """Points to a week schedule of workforce management. To be sent it needs its business unit and week."""

    business_unit: BusinessUnitReference | None = None
    week_date: date | None = None


@attrs.frozen(kw_only=True, eq=False, repr=False)
class Appointment(Value):
    """A coaching appointment. Times are aware datetimes, `length_in_minutes` is in minutes."""

    id: str
    name: str | None = None
    description: str | None = None
    date_start: datetime | None = None
    length_in_minutes: int | None = None
    status: AppointmentStatus | None = None
    facilitator: UserReference | None = None
    attendees: tuple[UserReference, ...] = ()
    created_by: UserReference | None = None
    date_created: datetime | None = None
    modified_by: UserReference | None = None
    date_modified: datetime | None = None
    conversations: tuple[ConversationReference, ...] = ()
    documents: tuple[DocumentReference, ...] = ()
    is_overdue: bool | None = None
    wfm_schedule: WfmScheduleReference | None = None
    date_completed: datetime | None = None
    external_links: tuple[str, ...] = ()
    location: str | None = None
    share_insights_data: bool | None = None
    self_uri: str | None = None


@attrs.frozen(kw_only=True, eq=False, repr=False)
class ConversationLink(Value):
    """A conversation, and the appointment that it was added to."""

    conversation: ConversationReference | None = None
    appointment: AppointmentReference | None = None


@attrs.frozen(kw_only=True, eq=False, repr=False)
class Annotation(Value):
    """A note on an appointment."""

    id: str
    created_by: UserReference | None = None
    date_created: datetime | None = None
    modified_by: UserReference | None = None
    date_modified: datetime | None = None
    text: str | None = None
    is_deleted: bool | None = None
    access_type: AccessType | None = None
    self_uri: str | None = None


@attrs.frozen(kw_only=True, eq=False, repr=False)
class StatusChange(Value):
    """One step in the history of an appointment's status. It has no id."""

    status: AppointmentStatus
    appointment: AppointmentReference | None = None
    created_by: UserReference | None = None
    date_created: datetime | None = None


@attrs.frozen(kw_only=True, eq=False, repr=False)
class Notification(Value):
    """A message to a user about an appointment.

    `appointment` is a whole `Appointment` when the list or call was made with `expand_appointment=True`, else an
    `AppointmentReference`.
    """

    id: str
    name: str | None = None
    marked_as_read: bool | None = None
    action_type: NotificationAction | None = None
    relationship: Relationship | None = None
    date_start: datetime | None = None
    length_in_minutes: int | None = None
    status: AppointmentStatus | None = None
    user: UserReference | None = None
    appointment: Appointment | AppointmentReference | None = None
    self_uri: str | None = None


@attrs.frozen(kw_only=True, eq=False, repr=False)
class Page(Value, Generic[T]):
    """One page of a list. `total` counts the entities of all pages, `page_number` starts at 1."""

    entities: tuple[T, ...]
    page_number: int | None = None
    page_size: int | None = None
    page_count: int | None = None
    total: int | None = None


def _ids_or_unset(value: str | Iterable[str] | Unset) -> tuple[str, ...] | Unset:
    return value if isinstance(value, Unset) else ids(value)


def settable_status(value: AppointmentStatus | str) -> AppointmentStatus:
    """A status that a request may carry; `InvalidSchedule` is the service's own."""
    status = AppointmentStatus.known(value)
    if status is AppointmentStatus.INVALID_SCHEDULE:
        raise ValueError("InvalidSchedule is set by the service alone: choose Scheduled, InProgress or Completed")
    return status


def _settable_or_unset(value: AppointmentStatus | str | Unset) -> AppointmentStatus | Unset:
    return value if isinstance(value, Unset) else settable_status(value)


def _start(_: object, __: object, value: Any) -> None:
    if value is not UNSET:
        aware(value)


def _minutes(_: object, __: object, value: Any) -> None:
    if value is not UNSET and (type(value) is not int or value < 1):
        raise ValueError("length_in_minutes has to be a whole number, at least 1")


# House rule of request bodies: no default but UNSET, because what equals its default is not sent.


@attrs.frozen(kw_only=True, eq=False, repr=False)
class AppointmentCreate(Value):
    """A new appointment. `date_start` is aware and cut to the minute by the service."""

    name: str
    description: str
    date_start: datetime = attrs.field(validator=_start)
    length_in_minutes: int = attrs.field(validator=_minutes)
    attendee_ids: tuple[str, ...] = attrs.field(converter=ids)
    facilitator_id: str | Unset = UNSET
    conversation_ids: tuple[str, ...] | Unset = attrs.field(default=UNSET, converter=_ids_or_unset)
    document_ids: tuple[str, ...] | Unset = attrs.field(default=UNSET, converter=_ids_or_unset)
    wfm_schedule: WfmScheduleReference | Unset = UNSET
    external_links: tuple[str, ...] | Unset = attrs.field(default=UNSET, converter=_ids_or_unset)
    location: str | Unset = UNSET
    share_insights_data: bool | Unset = UNSET
    add_to_schedule: bool | Unset = UNSET


@attrs.frozen(kw_only=True, eq=False, repr=False)
class AppointmentUpdate(Value):
    """What to change of an appointment: what is left out stays, `None` clears, a list is cleared by an empty one.

    Attendees and facilitator of an appointment cannot be changed.
    """

    name: str | Unset = UNSET
    description: str | Unset | None = UNSET
    date_start: datetime | Unset = attrs.field(default=UNSET, validator=_start)
    length_in_minutes: int | Unset = attrs.field(default=UNSET, validator=_minutes)
    conversation_ids: tuple[str, ...] | Unset = attrs.field(default=UNSET, converter=_ids_or_unset)
    document_ids: tuple[str, ...] | Unset = attrs.field(default=UNSET, converter=_ids_or_unset)
    status: AppointmentStatus | Unset = attrs.field(default=UNSET, converter=_settable_or_unset)
    wfm_schedule: WfmScheduleReference | Unset | None = UNSET
    external_links: tuple[str, ...] | Unset = attrs.field(default=UNSET, converter=_ids_or_unset)
    location: str | Unset | None = UNSET
    share_insights_data: bool | Unset = UNSET
    add_to_schedule: bool | Unset = UNSET
