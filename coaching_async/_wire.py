"""Between the API's camelCase JSON and the models."""

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from contextvars import ContextVar
from functools import cache
from typing import TYPE_CHECKING, Any, Final, TypeVar, cast, get_origin

import attrs
from anyio import current_effective_deadline, current_time, sleep_forever
from anyio.lowlevel import checkpoint

from ._json import LONG, dumps, parse
from ._names import camel, camel_in, wire_name
from ._structure import SLICE
from .models import Appointment

if TYPE_CHECKING:
    from cattrs import Converter

__all__ = ["decode", "encode", "from_dict", "to_dict"]

T = TypeVar("T")


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

        problem = camel_in("; ".join(transform_error(error, format_exception=_describe)))
    raise ValueError(f"no {_name(cls)}: {problem}")


async def decode(cls: type[T], content: bytes) -> T:
    """The `cls` that a body speaks of; long lists in it are made in slices, so that others have their turn meanwhile.

    Raises `ValueError` where it is no such thing.
    """
    value = await parse(content)
    lists = _long_lists(cls, value)
    rest = value | {wire: [] for wire in lists.values()} if lists else value
    model = await _made(cls, rest)
    for name, wire in lists.items():
        made: list[object] = []
        items: list[object] = value[wire]
        for start in range(0, len(items), SLICE):
            await checkpoint()
            try:
                part = await _made(cls, rest | {wire: items[start : start + SLICE]})
            except ValueError:
                return await _made(cls, value)  # fails too, and knows the place
            made += getattr(part, name)
        model = attrs.evolve(cast("Any", model), **{name: tuple(made)})
    if len(content) > LONG:
        await checkpoint()  # reading it took a while: is there still time?
    return model


_deadline: Final = ContextVar("deadline", default=math.inf)


async def _made(cls: type[T], value: Any) -> T:
    """A `cls`, unless making it takes longer than there is time: lists inside it may be long, too."""
    deadline = current_effective_deadline()
    token = _deadline.set(deadline)
    try:
        return from_dict(cls, value)
    except ValueError:
        if current_time() >= deadline:
            await sleep_forever()  # not for long: a deadline that has passed cancels in a moment
        raise
    finally:
        _deadline.reset(token)


def _while_there_is_time(items: list[object]) -> Iterator[object]:
    for start in range(0, len(items), SLICE):
        if (deadline := _deadline.get()) < math.inf and current_time() >= deadline:
            raise TimeoutError
        yield from items[start : start + SLICE]


def _long_lists(cls: Any, value: object) -> dict[str, str]:
    """Those that a model would have: the names of its fields, and their names in JSON."""
    if not isinstance(value, dict):
        return {}
    given = cast("dict[str, object]", value)
    return {
        name: wire
        for name, wire in _wire_names(cls)
        if isinstance(items := given.get(wire), list) and len(cast("list[object]", items)) > SLICE
    }


@cache
def _wire_names(cls: Any) -> tuple[tuple[str, str], ...]:
    fields: tuple[attrs.Attribute[Any], ...] = attrs.fields(get_origin(cls) or cls)
    return tuple((field.name, wire_name(field)) for field in fields)


def encode(body: object) -> bytes:
    """A request body as JSON, without what only the service sets. `body` is a model, or a dict of fields by our names."""
    if isinstance(body, dict):
        body = {camel(name): value for name, value in cast("dict[str, object]", body).items()}
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
    from ._converter import make_converter

    return make_converter(_while_there_is_time, is_detailed=is_detailed)


def _name(cls: Any) -> str:
    return cls.__name__ if isinstance(cls, type) else str(cls).replace(f"{Appointment.__module__}.", "")


def _describe(error: BaseException, cls: type | None) -> str:
    return "required field missing" if isinstance(error, KeyError) else f"expected {_name(cls)}"
