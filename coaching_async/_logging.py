"""Events as records of the standard library's `logging`, in the logger "coaching_async"."""

import logging
from typing import Final

from ._events import (
    CallFinished,
    CallStarted,
    Emit,
    Event,
    RequestAnswered,
    RequestFailed,
    RequestSent,
    RetryScheduled,
    RowsLeftOut,
    TokenIssued,
)

__all__ = ["isolated", "log_event"]


logger: Final = logging.getLogger("coaching_async")


def log_event(event: Event) -> None:
    """Log an event.

    The level is WARNING for a write that was cancelled in flight and for rows that were left out, INFO for a retry, and DEBUG
    for all others.
    """
    match event:
        case CallFinished(is_cancelled=True) if event.processed != "no":
            logger.warning(
                "%s was cancelled in flight and may have been carried out: look before you send it again "
                "(a timeout of the client's own would have told you: with_options(timeout=...))",
                event.operation,
            )
        case RowsLeftOut():
            _log_at(logging.WARNING, event)
        case RetryScheduled():
            _log_at(logging.INFO, event)
        case _:
            _log_at(logging.DEBUG, event)


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
        case TokenIssued():
            return "a token that lives %.0f s", event.expires_in
        case CallFinished():
            return "%s: %s after %.3f s", event.operation, event.error or "done", event.elapsed
        case RetryScheduled():
            return "%s: %s at request %d, next one in %.2f s", event.operation, event.reason, event.attempt, event.wait
