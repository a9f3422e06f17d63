"""References and pages, which several resources share."""

from datetime import date
from typing import Generic, TypeVar

import attrs

from coaching_async._value import Value

__all__ = [
    "AppointmentReference",
    "BusinessUnitReference",
    "ConversationReference",
    "DocumentReference",
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
    self_uri: str | None = None


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
    """A reference to a week schedule of workforce management. A request needs its business unit and week, too."""

    business_unit: BusinessUnitReference | None = None
    week_date: date | None = None


class HasNext:
    """Base of `Page` with a hint for iterating. It is no field, because it is none of the list's own, and not all lists have it."""

    __slots__ = ("names_next",)

    names_next: bool
    """Whether the service named a next page (`nextUri`). Unset if it is not known."""


@attrs.frozen(kw_only=True, eq=False, repr=False)
class Page(HasNext, Value, Generic[T]):
    """One page of a list. `total` counts the entities of all pages, `page_number` starts at 1."""

    entities: tuple[T, ...]
    page_number: int | None = None
    page_size: int | None = None
    page_count: int | None = None
    total: int | None = None
