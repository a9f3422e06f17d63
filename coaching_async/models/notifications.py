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
    """It was created."""
    UPDATE = "Update"
    """It was changed."""
    DELETE = "Delete"
    """It was deleted."""
    STATUS_CHANGE = "StatusChange"
    """Its status was changed."""
    ANNOTATION_ADDED = "AnnotationAdded"
    """An annotation was added to it."""
    ANNOTATION_EDITED = "AnnotationEdited"
    """An annotation on it was changed."""
    ANNOTATION_DELETED = "AnnotationDeleted"
    """An annotation on it was deleted."""


@attrs.frozen(kw_only=True, eq=False, repr=False)
class Notification(HasEnd, Value):
    """A message to a user about an appointment."""

    id: str
    """Id that the service assigned, a UUID in practice."""
    name: str | None = None
    """Title of the appointment."""
    marked_as_read: bool | None = None
    """Whether the user has marked it as read. Only this field can be changed."""
    action_type: NotificationAction | None = None
    """What happened to the appointment."""
    relationship: Relationship | None = None
    """Role that the user has in the appointment."""
    date_start: datetime | None = None
    """When the appointment begins (UTC)."""
    length_in_minutes: int | None = None
    """Planned length of the appointment, in minutes."""
    status: AppointmentStatus | None = None
    """Status of the appointment."""
    user: UserReference | None = None
    """User whom it is for."""
    appointment: Appointment | AppointmentReference | None = None
    """Appointment that it is about: an `Appointment` if the call had `expand_appointment=True`, else a reference."""
    self_uri: str | None = None
    """Path of this resource at the API host."""
