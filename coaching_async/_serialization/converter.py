"""What JSON means, as hooks of a cattrs converter: each type's rule, said once."""

import math
from collections.abc import Callable
from datetime import date, datetime
from typing import Any, NoReturn, TypeVar, Union, cast, get_args, get_origin

import attrs
from cattrs import Converter
from cattrs.cols import homogenous_tuple_structure_factory
from cattrs.gen import make_dict_structure_fn, make_dict_unstructure_fn, override

from coaching_async.models.appointments import Appointment
from coaching_async.models.common import AppointmentReference
from coaching_async.models.types import Interval, OpenEnum, Unset, format_interval, format_timestamp

from .codegen import Hook, generate_structure_fn, is_absent_when_null
from .names import wire_name
from .urls import DOT_SEGMENTS

__all__ = ["make_converter"]

T = TypeVar("T")


def make_converter(*, is_detailed: bool = False) -> Converter:
    """A converter between JSON and models. One that `is_detailed` tells where something is wrong, and takes thrice as long."""
    converter = Converter()

    def own_hook(field: "attrs.Attribute[Any]") -> Hook | None:
        return _structure_id if field.name == "id" else None

    def absent_or(field: "attrs.Attribute[Any]") -> Hook | None:
        if field.default is not None and is_absent_when_null(field):
            return lambda value, cls: field.default if value is None else converter.structure(value, cls)
        return own_hook(field)

    def settable(cls: Any) -> Hook:
        present: Any = Union[tuple(each for each in get_args(cls) if each is not Unset)]  # noqa: UP007 # built at run time
        return lambda value, _: converter.structure(value, present)

    def model(cls: Any) -> Hook:
        return generate_structure_fn(cls, converter, own_hook) if _is_ours(cls) else model_in_detail(cls)

    def model_in_detail(cls: Any) -> Hook:
        structure = make_dict_structure_fn(cls, converter, **_overrides(cls, absent_or))
        return lambda value, _: structure(_structure_object(value, None), cls)

    def tuple_of(cls: Any) -> Hook:
        of = get_args(cls)[0]
        make = converter.get_structure_hook(of)

        def hook(value: list[object], _: Any) -> tuple[Any, ...]:
            if type(value) is not list:
                raise TypeError("list")
            return tuple([make(each, of) for each in value])

        return hook

    def tuple_in_detail(cls: Any) -> Hook:
        make = homogenous_tuple_structure_factory(cls, converter)
        return lambda value, _: make(_structure_list(value, None), cls)

    def model_out(cls: Any) -> Callable[[Any], dict[str, Any]]:
        # What equals its default is left out: UNSET in requests, None in what was read.
        return make_dict_unstructure_fn(cls, converter, _cattrs_omit_if_default=True, **_overrides(cls))

    def appointment_or_reference(value: object, _: Any) -> Appointment | AppointmentReference | None:
        if value is None:
            return None
        whole = any(
            inner is not None for name, inner in _structure_object(value, None).items() if name not in {"id", "selfUri"}
        )
        cls: type[Appointment | AppointmentReference] = Appointment if whole else AppointmentReference
        return converter.structure(value, cls)

    for scalar in (str, int, bool):
        converter.register_structure_hook(scalar, _exact_type(scalar))
    converter.register_structure_hook(float, _structure_float)
    converter.register_structure_hook(datetime, _structure_datetime)
    converter.register_structure_hook(date, lambda value, _: date.fromisoformat(_structure_str(value, None)))
    converter.register_structure_hook(Interval, lambda value, _: Interval.parse(_structure_str(value, None)))
    converter.register_structure_hook(OpenEnum, _structure_enum)
    converter.register_structure_hook_func(
        lambda cls: cls == (Appointment | AppointmentReference | None), appointment_or_reference
    )
    converter.register_structure_hook_factory(lambda cls: Unset in get_args(cls), settable)
    converter.register_structure_hook_factory(_is_model, model_in_detail if is_detailed else model)
    converter.register_structure_hook_factory(_is_tuple, tuple_in_detail if is_detailed else tuple_of)
    converter.register_unstructure_hook_factory(_is_model, model_out)
    converter.register_unstructure_hook(OpenEnum, lambda value: value.value)
    converter.register_unstructure_hook(datetime, format_timestamp)
    converter.register_unstructure_hook(date, date.isoformat)
    converter.register_unstructure_hook(Interval, format_interval)
    return converter


def _exact_type(cls: type[T]) -> Callable[[Any, object], T]:
    """A value of another type is an error, not something to convert: "3" is no number of minutes, nor is True."""
    exact = get_origin(cls) or cls

    def check(value: T, _: object) -> T:
        if type(value) is not exact:
            raise TypeError(exact.__name__)
        return value

    return check


_structure_str, _structure_object, _structure_list = (
    _exact_type(str),
    _exact_type(dict[str, object]),
    _exact_type(list[object]),
)


def _structure_id(value: object, _: object) -> str:
    id_ = _structure_str(value, None)
    return _reject() if id_ in DOT_SEGMENTS else id_  # it would point to something else


def _structure_datetime(value: object, _: object) -> datetime:
    moment = datetime.fromisoformat(_structure_str(value, None))
    return moment if moment.tzinfo is not None else _reject()


def _structure_float(value: object, _: object) -> float:
    """JSON has one kind of number, so 1 is as good as 1.0; 1e999 is none."""
    if type(value) not in {int, float}:
        raise TypeError("float")
    number = float(cast("float", value))
    return number if math.isfinite(number) else _reject()


def _structure_enum(value: object, cls: type[OpenEnum]) -> OpenEnum:
    return cls(_structure_str(value, None))


def _reject() -> NoReturn:
    raise ValueError


def _is_model(cls: Any) -> bool:
    return attrs.has(get_origin(cls) or cls)


def _is_ours(cls: Any) -> bool:
    """What a program derives from a model may have an `__init__` of its own, and defaults of any kind."""
    module: str = (get_origin(cls) or cls).__module__
    return module.partition(".")[0] == "coaching_async"


def _is_tuple(cls: Any) -> bool:
    return get_origin(cls) is tuple


def _overrides(cls: Any, hook: Callable[["attrs.Attribute[Any]"], Hook | None] = lambda _: None) -> dict[str, Any]:
    """How cattrs is told what fields are called, and which of them have hooks of their own."""
    fields: tuple[attrs.Attribute[Any], ...] = attrs.fields(get_origin(cls) or cls)
    return {field.name: override(rename=wire_name(field), struct_hook=hook(field)) for field in fields}
