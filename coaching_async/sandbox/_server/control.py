"""Control of the sandbox over HTTP, for programs in any language: `/_sandbox/...`, without a token.

A fault has the fields of `Fault`. If it applies to all requests, its `times` is null, because JSON has no infinity.
"""

import json
import math
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, TypeAlias, cast

import attrs
from starlette.requests import Request
from starlette.responses import Response

from coaching_async.sandbox._faults.fault import Fault
from coaching_async.sandbox._faults.registry import Faults
from coaching_async.sandbox._wire import errors
from coaching_async.sandbox._wire import query as read
from coaching_async.sandbox._wire.formats import JsonObject
from coaching_async.sandbox._wire.responses import JsonResponse

from .request_log import RequestLog

Endpoint: TypeAlias = Callable[[Request], Awaitable[Response]]

# The types that each field may have, and their description in error messages.
_STRING = (frozenset[type]({str}), "a string")
_INTEGER = (frozenset[type]({int}), "a whole number")
_NUMBER = (frozenset[type]({int, float}), "a number")
_NUMBER_OR_STRING = (frozenset[type]({int, float, str}), "a number or a string")
_ANYTHING = (frozenset[type]({int, float, str, bool, list, dict}), "anything")
_FIELDS: Mapping[str, tuple[frozenset[type], str]] = {
    "kind": _STRING,
    "method": _STRING,
    "path": _STRING,
    "times": _NUMBER,
    "after": _INTEGER,
    "status": _INTEGER,
    "retry_after": _NUMBER_OR_STRING,
    "body": _ANYTHING,
    "delay": _NUMBER,
    "size": _INTEGER,
    "location": _STRING,
    "operation": _STRING,
}


@attrs.frozen
class Control:
    """Adds and removes faults, and lists the requests that arrived."""

    faults: Faults
    requests: RequestLog

    def endpoints(self) -> Mapping[str, Mapping[str, Endpoint]]:
        return {
            "/_sandbox/faults": {"GET": self.list_faults, "POST": self.add_faults, "DELETE": self.cancel_faults},
            "/_sandbox/requests": {"GET": self.list_requests},
        }

    async def add_faults(self, request: Request) -> Response:
        try:
            faults = read_faults(await request.body())
        except ValueError as error:
            raise errors.bad_request(str(error)) from error
        self.faults.add(*faults)
        return JsonResponse([_fault_as_json(fault) for fault in faults], 201)

    async def list_faults(self, _: Request) -> Response:
        """Respond with the faults that are not used up, each with its number and its remaining times."""
        return JsonResponse(
            [
                _fault_as_json(entry.fault)
                | {"number": entry.number, "to_skip": entry.to_skip, "remaining": _finite(entry.remaining)}
                for entry in self.faults.ordered()
            ]
        )

    async def cancel_faults(self, request: Request) -> Response:
        """Cancel the fault whose `number` is given, or all of them."""
        if "number" in request.query_params:
            self.faults.cancel(read.positive_integer(request.query_params, "number", 1))
        else:
            self.faults.clear()
        return Response(status_code=204)

    async def list_requests(self, request: Request) -> Response:
        """Respond with the requests that arrived, oldest first: all, or up to `newest`."""
        newest = read.positive_integer(request.query_params, "newest", 2**31 - 1)
        return JsonResponse([arrival.as_json() for arrival in self.requests.all()[-newest:]])


def read_faults(raw: bytes) -> list[Fault]:
    """Parse one fault or a list of faults; if one is invalid, none is returned."""
    try:
        given: object = json.loads(raw, parse_constant=_reject_constant)
    except (ValueError, RecursionError) as error:
        raise ValueError("The body is not JSON.") from error
    return [_parse_fault(item) for item in (cast("list[object]", given) if isinstance(given, list) else [given])]


def _reject_constant(name: str) -> None:
    raise ValueError(name)


def _parse_fault(given: object) -> Fault:
    if not isinstance(given, dict):
        raise ValueError("A fault is a JSON object.")  # noqa: TRY004 - the body is wrong, not the type of an argument
    fields = cast("dict[str, Any]", given)
    if "kind" not in fields:
        raise ValueError("kind is missing.")
    for name, value in fields.items():
        _validate_field(name, value)
    if fields.get("times", 1) is None:
        fields["times"] = math.inf
    return Fault(**{name: value for name, value in fields.items() if value is not None})


def _validate_field(name: str, value: object) -> None:
    if name not in _FIELDS:
        raise ValueError(f"A fault has no {name}; it may have {', '.join(_FIELDS)}.")
    types, description = _FIELDS[name]
    if type(value) not in types and (value is not None or name == "kind"):
        raise ValueError(f"{name} must be {description}, not {json.dumps(value)}.")


def _fault_as_json(fault: Fault) -> JsonObject:
    fields: dict[str, Any] = attrs.asdict(fault, filter=lambda field, _: field.init)
    return fields | {"times": _finite(fault.times)}


def _finite(times: float) -> float | None:
    return None if math.isinf(times) else times
