"""One call of the user's: build, deadline, send, decode or raise."""

from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import suppress
from functools import partial
from types import MappingProxyType
from typing import Final, Protocol, TypeAlias, TypeVar, cast

import anyio
import attrs

from coaching_async._events import CallFinished, CallStarted, Emit
from coaching_async._exceptions import (
    ClientMisuse,
    CoachingError,
    DeadlineExceeded,
    NotFound,
    OutcomeUnknown,
    check_before_retrying,
    worst_processed,
)
from coaching_async._serialization.codec import decode, encode
from coaching_async._serialization.json import Json
from coaching_async._serialization.urls import QueryValue, encode_path, encode_query
from coaching_async._transport.messages import CallContext, Request, Response
from coaching_async._transport.priority import current_priority
from coaching_async._transport.retry_policy import RetryPolicy, Safety
from coaching_async.models.common import AppointmentReference, Page

from .responses import (
    RawResponse,
    decode_json,
    decode_response,
    error_from_response,
    page_decoder,
    take_capture,
    to_raw_response,
)
from .session import CLIENT_CLOSED, Identity, Session

__all__ = ["API_ROOT", "NO_FILTERS", "ApiClient", "Filters", "poll_intervals"]

T = TypeVar("T")


class HasId(Protocol):
    """Something on the service."""

    @property
    def id(self) -> str: ...


J = TypeVar("J", bound=HasId)


Filters: TypeAlias = Mapping[str, QueryValue]


NO_FILTERS: Final[Filters] = MappingProxyType({})


API_ROOT: Final = "/api/v2/coaching"


MAX_URL_LENGTH: Final = 60_000
"""The HTTP library takes 65,536 characters, path and query together."""


@attrs.frozen(eq=False, repr=False)
class ApiClient:
    """What a resource needs to make calls. Segments are the path below `ROOT`, each quoted as one."""

    base_url: str
    get_session: Callable[[], Session]
    """The line of this event loop. Raises `ClientMisuse`."""
    identity: Identity
    emit: Emit
    timeout: float
    retry: RetryPolicy
    concurrency: int
    """How many requests the client has under way at once."""

    async def get(
        self, cls: type[T], operation: str, *segments: str, filters: Filters = NO_FILTERS, body: object = None
    ) -> T:
        """GET a `cls`; where the question is too long for a URL, POST it as `body`."""
        url, content = self.url(*segments, filters=filters), None if body is None else encode(body)
        return await self._call(operation, lambda call: self._get(call, cls, url, content))

    async def get_page(
        self, cls: type[Page[T]], operation: str, *segments: str, filters: Filters, number: int, size: int
    ) -> Page[T]:
        """GET one page of a list, and no other one."""
        url = self.url(*segments, filters={**filters, "page_size": size, "page_number": number})

        async def exchange(call: CallContext) -> Page[T]:
            return await decode_response(
                page_decoder(cls, number), await self._send(call, "GET", url, Safety.SAFE), call
            )

        return await self._call(operation, exchange)

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
        url, content = self.url(*segments), encode(body)
        reference: AppointmentReference | None = None

        async def exchange(call: CallContext) -> T:
            nonlocal reference
            response = await self._send(call, method, url, Safety.WRITE, content)
            if response.status != 202 or accepted is None:
                return await decode_response(partial(decode, cls), response, call)
            call.processed = "maybe"  # accepted is not yet done
            reference = await decode_response(partial(decode, AppointmentReference), response, call, {202})
            if call.is_captured:
                call.pending_error = OutcomeUnknown(f"{operation}: accepted for later (202)", processed="maybe")
                call.pending_error.operation, call.pending_error.reference = operation, reference
                return cast("T", None)
            try:
                done = await accepted(lambda id_: self._get(call, cls, self.url(segments[0], id_)), reference.id)
            except (CoachingError, ValueError) as error:
                problem = str(error)
            else:
                call.processed = "yes"
                return done
            raise OutcomeUnknown(
                f"{operation}: accepted for later (202), but what became of it cannot be read: {problem}. "
                f"{check_before_retrying(operation)}",
                processed="maybe",
            )

        try:
            return await self._call(operation, exchange)
        except OutcomeUnknown as error:
            error.reference = reference
            raise

    async def run_job(
        self, cls: type[J], operation: str, *segments: str, body: object, ready: Callable[[J], bool] = lambda _: True
    ) -> J:
        """POST a job, which a 202 answers with its first state, and read that until it is `ready`.

        What was last read of the job is the error's `partial` where one comes after it was started.
        """
        url, content = self.url(*segments), encode(body)
        job: J | None = None

        async def exchange(call: CallContext) -> J:
            nonlocal job
            job = await decode_response(
                partial(decode, cls), await self._send(call, "POST", url, Safety.WRITE, content), call, {202}
            )
            wait = poll_intervals()
            while not (call.is_captured or ready(job)):
                await anyio.sleep(next(wait))
                with suppress(NotFound):  # accepted is not yet there
                    job = await self._get(call, cls, self.url(*segments, job.id))
            return job

        try:
            return await self._call(operation, exchange)
        except CoachingError as error:
            error.partial = error.partial if job is None else (job,)
            raise

    async def delete(self, operation: str, *segments: str) -> None:
        """DELETE; any 2xx is as good as another."""
        url = self.url(*segments)

        async def exchange(call: CallContext) -> None:
            response = await self._send(call, "DELETE", url, Safety.DELETE)
            if not 200 <= response.status < 300:
                raise error_from_response(response, call)

        await self._call(operation, exchange)

    async def request(self, method: str, address: str, safety: Safety, content: bytes | None) -> RawResponse[Json]:
        """Any request at all; `address` is what follows the host. Any 2xx is as good as another, and so is no body."""
        url = _check_url_length(f"{self.base_url}{address}")
        asked: list[CallContext] = []

        async def exchange(call: CallContext) -> Json:
            asked.append(call)
            response = await self._send(call, method, url, safety, content)
            if 200 <= response.status < 300 and not (response.content or response.body_error):
                return None
            return await decode_response(decode_json, response, call, range(200, 300))

        started = anyio.current_time()
        value = await self._call("request", exchange)
        return to_raw_response(asked[0], anyio.current_time() - started, value)

    async def warmup(self) -> None:
        """Fetch a token and open a connection."""

        async def exchange(call: CallContext) -> None:
            way = self.get_session().pipeline(self.identity)
            await way.tokens.token()
            await way.ping(Request(call, "HEAD", f"{self.base_url}/", Safety.SAFE))

        await self._call("warmup", exchange)

    async def _get(self, call: CallContext, cls: type[T], url: str, question: bytes | None = None) -> T:
        method = "GET" if question is None else "POST"
        return await decode_response(
            partial(decode, cls), await self._send(call, method, url, Safety.SAFE, question), call
        )

    async def _send(
        self, call: CallContext, method: str, url: str, safety: Safety, content: bytes | None = None
    ) -> Response:
        headers = {} if content is None else JSON_HEADERS
        call.last_response = (
            await self.get_session().pipeline(self.identity).send(Request(call, method, url, safety, headers, content))
        )
        return call.last_response

    def url(self, *segments: str, filters: Filters = NO_FILTERS) -> str:
        """Where a request goes. Raises `ValueError` for what cannot be asked."""
        return _check_url_length(
            f"{self.base_url}{API_ROOT}{encode_path(*segments)}{'?' if filters else ''}{encode_query(**filters)}"
        )

    async def _call(self, operation: str, exchange: Callable[[CallContext], Awaitable[T]]) -> T:
        """Run one call: its events, and what its errors say about it."""
        line = self.get_session()
        line.raise_if_closed()
        with take_capture() as capture:
            call = CallContext(operation, self.emit, self.retry, current_priority(), is_captured=capture is not None)
            started = anyio.current_time()
            value = await self._call_with_events(line, call, started, exchange)
            if capture is not None:
                capture.call, capture.elapsed = call, anyio.current_time() - started
            return value

    async def _call_with_events(
        self, line: Session, call: CallContext, started: float, exchange: Callable[[CallContext], Awaitable[T]]
    ) -> T:
        operation = call.operation
        failure: BaseException | None = None
        self.emit(CallStarted(operation))
        try:
            return await self._call_with_deadline(line, call, exchange)
        except CoachingError as error:
            failure = error
            error.operation = operation
            error.attempts = call.attempts
            error.processed = worst_processed(error.processed, call.processed)
            raise
        except BaseException as error:
            failure = error
            raise
        finally:
            self.emit(
                CallFinished(
                    operation,
                    call.attempts,
                    anyio.current_time() - started,
                    None if failure is None else type(failure).__name__,
                    call.processed,
                    is_cancelled=not (failure is None or isinstance(failure, Exception)),
                    waited=call.waited,
                )
            )
            del failure  # else it would hold this frame, and this frame it

    async def _call_with_deadline(
        self, line: Session, call: CallContext, exchange: Callable[[CallContext], Awaitable[T]]
    ) -> T:
        # The caller's own tighter scope wins, and stays the caller's own: only ours is caught here.
        with anyio.CancelScope(deadline=anyio.current_time() + self.timeout) as call.scope:
            line.add_call(call.scope)
            try:
                return await exchange(call)
            finally:
                line.remove_call(call.scope)
        problem = CLIENT_CLOSED if line.is_closed else f"no answer within {self.timeout:g} s"
        raise _deadline_error(call, problem, is_closed=line.is_closed)


def _check_url_length(url: str) -> str:
    if len(url) > MAX_URL_LENGTH:
        raise ValueError(f"this would be a URL of {len(url)} characters, too long for HTTP: ask for fewer ids at once")
    return url


def poll_intervals() -> Iterator[float]:
    """Seconds between one look and the next at what the service does in its own time: a quarter, growing to four."""
    wait = 0.25
    while True:
        yield wait
        wait = min(2 * wait, 4.0)


JSON_HEADERS: Final = {"Content-Type": "application/json"}


def _deadline_error(call: CallContext, problem: str, *, is_closed: bool) -> CoachingError:
    if call.processed != "no":
        return OutcomeUnknown(
            f"{call.operation}: {problem}, and it may have been carried out. {check_before_retrying(call.operation)}",
            processed=call.processed,
        )
    if is_closed:
        return ClientMisuse(f"{call.operation}: {problem}")
    return DeadlineExceeded(f"{call.operation}: {problem}; nothing was changed")
