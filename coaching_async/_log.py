"""The stream of events as records of the standard library's `logging`, under "coaching_async"."""

import logging
from contextvars import ContextVar
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

__all__ = ["log", "not_in_hpacks_log", "only_watching"]

logger: Final = logging.getLogger("coaching_async")


def log(event: Event) -> None:
    """A reader of the stream: WARNING for a write cut off in flight, INFO for a retry, DEBUG for the rest."""
    match event:
        case CallFinished(is_cancelled=True) if event.processed != "no":
            logger.warning(
                "%s was cancelled in flight and may have been carried out: look before you send it again "
                "(a timeout of the client's own would have told you: with_options(timeout=...))",
                event.operation,
            )
        case RetryScheduled():
            _tell(logging.INFO, event)
        case _:
            _tell(logging.DEBUG, event)


def only_watching(reader: Emit | None) -> Emit:
    """A reader that is not ours: what it raises is logged, for who only watches must not change what happens."""

    def read(event: Event) -> None:
        if reader is not None:
            try:
                reader(event)
            except Exception:
                logger.exception("on_event failed on %s", type(event).__name__)

    return read


_in_an_exchange: Final = ContextVar("in_an_exchange", default=False)


def not_in_hpacks_log() -> None:
    """From here to the end of the task: hpack, at DEBUG, writes out each header that it packs, the token among them.

    What others do with HTTP/2 is logged as before.
    """
    for name in ("hpack.hpack", "hpack.table"):
        logging.getLogger(name).addFilter(_is_of_others)  # once, however often it is said
    _in_an_exchange.set(True)


def _is_of_others(_: logging.LogRecord) -> bool:
    return not _in_an_exchange.get()


def _tell(level: int, event: Event) -> None:
    if logger.isEnabledFor(level):
        logger.log(level, *_words(event))


def _words(event: Event) -> tuple[str, *tuple[object, ...]]:
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
