"""Arguments of a wrong kind: what they are instead, objects with async methods, and validators of numbers for attrs classes."""

import inspect
from collections.abc import Callable
from typing import Any, TypeAlias

import attrs

__all__ = ["has_async_methods", "kind_of", "number_of_seconds", "true_or_false", "whole_number"]

Validator: TypeAlias = "Callable[[object, attrs.Attribute[Any], Any], None]"


def has_async_methods(value: object, *names: str) -> bool:
    """Return whether a value is an object, not a class, with async methods of these names."""
    return not isinstance(value, type) and all(
        inspect.iscoroutinefunction(getattr(value, name, None)) for name in names
    )


def kind_of(value: object) -> str:
    """Return what a value is, without the value itself: it may be a secret. "an int", "the class RateLimit", "None"."""
    if value is None:
        return "None"
    if isinstance(value, type):
        return f"the class {value.__name__}"
    name = type(value).__name__
    return f"{'an' if name[0] in 'AEIOaeio' else 'a'} {name}"


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
    if not isinstance(value, bool):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise TypeError(f"{attribute.name} is True or False, not {kind_of(value)}")


def _validator(kinds: tuple[type, ...], is_right: Callable[[Any], bool], expected: str) -> Validator:
    def validate(_: object, attribute: "attrs.Attribute[Any]", value: Any) -> None:
        if not isinstance(value, kinds) or isinstance(value, bool):
            raise TypeError(f"{attribute.name} is {expected}, not {kind_of(value)}")
        if not is_right(value):
            raise ValueError(f"{attribute.name} is {expected}, not {value}")

    return validate
