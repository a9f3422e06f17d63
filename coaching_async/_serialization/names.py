"""Names in JSON: snake_case to camelCase, by one rule for all fields.

A field that the service spells differently has that name in `metadata["wire"]`.
"""

import re
from functools import cache
from typing import Any

import attrs

__all__ = ["camelize_names", "to_camel", "wire_name"]


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
