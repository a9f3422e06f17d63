"""Parquet files, rendered from the rows of an export."""

from collections.abc import Iterable, Mapping
from importlib import import_module
from pathlib import Path
from typing import IO, Any, Final

from coaching_async.tables import Cell, arrow_schema

from ._checkpoint import ExportRefused
from ._table import Table

__all__ = ["ParquetRenderer"]

ROWS_PER_GROUP: Final = 10_000

CHARACTERS_PER_GROUP: Final = 2**20
"""A group of rows is in memory while it is written, and texts may be long."""


class ParquetRenderer:
    """Writes typed columns, in groups of rows. Raises `ExportRefused` if pyarrow is missing."""

    def __init__(self, table: Table) -> None:
        try:
            self._arrow: Any = import_module("pyarrow")
            self._parquet: Any = import_module("pyarrow.parquet")
        except ImportError:
            raise ExportRefused("Parquet files need pyarrow: pip install 'coaching_async[parquet]'") from None
        self._schema = arrow_schema(table.columns, tz=table.tz)

    def render(self, rows: Iterable[Mapping[str, Cell]], file: IO[bytes], _folder: Path) -> int:
        """Write the rows. Return 0, because no text is cut."""
        with self._parquet.ParquetWriter(file, self._schema, compression="zstd") as writer:
            group, characters = list[Mapping[str, Cell]](), 0
            for row in rows:
                group.append(row)
                characters += sum(map(_length, row.values()))
                if len(group) == ROWS_PER_GROUP or characters > CHARACTERS_PER_GROUP:
                    self._write(writer, group)
                    group, characters = [], 0
            if group:
                self._write(writer, group)
        return 0

    def _write(self, writer: Any, rows: list[Mapping[str, Cell]]) -> None:
        writer.write_table(self._arrow.Table.from_pylist(rows, schema=self._schema))


def _length(cell: Cell) -> int:
    return sum(map(len, cell)) if isinstance(cell, list) else len(cell) if isinstance(cell, str) else 0
