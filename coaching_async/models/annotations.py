"""Models of annotations."""

from datetime import datetime
from typing import Literal, TypeAlias

import attrs

from coaching_async._value import Value

from .common import UserReference
from .types import OpenEnum

__all__ = ["AccessType", "AccessTypeLike", "Annotation"]


class AccessType(OpenEnum):
    """Read access to an annotation: all users related to the appointment, or only its creator and facilitator."""

    PUBLIC = "Public"
    PRIVATE = "Private"


AccessTypeLike: TypeAlias = AccessType | Literal["Public", "Private"]


@attrs.frozen(kw_only=True, eq=False, repr=False)
class Annotation(Value):
    """A note on an appointment."""

    id: str
    """Id that the service assigned, a UUID in practice."""
    created_by: UserReference | None = None
    """Author. The service sets it."""
    date_created: datetime | None = None
    """When it was created (UTC). The service sets it."""
    modified_by: UserReference | None = None
    """User who changed it last. The service sets it."""
    date_modified: datetime | None = None
    """When it was last changed (UTC). The service sets it."""
    text: str | None = None
    """The note itself. Only this field can be changed later."""
    is_deleted: bool | None = None
    """Whether the annotation was deleted, and the service has kept it."""
    access_type: AccessType | None = None
    """Who may read it. It is set when the annotation is created."""
    self_uri: str | None = None
    """Path of this resource at the API host."""
