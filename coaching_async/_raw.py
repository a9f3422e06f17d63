"""The answer behind a value: what `CoachingClient.raw` and `request` give."""

from collections.abc import Generator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Final, Generic, TypeVar, cast

import attrs

from ._errors import OutcomeUnknown
from ._pipeline import Call, Response
from ._wire import Json, parse_json

__all__ = ["Capture", "RawResponse", "capturing", "is_capturing", "record"]

T = TypeVar("T")


@attrs.frozen
class RawResponse(Generic[T]):
    """An answer as it came, and the value that the method makes of it.

    `headers` finds names in any case. `attempts` counts the requests of the call, `elapsed` is how many seconds all of
    them took, waiting included, and `json` is the body, None where there is none.
    """

    status: int
    headers: Mapping[str, str] = attrs.field(repr=False)
    correlation_id: str | None
    attempts: int
    elapsed: float
    json: Json = attrs.field(repr=False)
    _value: "T | OutcomeUnknown" = attrs.field(repr=False)

    @property
    def value(self) -> T:
        """What the method gives.

        After a 202 there is nothing yet: then this raises `OutcomeUnknown`, whose `reference` points to what will be.
        """
        if isinstance(self._value, OutcomeUnknown):
            raise self._value
        return self._value


@attrs.define
class Capture:
    """The last answer that came while somebody was looking."""

    answer: tuple[Call, Response, float] | None = None

    def with_value(self, value: "T | OutcomeUnknown") -> RawResponse[T]:
        """That answer, with what became of it."""
        if self.answer is None:
            raise TypeError("raw() takes a method of this client's that makes a call, and its arguments")
        call, response, elapsed = self.answer
        return RawResponse(
            response.status,
            response.headers,
            response.correlation_id,
            call.attempts,
            elapsed,
            _json(response.content),
            value,
        )


def _json(content: bytes) -> Json:
    try:
        return cast("Json", parse_json(content))
    except ValueError:
        return None  # of a delete, say, any 2xx is good whatever comes with it


_capture: Final[ContextVar[Capture | None]] = ContextVar("coaching_async.capture", default=None)


@contextmanager
def capturing() -> Generator[Capture]:
    """Keep the last answer that comes in this block."""
    capture = Capture()
    token = _capture.set(capture)
    try:
        yield capture
    finally:
        _capture.reset(token)


def is_capturing() -> bool:
    """Whether somebody wants the answer rather than what it leads to."""
    return _capture.get() is not None


def record(call: Call, response: Response, elapsed: float) -> None:
    """Show an answer to who is looking."""
    if (capture := _capture.get()) is not None:
        capture.answer = call, response, elapsed
