"""`ApiClient`: runs one call. It builds the request, sends it before the deadline, and decodes the response or raises."""

from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime
from functools import partial
from types import MappingProxyType
from typing import Any, Final, TypeAlias, TypeVar

import anyio
import attrs

from coaching_async._auth.grants import AccessToken
from coaching_async._events import CallFinished, CallStarted, Emit, RowsLeftOut
from coaching_async._exceptions import (
    ClientMisuse,
    CoachingError,
    DeadlineExceeded,
    OutcomeUnknown,
    check_before_retrying,
    worst_processed,
)
from coaching_async._serialization.codec import decode, encode
from coaching_async._serialization.json import parse_json
from coaching_async._serialization.rows import PartialPage
from coaching_async._serialization.urls import QueryValue, encode_path, encode_query
from coaching_async._transport.messages import CallContext, Request, Response, host_of
from coaching_async._transport.priority import current_priority
from coaching_async._transport.rate_limit.sharing import Sharing
from coaching_async._transport.retry_policy import RetryPolicy, Safety, parse_http_date
from coaching_async.models.coercion import IdLike, to_id
from coaching_async.models.common import Page

from .accepted import AcceptedJob, AcceptedWrite, HasId, ResolveAccepted
from .identity_state import Identity
from .name_cache import NameCache
from .responses import (
    RawResponse,
    check_deleted,
    decode_response,
    page_decoder,
    take_capture,
    to_raw_response,
)
from .service_clock import ServiceClock
from .session import CLIENT_CLOSED, Session

__all__ = ["API_ROOT", "NO_FILTERS", "PLATFORM_ROOT", "ApiClient", "Filters"]

T = TypeVar("T")
JobT = TypeVar("JobT", bound=HasId)


Filters: TypeAlias = Mapping[str, QueryValue]


NO_FILTERS: Final[Filters] = MappingProxyType({})


API_ROOT: Final = "/api/v2/coaching"


PLATFORM_ROOT: Final = "/api/v2"


JSON_HEADERS: Final = {"Content-Type": "application/json"}


EXPIRED: Final = "an AccessToken is not renewed: make a client, or a view by with_auth(), with a new one"
"""What to do if a token that was given as it is was rejected."""


MAX_URL_LENGTH: Final = 60_000
"""The HTTP library takes 65,536 characters, path and query together."""


@attrs.frozen(eq=False, repr=False)
class ApiClient:
    """The calls that resources make. `segments` are the path below `root`; each is percent-encoded as one segment.

    Every method runs one call: it takes at most `timeout` seconds, emits events, and returns a value or raises.
    """

    base_url: str
    get_session: Callable[[], Session]
    """Returns the session of the running event loop. Raises `ClientMisuse`."""
    identity: Identity
    emit: Emit
    timeout: float
    retry: RetryPolicy
    concurrency: int
    """The client's limit of concurrent requests."""
    root: str = API_ROOT
    """The path of all resources."""
    strict: bool = False
    """Whether a row of a list that cannot be read is an error."""
    clock: ServiceClock = attrs.field(factory=ServiceClock)
    """The clock of the service, observed at writes and pages. The views of a client share it."""
    host: str = attrs.field(init=False, default=attrs.Factory(lambda self: host_of(self.base_url), takes_self=True))

    @property
    def names(self) -> NameCache:
        """The names that this identity has read. Raises `ClientMisuse`."""
        session = self.get_session()
        session.raise_if_closed()
        return session.pipeline(self.identity).names

    async def get(
        self, cls: type[T], operation: str, *segments: IdLike, filters: Filters = NO_FILTERS, body: object = None
    ) -> T:
        """GET a `cls`. A query with a `body` is a POST, and as safe to retry as a GET."""
        url, content = self.url(*segments, filters=filters), None if body is None else encode(body)
        return await self._call(operation, lambda call: self._get(call, cls, url, content))

    async def send_safely(
        self,
        cls: type[T],
        operation: str,
        method: str,
        *segments: IdLike,
        filters: Filters = NO_FILTERS,
        body: object = None,
    ) -> T:
        """POST or PUT what does no harm if it is carried out twice. So it is as safe to retry as a GET."""
        url, content = self.url(*segments, filters=filters), None if body is None else encode(body)

        async def run(call: CallContext) -> T:
            response = await self._send(call, method, url, Safety.SAFE, content)
            self._observe_clock(response)
            return await decode_response(partial(decode, cls), response, call)

        return await self._call(operation, run)

    async def get_page(
        self,
        cls: type[Page[T]],
        operation: str,
        url: str,
        number: int,
        body: Mapping[str, object] | None = None,
        told: set[str] | None = None,
    ) -> Page[T]:
        """GET page `number` of a list, or POST the `body` of a search. A response with another page number is a `DecodeError`.

        The page may be a `PartialPage`, unless the client is `strict`. The rows that cannot be read are an event, except for those
        whose ids are in `told`. It gets the ids of the others.
        """
        method, content = ("GET", None) if body is None else ("POST", encode(body))

        async def run(call: CallContext) -> Page[T]:
            response = await self._send(call, method, url, Safety.SAFE, content)
            self._observe_clock(response)
            page = await decode_response(page_decoder(cls, number, url, strict=self.strict), response, call)
            if isinstance(page, PartialPage):
                rows = [row for row in page.left_out if told is None or row.id not in told]
                if rows:
                    indexes = tuple(row.index for row in rows)
                    self.emit(RowsLeftOut(operation, number, indexes, len(page.rows), rows[0].reason))
                if told is not None:
                    told.update(row.id for row in rows if row.id is not None)
            return page

        return await self._call(operation, run)

    async def write(
        self,
        cls: type[T],
        operation: str,
        method: str,
        *segments: IdLike,
        body: object,
        sets_values: bool = False,
        resolve_accepted: ResolveAccepted[T] | None = None,
    ) -> T:
        """POST or PATCH `body` and return a `cls`.

        `sets_values` marks an update that sets fields to the values of `body`, and does nothing else. The retry policy says
        whether it is repeated.

        Where the API may answer 202, `resolve_accepted` returns the `cls` of the id that the response names, before the
        same deadline.
        """
        url, content = self.url(*segments), encode(body)
        safety = Safety.UPDATE if sets_values and self.retry.repeat_updates else Safety.WRITE
        if resolve_accepted is None:
            return await self._call(operation, lambda call: self._write(call, cls, method, url, safety, content))
        accepted = AcceptedWrite(lambda call, id_: self._get(call, cls, self.url(segments[0], id_)), resolve_accepted)
        try:
            return await self._call(
                operation, lambda call: self._write(call, cls, method, url, safety, content, accepted)
            )
        except OutcomeUnknown as error:
            error.reference = accepted.reference
            raise

    async def run_job(
        self,
        cls: type[JobT],
        operation: str,
        *segments: IdLike,
        body: object,
        is_finished: Callable[[JobT], bool] = lambda _: True,
    ) -> JobT:
        """POST a job, and poll it until `is_finished(job)`.

        An error after the job was started has it as its `partial`, in the state that was last read.
        """
        url, content = self.url(*segments), encode(body)
        job = AcceptedJob(cls, lambda call, id_: self._get(call, cls, self.url(*segments, id_)), is_finished)

        async def run(call: CallContext) -> JobT:
            return await job.resolve(call, await self._send(call, "POST", url, Safety.WRITE, content))

        try:
            return await self._call(operation, run)
        except CoachingError as error:
            if job.latest is not None:
                error.partial = (job.latest,)
            raise

    async def delete(self, operation: str, *segments: IdLike) -> None:
        """DELETE. Any 2xx is a success."""
        url = self.url(*segments)

        async def run(call: CallContext) -> None:
            check_deleted(await self._send(call, "DELETE", url, Safety.DELETE), call)

        await self._call(operation, run)

    async def request(self, method: str, target: str, safety: Safety, content: bytes | None) -> RawResponse[Any]:
        """Send any request; `target` follows the host. Any 2xx is a success, with or without a body."""
        url = self.url_of(target)
        calls: list[CallContext] = []

        async def run(call: CallContext) -> Any:
            calls.append(call)
            response = await self._send(call, method, url, safety, content)
            if 200 <= response.status < 300 and not (response.content or response.body_error):
                return None
            return await decode_response(parse_json, response, call, range(200, 300))

        started = anyio.current_time()
        value = await self._call("request", run)
        return to_raw_response(calls[0], anyio.current_time() - started, value)

    async def warmup(self) -> None:
        """Fetch a token and open a connection."""

        async def run(call: CallContext) -> None:
            pipeline = self.get_session().pipeline(self.identity)
            await pipeline.tokens.token()
            await pipeline.ping(Request(call, "HEAD", f"{self.base_url}/", Safety.SAFE))

        await self._call("warmup", run)

    async def sharing(self) -> Sharing | None:
        """Return who shares the rate limit of this identity, None if it is not shared. Raises `ClientMisuse`."""
        session = self.get_session()
        session.raise_if_closed()
        read = session.pipeline(self.identity).sharing
        return None if read is None else await read()

    def url(self, *segments: IdLike, filters: Filters = NO_FILTERS) -> str:
        """Return the URL of a resource. Raise `ValueError` if a segment or filter is invalid, or the URL too long."""
        return _check_url_length(
            f"{self.base_url}{self.root}{encode_path(*map(to_id, segments))}{'?' if filters else ''}{encode_query(**filters)}"
        )

    def url_of(self, target: str) -> str:
        """Return the URL of a path with its parameters. Raise `ValueError` if it is too long."""
        return _check_url_length(f"{self.base_url}{target}")

    async def _get(self, call: CallContext, cls: type[T], url: str, query: bytes | None = None) -> T:
        method = "GET" if query is None else "POST"
        response = await self._send(call, method, url, Safety.SAFE, query)
        return await decode_response(partial(decode, cls), response, call)

    async def _write(
        self,
        call: CallContext,
        cls: type[T],
        method: str,
        url: str,
        safety: Safety,
        content: bytes,
        accepted: AcceptedWrite[T] | None = None,
    ) -> T:
        response = await self._send(call, method, url, safety, content)
        self._observe_clock(response)
        if response.status == 202 and accepted is not None:
            return await accepted.resolve(call, response)
        return await decode_response(partial(decode, cls), response, call)

    def _observe_clock(self, response: Response) -> None:
        date = response.headers.get("date")
        service_time = parse_http_date(date) if date and response.is_from_service else None
        if service_time is not None:
            self.clock.observe(service_time, datetime.now(UTC))

    async def _send(
        self, call: CallContext, method: str, url: str, safety: Safety, content: bytes | None = None
    ) -> Response:
        headers = {} if content is None else JSON_HEADERS
        call.last_response = (
            await self.get_session().pipeline(self.identity).send(Request(call, method, url, safety, headers, content))
        )
        return call.last_response

    async def _call(self, operation: str, run: Callable[[CallContext], Awaitable[T]]) -> T:
        """Run one call, with its events and its deadline."""
        session = self.get_session()
        session.raise_if_closed()
        with take_capture() as capture:
            is_captured = capture is not None
            advice = EXPIRED if isinstance(self.identity.auth, AccessToken) else None
            call = CallContext(
                operation,
                self.emit,
                self.retry,
                current_priority(),
                self.host,
                advice_on_401=advice,
                is_captured=is_captured,
            )
            started = anyio.current_time()
            value = await self._call_with_events(session, call, started, run)
            if capture is not None:
                capture.call, capture.elapsed = call, anyio.current_time() - started
            return value

    async def _call_with_events(
        self, session: Session, call: CallContext, started: float, run: Callable[[CallContext], Awaitable[T]]
    ) -> T:
        operation = call.operation
        failure: BaseException | None = None
        self.emit(CallStarted(operation))
        try:
            return await self._call_with_deadline(session, call, run)
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
            del failure  # breaks the reference cycle of the exception and this frame

    async def _call_with_deadline(
        self, session: Session, call: CallContext, run: Callable[[CallContext], Awaitable[T]]
    ) -> T:
        # An enclosing scope of the caller may have an earlier deadline. Its cancellation is not caught here.
        with anyio.CancelScope(deadline=anyio.current_time() + self.timeout) as call.scope:
            session.add_call(call.scope)
            try:
                return await run(call)
            finally:
                session.remove_call(call.scope)
        problem = CLIENT_CLOSED if session.is_closed else f"no answer within {self.timeout:g} s"
        raise _deadline_error(call, problem, is_closed=session.is_closed)


def _check_url_length(url: str) -> str:
    if len(url) > MAX_URL_LENGTH:
        raise ValueError(f"this would be a URL of {len(url)} characters, too long for HTTP: ask for fewer ids at once")
    return url


def _deadline_error(call: CallContext, problem: str, *, is_closed: bool) -> CoachingError:
    if call.processed != "no":
        return OutcomeUnknown(
            f"{call.operation}: {problem}, and it may have been carried out. {check_before_retrying(call.operation)}",
            processed=call.processed,
        )
    if is_closed:
        return ClientMisuse(f"{call.operation}: {problem}")
    return DeadlineExceeded(f"{call.operation}: {problem}; nothing was changed")
