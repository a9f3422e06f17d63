"""The answer behind a value: what `CoachingClient.raw` and `request` give."""

from collections.abc import Generator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from contextvars import ContextVar
from typing import Final, Generic, TypeVar, cast

import attrs

from ._errors import OutcomeUnknown
from ._exchange import Call
from ._json import Json, parse_json
from ._value import Value

__all__ = ["Capture", "RawResponse", "capturing", "not_watched", "raw_response", "taken"]

T = TypeVar("T")


@attrs.frozen(eq=False, repr=False)
class RawResponse(Value, Generic[T]):
    """An answer as it came, and the value that the method makes of it.

    `headers` finds names in any case. `attempts` counts the requests of the call, and `elapsed` is how many seconds it took,
    waiting included.
    """

    status: int
    headers: Mapping[str, str] = attrs.field(repr=False)
    correlation_id: str | None
    attempts: int
    elapsed: float
    _content: bytes = attrs.field(repr=False)
    _value: "T | OutcomeUnknown" = attrs.field(repr=False)

    @property
    def json(self) -> Json:
        """The body as it came, None where there is none, or none that is JSON."""
        try:
            return cast("Json", parse_json(self._content))
        except ValueError:
            return None

    @property
    def value(self) -> T:
        """What the method gives.

        After a 202 there is nothing yet: then this raises `OutcomeUnknown`, whose `reference` points to what will be.
        """
        if isinstance(self._value, OutcomeUnknown):
            raise self._value
        return self._value


def raw_response(call: Call, elapsed: float, value: T) -> RawResponse[T]:
    """The last answer of a call, and what became of it."""
    answer = call.answer
    assert answer is not None  # noqa: S101 # a call that gave a value had one
    return RawResponse(
        answer.status,
        answer.headers,
        answer.correlation_id,
        call.attempts,
        elapsed,
        answer.content,
        call.unfinished or value,
    )


@attrs.define(eq=False, repr=False)
class Capture:
    """The last call that was made while somebody was looking."""

    call: Call | None = None
    elapsed: float = 0.0


_wanted: Final[ContextVar[Capture | None]] = ContextVar("coaching_async.capture", default=None)


@contextmanager
def capturing() -> Generator[Capture]:
    """Keep the answer of the calls that are made in this block."""
    capture = Capture()
    token = _wanted.set(capture)
    try:
        yield capture
    finally:
        _wanted.reset(token)


def taken() -> AbstractContextManager[Capture | None]:
    """Who is looking, and nobody else for as long as the call takes: what is started in it is a call of its own."""
    capture = _wanted.get()
    return NOBODY if capture is None else _taken(capture)


NOBODY: Final = nullcontext()


@contextmanager
def _taken(capture: Capture) -> Generator[Capture]:
    token = _wanted.set(None)
    try:
        yield capture
    finally:
        _wanted.reset(token)


def not_watched() -> None:
    """Raise `TypeError` where somebody is looking: of many calls there is no one answer to show."""
    if _wanted.get() is not None:
        raise TypeError(
            "raw() shows the answer of one call, and a bulk makes many: call it in the bulk, as in "
            "bulk(lambda id: client.raw(client.appointments.get, id), ids)"
        )
