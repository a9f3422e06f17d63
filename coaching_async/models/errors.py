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
    """Code of the detail, for programs."""
    field_name: str | None = None
    """Field of the request that it is about."""
    entity_id: str | None = None
    """Id of the resource that it is about."""
    entity_name: str | None = None
    """Name of that resource."""


@attrs.frozen(kw_only=True, eq=False, repr=False)
class ErrorLimit(Value):
    """The limit that was exceeded, and its value."""

    key: str | None = None
    """Name of the limit, for example `client.credentials.token.rate.per.minute`."""
    namespace: str | None = None
    """Part of the platform that the limit belongs to, for example `platform.api`."""
    value: int | None = None
    """Number that the limit allows."""


@attrs.frozen(kw_only=True, eq=False, repr=False)
class ErrorBody(Value):
    """The body of an error response."""

    message: str | None = None
    """What is wrong, for people."""
    code: str | None = None
    """What is wrong, for programs, for example `not.found`. New codes may be added."""
    status: int | None = None
    """HTTP status of the response."""
    entity_id: str | None = None
    """Id of the resource that the error is about."""
    entity_name: str | None = None
    """Name of that resource."""
    message_with_params: str | None = None
    """Text of `message` with place holders for its values."""
    message_params: Mapping[str, str] = attrs.field(default=EMPTY_MAPPING, converter=FrozenDict)
    """Values of those place holders, by name."""
    context_id: str | None = None
    """Correlation id of the request, for the vendor's support; also in the header `ININ-Correlation-Id`."""
    details: tuple[ErrorDetail, ...] = ()
    """What is wrong with single fields."""
    errors: "tuple[ErrorBody, ...]" = ()
    """Parts of a compound error."""
    limit: ErrorLimit | None = None
    """Limit that was exceeded. None for other errors."""
