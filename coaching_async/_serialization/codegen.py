"""How a model is made of a JSON object: a function for each of our classes, written from its fields and compiled once.

What it does is what the converter's hooks say. It goes to them without detours: a value that is of the right type already
needs no hook, and a model that only keeps what it is given has its slots filled without its `__init__`, which takes twice as
long for a frozen class. The first thing that is wrong ends it; where that is, is found by who converts in detail.
"""

from collections.abc import Callable, Iterable
from datetime import datetime
from typing import Any, Final, Protocol, TypeAlias, TypeVar, get_args, get_origin

import attrs

from coaching_async.models.coercion import EMPTY_MAPPING
from coaching_async.models.types import OpenEnum

from .names import wire_name
from .urls import DOT_SEGMENTS

__all__ = ["Hook", "Hooks", "generate_structure_fn", "is_absent_when_null"]


Hook: TypeAlias = Callable[[Any, Any], Any]
"""Makes a value of a type from JSON. Raises any exception."""


class Hooks(Protocol):
    """As much of a converter as is used here."""

    def get_structure_hook(self, kind: Any, /) -> Hook: ...
    def structure(self, value: Any, kind: Any, /) -> Any: ...


EXACT_TYPES: Final = {str: "str", int: "int", bool: "bool"}
"""Types whose values are taken as they are."""


MAX_DOT_SEGMENT: Final = max(map(len, DOT_SEGMENTS))
"""Characters of a text that may be no id."""


FUNCTION_HEADER: Final = """\
def structure(value, _):
    if type(value) is not dict:
        raise TypeError
    get = value.get
"""


def is_absent_when_null(field: "attrs.Attribute[Any]") -> bool:
    """Whether null says the same as nothing: a list, a mapping, or what may be absent in an answer."""
    return field.default is None or field.default in ((), EMPTY_MAPPING)


def generate_structure_fn(cls: Any, hooks: Hooks, own_hook: Callable[["attrs.Attribute[Any]"], Hook | None]) -> Hook:
    """A hook that makes a `cls` of an object. `own_hook` is that of one field, where it has another than its type.

    A class has slots, no `__init__` of its own, and no default that is made anew each time: those of the package are such.
    """
    model: Any = get_origin(cls) or cls
    fields: tuple[attrs.Attribute[Any], ...] = attrs.fields(attrs.resolve_types(model))
    given = dict(zip(getattr(model, "__parameters__", ()), get_args(cls), strict=True))
    lines: list[str] = []
    names: dict[str, Any] = {"cls": model, "new": model.__new__, "moment": datetime.fromisoformat}
    for field in fields:
        kind = _without_none(field, _substituted(given, field.type))
        names[f"type_{field.name}"], names[f"default_{field.name}"] = kind, field.default
        names[f"hook_{field.name}"] = own_hook(field) or (
            hooks.structure if _mentions(kind, cls) else hooks.get_structure_hook(kind)  # itself is made when it is met
        )
        if _is_enum(kind):
            names[f"known_{field.name}"] = kind._value2member_map_.get
        lines += _field_lines(field, kind)
    if _has_plain_init(model, fields):
        names |= {f"set_{field.name}": getattr(model, field.name).__set__ for field in fields}
        lines += ["made = new(cls)", *(f"set_{field.name}(made, v_{field.name})" for field in fields), "return made"]
    else:
        lines.append(f"return cls({', '.join(f'{field.alias}=v_{field.name}' for field in fields)})")
    source = FUNCTION_HEADER + "".join(f"    {line}\n" for line in lines)
    exec(compile(source, f"<{__name__} of {cls}>", "exec"), names)  # noqa: S102 # as attrs and cattrs do
    made: Hook = names["structure"]
    return made


def _field_lines(field: "attrs.Attribute[Any]", kind: Any) -> Iterable[str]:
    """Reads one field."""
    name, wire = field.name, wire_name(field)
    value, default = f"v_{name}", f"default_{name}"
    made = _structure_expression(name, kind)
    read = f"{value} = {made}"
    unfit = f"type({value}) is not {EXACT_TYPES[kind]}" if kind in EXACT_TYPES else None
    if field.default is attrs.NOTHING:
        yield f"{value} = value[{wire!r}]"
        unsure = f" or len({value}) <= {MAX_DOT_SEGMENT}" if name == "id" else ""
        yield f"if {unfit}{unsure}: {read}" if unfit else read
    elif is_absent_when_null(field):
        yield f"{value} = get({wire!r})"
        if_unfit = f"if {unfit}: " if unfit else ""
        yield f"{if_unfit}{value} = {default} if {value} is None else {made}"
    else:
        yield f"{value} = get({wire!r}, {default})"
        yield f"if {value} is not {default}: {read}"


def _structure_expression(name: str, kind: Any) -> str:
    """An expression: what the hook makes of `v_name`. Most times and enum values need no more than one call of C code."""
    by_hook = f"hook_{name}(v_{name}, type_{name})"
    if _is_enum(kind):
        return f"type(v_{name}) is str and known_{name}(v_{name}) or {by_hook}"
    if kind is datetime:  # one without a time zone is for the hook to refuse
        return f"v_{name} if type(v_{name}) is str and (v_{name} := moment(v_{name})).tzinfo is not None else {by_hook}"
    return by_hook


def _without_none(field: "attrs.Attribute[Any]", kind: Any) -> Any:
    """The type of what is not null, where null is not for a hook to see."""
    present = [each for each in get_args(kind) if each is not type(None)]
    return present[0] if is_absent_when_null(field) and len(present) == 1 and type(None) in get_args(kind) else kind


def _substituted(given: dict[Any, Any], kind: Any) -> Any:
    """A type, with what its variables stand for."""
    if isinstance(kind, TypeVar):
        return given[kind]
    variables = getattr(kind, "__parameters__", ())
    return kind[tuple(given[each] for each in variables)] if variables else kind


def _is_enum(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, OpenEnum)


def _mentions(kind: Any, cls: Any) -> bool:
    return kind is cls or any(_mentions(each, cls) for each in get_args(kind))


def _has_plain_init(model: Any, fields: Iterable["attrs.Attribute[Any]"]) -> bool:
    """Whether making one is no more than putting values into its slots."""
    return not hasattr(model, "__attrs_post_init__") and all(
        not (field.converter or field.validator)  # pyright: ignore[reportUnknownMemberType] # attrs says no more of them
        for field in fields
    )
