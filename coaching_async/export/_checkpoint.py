"""The checkpoint of an export: what of its file is valid, and where its list is resumed."""

import json
from typing import Any, Final

import attrs
from attrs.validators import ge, instance_of, optional

from ._left_out import NO_ROWS, Tally, parse_tally

__all__ = ["Checkpoint", "ExportBusy", "ExportRefused", "checkpoint_from_json", "checkpoint_to_json"]


VERSION: Final = 1


class ExportRefused(ValueError):
    """An export cannot be started or resumed with these arguments. The text says why, and what to do."""


class ExportBusy(ExportRefused):
    """Another export is at work on the file, or has just ended. The same call may succeed later."""


@attrs.frozen
class Checkpoint:
    """The valid part of the file, and the position in the list at which the export resumes.

    It contains no ids but those of rows that were left out.
    """

    arguments: str
    """Digest of the arguments of the export."""
    cursor: str | None
    offset: int = attrs.field(default=0, validator=[instance_of(int), ge(0)])
    """Bytes of the file that are valid."""
    items: int = attrs.field(default=0, validator=[instance_of(int), ge(0)])
    gaps: int = attrs.field(default=0, validator=[instance_of(int), ge(0)])
    """Suspected gaps so far. If there are any, the list is read again from its beginning."""
    is_complete: bool = attrs.field(default=False, validator=instance_of(bool))
    """Whether the file only has to be rendered and renamed."""
    is_kept: bool = attrs.field(default=False, validator=instance_of(bool))
    """Whether the checkpoint stays beside the complete file, to tell which export wrote it."""
    left_out: Tally = NO_ROWS
    """Rows that were left out so far."""
    size: int | None = attrs.field(default=None, validator=optional([instance_of(int), ge(0)]))
    """Bytes of the rendered file, as soon as it is on the disk."""
    cut_texts: int = attrs.field(default=0, validator=[instance_of(int), ge(0)])
    """Texts that the rendered file has in part."""


def checkpoint_to_json(state: Checkpoint) -> bytes:
    """Return a checkpoint as JSON. What most exports do not need is in it only if it was set."""
    return json.dumps({"version": VERSION, **attrs.asdict(state, filter=_is_written)}).encode()


def _is_written(field: "attrs.Attribute[Any]", value: object) -> bool:
    return field.name not in {"is_kept", "left_out", "size", "cut_texts"} or value != field.default


def checkpoint_from_json(data: bytes) -> Checkpoint:
    """Return the checkpoint in `data`. Raises `ValueError`, `TypeError`, `LookupError` or `RecursionError` if it is invalid."""
    state: dict[str, Any] = dict(json.loads(data))
    if state.pop("version", None) != VERSION:
        raise ValueError("of another version")
    left_out = state.pop("left_out", None)
    return Checkpoint(**state, left_out=NO_ROWS if left_out is None else parse_tally(left_out))
