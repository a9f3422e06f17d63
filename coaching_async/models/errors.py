"""Bodies of error responses."""

from collections.abc import Mapping

import attrs

from coaching_async._value import Value

from .coercion import EMPTY_MAPPING, FrozenDict

__all__ = ["ErrorBody", "ErrorDetail", "ErrorLimit"]


@attrs.frozen(kw_only=True, eq=False, repr=False)
class ErrorDetail(Value):
    """A detail of an error response, about one field."""

    error_code: str | None = None
    field_name: str | None = None
    entity_id: str | None = None
    entity_name: str | None = None


@attrs.frozen(kw_only=True, eq=False, repr=False)
class ErrorLimit(Value):
    """The limit that was exceeded, and its value."""

    key: str | None = None
    namespace: str | None = None
    value: int | None = None


@attrs.frozen(kw_only=True, eq=False, repr=False)
class ErrorBody(Value):
    """The body of an error response. `context_id` is the correlation id. `errors` has the parts of a compound error."""

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
