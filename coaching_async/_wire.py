"""Between the API's camelCase JSON and the models: one converter, by rule.

No field is named twice: `date_start` travels as `dateStart` because every field does. What the service spells otherwise
says so at its field, in `metadata["wire"]`.
"""

import math
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextvars import ContextVar
from datetime import date, datetime
from functools import cache
from typing import Any, Final, NoReturn, TypeAlias, TypeVar, Union, cast, get_args, get_origin

import attrs
from anyio import current_effective_deadline, current_time, sleep_forever
from anyio.lowlevel import checkpoint
from cattrs import Converter, transform_error
from cattrs.cols import homogenous_tuple_structure_factory
from cattrs.gen import make_dict_structure_fn, make_dict_unstructure_fn, override

from ._convert import EMPTY
from ._json import LONG, dumps, parse
from ._types import Interval, OpenEnum, Unset, aware, timestamp
from .models import Appointment, AppointmentReference

__all__ = [
    "FOLDED",
    "camel",
    "decode",
    "encode",
    "from_dict",
    "interval",
    "to_dict",
    "wire_name",
]

T = TypeVar("T")
Hook: TypeAlias = Callable[[object, Any], Any]

FOLDED: Final = frozenset({"", ".", ".."})
"""No ids: HTTP clients fold these path segments away, and the request would go to another resource."""


def to_dict(model: object) -> dict[str, Any]:
    """A model as the API writes it: camelCase names, times as text, what is absent left out; ready for `json.dumps`."""
    if not attrs.has(type(model)):
        raise TypeError(f"a model is needed, not {type(model).__name__}")
    result: dict[str, Any] = _converter.unstructure(model)
    return result


def from_dict(cls: type[T], data: Mapping[str, object]) -> T:
    """A model from the API's own JSON, a webhook's or a stored one: the reverse of `to_dict`.

    Unknown fields are dropped, unknown enum values kept. Raises `ValueError`, which names the place, where `data` is
    no such model.
    """
    if not isinstance(data, Mapping):  # pyright: ignore[reportUnnecessaryIsInstance] # JSON may be anything
        raise ValueError(f"no {_name(cls)}: expected an object")  # noqa: TRY004 # it is about the value that came
    try:
        return _converter.structure(dict(data), cls)
    except Exception as error:  # noqa: BLE001 # a converter may meet anything; what it met is told, not shown
        problem = camel("; ".join(transform_error(error, format_exception=_describe)))
    raise ValueError(f"no {_name(cls)}: {problem}")


async def decode(cls: type[T], content: bytes) -> T:
    """The `cls` that a body speaks of; long lists in it are made in slices, so that others have their turn meanwhile.

    Raises `ValueError` where it is no such thing.
    """
    value = await parse(content)
    lists = _long_lists(cls, value)
    rest = value | {camel(name): [] for name in lists} if lists else value
    model = await _made(cls, rest)
    for name, items in lists.items():
        made: list[object] = []
        for start in range(0, len(items), SLICE):
            await checkpoint()
            try:
                part = await _made(cls, rest | {camel(name): items[start : start + SLICE]})
            except ValueError:
                return await _made(cls, value)  # fails too, and knows the place
            made += getattr(part, name)
        model = attrs.evolve(cast("Any", model), **{name: tuple(made)})
    if len(content) > LONG:
        await checkpoint()  # reading it took a while: is there still time?
    return model


SLICE: Final = 100
"""Items made at a stretch: some two milliseconds."""

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


def _long_lists(cls: type[object], value: object) -> dict[str, list[object]]:
    """Those that a model would have, by the names of its fields."""
    if not isinstance(value, dict):
        return {}
    given = cast("dict[str, object]", value)
    model: Any = get_origin(cls) or cls
    return {
        field.name: cast("list[object]", items)
        for field in cast("tuple[attrs.Attribute[Any], ...]", attrs.fields(model))
        if isinstance(items := given.get(camel(field.name)), list) and len(cast("list[object]", items)) > SLICE
    }


def encode(body: object) -> bytes:
    """A request body as JSON, without what only the service sets. `body` is a model, or a dict of fields by our names."""
    if isinstance(body, dict):
        body = {camel(name): value for name, value in cast("dict[str, object]", body).items()}
    return dumps(_writable(_converter.unstructure(body)))


def interval(span: Interval) -> str:
    """`start/end` in UTC."""
    return f"{timestamp(span.start)}/{timestamp(span.end)}"


@cache
def camel(name: str) -> str:
    """`length_in_minutes` → `lengthInMinutes`."""
    return re.sub(r"_([a-z])", lambda match: match[1].upper(), name)


def wire_name(field: "attrs.Attribute[Any]") -> str:
    """A field's name in JSON."""
    name: str = field.metadata.get("wire") or camel(field.name)
    return name


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


def _refuse() -> NoReturn:
    raise ValueError


def _name(cls: Any) -> str:
    return cls.__name__ if isinstance(cls, type) else str(cls).replace(f"{Appointment.__module__}.", "")


def _describe(error: BaseException, cls: type | None) -> str:
    return "required field missing" if isinstance(error, KeyError) else f"expected {_name(cls)}"


def _exactly(cls: type[T]) -> Callable[[object], T]:
    """A value of another type is an error, not something to convert: "3" is no number of minutes, nor is True."""
    exact = get_origin(cls) or cls

    def check(value: object) -> T:
        if type(value) is not exact:
            raise TypeError(exact.__name__)
        return cast("T", value)

    return check


def _a_number(value: object) -> float:
    """JSON has one kind of number, so 1 is as good as 1.0; 1e999 is none."""
    if type(value) not in {int, float}:
        raise TypeError("float")
    number = float(cast("float", value))
    return number if math.isfinite(number) else _refuse()


def _is_model(cls: Any) -> bool:
    return attrs.has(get_origin(cls) or cls)


def _is_tuple(cls: Any) -> bool:
    return get_origin(cls) is tuple


def _make_converter() -> Converter:
    converter = Converter()
    a_str, an_object, a_list = _exactly(str), _exactly(dict[str, object]), _exactly(list[object])

    def overrides(cls: Any) -> dict[str, Any]:
        fields: tuple[attrs.Attribute[Any], ...] = attrs.fields(get_origin(cls) or cls)
        return {field.name: override(rename=wire_name(field), struct_hook=exception(field)) for field in fields}

    def exception(field: "attrs.Attribute[Any]") -> Hook | None:
        if field.name == "id":
            return lambda value, _: _refuse() if a_str(value) in FOLDED else value  # it would point to something else
        if field.default in ((), EMPTY):
            return lambda value, cls: field.default if value is None else converter.structure(value, cls)
        return None

    def settable(cls: Any) -> Hook:
        present: Any = Union[tuple(each for each in get_args(cls) if each is not Unset)]  # noqa: UP007 # built at run time
        return lambda value, _: converter.structure(value, present)

    def model(cls: Any) -> Hook:
        structure = make_dict_structure_fn(cls, converter, **overrides(cls))
        return lambda value, _: structure(an_object(value), cls)

    def tuple_of(cls: Any, converter: Converter) -> Hook:
        structure = homogenous_tuple_structure_factory(cls, converter)

        def hook(value: object, _: Any) -> tuple[Any, ...]:
            items = a_list(value)
            made: tuple[Any, ...] = structure(items if len(items) <= SLICE else _while_there_is_time(items), cls)
            return made

        return hook

    def model_out(cls: Any) -> Callable[[Any], dict[str, Any]]:
        # What equals its default is left out: UNSET in requests, None in what was read.
        return make_dict_unstructure_fn(cls, converter, _cattrs_omit_if_default=True, **overrides(cls))

    def appointment_or_reference(value: object, _: Any) -> Appointment | AppointmentReference | None:
        if value is None:
            return None
        whole = any(inner is not None for name, inner in an_object(value).items() if name not in {"id", "selfUri"})
        cls: type[Appointment | AppointmentReference] = Appointment if whole else AppointmentReference
        return converter.structure(value, cls)

    for scalar, exactly in ((str, a_str), (int, _exactly(int)), (bool, _exactly(bool))):
        converter.register_structure_hook(scalar, lambda value, _, exactly=exactly: exactly(value))
    converter.register_structure_hook(float, lambda value, _: _a_number(value))
    converter.register_structure_hook(datetime, lambda value, _: aware(datetime.fromisoformat(a_str(value))))
    converter.register_structure_hook(date, lambda value, _: date.fromisoformat(a_str(value)))
    converter.register_structure_hook(Interval, lambda value, _: Interval.parse(a_str(value)))
    converter.register_structure_hook(OpenEnum, lambda value, cls: cls(a_str(value)))
    converter.register_structure_hook_func(
        lambda cls: cls == (Appointment | AppointmentReference | None), appointment_or_reference
    )
    converter.register_structure_hook_factory(lambda cls: Unset in get_args(cls), settable)
    converter.register_structure_hook_factory(_is_model, model)
    converter.register_structure_hook_factory(_is_tuple, tuple_of)
    converter.register_unstructure_hook_factory(_is_model, model_out)
    converter.register_unstructure_hook(OpenEnum, lambda value: value.value)
    converter.register_unstructure_hook(datetime, timestamp)
    converter.register_unstructure_hook(date, date.isoformat)
    converter.register_unstructure_hook(Interval, interval)
    return converter


_converter: Final = _make_converter()
