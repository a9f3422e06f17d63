"""What fields are called in JSON: by rule, so that no field is named twice.

`date_start` travels as `dateStart` because every field does. What the service spells otherwise says so at its field, in
`metadata["wire"]`.
"""

import re
from typing import Any

import attrs

__all__ = ["camel", "wire_name"]


def camel(name: str) -> str:
    """`length_in_minutes` → `lengthInMinutes`."""
    return re.sub(r"_([a-z])", lambda match: match[1].upper(), name)


def wire_name(field: "attrs.Attribute[Any]") -> str:
    """A field's name in JSON."""
    name: str = field.metadata.get("wire") or camel(field.name)
    return name
