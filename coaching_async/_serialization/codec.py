"""Between the API's camelCase JSON and the models."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import cache
from typing import TYPE_CHECKING, Any, TypeVar, cast

import attrs

from coaching_async.models.appointments import Appointment

from .json import dumps, parse_json, parse_with_orjson
from .names import camelize_names, to_camel

__all__ = ["decode", "encode", "from_dict", "to_dict"]

T = TypeVar("T")

if TYPE_CHECKING:
    from cattrs import Converter


def to_dict(model: object) -> dict[str, Any]:
    """A model as the API writes it: camelCase names, times as text, what is absent left out; ready for `json.dumps`."""
    if not attrs.has(type(model)):
        raise TypeError(f"a model is needed, not {type(model).__name__}")
    result: dict[str, Any] = _converter().unstructure(model)
    return result


def from_dict(cls: type[T], data: Mapping[str, object]) -> T:
    """A model from the API's own JSON, a webhook's or a stored one: the reverse of `to_dict`.

    Unknown fields are dropped, unknown enum values kept. Raises `ValueError`, which names the place, where `data` is
    no such model.
    """
    if not isinstance(data, Mapping):  # pyright: ignore[reportUnnecessaryIsInstance] # JSON may be anything
        raise ValueError(f"no {_name(cls)}: expected an object")  # noqa: TRY004 # it is about the value that came
    with suppress(Exception):  # a converter may meet anything
        return _converter().structure(dict(data), cls)
    try:
        return _converter(is_detailed=True).structure(dict(data), cls)
    except Exception as error:  # noqa: BLE001 # what it met is told, not shown
        from cattrs import transform_error

        problem = camelize_names("; ".join(transform_error(error, format_exception=_describe)))
    raise ValueError(f"no {_name(cls)}: {problem}")


def decode(cls: type[T], content: bytes) -> T:
    """Return the `cls` of a response body (deserialization). Raises `ValueError`, which names the place, if there is none."""
    if (value := parse_with_orjson(content)) is not None:
        with suppress(Exception):  # no such model, or an integer that orjson read as a float: the other parser tells
            return _converter().structure(value, cls)
    return from_dict(cls, parse_json(content))


def encode(body: object) -> bytes:
    """A request body as JSON, without what only the service sets. `body` is a model, or a dict of fields by our names."""
    if isinstance(body, dict):
        body = {to_camel(name): value for name, value in cast("dict[str, object]", body).items()}
    return dumps(_writable(_converter().unstructure(body)))


def _writable(value: object) -> object:
    """References read from the service carry their address, which it does not take back."""
    match value:
        case dict():
            items = cast("dict[str, object]", value).items()
            return {key: _writable(inner) for key, inner in items if key != "selfUri"}
        case list() | tuple():
            return [_writable(inner) for inner in cast("Sequence[object]", value)]
        case _:
            return value


@cache
def _converter(*, is_detailed: bool = False) -> "Converter":
    from .converter import make_converter

    return make_converter(is_detailed=is_detailed)


def _name(cls: Any) -> str:
    return cls.__name__ if isinstance(cls, type) else str(cls).replace(f"{Appointment.__module__}.", "")


def _describe(error: BaseException, cls: type | None) -> str:
    return "required field missing" if isinstance(error, KeyError) else f"expected {_name(cls)}"
