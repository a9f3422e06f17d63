"""Model factory for tests: values by rule."""

import types
import uuid
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime, timedelta
from enum import Enum
from typing import Any, Final, TypeVar, Union, cast, get_args, get_origin

import attrs

from coaching_async import UNSET, Interval, Unset

__all__ = ["build"]

T = TypeVar("T")

START: Final = datetime(2030, 1, 7, 9, tzinfo=UTC)
"""A Monday in the future."""


def build(model: type[T], nth: int = 1, /, **changes: object) -> T:
    """Return a model with a value in every field that the service may send, and `changes`. It is deterministic.

        build(Appointment, name="Call opening")
        notes = [build(Annotation, n) for n in (1, 2, 3)]
        build(Page, entities=tuple(notes))

    Ids, texts and times depend on `nth`; an appointment has the id of its reference. Times are aware, and in the future.
    Optional fields of a request are left out.

    Raises: `TypeError` for a class that is no model, for an unknown field, and for a field without a type of its own, such
    as the entities of a page, if it is not in `changes`; `ValueError` for an invalid value.
    """
    if not attrs.has(model):
        raise TypeError(f"a model is needed, not {model!r}")
    return cast("T", _model(model, nth, changes, ()))


def _model(model: Any, nth: int, changes: Mapping[str, object], parents: tuple[type, ...]) -> object:
    fields: tuple[attrs.Attribute[Any], ...] = attrs.fields(attrs.resolve_types(model))
    values = {
        field.name: _value(field.type, field.name, nth, (*parents, model))
        for field in fields
        if field.name not in changes and field.default is not UNSET
    }
    return model(**values, **changes)


def _value(annotation: Any, name: str, nth: int, parents: tuple[type, ...]) -> object:
    if get_origin(annotation) in {Union, types.UnionType}:
        present = [arg for arg in get_args(annotation) if arg not in {type(None), Unset}]
        return _value(present[0], name, nth, parents)
    if get_origin(annotation) is tuple:
        inner = get_args(annotation)[0]
        return () if inner in parents else (_value(inner, name, nth, parents),)
    if get_origin(annotation) is Mapping:
        return {}
    if _is_enum(annotation):
        return next(iter(annotation))
    if annotation in SIMPLE:
        return SIMPLE[annotation](name, nth)
    if annotation is str:
        return _text(name, nth, parents[-1])
    if not attrs.has(annotation):
        raise TypeError(f"{name} cannot be made up: give it")
    return _model(annotation, nth, {}, parents)


def _is_enum(annotation: Any) -> bool:
    return isinstance(annotation, type) and issubclass(annotation, Enum)


def _time(nth: int) -> datetime:
    return START + timedelta(weeks=nth - 1)


SIMPLE: Final[Mapping[Any, Callable[[str, int], object]]] = {
    bool: lambda _, __: False,
    int: lambda name, _: 30 if "minutes" in name else 1,
    float: lambda _, __: 1.0,
    date: lambda _, nth: _time(nth).date(),
    datetime: lambda _, nth: _time(nth),
    Interval: lambda _, nth: Interval(_time(nth), _time(nth) + timedelta(days=1)),
}


def _text(name: str, nth: int, model: type) -> str:
    what = model.__name__.removesuffix("Reference") if name in {"id", "self_uri"} else name
    if name == "id" or name.endswith(("_id", "_ids")):
        return str(uuid.uuid5(uuid.NAMESPACE_OID, f"{what} {nth}"))
    if name.endswith(("_uri", "_links")):
        return f"https://example.com/{what}/{nth}"
    return f"{name} {nth}"
