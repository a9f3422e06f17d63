"""Generated structure functions: source code that turns a JSON object into a model, compiled once for each class.

A generated function does what the converter's hooks do, in less time. It calls no hook for a value that already has the right
type. It fills the slots of a model without validators directly, because the `__init__` of a frozen class takes twice as long.
It stops at the first wrong value, and leaves the object to a careful hook, which reads rare spellings, too.
"""

from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from typing import Any, Final, Protocol, TypeAlias, TypeVar, get_args, get_origin

import attrs

from coaching_async.models.coercion import EMPTY_MAPPING
from coaching_async.models.types import OpenEnum

from .names import wire_name
from .urls import DOT_SEGMENTS

__all__ = ["Hook", "Hooks", "generate_structure_fn", "is_absent_when_null", "is_list_of_response", "is_recursive"]


Hook: TypeAlias = Callable[[Any, Any], Any]
"""Creates a value of a type from JSON. Raises any exception."""


class Hooks(Protocol):
    """The part of a converter that generated functions use."""

    def get_structure_hook(self, kind: Any, /) -> Hook: ...


EXACT_TYPES: Final = {str: "str", int: "int", bool: "bool"}
"""Types whose values need no conversion."""


MAX_DOT_SEGMENT: Final = max(map(len, DOT_SEGMENTS))
"""Characters of the longest dot segment. An id that is longer needs no check."""


FUNCTION_HEADER: Final = """\
def structure(value, _):
    if type(value) is not dict:
        raise TypeError
    get = value.get
    try:
"""

FUNCTION_END: Final = """\
    except Exception:
        return careful(value, _)
"""


def is_absent_when_null(field: "attrs.Attribute[Any]") -> bool:
    """Whether null means that the field is absent: true of lists, mappings and optional fields of responses."""
    return field.default is None or field.default in ((), EMPTY_MAPPING)


def is_list_of_response(field: "attrs.Attribute[Any]") -> bool:
    """Whether the field is a list of a response, which is a plain tuple. A list of a request converts its argument."""
    return field.default == () and not field.converter  # pyright: ignore[reportUnknownMemberType] # attrs declares no more


def is_recursive(cls: Any) -> bool:
    """Whether a field of the class refers to the class itself."""
    return any(_mentions(field.type, cls) for field in attrs.fields(attrs.resolve_types(get_origin(cls) or cls)))


def generate_structure_fn(
    cls: Any, hooks: Hooks, own_hook: Callable[["attrs.Attribute[Any]"], Hook | None], careful: Hook
) -> Hook:
    """Return a hook that creates a `cls` from a JSON object.

    `own_hook` returns the hook of a field, if its type's does not apply. `careful` is called for an object that the hook
    cannot read. The class has slots, no handwritten `__init__` and no default factories, and does not refer to itself,
    because an object in it would be read twice at each level.
    """
    model: Any = get_origin(cls) or cls
    fields: tuple[attrs.Attribute[Any], ...] = attrs.fields(attrs.resolve_types(model))
    type_arguments = dict(zip(getattr(model, "__parameters__", ()), get_args(cls), strict=True))
    lines: list[str] = []
    names: dict[str, Any] = {
        "cls": model,
        "new": model.__new__,
        "moment": datetime.fromisoformat,
        "utc": UTC,
        "careful": careful,
    }
    for field in fields:
        kind = _without_none(field, _substituted(type_arguments, field.type))
        names[f"type_{field.name}"], names[f"default_{field.name}"] = kind, field.default
        names[f"hook_{field.name}"] = own_hook(field) or hooks.get_structure_hook(kind)
        if _is_enum(kind):
            names[f"known_{field.name}"] = kind._value2member_map_.get
        lines += _field_lines(field, kind)
    if _has_plain_init(model, fields):
        names |= {f"set_{field.name}": getattr(model, field.name).__set__ for field in fields}
        lines += ["model = new(cls)", *(f"set_{field.name}(model, v_{field.name})" for field in fields), "return model"]
    else:
        lines.append(f"return cls({', '.join(f'{field.alias}=v_{field.name}' for field in fields)})")
    source = FUNCTION_HEADER + "".join(f"        {line}\n" for line in lines) + FUNCTION_END
    exec(compile(source, f"<{__name__} of {cls}>", "exec"), names)  # noqa: S102 # as attrs and cattrs do
    structure: Hook = names["structure"]
    return structure


def _field_lines(field: "attrs.Attribute[Any]", kind: Any) -> Iterable[str]:
    """Yield the lines that read one field."""
    name, wire = field.name, wire_name(field)
    value, default = f"v_{name}", f"default_{name}"
    structured = _structure_expression(name, kind)
    assign = f"{value} = {structured}"
    is_wrong_type = f"type({value}) is not {EXACT_TYPES[kind]}" if kind in EXACT_TYPES else None
    if is_wrong_type and name == "id":
        is_wrong_type += f" or len({value}) <= {MAX_DOT_SEGMENT}"  # it may be a dot segment
    if field.default is attrs.NOTHING:
        yield f"{value} = value[{wire!r}]"
        yield f"if {is_wrong_type}: {assign}" if is_wrong_type else assign
    elif is_absent_when_null(field):
        yield f"{value} = get({wire!r})"
        condition = f"if {is_wrong_type}: " if is_wrong_type else ""
        yield f"{condition}{value} = {default} if {value} is None else {structured}"
    else:
        yield f"{value} = get({wire!r}, {default})"
        yield f"if {value} is not {default}: {assign}"


def _structure_expression(name: str, kind: Any) -> str:
    """Return the expression that structures `v_name`. One call of C code handles most times and enum values."""
    by_hook = f"hook_{name}(v_{name}, type_{name})"
    if _is_enum(kind):
        return f"type(v_{name}) is str and known_{name}(v_{name}) or {by_hook}"
    if kind is datetime:  # the hook checks a time with another time zone or none
        return f"read if type(v_{name}) is str and (read := moment(v_{name})).tzinfo is utc else {by_hook}"
    return by_hook


def _without_none(field: "attrs.Attribute[Any]", kind: Any) -> Any:
    """Return the type without None, if the generated code handles null itself."""
    present = [of for of in get_args(kind) if of is not type(None)]
    return present[0] if is_absent_when_null(field) and len(present) == 1 and type(None) in get_args(kind) else kind


def _substituted(type_arguments: dict[Any, Any], kind: Any) -> Any:
    """Return a type with its type variables replaced."""
    if isinstance(kind, TypeVar):
        return type_arguments[kind]
    variables = getattr(kind, "__parameters__", ())
    return kind[tuple(type_arguments[variable] for variable in variables)] if variables else kind


def _is_enum(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, OpenEnum)


def _mentions(kind: Any, cls: Any) -> bool:
    return kind is cls or any(_mentions(of, cls) for of in get_args(kind))


def _has_plain_init(model: Any, fields: Iterable["attrs.Attribute[Any]"]) -> bool:
    """Whether `__init__` only assigns its arguments: no converter, no validator, no `__attrs_post_init__`."""
    return not hasattr(model, "__attrs_post_init__") and all(
        not (field.converter or field.validator)  # pyright: ignore[reportUnknownMemberType] # attrs declares no more
        for field in fields
    )
