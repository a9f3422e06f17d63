"""Models of notifications."""

from datetime import datetime

import attrs

from coaching_async._value import Value

from .appointments import Appointment, AppointmentStatus, Relationship
from .common import AppointmentReference, HasEnd, UserReference
from .types import OpenEnum

__all__ = ["Notification", "NotificationAction"]


class NotificationAction(OpenEnum):
    """What happened to the appointment of a notification."""

    CREATE = "Create"
    UPDATE = "Update"
    DELETE = "Delete"
    STATUS_CHANGE = "StatusChange"
    ANNOTATION_ADDED = "AnnotationAdded"
    ANNOTATION_EDITED = "AnnotationEdited"
    ANNOTATION_DELETED = "AnnotationDeleted"


@attrs.frozen(kw_only=True, eq=False, repr=False)
class Notification(HasEnd, Value):
    """A message to a user about an appointment.

    `appointment` is an `Appointment` if the call had `expand_appointment=True`, else an `AppointmentReference`.
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
