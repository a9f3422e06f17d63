"""A stream that an export writes to, standard output for example. It cannot be resumed."""

import io
from inspect import iscoroutinefunction
from typing import Any, Protocol, TypeGuard

from ._left_out import NO_ROWS, Tally

__all__ = ["OutputStream", "Writable", "is_stream"]


class Writable(Protocol):
    """A binary stream that is open for writing."""

    def write(self, data: Any, /) -> int | None: ...

    def flush(self) -> object: ...


def is_stream(target: object) -> TypeGuard[Writable]:
    """Return whether `target` is a stream. Raises `TypeError` for a stream that takes no bytes, or is async."""
    write = getattr(target, "write", None)
    if isinstance(target, io.TextIOBase) or iscoroutinefunction(write):
        raise TypeError("a stream to export to takes bytes, and is not async: give sys.stdout.buffer, for example")
    return callable(write)


class OutputStream:
    """The caller's stream, with the methods of `UnfinishedFile` that an export needs. It is flushed, and left open."""

    cursor = None
    is_complete = False
    cut_texts = 0
    left_out = NO_ROWS

    def __init__(self, stream: Writable) -> None:
        self._stream = stream
        self.items = self.suspected_gaps = 0

    def begin(self, _arguments: str, _cursor: str | None, header: bytes) -> None:
        """Write the header. Raises what the stream raises."""
        self._write(header)

    def append(self, lines: bytes, items: int, _cursor: str | None, _gaps: int, _left_out: Tally) -> None:
        """Write lines. Raises what the stream raises."""
        self._write(lines)
        self.items += items

    def complete(self, gaps: int, _left_out: Tally) -> None:
        """Keep the number of gaps. Nothing is written, because each append was flushed."""
        self.suspected_gaps = gaps

    def close(self) -> None:
        """Do nothing, because the stream is the caller's."""

    def _write(self, data: bytes) -> None:
        left = memoryview(data)
        while left:  # a stream without a buffer may write a part
            written = self._stream.write(left)
            left = left[len(left) if written is None else written :]
        self._stream.flush()
