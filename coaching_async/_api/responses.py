"""Responses: deserialization into a value, conversion into an error, and capture for `raw`."""

from collections.abc import Callable, Collection, Generator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from contextvars import ContextVar
from typing import Any, Final, Generic, TypeVar, cast

import attrs

from coaching_async._exceptions import (
    CoachingError,
    DecodeError,
    OutcomeUnknown,
    RateLimited,
    ResponseError,
    ServerError,
    check_before_retrying,
    redact,
)
from coaching_async._permissions import advice_for
from coaching_async._serialization.codec import decode, from_dict
from coaching_async._serialization.json import parse_json, parse_object
from coaching_async._serialization.rows import read_page
from coaching_async._transport.body import parse_body
from coaching_async._transport.messages import CHECK_NETWORK, CallContext, Response
from coaching_async._value import Value
from coaching_async.models.common import Page
from coaching_async.models.errors import ErrorDetail

__all__ = [
    "SUCCESS",
    "Capture",
    "RawResponse",
    "capture_response",
    "check_deleted",
    "decode_response",
    "error_from_response",
    "page_decoder",
    "refuse_capture",
    "take_capture",
    "to_raw_response",
]

T = TypeVar("T")

SUCCESS: Final = frozenset({200, 201})


STATED_BY_ANYONE: Final = (RateLimited, ServerError)
"""Errors that mean the same from a gateway. Any other is a statement about the token or the request, which only the API makes."""


async def decode_response(
    parse: Callable[[bytes], T], response: Response, call: CallContext, expected: Collection[int] = SUCCESS
) -> T:
    if not 200 <= response.status < 300:
        raise error_from_response(response, call)
    problem = f"status {response.status} is not among the answers of this operation"
    if response.body_error is not None:
        problem = response.body_error.text
    elif response.status in expected:
        try:
            return await parse_body(parse, response.content)
        except ValueError as error:
            problem = str(error)
    raise _unusable_success(response, call, problem)


def check_deleted(response: Response, call: CallContext) -> None:
    """Raise an error unless a DELETE succeeded. Any 2xx is a success, but for a web page, which is not the API's."""
    if not 200 <= response.status < 300:
        raise error_from_response(response, call)
    if not response.is_from_service:
        raise _unusable_success(response, call)


def _unusable_success(response: Response, call: CallContext, problem: str = "") -> CoachingError:
    text = f"{call.operation}: the answer is not what the API promises: {problem}{_correlation_suffix(response)}"
    if not response.is_from_service:
        text = f"{call.operation}: {response.describe_foreign(call.host)}: {CHECK_NETWORK}"
    failure: CoachingError
    if call.processed == "no":
        failure = DecodeError(text)
        failure.status, failure.correlation_id = response.status, response.correlation_id
    else:
        failure = OutcomeUnknown(f"{text}. {check_before_retrying(call.operation)}", processed=call.processed)
    failure.is_from_gateway = not response.is_from_service
    return failure


def page_decoder(cls: type[Page[T]], number: int, source: str, *, strict: bool) -> Callable[[bytes], Page[T]]:
    """Return a decoder of page `number`, which raises `ValueError` for any other page.

    It sets rows apart that cannot be read, or raises for them if it is `strict`. `source` identifies the page.
    """

    def read(of: type[Page[T]], data: Any) -> Page[T]:
        return from_dict(of, data) if strict else read_page(of, data, number, source)

    def parse(content: bytes) -> Page[T]:
        page = decode(cls, content, read)
        if page.page_number is not None and page.page_number != number:
            raise ValueError(f"page {number} was asked for, and page {page.page_number} came")
        return page

    return parse


def error_from_response(response: Response, call: CallContext) -> ResponseError:
    body = parse_object(response.content)
    code, message = _string_field(body, "code"), _string_field(body, "message")
    is_from_service, cls = response.is_from_service, ResponseError.of_status(response.status)
    parts = [f"{call.operation}: {response.status if is_from_service else response.describe_foreign(call.host)}"]
    if code and is_from_service:
        parts.append(redact(code))
    if message:
        parts.append(f"({redact(message)})")
    advice = advice_for(call.operation, response.status, code) if is_from_service else None
    if response.status == 401 and is_from_service:
        advice = call.advice_on_401
    if not is_from_service and not issubclass(cls, STATED_BY_ANYONE):
        cls, advice = ResponseError, CHECK_NETWORK
    text = f"{' '.join(parts)}{f': {advice}' if advice else ''}{_correlation_suffix(response)}"
    error = cls(text)
    error.status, error.code, error.message = response.status, code, message
    error.is_from_gateway = not is_from_service
    error.correlation_id = response.correlation_id
    error.retry_after = response.retry_after
    error.details = _error_details(body.get("details"))
    return error


def _error_details(value: object) -> tuple[ErrorDetail, ...]:
    try:
        return tuple(from_dict(ErrorDetail, detail) for detail in cast("list[dict[str, object]]", value or ()))
    except (TypeError, ValueError):
        return ()  # the details are optional: their defects must not hide the error


def _correlation_suffix(response: Response) -> str:
    return f" (correlation id {response.correlation_id})" if response.correlation_id else ""


def _string_field(body: dict[str, object], name: str) -> str | None:
    value = body.get(name)
    return value if isinstance(value, str) else None


@attrs.frozen(eq=False, repr=False)
class RawResponse(Value, Generic[T]):
    """The raw response of a call, and the value that the method returns for it."""

    status: int
    """HTTP status."""
    headers: Mapping[str, str] = attrs.field(repr=False)
    """Headers of the response. Their names are case-insensitive."""
    correlation_id: str | None
    """Id of the request at the service, for the vendor's support. None if the response has none."""
    attempts: int
    """Number of requests that the call sent."""
    elapsed: float
    """Seconds that the call took, waiting included."""
    _content: bytes = attrs.field(repr=False)
    _value: "T | OutcomeUnknown" = attrs.field(repr=False)

    @property
    def json(self) -> Any:
        """The parsed body; None where it is empty or not JSON."""
        try:
            return parse_json(self._content)
        except ValueError:
            return None

    @property
    def value(self) -> T:
        """The value that the method returns.

        After a 202 there is none yet. Then this raises `OutcomeUnknown`, and its `reference` locates the future resource.
        """
        if isinstance(self._value, OutcomeUnknown):
            raise self._value
        return self._value


def to_raw_response(call: CallContext, elapsed: float, value: T) -> RawResponse[T]:
    """Return the last response of a call that returned `value`."""
    response = call.last_response
    assert response is not None  # noqa: S101 # a call that returned a value had one
    return RawResponse(
        response.status,
        response.headers,
        response.correlation_id,
        call.attempts,
        elapsed,
        response.content,
        call.pending_error or value,
    )


@attrs.define(eq=False, repr=False)
class Capture:
    """The last call that was made in a `capture_response` block."""

    call: CallContext | None = None
    elapsed: float = 0.0


_capture: Final[ContextVar[Capture | None]] = ContextVar("coaching_async.capture", default=None)


@contextmanager
def capture_response() -> Generator[Capture]:
    """Capture the calls that are made in this block."""
    capture = Capture()
    token = _capture.set(capture)
    try:
        yield capture
    finally:
        _capture.reset(token)


def take_capture() -> AbstractContextManager[Capture | None]:
    """Return the capture for one call, and suspend it meanwhile, because hooks and token sources may make calls too."""
    capture = _capture.get()
    return NO_CAPTURE if capture is None else _suspended(capture)


NO_CAPTURE: Final = nullcontext()


@contextmanager
def _suspended(capture: Capture) -> Generator[Capture]:
    token = _capture.set(None)
    try:
        yield capture
    finally:
        _capture.reset(token)


def refuse_capture() -> None:
    """Raise `TypeError` in a `capture_response` block, because a bulk has no single response."""
    if _capture.get() is not None:
        raise TypeError(
            "raw() shows the answer of one call, and a bulk makes many: call it in the bulk, as in "
            "bulk(lambda id: client.raw(client.appointments.get, id), ids)"
        )
