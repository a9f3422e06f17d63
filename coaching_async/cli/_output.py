"""Standard output and standard error of the command, and what follows where they cannot be written."""

import io
import os
import sys
from collections.abc import Callable, Generator
from contextlib import contextmanager
from functools import partial
from typing import Any, Final, TextIO

__all__ = ["checked_output"]

BROKEN_PIPE: Final = 141
"""What a shell reports of a program that SIGPIPE has ended: 128 + 13."""


class OutputError(Exception):
    """Standard output cannot be written.

    It is no `OSError`, because commands handle an `OSError` as one of the file that they write.
    """


class RawStream(io.RawIOBase):
    """The lowest layer of a standard stream: passes its first failed write to `on_error`, and drops what follows.

    The layers above keep what was not written, and write it again whenever they are flushed, at the latest at the
    interpreter's end. It is dropped then, because the failure was handled.
    """

    def __init__(self, buffer: Any, on_error: Callable[[OSError], None]) -> None:
        self._raw = getattr(buffer, "raw", buffer)  # there is no buffer above it under PYTHONUNBUFFERED
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
            # Python sets a closed standard stream to None. A write to no descriptor fails as one to a closed one does.
            write = partial(os.write, -1) if self._raw is None else self._raw.write
            try:
                return write(data)
            except OSError as error:
                self._has_failed = True
                self._on_error(error)
        return len(data)


@contextmanager
def checked_output() -> Generator[None]:
    """Exit with one line and code 2 if standard output cannot be written, and silently if its reader has gone.

    What cannot be written to standard error is dropped, and changes nothing. Both streams are flushed at the end.
    """
    streams = sys.stdout, sys.stderr
    # A text of the service may have characters that the output's encoding lacks.
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
        return stream  # a program that calls the command has replaced it by one of its own, in memory
    encoding = stream.encoding if stream else "utf-8"
    checked = io.BufferedWriter(RawStream(buffer, on_error))
    return io.TextIOWrapper(checked, encoding=encoding, errors=errors, line_buffering=True)


def _raise(error: OSError) -> None:
    raise OutputError from error


def _ignore(error: OSError) -> None:
    pass
