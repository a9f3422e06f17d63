"""The stream of events as records of the standard library's `logging`, under "coaching_async"."""

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
    TokenIssued,
)

__all__ = ["isolated", "log_event"]


logger: Final = logging.getLogger("coaching_async")


def log_event(event: Event) -> None:
    """A reader of the stream: WARNING for a write cut off in flight, INFO for a retry, DEBUG for the rest."""
    match event:
        case CallFinished(is_cancelled=True) if event.processed != "no":
            logger.warning(
                "%s was cancelled in flight and may have been carried out: look before you send it again "
                "(a timeout of the client's own would have told you: with_options(timeout=...))",
                event.operation,
            )
        case RetryScheduled():
            _log_at(logging.INFO, event)
        case _:
            _log_at(logging.DEBUG, event)


def isolated(reader: Emit | None) -> Emit:
    """A reader that is not ours: what it raises is logged, for who only watches must not change what happens."""

    def read(event: Event) -> None:
        if reader is not None:
            try:
                reader(event)
            except Exception:
                logger.exception("on_event failed on %s", type(event).__name__)

    return read


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
        case TokenIssued():
            return "a token that lives %.0f s", event.expires_in
        case CallFinished():
            return "%s: %s after %.3f s", event.operation, event.error or "done", event.elapsed
        case RetryScheduled():
            return "%s: %s at request %d, next one in %.2f s", event.operation, event.reason, event.attempt, event.wait
