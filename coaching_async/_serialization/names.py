"""What fields are called in JSON: by rule, so that no field is named twice.

`date_start` travels as `dateStart` because every field does. What the service spells otherwise says so at its field, in
`metadata["wire"]`.
"""

import re
from functools import cache
from typing import Any

import attrs

__all__ = ["camelize_names", "to_camel", "wire_name"]


@cache
def to_camel(name: str) -> str:
    """`length_in_minutes` → `lengthInMinutes`."""
    return camelize_names(name)


def camelize_names(text: str) -> str:
    """The same for every name in a text."""
    return re.sub(r"_([a-z])", lambda match: match[1].upper(), text)


def wire_name(field: "attrs.Attribute[Any]") -> str:
    """A field's name in JSON."""
    name: str = field.metadata.get("wire") or to_camel(field.name)
    return name
