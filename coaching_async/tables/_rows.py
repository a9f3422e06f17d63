"""Rows of a table: what its columns read of each item."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, tzinfo
from typing import Any, Final, TypeAlias, cast

from coaching_async._refusals.arguments import checked_zone, kind_of

from ._columns import Cell, Column, columns

__all__ = ["People", "Table", "columns_of_table", "to_rows", "user_ids"]

MIN_INTEGER: Final = -(2**63)
MAX_INTEGER: Final = 2**63 - 1

Table: TypeAlias = type[Any] | Iterable[Column]
"""A model, for all of its columns, or some columns."""

People: TypeAlias = Mapping[str, str | None]
"""The names or the addresses of users, by id. None, or no entry, is a user without one."""


def to_rows(
    items: Iterable[Any],
    table: Table,
    *,
    names: People | None = None,
    emails: People | None = None,
    tz: tzinfo = UTC,
) -> list[dict[str, Cell]]:
    """Return items as flat dicts. Every column is in every dict, with None where the item has no value.

    `table` is the model of the items, or the columns to read. `names` and `emails` are those of users, by id: with a model,
    they add columns. Where a user has no name, the id stands. Users without an address (None) are left out of lists of them.
    Times are in `tz`. Half of a character (a lone surrogate), which no file in UTF-8 can contain, becomes U+FFFD, and
    an integer of more than 64 bits None.

        listing = client.appointments.list(user_id)
        appointments = await listing.collect()
        names = await client.users.names(user_ids(appointments))
        rows = to_rows(appointments, Appointment, names=names)

    Raises `TypeError` if `table` is no model and no columns, and for items, names or a `tz` of another type.
    """
    read = columns_of_table(table, names, emails)
    checked_zone(tz)
    items = _checked(items, table)
    return [{column.name: _cell(column, item, names, emails, tz) for column in read} for item in items]


def columns_of_table(table: Table, names: People | None, emails: People | None) -> Sequence[Column]:
    """Return the columns of a table. Raises `TypeError` for what is none, and for names or addresses that are no mapping."""
    for argument, people in {"names": names, "emails": emails}.items():
        if not (people is None or isinstance(people, Mapping)):  # pyright: ignore[reportUnnecessaryIsInstance] # untyped callers
            raise TypeError(f"{argument} is a mapping of texts by the id of the user, not {kind_of(people)}")
    if isinstance(table, type):
        return columns(table, names=names is not None, emails=emails is not None)
    several = tuple(table) if isinstance(table, Iterable) else None  # pyright: ignore[reportUnnecessaryIsInstance] # untyped callers
    if several is None or not all(isinstance(each, Column) for each in several):  # pyright: ignore[reportUnnecessaryIsInstance]
        shown = table.__class__.__name__  # its text may have the names of people
        raise TypeError(
            f"a model is needed, for example Appointment, or columns(Appointment, only=[...]), not a {shown}"
        )
    return several


def user_ids(items: Iterable[Any]) -> set[str]:
    """Return the ids of all users that the items refer to, for `client.users.names`. The items may be of several models.

    Raises `TypeError` for an item that is no row of a table.
    """
    items = _checked(items)
    found: set[str] = set()
    readers: dict[type[Any], list[Column]] = {}
    for item in items:
        model: type[Any] = item.__class__
        if (read := readers.get(model)) is None:
            read = readers[model] = [column for column in columns(model) if column.person]
        for column in read:
            value = column.read(item)
            found.update([value] if isinstance(value, str) else value or ())
    return found


def _cell(
    column: Column,
    item: Any,
    names: People | None,
    emails: People | None,
    tz: tzinfo,
) -> Cell:
    value: Any = column.read(item)
    if column.person == "name" and value is not None:
        value = _names(value, names or {})
    elif column.person == "email" and value is not None:
        value = _emails(value, emails or {})
    if isinstance(value, int) and not MIN_INTEGER <= value <= MAX_INTEGER:
        return None
    if isinstance(value, datetime):
        return _in_zone(value, tz)
    if isinstance(value, str):
        return _valid(value)
    return [_valid(text) for text in cast("list[str]", value)] if isinstance(value, list) else value


def _names(ids: str | list[str], names: People) -> str | list[str]:
    if isinstance(ids, str):
        return _of(ids, names) or ids
    return [_of(id_, names) or id_ for id_ in ids]


def _emails(ids: str | list[str], emails: People) -> str | list[str] | None:
    if isinstance(ids, str):
        return _of(ids, emails)
    return [email for id_ in ids if (email := _of(id_, emails))]


def _of(id_: str, people: People) -> str | None:
    text = people.get(id_)
    if not (text is None or isinstance(text, str)):  # pyright: ignore[reportUnnecessaryIsInstance] # untyped callers
        raise TypeError(
            f"names and emails are texts by the id of the user, not objects of type {type(text).__name__}: for example "
            "{id_: user.name for id_, user in found.items()}"
        )
    return text or None


def _checked(items: Iterable[Any], table: Table | None = None) -> Iterable[Any]:
    """Return items. Raises `TypeError` for a list of the client that was not read, and for objects of another model."""
    if not isinstance(items, Iterable):  # pyright: ignore[reportUnnecessaryIsInstance] # untyped callers
        raise TypeError(
            f"items are several objects, not a {type(items).__name__}: `await listing.collect()` reads a list"
        )
    if not isinstance(table, type):
        return items
    several = tuple(items)
    for item in several:
        if not isinstance(item, table):
            raise TypeError(f"items are of the model {table.__name__}, and one of them is a {type(item).__name__}")
    return several


def _in_zone(moment: datetime, tz: tzinfo) -> datetime:
    try:
        return moment.astimezone(tz)
    except OverflowError:  # in the first or the last hours of the calendar
        return moment


def _valid(text: str) -> str:
    if text.isascii():
        return str(text)
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
