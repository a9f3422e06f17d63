"""Tables of Apache Arrow, which pandas, polars and DuckDB take without copying."""

from collections.abc import Iterable
from datetime import UTC, timedelta, tzinfo
from importlib import import_module
from typing import Any

from coaching_async._refusals.arguments import checked_zone

from ._columns import Column, Kind
from ._rows import People, Table, columns_of_table, to_rows

__all__ = ["arrow_schema", "to_arrow"]


def to_arrow(
    items: Iterable[Any],
    table: Table,
    *,
    names: People | None = None,
    emails: People | None = None,
    tz: tzinfo = UTC,
) -> Any:
    """Return items as a `pyarrow.Table`, with typed columns. Without items, it has the same columns of the same types.

    The arguments are those of `to_rows`. Times are timestamps with the time zone.

        listing = client.appointments.list(user_id)
        table = to_arrow(await listing.collect(), Appointment)
        frame = table.to_pandas()

    Raises `ModuleNotFoundError` without the extra `parquet`, `ValueError` for a `tz` without a name, and `TypeError` as
    `to_rows`.
    """
    read = columns_of_table(table, names, emails)
    rows = to_rows(items, read, names=names, emails=emails, tz=tz)
    return _pyarrow().Table.from_pylist(rows, schema=arrow_schema(read, tz=tz))


def arrow_schema(columns: Iterable[Column], *, tz: tzinfo = UTC) -> Any:
    """Return the `pyarrow.Schema` of columns. Times have microseconds, and the time zone.

    Raises `ModuleNotFoundError` without the extra `parquet`, `ValueError` for a `tz` without a name, and `TypeError` for
    what is no time zone.
    """
    arrow = _pyarrow()
    types = {
        Kind.TEXT: arrow.string(),
        Kind.INTEGER: arrow.int64(),
        Kind.NUMBER: arrow.float64(),
        Kind.BOOLEAN: arrow.bool_(),
        Kind.DATE: arrow.date32(),
        Kind.TIMESTAMP: arrow.timestamp("us", _zone_name(tz)),
        Kind.TEXTS: arrow.list_(arrow.string()),
    }
    return arrow.schema([(column.name, types[column.kind]) for column in columns])


def _pyarrow() -> Any:
    try:
        return import_module("pyarrow")  # the first table imports it
    except ModuleNotFoundError:
        raise ModuleNotFoundError("Arrow and Parquet need pyarrow: pip install 'coaching_async[parquet]'") from None


def _zone_name(zone: tzinfo) -> str:
    checked_zone(zone)
    if name := getattr(zone, "key", None):
        return str(name)
    offset = zone.utcoffset(None)
    if offset is None:
        raise ValueError("the time zone has no name: give a zoneinfo.ZoneInfo or datetime.UTC")
    if not offset:
        return "UTC"
    minutes = round(offset / timedelta(minutes=1))
    return f"{'-' if minutes < 0 else '+'}{abs(minutes) // 60:02}:{abs(minutes) % 60:02}"
