"""Serialization and deserialization: models to the API's camelCase JSON, and back."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from functools import cache
from typing import TYPE_CHECKING, Any, Final, TypeVar, cast

import attrs

from coaching_async._refusals.arguments import kind_of
from coaching_async.models.appointments import Appointment

from .json import dumps, parse_json, parse_with_orjson
from .names import camelize_names, to_camel

__all__ = ["decode", "encode", "from_dict", "to_dict"]

T = TypeVar("T")

MAX_PROBLEMS: Final = 5
"""Wrong values that an error names. If the API has changed, each object of a response may have one."""

if TYPE_CHECKING:
    from .converter import DetailedConverter, FastConverter


def to_dict(model: object, *, complete: bool = False) -> dict[str, Any]:
    """Return a model in the API's JSON: camelCase names, times as text, absent fields left out. `json.dumps` takes it.

        json.dumps(to_dict(appointment))

    With `complete`, absent fields are null, or empty lists. So all models of a class have the same names, as tables need.

    Raises `TypeError` for anything but a model.
    """
    if not attrs.has(type(model)):
        raise TypeError(f"a model is needed, not {kind_of(model)}")
    converter = _complete_converter() if complete else _fast_converter()
    result: dict[str, Any] = converter.unstructure(model)
    return result


def from_dict(cls: type[T], data: Mapping[str, object]) -> T:
    """Return a model from the API's own JSON, that of a webhook or a stored one for example: the reverse of `to_dict`.

        appointment = from_dict(Appointment, json.loads(text))

    Unknown fields are dropped, and unknown enum values are kept. Raises `ValueError`, which names the place, if `data` is
    not such a model.
    """
    if not isinstance(data, Mapping):  # pyright: ignore[reportUnnecessaryIsInstance] # JSON may be anything
        raise ValueError(f"no {_name(cls)}: expected an object")  # noqa: TRY004 # the value is at fault, not the program
    with suppress(Exception):  # the detailed converter reports what is wrong
        return _fast_converter().structure(dict(data), cls)
    try:
        return _detailed_converter().structure(dict(data), cls)
    except Exception as error:  # noqa: BLE001 # the error describes the value without quoting it
        from cattrs import transform_error

        problems = transform_error(error, format_exception=_describe)
        more = len(problems) - MAX_PROBLEMS
        problem = camelize_names("; ".join(problems[:MAX_PROBLEMS]) + (f"; and {more} more" if more > 0 else ""))
    raise ValueError(f"no {_name(cls)}: {problem}")


def decode(cls: type[T], content: bytes, otherwise: Callable[[type[T], Any], T] = from_dict) -> T:
    """Return the `cls` of a response body (deserialization). Raises `ValueError`, which names the place, if there is none.

    `otherwise` returns it from JSON that is no complete `cls`, or raises.
    """
    if (value := parse_with_orjson(content)) is not None:
        with suppress(Exception):  # the standard library decides: orjson reads long integers as floats
            return _fast_converter().structure(value, cls)
    value = parse_json(content)
    with suppress(Exception):
        return _fast_converter().structure(value, cls)
    return otherwise(cls, value)


def encode(body: object) -> bytes:
    """Return a request body as JSON, without fields that only the service sets.

    `body` is a model, or a dict with the names of a model's fields.
    """
    if isinstance(body, dict):
        body = {to_camel(name): value for name, value in cast("dict[str, object]", body).items()}
    return dumps(_without_self_uris(_fast_converter().unstructure(body)))


def _without_self_uris(value: object) -> object:
    """References that were read from the service have a `selfUri`, which the service does not accept in a request."""
    match value:
        case dict():
            items = cast("dict[str, object]", value).items()
            return {key: _without_self_uris(inner) for key, inner in items if key != "selfUri"}
        case list() | tuple():
            return [_without_self_uris(inner) for inner in cast("Sequence[object]", value)]
        case _:
            return value


@cache
def _fast_converter() -> "FastConverter":
    from .converter import FastConverter  # the first response imports cattrs

    return FastConverter()


@cache
def _complete_converter() -> "FastConverter":
    from .converter import FastConverter

    return FastConverter(omits_absent=False)


@cache
def _detailed_converter() -> "DetailedConverter":
    from .converter import DetailedConverter

    return DetailedConverter()


def _name(cls: Any) -> str:
    if isinstance(cls, type):
        return cls.__name__
    return str(cls).replace(f"{Appointment.__module__}.", "").replace(str(dict[str, Any]), "object")


def _describe(error: BaseException, cls: type | None) -> str:
    return "required field missing" if isinstance(error, KeyError) else f"expected {_name(cls)}"
