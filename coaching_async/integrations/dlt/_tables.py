"""The tables: their columns, with the types of dlt, and their rows."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, TypeAlias

import attrs

from coaching_async import Annotation, Appointment, LeftOutRow, StatusChange
from coaching_async.tables import Column, Kind, columns, to_rows

__all__ = [
    "DETAILS",
    "LEFT_OUT",
    "Row",
    "Schema",
    "appointment_rows",
    "left_out_row",
    "left_out_rows",
    "schema_of",
    "schemas_of_lists",
]

Row: TypeAlias = dict[str, Any]

Schema: TypeAlias = dict[str, Any]
"""The columns of a table, by name, as dlt takes them."""

DATA_TYPES: Final[Mapping[Kind, str]] = {
    Kind.TEXT: "text",
    Kind.INTEGER: "bigint",
    Kind.NUMBER: "double",
    Kind.BOOLEAN: "bool",
    Kind.DATE: "date",
    Kind.TIMESTAMP: "timestamp",
}

DETAILS: Final[Mapping[str, type[Any]]] = {"annotations": Annotation, "statuses": StatusChange}
"""The lists that take a request for each appointment."""

OWNER: Final = "appointment_id"
"""The column of the appointment that a row of a list belongs to."""

LEFT_OUT: Final[Schema] = {
    "list_name": {"data_type": "text"},
    OWNER: {"data_type": "text"},
    "row_id": {"data_type": "text"},
    "page": {"data_type": "bigint"},
    "position": {"data_type": "bigint"},
    "reason": {"data_type": "text"},
    "row_count": {"data_type": "bigint"},
}
"""The columns of the table of what may be missing in the others."""


MORE: Final = "more rows that cannot be read"


@attrs.frozen
class ListColumn:
    """A list of texts, which is a table of its own: `attendee_ids` is `attendees`, with the column `attendee_id`."""

    source: str
    table: str
    value: str

    @classmethod
    def of(cls, column: Column) -> "ListColumn":
        """Return the table of a column with lists."""
        if column.name.endswith("_ids"):
            value = column.name.removesuffix("s")
            return cls(column.name, f"{value.removesuffix('_id')}s", value)
        return cls(column.name, column.name, column.name.removesuffix("s"))


COLUMNS: Final = columns(Appointment)

LISTS: Final = tuple(ListColumn.of(column) for column in COLUMNS if column.kind is Kind.TEXTS)


def schema_of(model: type[Any]) -> Schema:
    """Return the columns of a model, except for lists."""
    return {
        column.name: {"data_type": DATA_TYPES[column.kind]}
        for column in columns(model)
        if column.kind is not Kind.TEXTS
    }


def schemas_of_lists(details: Iterable[str]) -> Mapping[str, Schema]:
    """Return the columns of the tables of lists of an appointment, by name."""
    owner = {OWNER: {"data_type": "text"}}
    schemas: dict[str, Schema] = {each.table: {**owner, each.value: {"data_type": "text"}} for each in LISTS}
    return schemas | {name: owner | {**schema_of(DETAILS[name])} for name in details}


def appointment_rows(
    appointments: Sequence[Appointment], details: Mapping[str, Mapping[str, Sequence[Any]]]
) -> list[Row]:
    """Return the rows of appointments, each with the rows of its lists.

    `details` has annotations and statuses by the id of the appointment. Each row of a list names its appointment.
    """
    rows: list[Row] = [{**row} for row in to_rows(appointments, COLUMNS)]
    for row in rows:
        owner = {OWNER: row["id"]}
        for each in LISTS:
            row[each.table] = [owner | {each.value: text} for text in row.pop(each.source)]
        for name, found in details.items():
            items = found.get(row["id"], ())
            row[name] = [{**item} | owner for item in to_rows(items, DETAILS[name])]
    return rows


def left_out_rows(list_name: str, appointment_id: str | None, count: int, rows: Sequence[LeftOutRow]) -> list[Row]:
    """Return a row for each row that was left out of a list, and one for all of those whose place was not kept."""
    found = [
        left_out_row(
            list_name, row.reason, appointment_id=appointment_id, row_id=row.id, page=row.page, position=row.index
        )
        for row in rows
    ]
    if count > len(rows):
        found.append(left_out_row(list_name, MORE, appointment_id=appointment_id, count=count - len(rows)))
    return found


def left_out_row(
    list_name: str,
    reason: str,
    *,
    appointment_id: str | None = None,
    row_id: str | None = None,
    page: int | None = None,
    position: int | None = None,
    count: int = 1,
) -> Row:
    """Return a row that says what is missing."""
    return {
        "list_name": list_name,
        OWNER: appointment_id,
        "row_id": row_id,
        "page": page,
        "position": position,
        "reason": reason,
        "row_count": count,
    }
