"""The cattrs hooks between JSON and models: one hook for each type, in a fast converter and a detailed one."""

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

__all__ = ["DetailedConverter", "FastConverter"]

T = TypeVar("T")


class ModelConverter(Converter):
    """The hooks that both converters have in common."""

    def __init__(self) -> None:
        super().__init__()
        for scalar in (str, int, bool):
            self.register_structure_hook(scalar, _exact_type(scalar))
        self.register_structure_hook(float, _structure_float)
        self.register_structure_hook(datetime, _structure_datetime)
        self.register_structure_hook(date, _structure_date)
        self.register_structure_hook(Interval, _structure_interval)
        self.register_structure_hook(OpenEnum, _structure_enum)
        self.register_structure_hook_func(_is_appointment_or_reference, self._structure_appointment_or_reference)
        self.register_structure_hook_factory(_is_settable, self._settable_hook)
        self.register_unstructure_hook_factory(_is_model, self._unstructure_model_hook)
        self.register_unstructure_hook(OpenEnum, lambda value: value.value)
        self.register_unstructure_hook(datetime, format_timestamp)
        self.register_unstructure_hook(date, date.isoformat)
        self.register_unstructure_hook(Interval, format_interval)

    def _structure_appointment_or_reference(self, value: object, _: Any) -> Appointment | AppointmentReference | None:
        if value is None:
            return None
        content = (inner for name, inner in _structure_object(value, None).items() if name not in {"id", "selfUri"})
        is_expanded = any(inner is not None for inner in content)
        cls: type[Appointment | AppointmentReference] = Appointment if is_expanded else AppointmentReference
        return self.structure(value, cls)

    def _settable_hook(self, cls: Any) -> Hook:
        present: Any = Union[tuple(of for of in get_args(cls) if of is not Unset)]  # noqa: UP007 # built at run time
        return lambda value, _: self.structure(value, present)

    def _unstructure_model_hook(self, cls: Any) -> Callable[[Any], dict[str, Any]]:
        # A value that equals its default is left out: UNSET in requests, None in what was read.
        return make_dict_unstructure_fn(cls, self, _cattrs_omit_if_default=True, **_overrides(cls))

    def _detailed_model_hook(self, cls: Any) -> Hook:
        def absent_or(field: "attrs.Attribute[Any]") -> Hook | None:
            if field.default is not None and is_absent_when_null(field):
                return lambda value, kind: field.default if value is None else self.structure(value, kind)
            return _id_hook(field)

        structure = make_dict_structure_fn(cls, self, **_overrides(cls, absent_or))
        return lambda value, _: structure(_structure_object(value, None), cls)


class FastConverter(ModelConverter):
    """Structures models with generated functions. It stops at the first wrong value, and does not say where that is."""

    def __init__(self) -> None:
        super().__init__()
        self.register_structure_hook_factory(_is_model, self._model_hook)
        self.register_structure_hook_factory(_is_tuple, self._tuple_hook)

    def _model_hook(self, cls: Any) -> Hook:
        return generate_structure_fn(cls, self, _id_hook) if _is_ours(cls) else self._detailed_model_hook(cls)

    def _tuple_hook(self, cls: Any) -> Hook:
        of = get_args(cls)[0]
        structure = self.get_structure_hook(of)

        def structure_tuple(value: list[object], _: Any) -> tuple[Any, ...]:
            if type(value) is not list:
                raise TypeError("list")
            return tuple([structure(item, of) for item in value])

        return structure_tuple


class DetailedConverter(ModelConverter):
    """Structures models in three times the time of `FastConverter`, and reports the place of each wrong value."""

    def __init__(self) -> None:
        super().__init__()
        self.register_structure_hook_factory(_is_model, self._detailed_model_hook)
        self.register_structure_hook_factory(_is_tuple, self._tuple_hook)

    def _tuple_hook(self, cls: Any) -> Hook:
        structure = homogenous_tuple_structure_factory(cls, self)
        return lambda value, _: structure(_structure_list(value, None), cls)


def _exact_type(cls: type[T]) -> Callable[[Any, object], T]:
    """Return a hook that rejects a value of another type instead of converting it: "3" is no number of minutes, nor is True."""
    exact = get_origin(cls) or cls

    def check(value: T, _: object) -> T:
        if type(value) is not exact:
            raise TypeError(exact.__name__)
        return value

    return check


_structure_str = _exact_type(str)
_structure_object = _exact_type(dict[str, object])
_structure_list = _exact_type(list[object])


def _id_hook(field: "attrs.Attribute[Any]") -> Hook | None:
    return _structure_id if field.name == "id" else None


def _structure_id(value: object, _: object) -> str:
    id_ = _structure_str(value, None)
    return _reject() if id_ in DOT_SEGMENTS else id_  # in a URL it would name another resource


def _structure_datetime(value: object, _: object) -> datetime:
    moment = datetime.fromisoformat(_structure_str(value, None))
    return moment if moment.tzinfo is not None else _reject()


def _structure_date(value: object, _: object) -> date:
    return date.fromisoformat(_structure_str(value, None))


def _structure_interval(value: object, _: object) -> Interval:
    return Interval.parse(_structure_str(value, None))


def _structure_float(value: object, _: object) -> float:
    """JSON has one kind of number, so 1 is as good as 1.0. A number beyond the range of floats, 1e999 say, is rejected."""
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
    """Whether the package defines the class. One that a program derives from a model may have an `__init__` of its own."""
    module: str = (get_origin(cls) or cls).__module__
    return module.partition(".")[0] == "coaching_async"


def _is_tuple(cls: Any) -> bool:
    return get_origin(cls) is tuple


def _is_settable(cls: Any) -> bool:
    return Unset in get_args(cls)


def _is_appointment_or_reference(cls: Any) -> bool:
    return bool(cls == (Appointment | AppointmentReference | None))


def _overrides(cls: Any, hook: Callable[["attrs.Attribute[Any]"], Hook | None] = lambda _: None) -> dict[str, Any]:
    """Return what cattrs has to know of each field: its name in JSON, and its own hook if it has one."""
    fields: tuple[attrs.Attribute[Any], ...] = attrs.fields(get_origin(cls) or cls)
    return {field.name: override(rename=wire_name(field), struct_hook=hook(field)) for field in fields}
