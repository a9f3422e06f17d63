"""The columns of an exported table, and its rows: appointments with their notes, their history, and names."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, tzinfo
from typing import Any, Final, Literal

import attrs

from coaching_async import Annotation, Appointment, StatusChange
from coaching_async.tables import Cell, Column, Kind, columns, to_rows, user_ids
from coaching_async.tables._columns import chosen_names

from ._people import People

__all__ = ["DETAILS", "Row", "Table", "chosen_columns", "columns_of_people", "every_user_of"]

DETAILS: Final = ("annotations", "statuses")
"""Columns that take a request for each appointment."""


@attrs.frozen
class Row:
    """An appointment, with what was requested of it beside: None if it was deleted before that."""

    appointment: Appointment
    details: Mapping[str, Sequence[Annotation | StatusChange] | None]


OF_APPOINTMENTS: Final = columns(Appointment, names=True, emails=True)

CHANGED: Final = tuple(column for column in columns(StatusChange) if column.name == "date_created")

ALL_COLUMNS: Final = (*(column.name for column in OF_APPOINTMENTS), *DETAILS)


def chosen_columns(
    chosen: Iterable[str] | None, *, names: bool, emails: bool, details: Sequence[str]
) -> tuple[str, ...]:
    """Return the names of the columns that a caller has chosen, or else those that the options ask for.

    Raises what `chosen_names` raises.
    """
    if chosen is None:
        return (*(column.name for column in columns(Appointment, names=names, emails=emails)), *details)
    return chosen_names(chosen, ALL_COLUMNS)


def columns_of_people(shown: Literal["name", "email"]) -> set[str]:
    """Return the names of the columns with names, or with addresses."""
    return {column.name for column in OF_APPOINTMENTS if column.person == shown}


class Table:
    """Reads the rows of a table."""

    def __init__(self, names: Sequence[str], people: People, tz: tzinfo | None) -> None:
        known = {column.name: column for column in (*map(_of_row, OF_APPOINTMENTS), *self._columns_of_details())}
        self.columns = tuple(known[name] for name in names)
        self.tz = tz or UTC
        self._people = people

    def rows(self, rows: Sequence[Row]) -> list[dict[str, Cell]]:
        """Return the cells of rows, by column."""
        people = self._people
        return to_rows(rows, self.columns, names=people.names or {}, emails=people.emails or {}, tz=self.tz)

    def user_ids(self, rows: Sequence[Row]) -> set[str]:
        """Return the users whose names or addresses the rows show."""
        shown = [column for column in self.columns if column.person in {"name", "email"}]
        found = {id_ for row in rows for column in shown for id_ in _texts(column.read(row))}
        return found | user_ids(_notes_of(rows)) if self._people.names is not None else found

    def _columns_of_details(self) -> tuple[Column, ...]:
        return (
            Column("annotations", Kind.TEXTS, self._notes),
            Column("statuses", Kind.TEXTS, self._history),
        )

    def _notes(self, row: Row) -> list[str] | None:
        notes: Sequence[Any] | None = row.details.get("annotations")
        return None if notes is None else [f"{self._author(note)}{note.text}" for note in notes if note.text]

    def _author(self, note: Annotation) -> str:
        if (names := self._people.names) is None or note.created_by is None:
            return ""
        return f"{names.get(note.created_by.id, note.created_by.id)}: "

    def _history(self, row: Row) -> list[str] | None:
        changes: Sequence[Any] | None = row.details.get("statuses")
        return None if changes is None else [self._change(change) for change in changes]

    def _change(self, change: StatusChange) -> str:
        if change.date_created is None:
            return str(change.status)
        ((_, moment),) = to_rows([change], CHANGED, tz=self.tz)[0].items()
        return f"{moment:%Y-%m-%d %H:%M} {change.status}"


def every_user_of(rows: Sequence[Row]) -> set[str]:
    """Return all users that the rows refer to."""
    details = (detail for row in rows for several in row.details.values() for detail in several or ())
    return user_ids(row.appointment for row in rows) | user_ids(details)


def _notes_of(rows: Sequence[Row]) -> Iterable[Any]:
    return (note for row in rows for note in row.details.get("annotations") or ())


def _of_row(column: Column) -> Column:
    def read(row: Row) -> Any:
        return column.read(row.appointment)

    return attrs.evolve(column, read=read)


def _texts(value: str | list[str] | None) -> list[str]:
    return [value] if isinstance(value, str) else value or []
