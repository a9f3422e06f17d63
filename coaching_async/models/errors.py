"""What an error answer says."""

from collections.abc import Mapping

import attrs

from coaching_async._value import Value

from .coercion import EMPTY_MAPPING, FrozenDict

__all__ = ["ErrorBody", "ErrorDetail", "ErrorLimit"]


@attrs.frozen(kw_only=True, eq=False, repr=False)
class ErrorDetail(Value):
    """What an error answer says about one field."""

    error_code: str | None = None
    field_name: str | None = None
    entity_id: str | None = None
    entity_name: str | None = None


@attrs.frozen(kw_only=True, eq=False, repr=False)
class ErrorLimit(Value):
    """The limit that was hit, and how much it allows."""

    key: str | None = None
    namespace: str | None = None
    value: int | None = None


@attrs.frozen(kw_only=True, eq=False, repr=False)
class ErrorBody(Value):
    """An error answer as it came. `context_id` is the correlation id; `errors` are its parts, where it has several."""

    message: str | None = None
    code: str | None = None
    status: int | None = None
    entity_id: str | None = None
    entity_name: str | None = None
    message_with_params: str | None = None
    message_params: Mapping[str, str] = attrs.field(default=EMPTY_MAPPING, converter=FrozenDict)
    context_id: str | None = None
    details: tuple[ErrorDetail, ...] = ()
    errors: "tuple[ErrorBody, ...]" = ()
    limit: ErrorLimit | None = None
