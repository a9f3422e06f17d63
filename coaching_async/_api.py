"""One call of the user's: build, deadline, send, decode or raise."""

import re
from collections.abc import Awaitable, Callable, Mapping
from types import MappingProxyType
from typing import Final, TypeAlias, TypeVar, cast

import anyio
import attrs

from ._errors import CoachingError, DeadlineExceeded, DecodeError, OutcomeUnknown, ResponseError, worse
from ._events import CallFinished, CallStarted, Emit
from ._listing import Listing
from ._pipeline import Call, Request, Response, Send
from ._retry import Safety
from ._wire import QueryValue, encode, from_dict, parse_json, parse_object, path, query
from .models import AppointmentReference, ErrorDetail, Page

__all__ = ["ROOT", "Api"]

T = TypeVar("T")

Filters: TypeAlias = Mapping[str, QueryValue]

NONE: Final[Filters] = MappingProxyType({})
ROOT: Final = "/api/v2/coaching"
LONGEST_URL: Final = 60_000
"""The HTTP library takes 65,536 characters, path and query together."""


@attrs.frozen
class Api:
    """What a resource needs to make calls. Segments are the path below `ROOT`, each quoted as one."""

    base_url: str
    send: Send
    emit: Emit
    timeout: float

    async def read(self, cls: type[T], operation: str, *segments: str, filters: Filters = NONE) -> T:
        """GET a `cls`."""
        url = self._url(segments, filters)
        return await self._bounded(operation, lambda call: self._get(call, cls, url))

    def listing(
        self, cls: type[Page[T]], operation: str, *segments: str, page_size: int, filters: Filters = NONE
    ) -> Listing[T]:
        """A list whose pages are read when they are needed. Bad arguments are refused now."""
        self._url(segments, filters)

        async def fetch(number: int, size: int) -> Page[T]:
            return await self.read(
                cls, operation, *segments, filters={**filters, "page_size": size, "page_number": number}
            )

        return Listing(fetch, page_size)

    async def write(
        self,
        cls: type[T],
        operation: str,
        method: str,
        *segments: str,
        body: object,
        accepted: Callable[[Callable[[str], Awaitable[T]], str], Awaitable[T]] | None = None,
    ) -> T:
        """POST or PATCH `body`, for a `cls`.

        Where the API may answer 202, `accepted` turns the id that it names into what was asked for, before the same
        deadline. It is given a function that reads the `cls` of an id.
        """
        url, content = self._url(segments), encode(body)
        reference: AppointmentReference | None = None

        async def exchange(call: Call) -> T:
            nonlocal reference
            response = await self.send(Request(call, method, url, Safety.WRITE, JSON, content))
            if response.status != 202 or accepted is None:
                return _decoded(cls, response, call)
            call.processed = "maybe"  # accepted is not yet done
            reference = _decoded(AppointmentReference, attrs.evolve(response, status=200), call)
            try:
                return await accepted(lambda id_: self._get(call, cls, self._url((segments[0], id_))), reference.id)
            except (CoachingError, ValueError) as error:
                problem = str(error)
            raise OutcomeUnknown(
                f"{operation}: accepted for later (202), but what became of it cannot be read: {problem}",
                processed="maybe",
            )

        try:
            return await self._bounded(operation, exchange)
        except OutcomeUnknown as error:
            error.reference = reference
            raise

    async def delete(self, operation: str, *segments: str) -> None:
        """DELETE; any 2xx is as good as another."""
        url = self._url(segments)

        async def exchange(call: Call) -> None:
            response = await self.send(Request(call, "DELETE", url, Safety.DELETE))
            if not 200 <= response.status < 300:
                raise _response_error(response, call)

        await self._bounded(operation, exchange)

    async def _get(self, call: Call, cls: type[T], url: str) -> T:
        return _decoded(cls, await self.send(Request(call, "GET", url, Safety.SAFE)), call)

    def _url(self, segments: tuple[str, ...], filters: Filters = NONE) -> str:
        url = f"{self.base_url}{ROOT}{path(*segments)}{'?' if filters else ''}{query(**filters)}"
        if len(url) > LONGEST_URL:
            raise ValueError(f"this would be a URL of {len(url)} characters: ask for fewer ids at once")
        return url

    async def _bounded(self, operation: str, exchange: Callable[[Call], Awaitable[T]]) -> T:
        """Run one call: its events, and what its errors say about it."""
        call = Call(operation, self.emit)
        started = anyio.current_time()
        failure: str | None = None
        self.emit(CallStarted(operation))
        try:
            return await self._in_time(call, exchange)
        except CoachingError as error:
            failure = type(error).__name__
            error.operation = operation
            error.attempts = call.attempts
            error.processed = worse(error.processed, call.processed)
            raise
        except BaseException as error:
            failure = type(error).__name__
            raise
        finally:
            self.emit(CallFinished(operation, call.attempts, anyio.current_time() - started, failure))

    async def _in_time(self, call: Call, exchange: Callable[[Call], Awaitable[T]]) -> T:
        # The caller's own tighter scope wins, and stays the caller's own: only ours is caught here.
        with anyio.CancelScope(deadline=anyio.current_time() + self.timeout):
            return await exchange(call)
        raise _deadline_error(call, self.timeout)


JSON: Final = {"Content-Type": "application/json"}

HINTS: Final = {
    "not.a.user": "it speaks of the caller, so it needs a user's token; a client's own token has no user",
}
"""What to do about an error code, where the service's text does not say it."""

PERSONAL: Final = re.compile(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}|\S+@\S+")
"""What has no business in a log: ids and addresses that the service's text may quote."""


def _deadline_error(call: Call, timeout: float) -> CoachingError:
    if call.processed == "no":
        return DeadlineExceeded(f"{call.operation}: no answer within {timeout:g} s; nothing was changed")
    return OutcomeUnknown(
        f"{call.operation}: no answer within {timeout:g} s, and it may have been carried out. "
        "Look before you send it again",
        processed=call.processed,
    )


def _decoded(cls: type[T], response: Response, call: Call) -> T:
    if not 200 <= response.status < 300:
        raise _response_error(response, call)
    problem = f"status {response.status} is not among the answers of this operation"
    if response.status in {200, 201}:
        try:
            return from_dict(cls, parse_json(response.content))
        except ValueError as error:
            problem = str(error)
    text = f"{call.operation}: the answer is not what the API promises: {problem}{_correlation(response)}"
    if call.processed != "no":
        raise OutcomeUnknown(text, processed=call.processed)
    failure = DecodeError(text)
    failure.status, failure.correlation_id = response.status, response.correlation_id
    raise failure


def _response_error(response: Response, call: Call) -> ResponseError:
    body = parse_object(response.content)  # a gateway sends a page, or nothing
    code, message = _text(body, "code"), _text(body, "message")
    parts = [f"{call.operation}: {response.status}"]
    if code:
        parts.append(_showable(code))
    if message:
        parts.append(f"({_showable(message)})")
    hint = f": {HINTS[code]}" if code in HINTS else ""
    error = ResponseError.of_status(response.status)(f"{' '.join(parts)}{hint}{_correlation(response)}")
    error.status, error.code, error.message = response.status, code, message
    error.correlation_id = response.correlation_id
    error.retry_after = response.retry_after
    error.details = _details(body.get("details"))
    return error


def _showable(text: str) -> str:
    """One short line without ids and addresses."""
    return PERSONAL.sub("…", " ".join(text.split()))[:200]


def _details(value: object) -> tuple[ErrorDetail, ...]:
    try:
        return tuple(from_dict(ErrorDetail, detail) for detail in cast("list[dict[str, object]]", value or ()))
    except (TypeError, ValueError):
        return ()  # an error about an error helps nobody


def _correlation(response: Response) -> str:
    return f" (correlation id {response.correlation_id})" if response.correlation_id else ""


def _text(body: dict[str, object], name: str) -> str | None:
    value = body.get(name)
    return value if isinstance(value, str) else None
