"""Rows of a page that cannot be read: they are set apart, so that they do not take the rest of the list with them."""

import hashlib
import json
from collections.abc import Sequence
from typing import Any, TypeVar, cast, get_args

import attrs

from coaching_async._value import Value
from coaching_async.models.common import HasNext, Page

from .codec import from_dict
from .names import with_entities
from .urls import DOT_SEGMENTS

__all__ = ["LeftOutRow", "PartialPage", "UnreadableRow", "page_of_rows", "read_page", "rows_of"]

T = TypeVar("T")


@attrs.frozen(eq=False, repr=False)
class LeftOutRow(Value):
    """A row of a list that was left out, because it cannot be read. It holds nothing of the row but its id."""

    page: int
    """The number of the page, from 1."""
    index: int
    """Its index on the page, from 0."""
    id: str | None
    """None if it has none, or an invalid one."""
    reason: str
    """The value that is wrong, by its path in the row, and the type that was expected."""
    chunk: int = 0
    """Which list it is in, from 0, if the list is split over several requests (`Plan.chunks`)."""


@attrs.frozen(eq=False, repr=False)
class UnreadableRow(Value):
    """A row that cannot be read. The pager counts it as it does any other row."""

    id: str | None
    """Its id. A row without one has a text for its place instead. None if the rows of the list have no ids."""
    digest: str = attrs.field(repr=False)
    """Digest of its content, by which it is compared."""
    left_out_row: LeftOutRow

    def __eq__(self, other: object) -> bool:
        return isinstance(other, UnreadableRow) and self.digest == other.digest

    def __hash__(self) -> int:
        return hash(self.digest)


@attrs.frozen(kw_only=True, eq=False, repr=False)
class PartialPage(Page[T]):
    """A page with rows that cannot be read. Its `entities` are the other ones."""

    rows: "tuple[T | UnreadableRow, ...]"
    """All rows, in their order."""

    @property
    def has_ids(self) -> bool:
        """Whether any of its rows has an id."""
        return any(not isinstance(row, UnreadableRow) or row.left_out_row.id for row in self.rows)

    @property
    def left_out(self) -> tuple[LeftOutRow, ...]:
        """The rows that cannot be read."""
        return tuple(row.left_out_row for row in self.rows if isinstance(row, UnreadableRow))


def rows_of(page: Page[T]) -> "Sequence[T | UnreadableRow]":
    """Return all rows of a page, those that cannot be read included."""
    return page.rows if isinstance(page, PartialPage) else page.entities


def page_of_rows(page: Page[T]) -> Page[T]:
    """Return the page as callers see it, which has only the rows that can be read."""
    if not isinstance(page, PartialPage):
        return page
    return Page(**{field.name: getattr(page, field.name) for field in attrs.fields(Page)})


def read_page(cls: type[Page[T]], data: Any, number: int, source: str) -> Page[T]:
    """Return page `number` from its JSON, with the rows that cannot be read set apart. `source` identifies the page.

    Raises `ValueError` if there is no page.
    """
    whole: dict[str, Any] = with_entities(cast("dict[str, object]", data if type(data) is dict else {}))
    rows: list[Any] | None = whole.get("entities")
    if not isinstance(rows, list):
        return from_dict(cls, cast("dict[str, Any]", data))
    envelope = from_dict(cls, {**whole, "entities": []})
    counts = {field.name: getattr(envelope, field.name) for field in attrs.fields(Page) if field.name != "entities"}
    (of,) = get_args(cls)
    read = tuple(_read_row(of, row, number, index, source) for index, row in enumerate(rows))
    entities = tuple(row for row in read if not isinstance(row, UnreadableRow))
    page: Page[T] = (
        Page(entities=entities, **counts) if entities == read else PartialPage(entities=entities, rows=read, **counts)
    )
    for hint in HasNext.__slots__:
        if hasattr(envelope, hint):
            object.__setattr__(page, hint, getattr(envelope, hint))
    return page


def _read_row(of: Any, row: Any, page: int, index: int, source: str) -> Any:
    """Return a row as an `of`, or as an `UnreadableRow`."""
    try:
        return from_dict(of, row)
    except ValueError as error:
        left_out_row = LeftOutRow(page, index, _id_of(row), str(error))
    # Not by its content, because several rows may be null, and each after the first would count as a repeat.
    place = _digest(f"{source}#{index}")
    try:
        content = _digest(json.dumps(row))
    except RecursionError:
        content = place
    has_id = not attrs.has(of) or "id" in attrs.fields_dict(of)
    return UnreadableRow((left_out_row.id or place) if has_id else None, content, left_out_row)


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode(errors="replace")).hexdigest()


def _id_of(row: object) -> str | None:
    id_ = cast("dict[str, object]", row).get("id") if isinstance(row, dict) else None
    return id_ if isinstance(id_, str) and id_ not in DOT_SEGMENTS else None
