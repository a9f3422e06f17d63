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
    created_by: UserReference | None = None
    date_created: datetime | None = None
    modified_by: UserReference | None = None
    date_modified: datetime | None = None
    text: str | None = None
    is_deleted: bool | None = None
    access_type: AccessType | None = None
    self_uri: str | None = None
