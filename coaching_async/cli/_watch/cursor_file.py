"""The file that keeps the cursor: what was written, for the next run."""

from collections.abc import Callable
from pathlib import Path
from typing import Final

import anyio

from coaching_async._files import replace_file

__all__ = ["CursorFile"]

INTERVAL: Final = 0.2
"""Seconds between two looks for the first cursor."""


class CursorFile:
    """A cursor in a file, which is replaced as a whole."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def read(self) -> str | None:
        """Return the cursor; None if there is no file. Raises `ValueError` if it is no text, or empty, and `OSError`."""
        try:
            text = self.path.read_bytes().decode("ascii").strip()
        except FileNotFoundError:
            return None
        except UnicodeDecodeError:
            text = ""
        if not text:
            raise ValueError(f"{self.path} contains no cursor: remove it to begin anew")
        return text

    def write(self, cursor: str | None) -> None:
        """Keep a cursor, unless there is none yet. Raises `OSError`."""
        if cursor is not None:
            replace_file(self.path, f"{cursor}\n".encode())

    async def write_first(self, cursor: Callable[[], str | None]) -> None:
        """Keep the first cursor as soon as there is one, because nothing may come before the next run."""
        while (first := cursor()) is None:  # noqa: ASYNC110 # it comes without an event
            await anyio.sleep(INTERVAL)
        self.write(first)
