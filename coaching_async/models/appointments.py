"""Models of appointments: one frozen class for each schema of the API.

A field of a response is `T | None` if the service may omit it, and a tuple for a list. A field of a request is `UNSET` if it
is omitted. If a field of a request accepts `None`, null is sent, and the service clears the field.
"""

from collections.abc import Callable, Iterable
from datetime import date, datetime
from typing import Any, Final, Literal, Self, TypeAlias

import attrs

from coaching_async._refusals.arguments import checked_count, checked_instance, kind_of
from coaching_async._value import Value

from .coercion import IdLike, IdsLike, to_id, to_ids, to_texts
from .common import (
    AppointmentReference,
    BusinessUnitReference,
    ConversationReference,
    DocumentReference,
    HasEnd,
    UserReference,
    WfmScheduleReference,
)
from .types import UNSET, OpenEnum, Unset, require_aware

__all__ = [
    "Appointment",
    "AppointmentCreate",
    "AppointmentStatus",
    "AppointmentStatusLike",
    "AppointmentUpdate",
    "ConversationLink",
    "IntervalCondition",
    "IntervalConditionLike",
    "Relationship",
    "RelationshipLike",
    "SettableStatusLike",
    "SortOrder",
    "SortOrderLike",
    "StatusChange",
    "to_settable_status",
]


class AppointmentStatus(OpenEnum):
    """The status of an appointment. Only the service sets `INVALID_SCHEDULE`."""

    SCHEDULED = "Scheduled"
    """Planned."""
    IN_PROGRESS = "InProgress"
    """Begun."""
    COMPLETED = "Completed"
    """Held. A completed appointment cannot be changed."""
    INVALID_SCHEDULE = "InvalidSchedule"
    """Set by the service, in connection with workforce management. The API does not document when."""


AppointmentStatusLike: TypeAlias = (
    AppointmentStatus | Literal["Scheduled", "InProgress", "Completed", "InvalidSchedule"]
)


SettableStatusLike: TypeAlias = AppointmentStatus | Literal["Scheduled", "InProgress", "Completed"]
"""A status that a request may set."""


class Relationship(OpenEnum):
    """The role of a user in an appointment."""

    ATTENDEE = "Attendee"
    """Attends the appointment."""
    CREATOR = "Creator"
    """Created the appointment."""
    FACILITATOR = "Facilitator"
    """Leads the appointment."""


RelationshipLike: TypeAlias = Relationship | Literal["Attendee", "Creator", "Facilitator"]


class SortOrder(OpenEnum):
    """Sort order of a list of appointments, by due date."""

    ASC = "Asc"
    DESC = "Desc"


SortOrderLike: TypeAlias = SortOrder | Literal["Asc", "Desc"]


class IntervalCondition(OpenEnum):
    """Which appointments the interval of a list selects: those that start in it, or those that overlap it."""

    STARTS_IN = "StartsIn"
    OVERLAPS = "Overlaps"


IntervalConditionLike: TypeAlias = IntervalCondition | Literal["StartsIn", "Overlaps"]


@attrs.frozen(kw_only=True, eq=False, repr=False)
class Appointment(HasEnd, Value):
    """A coaching appointment."""

    id: str
    """Id that the service assigned, a UUID in practice."""
    name: str | None = None
    """Title."""
    description: str | None = None
    """What the appointment is about."""
    date_start: datetime | None = None
    """When it begins (UTC), to the minute."""
    length_in_minutes: int | None = None
    """Planned length, in minutes."""
    status: AppointmentStatus | None = None
    """Progress. Callers set it, except `InvalidSchedule`, which only the service sets."""
    facilitator: UserReference | None = None
    """User who leads it. None if the service names none."""
    attendees: tuple[UserReference, ...] = ()
    """Users who attend it."""
    created_by: UserReference | None = None
    """User who created it. The service sets it."""
    date_created: datetime | None = None
    """When it was created (UTC). The service sets it."""
    modified_by: UserReference | None = None
    """User who changed it last. The service sets it."""
    date_modified: datetime | None = None
    """When it was last changed (UTC). The service sets it."""
    conversations: tuple[ConversationReference, ...] = ()
    """Conversations that are linked to it, for example the call that it is about."""
    documents: tuple[DocumentReference, ...] = ()
    """Documents of content management that are linked to it."""
    is_overdue: bool | None = None
    """Whether it is past due and not completed. The service computes it."""
    wfm_schedule: WfmScheduleReference | None = None
    """Week schedule of workforce management that it is linked to. None if there is none."""
    date_completed: datetime | None = None
    """When its status became `Completed` (UTC). None before. The service sets it."""
    external_links: tuple[str, ...] = ()
    """Addresses of related pages outside of Genesys Cloud."""
    location: str | None = None
    """Place, as free text."""
    share_insights_data: bool | None = None
    """Whether insights data is shared. The API does not document with whom."""
    self_uri: str | None = None
    """Path of this resource at the API host."""


@attrs.frozen(kw_only=True, eq=False, repr=False)
class ConversationLink(Value):
    """A conversation, with the appointment that it was added to."""

    conversation: ConversationReference | None = None
    """Conversation that was added."""
    appointment: AppointmentReference | None = None
    """Appointment that it was added to."""


@attrs.frozen(kw_only=True, eq=False, repr=False)
class StatusChange(Value):
    """A change of an appointment's status. It has no id."""

    status: AppointmentStatus
    """Status after the change."""
    appointment: AppointmentReference | None = None
    """Appointment whose status was changed."""
    created_by: UserReference | None = None
    """User who changed the status. The service sets it."""
    date_created: datetime | None = None
    """When the status was changed (UTC). The service sets it."""


def _to_id_or_unset(value: IdLike | Unset) -> str | Unset:
    return value if isinstance(value, Unset) else to_id(value)


def _to_ids_or_unset(value: IdsLike | Unset) -> tuple[str, ...] | Unset:
    return value if isinstance(value, Unset) else to_ids(value)


def _with_ids(schedule: WfmScheduleReference | Unset | None) -> Any:
    """Return a reference whose ids are those of `to_id`. References of responses are not checked when they are decoded."""
    if isinstance(schedule, Unset) or schedule is None:
        return schedule
    checked_instance("wfm_schedule", schedule, WfmScheduleReference)
    unit = schedule.business_unit
    if unit is not None:
        checked_instance("business_unit", unit, BusinessUnitReference)
    if schedule.week_date is not None:
        checked_instance("week_date", schedule.week_date, date)
    return attrs.evolve(schedule, id=to_id(schedule.id), business_unit=unit and attrs.evolve(unit, id=to_id(unit.id)))


def _to_links_or_unset(value: str | Iterable[str] | Unset) -> tuple[str, ...] | Unset:
    return value if isinstance(value, Unset) else to_texts(value)


def to_settable_status(value: SettableStatusLike) -> AppointmentStatus:
    """Return a status that a request may set. Raises `ValueError` for `InvalidSchedule`, which only the service sets."""
    status = AppointmentStatus.known(value)
    if status is AppointmentStatus.INVALID_SCHEDULE:
        raise ValueError("InvalidSchedule is set by the service alone: choose Scheduled, InProgress or Completed")
    return status


def _to_settable_or_unset(value: SettableStatusLike | Unset) -> AppointmentStatus | Unset:
    return value if isinstance(value, Unset) else to_settable_status(value)


def _validate_start(_: object, field: "attrs.Attribute[Any]", value: Any) -> None:
    if value is UNSET:
        return
    if not isinstance(value, datetime):
        hint = ": datetime.fromisoformat(...) makes one of a text" if isinstance(value, str) else ""
        raise TypeError(f"{field.name} is a datetime with a time zone, not {kind_of(value)}{hint}")
    require_aware(value)


def _text_or(*others: object) -> Callable[[object, "attrs.Attribute[Any]", object], None]:
    """Return a validator that takes a text or one of the others, and refuses the NaN of an empty cell, for example."""
    wanted = " or ".join(["a str", *map(repr, others)])

    def validate(_: object, field: "attrs.Attribute[Any]", value: object) -> None:
        if not (isinstance(value, str) or any(value is each for each in others)):
            raise TypeError(f"{field.name} is {wanted}, not {kind_of(value)}")

    return validate


def _validate_flag(_: object, field: "attrs.Attribute[Any]", value: Any) -> None:
    if value is not UNSET and not isinstance(value, bool):
        raise TypeError(f"{field.name} is True, False or UNSET, not {kind_of(value)}")


def _validate_minutes(_: object, __: object, value: Any) -> None:
    if value is not UNSET:
        checked_count("length_in_minutes", value)


class _AsBefore:
    """The type of `AS_BEFORE`, which is shown in signatures."""

    def __repr__(self) -> str:
        return "<as before>"


AS_BEFORE: Final[Any] = _AsBefore()
"""The default of a field that a new appointment takes from another one."""


# The only default in a request body is UNSET, because a value that equals its default is not sent.


@attrs.frozen(kw_only=True, eq=False, repr=False)
class AppointmentCreate(Value):
    """A new appointment. `date_start` has a time zone; the service truncates it to the minute."""

    name: str = attrs.field(validator=_text_or())
    """Title."""
    description: str = attrs.field(validator=_text_or())
    """What the appointment is about. It may be empty."""
    date_start: datetime = attrs.field(validator=_validate_start)
    """When it begins, with a time zone. The service cuts it to the minute."""
    length_in_minutes: int = attrs.field(validator=_validate_minutes)
    """Planned length in minutes, at least 1."""
    attendee_ids: tuple[str, ...] = attrs.field(converter=to_ids)
    """Ids of the users who attend it."""
    facilitator_id: str | Unset = attrs.field(default=UNSET, converter=_to_id_or_unset)
    """Id of the user who leads it."""
    conversation_ids: tuple[str, ...] | Unset = attrs.field(default=UNSET, converter=_to_ids_or_unset)
    """Ids of conversations to link."""
    document_ids: tuple[str, ...] | Unset = attrs.field(default=UNSET, converter=_to_ids_or_unset)
    """Ids of documents of content management to link."""
    wfm_schedule: WfmScheduleReference | Unset = attrs.field(default=UNSET, converter=_with_ids)
    """Week schedule of workforce management to link. Slots that were found bring theirs along."""
    external_links: tuple[str, ...] | Unset = attrs.field(default=UNSET, converter=_to_links_or_unset)
    """Addresses of related pages outside of Genesys Cloud."""
    location: str | Unset = attrs.field(default=UNSET, validator=_text_or(UNSET))
    """Place, as free text."""
    share_insights_data: bool | Unset = attrs.field(default=UNSET, validator=_validate_flag)
    """Whether insights data is shared. The API does not document with whom."""
    add_to_schedule: bool | Unset = attrs.field(default=UNSET, validator=_validate_flag)
    """Whether to put the appointment on the attendees' schedules of workforce management, too."""

    @classmethod
    def of(
        cls,
        appointment: Appointment,
        *,
        name: str = AS_BEFORE,
        description: str = AS_BEFORE,
        date_start: datetime = AS_BEFORE,
        length_in_minutes: int = AS_BEFORE,
        attendee_ids: IdsLike = AS_BEFORE,
        facilitator_id: IdLike | Unset = AS_BEFORE,
        conversation_ids: IdsLike | Unset = AS_BEFORE,
        document_ids: IdsLike | Unset = AS_BEFORE,
        wfm_schedule: WfmScheduleReference | Unset = AS_BEFORE,
        external_links: str | Iterable[str] | Unset = AS_BEFORE,
        location: str | Unset = AS_BEFORE,
        share_insights_data: bool | Unset = AS_BEFORE,
        add_to_schedule: bool | Unset = UNSET,
    ) -> Self:
        """Return a new appointment that is like `appointment`, except for the fields that are given.

            copy = AppointmentCreate.of(
                appointment, facilitator_id=user_id
            )
            await client.appointments.create(copy)

        `UNSET` leaves a field out. What a create does not take is not carried over: id, status and its history, annotations,
        notifications, creator, and times of creation, change and completion. Whether the appointment was added to the
        schedule (`add_to_schedule`) is not in `appointment`. Its `wfm_schedule` is that of its week: if `date_start` moves
        it to another week, give the one of that week, too, or `UNSET`. A schedule without business unit or week, which a
        request needs, is left out.

        Raises `ValueError` if `appointment` lacks a name, a start or a length, and none is given, and `TypeError` if it is no
        `Appointment`.
        """
        checked_instance("appointment", appointment, Appointment)
        schedule = appointment.wfm_schedule
        is_whole = schedule is not None and schedule.business_unit is not None and schedule.week_date is not None
        fields: dict[str, tuple[Any, Any]] = {
            "name": (name, appointment.name),
            "description": (description, appointment.description or ""),
            "date_start": (date_start, appointment.date_start),
            "length_in_minutes": (length_in_minutes, appointment.length_in_minutes),
            "attendee_ids": (attendee_ids, tuple(attendee.id for attendee in appointment.attendees)),
            "facilitator_id": (facilitator_id, appointment.facilitator and appointment.facilitator.id),
            "conversation_ids": (conversation_ids, tuple(each.id for each in appointment.conversations) or None),
            "document_ids": (document_ids, tuple(document.id for document in appointment.documents) or None),
            "wfm_schedule": (wfm_schedule, schedule if is_whole else None),
            "external_links": (external_links, appointment.external_links or None),
            "location": (location, appointment.location),
            "share_insights_data": (share_insights_data, appointment.share_insights_data),
            "add_to_schedule": (add_to_schedule, None),
        }
        given = {key: value for key, (value, _) in fields.items() if value is not AS_BEFORE}
        copied = {key: value for key, (_, value) in fields.items() if value is not None}
        chosen = {**copied, **given}
        if missing := [key for key in ("name", "date_start", "length_in_minutes") if key not in chosen]:
            raise ValueError(f"the appointment has no {' and no '.join(missing)}: give what is missing")
        return cls(**chosen)


@attrs.frozen(kw_only=True, eq=False, repr=False)
class AppointmentUpdate(Value):
    """Changes of an appointment. An omitted field keeps its value, `None` clears it, and an empty list clears a list.

    Attendees and facilitator of an appointment cannot be changed.
    """

    name: str | Unset = attrs.field(default=UNSET, validator=_text_or(UNSET))
    """New title."""
    description: str | Unset | None = attrs.field(default=UNSET, validator=_text_or(UNSET, None))
    """New text on what the appointment is about."""
    date_start: datetime | Unset = attrs.field(default=UNSET, validator=_validate_start)
    """New start, with a time zone. The service cuts it to the minute."""
    length_in_minutes: int | Unset = attrs.field(default=UNSET, validator=_validate_minutes)
    """New length in minutes, at least 1."""
    conversation_ids: tuple[str, ...] | Unset = attrs.field(default=UNSET, converter=_to_ids_or_unset)
    """Ids of all conversations that it shall be linked to, in place of the present ones."""
    document_ids: tuple[str, ...] | Unset = attrs.field(default=UNSET, converter=_to_ids_or_unset)
    """Ids of all documents that it shall be linked to, in place of the present ones."""
    status: AppointmentStatus | Unset = attrs.field(default=UNSET, converter=_to_settable_or_unset)
    """New status: `Scheduled`, `InProgress` or `Completed`."""
    wfm_schedule: WfmScheduleReference | Unset | None = attrs.field(default=UNSET, converter=_with_ids)
    """Week schedule of workforce management to link."""
    external_links: tuple[str, ...] | Unset = attrs.field(default=UNSET, converter=_to_links_or_unset)
    """All addresses of related pages, in place of the present ones."""
    location: str | Unset | None = attrs.field(default=UNSET, validator=_text_or(UNSET, None))
    """New place, as free text."""
    share_insights_data: bool | Unset = attrs.field(default=UNSET, validator=_validate_flag)
    """Whether insights data is shared. The API does not document with whom."""
    add_to_schedule: bool | Unset = attrs.field(default=UNSET, validator=_validate_flag)
    """Whether to put the appointment on the attendees' schedules of workforce management, too."""
