"""Arguments of a wrong kind: what they are instead, checks that return the argument, and validators for attrs classes."""

import builtins
import inspect
import os
from collections.abc import AsyncIterable, Awaitable, Callable, Iterable
from datetime import tzinfo
from os import PathLike
from typing import Any, TypeAlias, TypeVar, cast
from uuid import UUID

import attrs

__all__ = [
    "checked_awaitable",
    "checked_count",
    "checked_flag",
    "checked_instance",
    "checked_path",
    "checked_several",
    "checked_zone",
    "has_async_methods",
    "kind_of",
    "number_of_seconds",
    "require_several",
    "several_ids",
    "true_or_false",
    "whole_number",
]

T = TypeVar("T")

Validator: TypeAlias = "Callable[[object, attrs.Attribute[Any], Any], None]"


def has_async_methods(value: object, *names: str) -> bool:
    """Return whether a value is an object, not a class, with async methods of these names. They may be decorated."""
    return not isinstance(value, type) and all(_is_async(getattr(value, name, None)) for name in names)


def _is_async(function: object) -> bool:
    candidates = (function, *(getattr(function, name, None) for name in ("__wrapped__", "__call__")))
    return any(map(inspect.iscoroutinefunction, candidates))


def kind_of(value: object) -> str:
    """Return what a value is, and not the value, which may be a secret: "int", "numpy.bool", "the class RateLimit", "None"."""
    if value is None:
        return "None"
    if isinstance(value, type):
        return f"the class {value.__name__}"
    kind = type(value)
    is_mistakable = hasattr(builtins, kind.__name__) and kind.__module__ != "builtins"
    return f"{kind.__module__}.{kind.__name__}" if is_mistakable else kind.__name__


def checked_instance(name: str, value: T, kind: type[T]) -> T:
    """Return an argument. Raise `TypeError` unless it is of this class."""
    if not isinstance(value, kind):
        of, found, hint = kind.__name__, kind_of(value), ""
        if isinstance(value, dict) and attrs.has(kind):
            hint = f": {of}(**fields) makes one, or from_dict({of}, fields) if the fields have their names in the API"
        raise TypeError(f"{name} is {'an' if of[0] in 'AEIOaeio' else 'a'} {of}, not {found}{hint}")
    return value


def checked_several(name: str, values: Iterable[T], kind: type[T]) -> tuple[T, ...]:
    """Return several arguments. Raise `TypeError` unless they are iterable, and each of this class."""
    if not isinstance(values, Iterable):  # pyright: ignore[reportUnnecessaryIsInstance] # callers without a type checker
        raise TypeError(f"{name} is a list of {kind.__name__} objects, or another iterable, not {kind_of(values)}")
    return tuple(checked_instance(f"each of {name}", value, kind) for value in values)


def require_several(values: object, what_one_is: str) -> None:
    """Raise `TypeError` for a single object, of which the `id` may be wanted. A list of the service says itself how it is read."""
    if not isinstance(values, Iterable | AsyncIterable):
        hint = ": give its `id`" if hasattr(values, "id") else ""
        raise TypeError(f"{what_one_is}, and several are a list of them, not {kind_of(values)}{hint}")


def several_ids(ids: "Iterable[str | UUID] | str | UUID") -> "tuple[str | UUID, ...]":
    """Return ids as a tuple: a single one, or several. Raise `TypeError` if there is nothing to iterate over."""
    if isinstance(ids, str | UUID):
        return (ids,)
    require_several(ids, "an id is a str or a UUID")
    return tuple(ids)


def checked_path(name: str, path: str | PathLike[str]) -> str:
    """Return an argument as a text. Raise `TypeError` unless it is a path."""
    text = cast("object", os.fspath(path) if isinstance(path, PathLike) else path)
    if not isinstance(text, str):
        raise TypeError(f"{name} is a str or a pathlib.Path, not {kind_of(path)}")
    return text


def checked_zone(tz: tzinfo) -> tzinfo:
    """Return the argument `tz`. Raise `TypeError` unless it is a time zone."""
    if not isinstance(tz, tzinfo):  # pyright: ignore[reportUnnecessaryIsInstance] # callers without a type checker
        raise TypeError(f'tz is a tzinfo, for example zoneinfo.ZoneInfo("Europe/Berlin"), not {kind_of(tz)}')
    return tz


def checked_flag(name: str, flag: bool) -> bool:
    """Return an argument. Raise `TypeError` unless it is True or False."""
    if not isinstance(flag, bool):  # pyright: ignore[reportUnnecessaryIsInstance] # callers without a type checker
        raise TypeError(f"{name} is True or False, not {kind_of(flag)}")
    return flag


def checked_count(name: str, number: int, *, at_least: int = 1, error: type[ValueError] = ValueError) -> int:
    """Return an argument. Raise `error` unless it is a whole number that is not too low."""
    is_whole = isinstance(number, int) and not isinstance(number, bool)  # pyright: ignore[reportUnnecessaryIsInstance] # as above
    if not is_whole or number < at_least:
        raise error(f"{name} is a whole number, at least {at_least}, not {number if is_whole else kind_of(number)}")
    return number


def checked_awaitable(name: str, returned: Awaitable[T]) -> Awaitable[T]:
    """Return what a function of the user returned. Raise `TypeError` if it is not async."""
    if not inspect.isawaitable(returned):
        hint = ": its `collect()` can be awaited" if hasattr(returned, "collect") else ""
        raise TypeError(f"{name} is an async function, and not one that returns {kind_of(returned)}{hint}")
    return returned


def whole_number(*, at_least: int) -> Validator:
    """Return a validator that raises `TypeError` for what is no int, and `ValueError` for one that is too low."""
    return _validator((int,), lambda value: value >= at_least, f"a whole number, at least {at_least}")


def number_of_seconds(*, is_zero_allowed: bool) -> Validator:
    """Return a validator that raises `TypeError` for what is no number, and `ValueError` for NaN and for one that is too low."""
    if is_zero_allowed:
        return _validator((int, float), lambda value: value >= 0, "a number of seconds, at least 0")
    return _validator((int, float), lambda value: value > 0, "a number of seconds above 0")


def true_or_false(_: object, attribute: "attrs.Attribute[bool]", value: bool) -> None:
    """Raise `TypeError` unless a field of an attrs class is True or False."""
    checked_flag(attribute.name, value)


def _validator(kinds: tuple[type, ...], is_right: Callable[[Any], bool], expected: str) -> Validator:
    def validate(_: object, attribute: "attrs.Attribute[Any]", value: Any) -> None:
        if not isinstance(value, kinds) or isinstance(value, bool):
            raise TypeError(f"{attribute.name} is {expected}, not {kind_of(value)}")
        if not is_right(value):
            raise ValueError(f"{attribute.name} is {expected}, not {value}")

    return validate
