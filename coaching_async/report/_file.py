"""The file of a report: written beside its target and renamed, so that there is never half a report."""

from pathlib import Path
from typing import Final

from coaching_async._files import replace_file

__all__ = ["GENERATOR", "ReportRefused", "check_target", "write_page"]

GENERATOR: Final = '<meta name="generator" content="coaching_async report">'
"""The element by which a report is known."""

HEAD_BYTES: Final = 2048
"""Bytes at the beginning of a report that contain it."""


class ReportRefused(ValueError):
    """A report cannot be written there. The text says why, and what to do."""


def check_target(path: Path, *, replace: bool = False) -> None:
    """Raise `ReportRefused` if a report may not take the place of what is at `path`, and `OSError` if its folder is missing."""
    path.parent.stat()
    if not path.name or (path.exists() and not path.is_file()):
        raise ReportRefused(f"{path} is no file that a report could take the place of: choose another name")
    if replace or not path.exists():
        return
    with path.open("rb") as file:
        head = file.read(HEAD_BYTES)
    if head and GENERATOR.encode() not in head:
        raise ReportRefused(
            f"{path} is not a report: choose another name, move it away, or replace it (replace=True, --force)"
        )


def write_page(path: Path, page: bytes, *, replace: bool) -> None:
    """Write a page to a file. Raises `ReportRefused` and `OSError`; then there is what was there before."""
    check_target(path, replace=replace)
    replace_file(path, page)
