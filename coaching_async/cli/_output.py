"""Standard output and standard error of the command, and the exit code if they cannot be written."""

import io
import os
import sys
from collections.abc import Callable, Generator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, Final, TextIO

__all__ = ["STANDARD_OUTPUT", "checked_output"]

STANDARD_OUTPUT: Final = Path("-")
"""The value of --out that stands for standard output."""

BROKEN_PIPE: Final = 141
"""The exit code that a shell reports for a program that was ended by SIGPIPE: 128 + 13."""


class OutputError(Exception):
    """Standard output cannot be written.

    It is not an `OSError`, because commands attribute an `OSError` to the file that they write.
    """


class RawStream(io.RawIOBase):
    """The lowest layer of a standard stream: passes the error of its first failed write to `on_error`.

    Later writes are dropped, because the buffers above keep unwritten data and write them again at each flush.
    """

    def __init__(self, buffer: Any, on_error: Callable[[OSError], None]) -> None:
        self._raw = getattr(buffer, "raw", buffer)  # with PYTHONUNBUFFERED the stream has no buffer
        self._on_error = on_error
        self._has_failed = False

    def writable(self) -> bool:
        return True

    def isatty(self) -> bool:
        return self._raw is not None and self._raw.isatty()

    def fileno(self) -> int:
        return super().fileno() if self._raw is None else self._raw.fileno()

    def write(self, data: Any, /) -> int | None:
        if not self._has_failed:
            # A closed standard stream is None in Python. Writing to descriptor -1 fails in the same way.
            write = partial(os.write, -1) if self._raw is None else self._raw.write
            try:
                return write(data)
            except OSError as error:
                self._has_failed = True
                self._on_error(error)
        return len(data)


@contextmanager
def checked_output() -> Generator[None]:
    """Exit with code 2 and one line on standard error if standard output cannot be written.

    If the reader of a pipe has gone, exit silently with code 141. Ignore failed writes to standard error. Both streams
    are flushed at the end.
    """
    streams = sys.stdout, sys.stderr
    # Texts of the service may contain characters that the output's encoding does not have.
    sys.stdout = _checked(sys.stdout, _raise, errors="replace")
    sys.stderr = _checked(sys.stderr, _ignore, errors="backslashreplace")
    try:
        try:
            yield
        finally:
            sys.stdout.flush()
    except OutputError as failure:
        error = failure.__cause__
        if isinstance(error, BrokenPipeError):
            sys.exit(BROKEN_PIPE)
        reason = getattr(error, "strerror", None) or error
        sys.stderr.write(f"coaching-async: cannot write to the output: {reason}\n")
        sys.exit(2)
    finally:
        sys.stderr.flush()
        sys.stdout, sys.stderr = streams


def _checked(stream: TextIO | None, on_error: Callable[[OSError], None], errors: str) -> TextIO:
    buffer = getattr(stream, "buffer", None)
    if stream is not None and buffer is None:
        return stream  # replaced by a stream in memory, which cannot fail
    encoding = stream.encoding if stream else "utf-8"
    checked = io.BufferedWriter(RawStream(buffer, on_error))
    return io.TextIOWrapper(checked, encoding=encoding, errors=errors, line_buffering=True)


def _raise(error: OSError) -> None:
    raise OutputError from error


def _ignore(error: OSError) -> None:
    pass
