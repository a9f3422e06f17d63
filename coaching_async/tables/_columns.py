"""The columns of a model: each of its fields, nested ones flat, with a name and a kind."""

import enum
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import date, datetime
from types import NoneType, UnionType
from typing import Any, Final, Literal, TypeAlias, Union, get_args, get_origin

import attrs

from coaching_async import Interval, OpenEnum, UserReference
from coaching_async._refusals.arguments import checked_flag, kind_of
from coaching_async._refusals.suggestions import suggestion

__all__ = ["Cell", "Column", "Kind", "chosen_names", "columns"]

Cell: TypeAlias = str | int | float | bool | date | datetime | list[str] | None
"""A value in a table."""

Read: TypeAlias = Callable[[Any], Any]


class Kind(enum.StrEnum):
    """The kind of the cells of a column. A cell may be None; a list never is, unless its whole item lacks it."""

    TEXT = "text"
    INTEGER = "integer"
    NUMBER = "number"
    BOOLEAN = "boolean"
    DATE = "date"
    TIMESTAMP = "timestamp"
    TEXTS = "list of text"


@attrs.frozen
class Column:
    """A column of a table."""

    name: str
    """Name of the column, as in the head of a table."""
    kind: Kind
    """Kind of its cells."""
    read: Read = attrs.field(repr=False)
    """Returns the value of an item. For a person, it is the id, or the list of ids."""
    person: Literal["id", "name", "email"] | None = None
    """What the column shows of users; None for a column that is not about users."""


KINDS: Final[dict[Any, Kind]] = {
    str: Kind.TEXT,
    bool: Kind.BOOLEAN,
    int: Kind.INTEGER,
    float: Kind.NUMBER,
    datetime: Kind.TIMESTAMP,
    date: Kind.DATE,
}

IDENTITY: Final = {"id", "self_uri"}
"""The fields of a reference. Its id identifies it; the URI of a reference is in no table."""


def columns(
    model: type[Any], *, names: bool = False, emails: bool = False, only: Iterable[str] | None = None
) -> tuple[Column, ...]:
    """Return the columns of a model, for example of `Appointment`: one for each field.

    A reference is the column of its id (`facilitator_id`), a list of references that of a list of ids (`attendee_ids`), and
    other nested objects have a column for each of their fields. With `names` and `emails`, each column of users is followed
    by that of their names (`facilitator_name`, `attendee_names`) and e-mail addresses. `only` names the columns to return, in
    its order, those of names and addresses included.

    Raises `TypeError` for a class that is no model, or that is no row because it has a list of objects, and for arguments of a
    wrong kind; `ValueError` if `only` names no column, one that does not exist, or one twice.
    """
    if only is not None:
        known = {column.name: column for column in columns(model, names=True, emails=True)}
        return tuple(known[name] for name in chosen_names(only, tuple(known)))
    if not (isinstance(model, type) and attrs.has(model)):  # pyright: ignore[reportUnnecessaryIsInstance] # untyped callers
        raise TypeError(f"a model is needed, for example Appointment, not {kind_of(model)}")
    checked_flag("names", names)
    checked_flag("emails", emails)
    found: list[Column] = []
    for column in _columns_of(model):
        found.append(column)
        if column.person and names:
            found.append(_of_person(column, "name"))
        if column.person and emails:
            found.append(_of_person(column, "email"))
    return tuple(found)


def chosen_names(chosen: Iterable[str], known: Sequence[str]) -> tuple[str, ...]:
    """Return the names of columns that a caller has chosen of the `known` ones.

    Raises `TypeError` for what is not several, and `ValueError` for no column, for one that does not exist, and for one that is
    there twice.
    """
    if isinstance(chosen, str):
        raise TypeError("columns are several names, and not one text")
    if not isinstance(chosen, Iterable):  # pyright: ignore[reportUnnecessaryIsInstance] # callers without a type checker
        raise TypeError(f"columns are several names, not {kind_of(chosen)}")
    found = tuple(chosen)
    for name in found:
        if name not in known:
            advice = suggestion(name, known) or f"there are {', '.join(known)}"
            raise ValueError(f"no column is called {name!r}: {advice}")
    if not found or len(set(found)) != len(found):
        raise ValueError("columns has to name at least one column, and each of them once")
    return found


def _of_person(column: Column, shown: Literal["name", "email"]) -> Column:
    stem, _, several = column.name.rpartition("_id")
    return attrs.evolve(column, name=f"{stem}_{shown}{several}", person=shown)


def _columns_of(model: type[Any]) -> Iterator[Column]:
    try:
        attrs.resolve_types(model)
    except (NameError, TypeError):
        raise TypeError(f"{model.__name__} is no row of a table, because it is generic") from None
    for field in attrs.fields(model):
        yield from _columns_of_field(model, field.name, field.type)


def _columns_of_field(model: type[Any], name: str, of: Any) -> Iterator[Column]:
    kinds = _members(of)
    read = _reader(name)
    if len(kinds) == 1 and (kind := KINDS.get(kinds[0])):
        yield Column(name, kind, read)
    elif kinds == [Interval]:
        for end in ("start", "end"):
            yield Column(f"{name}_{end}", Kind.TIMESTAMP, _then(read, _reader(end)))
    elif all(attrs.has(each) for each in kinds):
        yield from _columns_of_object(name, kinds, read)
    elif all(each in KINDS or _is_enum(each) for each in kinds):
        yield Column(name, Kind.TEXT, _then(read, str))
    elif len(kinds) == 1 and get_origin(kinds[0]) is tuple:
        yield _column_of_list(model, name, get_args(kinds[0])[0], read)
    else:
        raise TypeError(_refusal(model, name))


def _columns_of_object(name: str, kinds: Sequence[Any], read: Read) -> Iterator[Column]:
    if len(kinds) > 1 or _is_reference(kinds[0]):  # an object in one of several forms is the id that they share
        person: Literal["id"] | None = "id" if kinds == [UserReference] else None
        yield Column(f"{name}_id", Kind.TEXT, _then(read, _reader("id")), person)
        return
    for column in _columns_of(kinds[0]):
        if column.name != "self_uri":
            yield attrs.evolve(column, name=f"{name}_{column.name}", read=_then(read, column.read))


def _column_of_list(model: type[Any], name: str, of: Any, read: Read) -> Column:
    if of is str or _is_enum(of):
        return Column(name, Kind.TEXTS, _then_each(read, str))
    if not (attrs.has(of) and _is_reference(of)):
        raise TypeError(_refusal(model, name))
    person: Literal["id"] | None = "id" if of is UserReference else None
    return Column(f"{name.removesuffix('s')}_ids", Kind.TEXTS, _then_each(read, _reader("id")), person)


def _refusal(model: type[Any], name: str) -> str:
    return (
        f"{model.__name__} is no row of a table: {name} are objects of their own. Make a table of each of their lists"
    )


def _members(of: Any) -> list[Any]:
    """Return the types that a field may have, without None."""
    members = get_args(of) if get_origin(of) in {Union, UnionType} else (of,)
    return [each for each in members if each is not NoneType]


def _is_enum(of: Any) -> bool:
    return isinstance(of, type) and issubclass(of, OpenEnum)


def _is_reference(of: Any) -> bool:
    return {field.name for field in attrs.fields(of)} == IDENTITY


def _reader(name: str) -> Read:
    return lambda item: getattr(item, name)


def _then(read: Read, more: Read) -> Read:
    def read_on(item: Any) -> Any:
        return None if (value := read(item)) is None else more(value)

    return read_on


def _then_each(read: Read, more: Read) -> Read:
    def read_all(item: Any) -> Any:
        return None if (values := read(item)) is None else [more(value) for value in values]

    return read_all
