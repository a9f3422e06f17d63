"""Errors of the API and of the token endpoint: two exceptions, and a function for each error of the API."""

import math
from collections.abc import Iterable

import attrs

from .formats import JsonObject


@attrs.define(eq=False)
class ApiError(Exception):
    """An error response of the API; if there are `params`, `message` has their names in braces."""

    status: int
    code: str
    message: str
    params: dict[str, str] = attrs.field(factory=dict[str, str], kw_only=True)
    headers: dict[str, str] = attrs.field(factory=dict[str, str], kw_only=True)
    extra: JsonObject = attrs.field(factory=JsonObject, kw_only=True)

    def body(self, context_id: str) -> JsonObject:
        body: JsonObject = {
            "message": self.message.format_map(self.params) if self.params else self.message,
            "code": self.code,
            "status": self.status,
            "contextId": context_id,
            "details": [],
            "errors": [],
        }
        if self.params:
            body |= {"messageWithParams": self.message, "messageParams": self.params}
        return body | self.extra


@attrs.define(eq=False)
class OAuthError(Exception):
    """An error response of the token endpoint, in the format of RFC 6749, which differs from that of the API."""

    error: str
    description: str
    status: int = 400

    def body(self) -> JsonObject:
        return {"error": self.error, "description": self.description, "error_description": self.description}


def bad_request(message: str) -> ApiError:
    return ApiError(400, "bad.request", message)


def missing_field(name: str) -> ApiError:
    return _field_error("constraint.validation", name, "{field} is required.", {"field": name})


def invalid_value(name: str, value: object) -> ApiError:
    return _field_error(
        "invalid.value", name, "The value {value} of {field} is not allowed.", {"field": name, "value": str(value)}
    )


def missing_parameter(name: str) -> ApiError:
    return _field_error("invalid.query.param.value", name, "The parameter {name} is required.", {"name": name})


def invalid_parameter(name: str, value: str) -> ApiError:
    return _field_error(
        "invalid.query.param.value",
        name,
        "The value {value} of the parameter {name} is not allowed.",
        {"name": name, "value": value},
    )


def _field_error(code: str, name: str, message: str, params: dict[str, str]) -> ApiError:
    return ApiError(400, code, message, params=params, extra={"details": [{"errorCode": code, "fieldName": name}]})


def too_many_user_ids(maximum: int) -> ApiError:
    return ApiError(400, "max.user.ids", f"At most {maximum} users at a time.")


def not_a_user() -> ApiError:
    return ApiError(400, "not.a.user", "This needs the token of a user.")


def authentication_required() -> ApiError:
    return ApiError(401, "authentication.required", "No authentication bearer token was given.")


def bad_credentials() -> ApiError:
    return ApiError(401, "bad.credentials", "The token was not accepted.")


def not_authorized() -> ApiError:
    return ApiError(403, "not.authorized", "This belongs to somebody else.")


def missing_permissions(permissions: Iterable[str]) -> ApiError:
    return ApiError(
        403,
        "missing.any.permissions",
        "One of these permissions is needed: {permissions}",
        params={"permissions": ", ".join(permissions)},
    )


def not_found(entity_name: str, entity_id: str) -> ApiError:
    return ApiError(
        404, "not.found", "Nothing found under that id.", extra={"entityId": entity_id, "entityName": entity_name}
    )


def path_not_found() -> ApiError:
    return ApiError(404, "not.found", "Nothing found under that path.")


def method_not_allowed(allowed: Iterable[str]) -> ApiError:
    return ApiError(
        405, "method.not.allowed", "That method is not supported here.", headers={"Allow": ", ".join(sorted(allowed))}
    )


def conflict(message: str) -> ApiError:
    return ApiError(409, "general.conflict", message)


def appointment_completed() -> ApiError:
    return conflict("A completed appointment can't be changed, but for its status.")


def body_too_large() -> ApiError:
    return ApiError(413, "request.entity.too.large", "The request is too large.")


def unsupported_media_type() -> ApiError:
    return ApiError(415, "unsupported.media.type", "That media type is not supported.")


def too_many_requests(wait: float, limit: int) -> ApiError:
    seconds = max(1, math.ceil(wait))
    return ApiError(
        429,
        "too.many.requests.retry.after",
        f"Too many requests; try again in [{seconds}] seconds",
        headers={"Retry-After": str(seconds)},
        extra={
            "limit": {"key": "client.credentials.token.rate.per.minute", "namespace": "platform.api", "value": limit}
        },
    )


def internal_error() -> ApiError:
    return ApiError(500, "internal.server.error", "Something broke.")
