"""What a command reports on standard error, and its exit code: warnings, failures and interruptions."""

import signal
import sys
import threading
from collections.abc import Callable, Generator, Iterable
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from types import FrameType
from typing import Final, NoReturn

import click

from coaching_async import CoachingError

__all__ = [
    "COMPLETE_WITH_A_WARNING",
    "counted",
    "fail",
    "interrupt_once",
    "reported",
    "say",
    "say_left_out",
    "say_list",
    "sigterm_interrupts",
    "visible",
]

FAILED: Final = 2
COMPLETE_WITH_A_WARNING: Final = 3
"""Exit code of its own, because a scheduler that starts the command again would get the same result."""
INTERRUPTED: Final = 128 + signal.SIGINT
TERMINATED: Final = 128 + signal.SIGTERM

MAX_LISTED: Final = 20
"""Lines of a list that are written."""


class OnSigterm:
    """A handler of SIGTERM that does what Ctrl-C does. A second signal does not interrupt the end of the command."""

    def __init__(self) -> None:
        self.is_received = False

    def __call__(self, _: int, frame: FrameType | None) -> None:
        if self.is_received:
            return
        self.is_received = True
        on_ctrl_c = signal.getsignal(signal.SIGINT)  # asyncio's or trio's, while it runs
        if not callable(on_ctrl_c):  # on a system that cannot block signals
            raise KeyboardInterrupt
        on_ctrl_c(signal.SIGINT, frame)


@contextmanager
def sigterm_interrupts() -> Generator[None]:
    """Let SIGTERM interrupt the block, unless the parent process has chosen to ignore it."""
    if not _is_main_thread() or signal.getsignal(signal.SIGTERM) != signal.SIG_DFL:
        yield
        return
    on_ctrl_c, on_sigterm = signal.getsignal(signal.SIGINT), OnSigterm()
    with _event_loop_handles_ctrl_c():
        signal.signal(signal.SIGTERM, on_sigterm)
        try:
            yield
        finally:
            is_interrupted = signal.getsignal(signal.SIGTERM) is not on_sigterm
            # The process is about to end after an interruption, and Python's end resets all handlers but SIG_IGN.
            signal.signal(signal.SIGTERM, signal.SIG_IGN if is_interrupted else signal.SIG_DFL)
            signal.signal(signal.SIGINT, signal.SIG_IGN if is_interrupted else on_ctrl_c)


@contextmanager
def _event_loop_handles_ctrl_c() -> Generator[None]:
    """Let an event loop install its handler of Ctrl-C where Ctrl-C is ignored, as in a background job of a shell.

    It does so only in place of Python's own. SIGINT is blocked meanwhile, so Ctrl-C stays ignored. Without that handler an
    interrupt would be raised in any callback of the loop, and the loop would wait for ever for what that callback brings.
    """
    if sys.platform == "win32" or signal.getsignal(signal.SIGINT) != signal.SIG_IGN:
        yield
        return
    blocked_before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # drops one that has arrived meanwhile
        signal.pthread_sigmask(signal.SIG_SETMASK, blocked_before)


def interrupt_once() -> None:
    """Let only the first signal interrupt the command, for one that has to save its data then."""
    if _is_main_thread() and signal.getsignal(signal.SIGINT) == signal.default_int_handler:
        signal.signal(signal.SIGINT, _interrupt_once)


def _interrupt_once(*_: object) -> NoReturn:
    _ignore_signals()
    raise KeyboardInterrupt


def _ignore_signals() -> None:
    # SIG_IGN would make Python complain about a signal that has arrived already.
    if _is_main_thread():
        signal.signal(signal.SIGINT, _ignore)
        signal.signal(signal.SIGTERM, _ignore)


def _ignore(*_: object) -> None:
    pass


def _is_main_thread() -> bool:
    return threading.current_thread() is threading.main_thread()


@contextmanager
def reported(interrupted: str = "", *, kept: Callable[[], str] = str, file: Path | None = None) -> Generator[None]:
    """Exit with one line on standard error if the block fails or is interrupted.

    `kept` returns what is said at the end of the line, `interrupted` stands instead if that is empty after an interruption.
    `file` is the file whose writing an `OSError` is about.
    """
    try:
        yield
    except KeyboardInterrupt:
        on_sigterm = signal.getsignal(signal.SIGTERM)
        _ignore_signals()  # another one would end this with a traceback
        is_terminated = isinstance(on_sigterm, OnSigterm) and on_sigterm.is_received
        fail(f"interrupted{kept() or interrupted}", TERMINATED if is_terminated else INTERRUPTED)
    except (CoachingError, ValueError) as error:
        fail(f"{error}{kept()}")
    except OSError as error:
        reason = f"{error.strerror or error}"
        fail(f"{f'cannot write {file}: {reason}' if file else error}{kept()}")


def fail(message: str, code: int = FAILED) -> NoReturn:
    """Exit with a line on standard error."""
    say(f"coaching-async: {message}")
    sys.exit(code)


def say(message: str) -> None:
    """Write a line to standard error. Line ends and control characters in it, of a file name for example, are escaped."""
    click.echo(visible(message), err=True)


def counted(count: int, noun: str) -> str:
    """Return a number with its noun, for example "1 row" or "2 rows"."""
    return f"{count} {noun}{'' if count == 1 else 's'}"


def say_list(lines: Iterable[object], count: int) -> None:
    """Write the first lines of a list to standard error, and how many more of `count` there are."""
    for line in islice(lines, MAX_LISTED):
        say(f"  {line}")
    if count > MAX_LISTED:
        say(f"  and {count - MAX_LISTED} more")


def say_left_out(rows: Iterable[object], count: int) -> None:
    """Write that `count` rows cannot be read, and the first of them."""
    if count:
        say(f"coaching-async: left out {counted(count, 'row')}, which cannot be read:")
        say_list(rows, count)


def visible(text: str) -> str:
    """Return a text whose line ends and control characters are escaped."""
    return "".join(character if character.isprintable() else ascii(character)[1:-1] for character in text)
