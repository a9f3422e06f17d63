"""The sandbox by HTTP, for programs in any language: `/_sandbox/...`, without a token.

What a fault may hold is described by `Fault`; for every time, `times` is null here, because JSON has no infinity.
"""

import json
import math
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, TypeAlias, cast

import attrs
from starlette.requests import Request
from starlette.responses import Response

from coaching_async.sandbox._faults.fault import Fault, Faults
from coaching_async.sandbox._wire import errors
from coaching_async.sandbox._wire.formats import JsonObject
from coaching_async.sandbox._wire.responses import Json

from .request_log import RequestLog

Page: TypeAlias = Callable[[Request], Awaitable[Response]]

# What a field may be, in Python and in words.
_TEXT = (frozenset[type]({str}), "a string")
_WHOLE = (frozenset[type]({int}), "a whole number")
_NUMBER = (frozenset[type]({int, float}), "a number")
_NUMBER_OR_TEXT = (frozenset[type]({int, float, str}), "a number or a string")
_ANYTHING = (frozenset[type]({int, float, str, bool, list, dict}), "anything")
_FIELDS: Mapping[str, tuple[frozenset[type], str]] = {
    "kind": _TEXT,
    "method": _TEXT,
    "path": _TEXT,
    "times": _NUMBER,
    "after": _WHOLE,
    "status": _WHOLE,
    "retry_after": _NUMBER_OR_TEXT,
    "body": _ANYTHING,
    "delay": _NUMBER,
    "size": _WHOLE,
    "location": _TEXT,
}


@attrs.frozen
class Control:
    """Orders faults, and shows what arrived."""

    faults: Faults
    requests: RequestLog

    def pages(self) -> Mapping[str, Mapping[str, Page]]:
        return {
            "/_sandbox/faults": {"POST": self.add_faults, "DELETE": self.clear_faults},
            "/_sandbox/requests": {"GET": self.list_requests},
        }

    async def add_faults(self, request: Request) -> Response:
        try:
            faults = read_faults(await request.body())
        except ValueError as why:
            raise errors.bad_request(str(why)) from why
        self.faults.add(*faults)
        return Json([_shown(fault) for fault in faults], 201)

    async def clear_faults(self, _: Request) -> Response:
        self.faults.clear()
        return Response(status_code=204)

    async def list_requests(self, _: Request) -> Response:
        return Json([arrival.as_json() for arrival in self.requests.all()])


def read_faults(raw: bytes) -> list[Fault]:
    """One or a list of them; all or none."""
    try:
        given: object = json.loads(raw, parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        raise ValueError("The body is not JSON.") from error
    return [_fault(each) for each in (cast("list[object]", given) if isinstance(given, list) else [given])]


def _no_constant(name: str) -> None:
    raise ValueError(name)


def _fault(given: object) -> Fault:
    if not isinstance(given, dict):
        raise ValueError("A fault is a JSON object.")  # noqa: TRY004 - it is about what came, not about a program
    fields = cast("dict[str, Any]", given)
    if "kind" not in fields:
        raise ValueError("kind is missing.")
    for name, value in fields.items():
        _check(name, value)
    if fields.get("times", 1) is None:
        fields["times"] = math.inf
    return Fault(**{name: value for name, value in fields.items() if value is not None})


def _check(name: str, value: object) -> None:
    if name not in _FIELDS:
        raise ValueError(f"A fault has no {name}; it may have {', '.join(_FIELDS)}.")
    types, words = _FIELDS[name]
    if type(value) not in types and (value is not None or name == "kind"):
        raise ValueError(f"{name} must be {words}, not {json.dumps(value)}.")


def _shown(fault: Fault) -> JsonObject:
    shown: dict[str, Any] = attrs.asdict(fault)
    return shown | {"times": None if math.isinf(fault.times) else fault.times}
