"""Events as records of the standard library's `logging`, in the logger "coaching_async"."""

import logging
import sys
from collections.abc import Mapping
from typing import Final

from ._events import (
    CallFinished,
    CallStarted,
    ChannelClosed,
    ChannelLost,
    ChannelMoved,
    ChannelOpened,
    Emit,
    Event,
    FillFailed,
    FramesDropped,
    FrameUnreadable,
    GapFilled,
    RequestAnswered,
    RequestFailed,
    RequestSent,
    RetryScheduled,
    RowsLeftOut,
    SharedStateFound,
    SharedStateLost,
    TokenIssued,
)

__all__ = ["LEVEL_NAMES", "isolated", "log_event", "log_to_stderr"]


logger: Final = logging.getLogger("coaching_async")


LEVEL_NAMES: Final = ("debug", "info", "warning", "error")


class StderrHandler(logging.Handler):
    """Writes records to standard error, unless the program itself writes them to a terminal or its like."""

    def emit(self, record: logging.LogRecord) -> None:
        """Write a record."""
        try:
            if not _is_written_by_program(record):
                sys.stderr.write(f"{self.format(record)}\n")
        except Exception:  # noqa: BLE001 # as every handler of the standard library does
            self.handleError(record)


def log_to_stderr(level: str | None) -> None:
    """Write the log records of this package to standard error, from one of `LEVEL_NAMES` on. None changes nothing."""
    if level is None:
        return
    logger.setLevel(level.upper())
    if not any(isinstance(handler, StderrHandler) for handler in logger.handlers):
        handler = StderrHandler()
        handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
        logger.addHandler(handler)


def _is_written_by_program(record: logging.LogRecord) -> bool:
    """Return whether another handler writes a record to standard error or standard output, where it would stand twice."""
    place: logging.Logger | None = logging.getLogger(record.name)
    while place is not None:
        for handler in place.handlers:
            stream: object = getattr(handler, "stream", None)
            if stream in {sys.stderr, sys.stdout} and record.levelno >= handler.level:
                return True
        place = place.parent if place.propagate else None
    return False


LEVELS: Final[Mapping[type, int]] = {
    RowsLeftOut: logging.WARNING,
    ChannelLost: logging.WARNING,
    FillFailed: logging.WARNING,
    FramesDropped: logging.WARNING,
    FrameUnreadable: logging.WARNING,
    SharedStateLost: logging.WARNING,
    SharedStateFound: logging.WARNING,
    RetryScheduled: logging.INFO,
    ChannelOpened: logging.INFO,
    ChannelMoved: logging.INFO,
    GapFilled: logging.INFO,
}
"""Level of each event that is not DEBUG."""


def log_event(event: Event) -> None:
    """Log an event at its level.

    The level is WARNING for a write that was cancelled in flight, for rows that were left out, for what a listener may have
    missed, and for a shared state that is lost or found; INFO for a retry, and for what a listener does about that; and DEBUG for all others.
    """
    match event:
        case CallFinished(is_cancelled=True) if event.processed != "no":
            logger.warning(
                "%s was cancelled in flight and may have been carried out: look before you send it again "
                "(a timeout of the client's own would have told you: with_options(timeout=...))",
                event.operation,
            )
        case _:
            level = LEVELS.get(type(event))
            _log_at(logging.DEBUG if level is None else _level(event, level), event)


def _level(event: Event, usual_level: int) -> int:
    match event:
        case ChannelMoved(reason="deaf"):
            return logging.WARNING
        case GapFilled(found=0):
            return logging.DEBUG
        case _:
            return usual_level


def isolated(handler: Emit | None) -> Emit:
    """Return an event handler that logs the exceptions of `handler`, because observing a call must not change it."""

    def handle(event: Event) -> None:
        if handler is not None:
            try:
                handler(event)
            except Exception:
                logger.exception("on_event failed on %s", type(event).__name__)

    return handle


def _log_at(level: int, event: Event) -> None:
    if logger.isEnabledFor(level):
        logger.log(level, *_message(event))


def _message(event: Event) -> tuple[str, *tuple[object, ...]]:
    match event:
        case CallStarted():
            return "%s", event.operation
        case RequestSent():
            return "%s: request %d sent", event.operation, event.attempt
        case RequestAnswered():
            return (
                "%s: request %d answered %d in %.3f s (correlation id %s)",
                event.operation,
                event.attempt,
                event.status,
                event.elapsed,
                event.correlation_id,
            )
        case RequestFailed():
            return (
                "%s: request %d failed after %.3f s: %s",
                event.operation,
                event.attempt,
                event.elapsed,
                event.error,
            )
        case RowsLeftOut():
            return (
                "%s: left out %d of the %d rows of page %d, which cannot be read; the first is at index %d: %s",
                event.operation,
                len(event.indexes),
                event.rows,
                event.page,
                event.indexes[0],
                event.reason,
            )
        case ChannelOpened() | ChannelLost() | ChannelMoved() | ChannelClosed():
            return _channel_message(event)
        case GapFilled():
            return (
                "listening: %d new notifications on %d pages of the list in %.3f s (%s)",
                event.found,
                event.pages,
                event.elapsed,
                event.reason,
            )
        case FillFailed():
            return "listening: the list of notifications cannot be read: %s (%s)", event.error, event.reason
        case FramesDropped():
            return (
                "listening: the buffer was full, so %d events were dropped: read faster, or give it more room",
                event.count,
            )
        case FrameUnreadable():
            return ("listening: a message cannot be read",)
        case SharedStateLost():
            return (
                (
                    "the shared state cannot be used (%s): this process goes on with its share of the rate limit; "
                    "`coaching-async doctor --shared-state ...` tells more"
                ),
                event.reason,
            )
        case SharedStateFound():
            return "the shared state is back after %.1f s", event.lost_for
        case TokenIssued():
            return "a token that lives %.0f s", event.expires_in
        case CallFinished():
            return "%s: %s after %.3f s", event.operation, event.error or "done", event.elapsed
        case RetryScheduled():
            return "%s: %s at request %d, next one in %.2f s", event.operation, event.reason, event.attempt, event.wait


def _channel_message(
    event: ChannelOpened | ChannelLost | ChannelMoved | ChannelClosed,
) -> tuple[str, *tuple[object, ...]]:
    match event:
        case ChannelOpened(is_first=True):
            return "listening: to %d topics, after %.2f s", event.topics, event.away
        case ChannelOpened():
            return "listening: again after %.2f s and %d attempts", event.away, event.attempts
        case ChannelLost():
            code = "" if event.code is None else f", code {event.code}"
            return "listening: disconnected (%s%s) after %.0f s", event.reason, code, event.lived
        case ChannelMoved():
            return "listening: moved to another channel (%s), both were open for %.2f s", event.reason, event.overlap
        case ChannelClosed():
            return ("listening: ended",)
