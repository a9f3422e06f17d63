"""Tables of models: flat, typed columns, for data frames and for files."""

from ._arrow import arrow_schema, to_arrow
from ._columns import Cell, Column, Kind, Read, columns
from ._rows import People, Table, to_rows, user_ids

__all__ = [
    "Cell",
    "Column",
    "Kind",
    "People",
    "Read",
    "Table",
    "arrow_schema",
    "columns",
    "to_arrow",
    "to_rows",
    "user_ids",
]

# Users see and pickle the names under which they import them.
for _public in (Column, Kind, arrow_schema, columns, to_arrow, to_rows, user_ids):
    _public.__module__ = __name__
