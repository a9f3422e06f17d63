"""Names in JSON: snake_case to camelCase, by one rule for all fields.

A field that the service spells differently has that name in `metadata["wire"]`.
"""

import re
from functools import cache
from typing import Any, Final

import attrs

from coaching_async.models.common import Page

__all__ = ["camelize_names", "to_camel", "wire_name", "with_entities"]


@cache
def to_camel(name: str) -> str:
    """Return a name in camelCase: `length_in_minutes` → `lengthInMinutes`."""
    return camelize_names(name)


def camelize_names(text: str) -> str:
    """Return a text with each of its names in camelCase."""
    return re.sub(r"_([a-z])", lambda match: match[1].upper(), text)


def wire_name(field: "attrs.Attribute[Any]") -> str:
    """Return a field's name in JSON."""
    name: str = field.metadata.get("wire") or to_camel(field.name)
    return name


def with_entities(page: dict[str, object]) -> dict[str, object]:
    """Return the JSON of a page with its `entities`, which a search calls `results`, and which an empty page may lack."""
    if page.get("entities") is not None or (page.get("results") is None and PAGE_FIELDS.isdisjoint(page)):
        return page
    return {**page, "entities": page.get("results") or list[object]()}


PAGE_FIELDS: Final = frozenset(wire_name(field) for field in attrs.fields(Page))
