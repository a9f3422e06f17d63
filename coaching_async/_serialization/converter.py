"""The cattrs hooks between JSON and models: one hook for each type, in a fast converter and a detailed one."""

import math
from collections.abc import Callable
from datetime import date, datetime
from functools import cache
from typing import Any, Final, NoReturn, TypeVar, Union, cast, get_args, get_origin

import attrs
from cattrs import Converter
from cattrs.cols import homogenous_tuple_structure_factory
from cattrs.gen import make_dict_structure_fn, make_dict_unstructure_fn, override

from coaching_async.models.appointments import Appointment
from coaching_async.models.common import AppointmentReference, Page, Reference
from coaching_async.models.types import (
    UNSET,
    Interval,
    OpenEnum,
    Unset,
    format_interval,
    format_timestamp,
    parse_interval,
    parse_timestamp,
)

from .codegen import Hook, generate_structure_fn, is_absent_when_null, is_list_of_response, is_recursive
from .names import wire_name, with_entities
from .urls import DOT_SEGMENTS

__all__ = ["DetailedConverter", "FastConverter"]

T = TypeVar("T")


class ModelConverter(Converter):
    """The hooks that both converters have in common. With `omits_absent`, absent fields are left out of the JSON."""

    def __init__(self, *, omits_absent: bool = True) -> None:
        super().__init__()
        self._omits_absent = omits_absent
        for scalar in (str, bool):
            self.register_structure_hook(scalar, _exact_type(scalar))
        self.register_structure_hook(int, _structure_int)
        self.register_structure_hook(float, _structure_float)
        self.register_structure_hook(datetime, _structure_datetime)
        self.register_structure_hook(date, _structure_date)
        self.register_structure_hook(Interval, _structure_interval)
        self.register_structure_hook(OpenEnum, _structure_enum)
        self.register_structure_hook_func(_is_number_or_text, _structure_number_or_text)
        self.register_structure_hook_func(_is_optional_reference, self._structure_optional_reference)
        self.register_structure_hook_func(_is_appointment_or_reference, self._structure_appointment_or_reference)
        self.register_structure_hook_factory(_is_settable, self._settable_hook)
        self.register_unstructure_hook_factory(_is_model, self._unstructure_model_hook)
        self.register_unstructure_hook(OpenEnum, lambda value: value.value)
        self.register_unstructure_hook(datetime, format_timestamp)
        self.register_unstructure_hook(date, date.isoformat)
        self.register_unstructure_hook(Interval, format_interval)

    def _structure_optional_reference(self, value: object, kind: Any) -> Any:
        """A reference without an id refers to nothing: what it referred to was deleted."""
        if value is None or _structure_object(value, None).get("id") in (None, ""):
            return None
        return self.structure(value, _without_none(kind))

    def _structure_appointment_or_reference(self, value: object, _: Any) -> Appointment | AppointmentReference | None:
        if value is None:
            return None
        content = (inner for name, inner in _structure_object(value, None).items() if name not in {"id", "selfUri"})
        is_expanded = any(inner is not None for inner in content)
        kind: Any = Appointment if is_expanded else AppointmentReference | None
        return cast("Appointment | AppointmentReference | None", self.structure(value, kind))

    def _structure_present_items(self, value: object, kind: Any) -> tuple[Any, ...]:
        """A list of a response without its nulls and its references without an id."""
        optional: Any = get_args(kind)[0] | None
        items: tuple[Any, ...] = self.structure(value, tuple[optional, ...])
        return tuple(item for item in items if item is not None)

    def _settable_hook(self, cls: Any) -> Hook:
        present: Any = Union[tuple(of for of in get_args(cls) if of is not Unset)]  # noqa: UP007 # built at run time
        if type(None) not in get_args(cls):
            return lambda value, _: self.structure(value, present)
        present = _without_none(present)  # null clears the field, and a reference without an id has to be an error
        return lambda value, _: None if value is None else self.structure(value, present)

    def _unstructure_model_hook(self, cls: Any) -> Callable[[Any], dict[str, Any]]:
        # A value that equals its default is left out: UNSET in requests, None in what was read.
        return make_dict_unstructure_fn(cls, self, _cattrs_omit_if_default=self._omits_absent, **_overrides(cls))

    def _detailed_model_hook(self, cls: Any) -> Hook:
        def own_hook(field: "attrs.Attribute[Any]") -> Hook | None:
            if is_list_of_response(field):
                return lambda value, kind: () if value is None else self._structure_present_items(value, kind)
            if field.default is not None and is_absent_when_null(field):
                return lambda value, kind: field.default if value is None else self.structure(value, kind)
            return _id_hook(field)

        attrs.resolve_types(get_origin(cls) or cls)
        structure = make_dict_structure_fn(cls, self, **_overrides(cls, own_hook))
        return _page_hook(cls, lambda value, _: structure(_structure_object(value, None), cls))


class FastConverter(ModelConverter):
    """Structures models with generated functions. It stops at the first wrong value, and does not say where that is."""

    def __init__(self, *, omits_absent: bool = True) -> None:
        super().__init__(omits_absent=omits_absent)
        self.register_structure_hook_factory(_is_model, self._model_hook)
        self.register_structure_hook_factory(_is_tuple, self._tuple_hook)

    def _model_hook(self, cls: Any) -> Hook:
        if not _is_ours(cls) or is_recursive(cls):
            return self._detailed_model_hook(cls)
        detailed = cache(self._detailed_model_hook)  # made when it is needed first
        careful: Hook = lambda value, kind: detailed(cls)(value, kind)  # noqa: E731
        return _page_hook(cls, generate_structure_fn(cls, self, _id_hook, careful))

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
_structure_exact_int = _exact_type(int)
_structure_object = _exact_type(dict[str, object])
_structure_list = _exact_type(list[object])


def _id_hook(field: "attrs.Attribute[Any]") -> Hook | None:
    if field.name != "id":
        return None
    return _structure_optional_id if field.default is None else _structure_id


def _structure_optional_id(value: object, _: object) -> str | None:
    return None if value is None else _structure_id(value, None)


def _structure_id(value: object, _: object) -> str:
    id_ = _structure_str(value, None)
    return _reject() if id_ in DOT_SEGMENTS else id_  # in a URL it would name another resource


def _structure_datetime(value: object, _: object) -> datetime:
    return parse_timestamp(_structure_str(value, None))


def _structure_date(value: object, _: object) -> date:
    return date.fromisoformat(_structure_str(value, None))


def _structure_interval(value: object, _: object) -> Interval:
    return parse_interval(_structure_str(value, None))


def _structure_int(value: object, _: object) -> int:
    """JSON has one kind of number, so 30.0 is as good as 30. Beyond the integers that a float has exactly, it may be another one."""
    if isinstance(value, float) and value.is_integer() and abs(value) < EXACT_FLOATS:
        return int(value)
    return _structure_exact_int(cast("int", value), None)


EXACT_FLOATS: Final = 2.0**53


def _structure_number_or_text(value: object, _: object) -> int | str | None:
    return value if value is None or type(value) is str else _structure_int(value, None)


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


def _is_reference(cls: Any) -> bool:
    return isinstance(cls, type) and issubclass(cls, Reference)


def _is_number_or_text(cls: Any) -> bool:
    return bool(cls == (int | str | None))


def _is_optional_reference(cls: Any) -> bool:
    return type(None) in get_args(cls) and _is_reference(_without_none(cls))


def _without_none(kind: Any) -> Any:
    present = tuple(of for of in get_args(kind) if of is not type(None))
    return Union[present] if present else kind  # noqa: UP007 # built at run time


def _page_hook(cls: Any, structure: Hook) -> Hook:
    """Return a hook that reads a page without entities as an empty one, and notes the next one that it names.

    An object without any field of a page is no page.
    """
    if (get_origin(cls) or cls) is not Page:
        return structure

    def structure_page(value: Any, kind: Any) -> Any:
        if isinstance(value, dict):
            page = with_entities(cast("dict[str, object]", value))
            read = structure(page, kind)
            object.__setattr__(read, "next_uri", page.get("nextUri"))
            if (cursor := page.get("cursor")) and isinstance(cursor, str):
                object.__setattr__(read, "next_cursor", ("cursor", cursor))
            return read
        return structure(value, kind)

    return structure_page


def _is_tuple(cls: Any) -> bool:
    return get_origin(cls) is tuple


def _is_settable(cls: Any) -> bool:
    return Unset in get_args(cls)


def _is_appointment_or_reference(cls: Any) -> bool:
    return bool(cls == (Appointment | AppointmentReference | None))


def _overrides(cls: Any, hook: Callable[["attrs.Attribute[Any]"], Hook | None] = lambda _: None) -> dict[str, Any]:
    """Return what cattrs has to know of each field: its name in JSON, and its own hook if it has one."""
    fields: tuple[attrs.Attribute[Any], ...] = attrs.fields(get_origin(cls) or cls)
    return {
        field.name: override(
            rename=wire_name(field), struct_hook=hook(field), omit_if_default=True if field.default is UNSET else None
        )
        for field in fields
    }
