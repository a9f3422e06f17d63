"""References and pages, which several resources share."""

from datetime import UTC, date, datetime, timedelta
from typing import Generic, TypeVar

import attrs

from coaching_async._value import MissingField, Value

__all__ = [
    "AppointmentReference",
    "BusinessUnitReference",
    "ConversationReference",
    "DocumentReference",
    "HasEnd",
    "HasNext",
    "HasStart",
    "Page",
    "Reference",
    "UserReference",
    "WfmScheduleReference",
]

T = TypeVar("T")


@attrs.frozen(kw_only=True, eq=False, repr=False)
class Reference(Value):
    """A reference to a resource of the service."""

    id: str
    """Id of the resource that is referred to."""
    self_uri: str | None = None
    """Path of that resource at the API host. The service sets it; a request needs none."""


@attrs.frozen(kw_only=True, eq=False, repr=False)
class UserReference(Reference):
    """A reference to a user."""


@attrs.frozen(kw_only=True, eq=False, repr=False)
class ConversationReference(Reference):
    """A reference to a conversation."""


@attrs.frozen(kw_only=True, eq=False, repr=False)
class DocumentReference(Reference):
    """A reference to a document of content management."""


@attrs.frozen(kw_only=True, eq=False, repr=False)
class AppointmentReference(Reference):
    """A reference to a coaching appointment."""


@attrs.frozen(kw_only=True, eq=False, repr=False)
class BusinessUnitReference(Reference):
    """A reference to a business unit of workforce management."""


@attrs.frozen(kw_only=True, eq=False, repr=False)
class WfmScheduleReference(Reference):
    """A reference to a week schedule of workforce management."""

    business_unit: BusinessUnitReference | None = None
    """Business unit of the schedule. A request has to name it."""
    week_date: date | None = None
    """First day of the schedule's week. A request has to name it."""


class HasStart:
    """Base of models with a start."""

    __slots__ = ()

    date_start: datetime | None

    @property
    def starts_at(self) -> datetime:
        """`date_start`, which the service may leave out: then this raises `MissingField`."""
        if self.date_start is None:
            raise _missing(self, "date_start")
        return self.date_start


class HasEnd(HasStart):
    """Base of models with a start and a length."""

    __slots__ = ()

    length_in_minutes: int | None

    @property
    def ends_at(self) -> datetime:
        """`date_start` plus `length_in_minutes`. Raises `MissingField` if the service left out one of them."""
        if self.length_in_minutes is None:
            raise _missing(self, "length_in_minutes")
        start = self.starts_at
        # Computed in UTC, because times of one zone are added to by wall time.
        return (start.astimezone(UTC) + timedelta(minutes=self.length_in_minutes)).astimezone(start.tzinfo)


def _missing(model: object, name: str) -> MissingField:
    return MissingField(f"the service sent no {name} for this {type(model).__name__}: its {name} is None")


class HasNext:
    """Base of `Page` with hints for iterating. They are no fields, because they are none of the list's own. Unset if not known."""

    __slots__ = ("next_cursor", "next_uri")

    next_uri: object
    """The `nextUri` of the service, which names a next page."""
    next_cursor: tuple[str, str] | None
    """The query parameter, and its value, that select the next page of a list without page numbers; None at its end."""


@attrs.frozen(kw_only=True, eq=False, repr=False)
class Page(HasNext, Value, Generic[T]):
    """One page of a list."""

    entities: tuple[T, ...]
    """Items of this page, in the order of the list."""
    page_number: int | None = None
    """Number of this page, from 1. None in a list that has no page numbers."""
    page_size: int | None = None
    """Size of a page, as the service applied it; it may be less than the size that was asked for."""
    page_count: int | None = None
    """Number of pages of that size."""
    total: int | None = None
    """Number of items on all pages, at the time of the response."""
