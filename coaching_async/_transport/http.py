"""HTTP transport: sends one request and reads its whole response, with timeouts and under the concurrency limit."""

from typing import Any, Final

import anyio
import attrs

from coaching_async._concurrency.deadlines import checkpoint_if_past_deadline
from coaching_async._concurrency.tasks import run_in_child_task
from coaching_async._events import RequestAnswered, RequestFailed, RequestSent
from coaching_async._exceptions import ClientMisuse

from .body import drain, read_body
from .concurrency_limit import ConcurrencyLimiter
from .failures import classify, is_closed_loop, response_raised_by
from .http_client import HttpClient, HttpResponse, LazyHttpClient
from .httpcore_hooks import HttpcoreTrace, remove_client_defaults, replace_body_stream, silence_hpack
from .messages import BodyError, Request, Response, SendError
from .retry_policy import Fault, Safety

__all__ = ["HttpTransport"]


CONNECT_TIMEOUT: Final = 5.0
"""Seconds for opening a connection."""


READ_TIMEOUT: Final = 15.0
"""Seconds without a byte after which a request that may be retried fails. A write waits until its deadline."""


@attrs.define(eq=False, repr=False)
class HttpTransport:
    """The last `Send` of a pipeline: sends one request under the concurrency limit and reads the whole response.

    Each exchange runs in a child task. A native cancellation of the caller then reaches httpx as the cancellation of a
    scope, which is the only kind that its connection pool survives (encode/httpcore#1093). The limiter allows no more
    exchanges than the pool has connections, because a request that is cancelled while it waits in the pool breaks it too.
    """

    http_client: LazyHttpClient
    limiter: ConcurrencyLimiter

    async def __call__(self, request: Request) -> Response:
        """Send a request and return its response. Raises `SendError` if there is none."""
        http = await self.http_client.get()
        call = request.call
        slot = self.limiter.acquire_nowait(request.cooldown)
        if slot is None:
            await checkpoint_if_past_deadline()
            with call.waiting():
                slot = await self.limiter.acquire(request.cooldown, call.priority)
        with slot:
            if http.is_closed:
                raise ClientMisuse("the HTTP client of this client is closed")
            call.attempts += 1
            attempt, processed_before = call.attempts, call.processed
            if self.http_client.is_borrowed:
                request.mark_sent()  # at once, because a borrowed client's transport may not report its events
            started = anyio.current_time()
            call.emit(RequestSent(call.operation, attempt, call.waited))
            outcome = await run_in_child_task(lambda: self._exchange(http, request))
            elapsed = anyio.current_time() - started
            call.processed = processed_before  # an outcome is known: the retry table decides what it means
            if isinstance(outcome, SendError):
                call.emit(RequestFailed(call.operation, attempt, type(outcome.cause).__name__, elapsed))
                try:
                    raise outcome
                finally:
                    del outcome  # its traceback refers to this frame: without this there would be a reference cycle
            slot.succeeded = outcome.status != 429
            call.emit(RequestAnswered(call.operation, attempt, outcome.status, elapsed, outcome.correlation_id))
            return outcome

    async def _exchange(self, http: HttpClient, request: Request) -> Response | SendError:
        if self.http_client.is_borrowed:  # a client of our own uses HTTP/1.1
            silence_hpack()
        http_response: HttpResponse | None = None
        trace = HttpcoreTrace(request, self.http_client.streams, self.http_client.admission)
        try:
            http_request = self._build_request(http, request, trace)
            async with trace:
                http_response = await http.send(http_request, stream=True, auth=None, follow_redirects=False)
            return await _read_response(http_response, request.method)
        except Exception as error:
            if (refusal := response_raised_by(error)) is not None:
                return _to_response(refusal, refusal.content if refusal.is_stream_consumed else b"")
            borrowed = self.http_client.is_borrowed
            is_unsent = trace.is_unsent and (not borrowed or trace.proxy is not None)
            failure = classify(error, request.url, borrowed=borrowed, is_unsent=is_unsent, proxy=trace.proxy)
            if failure is not None:
                return failure if http_response is None else _without_body(http_response, failure)
            if not (self.http_client.is_borrowed and is_closed_loop(error)):
                raise  # a bug of this package, or of a borrowed client
        raise ClientMisuse("the HTTP client that this client was given belongs to an event loop that is gone")

    def _build_request(self, http: HttpClient, request: Request, trace: HttpcoreTrace) -> Any:
        read_timeout = None if request.safety is Safety.WRITE else READ_TIMEOUT
        http_request = http.build_request(
            request.method,
            request.url,
            headers={**self.http_client.headers, **request.headers},
            content=request.content,
            timeout=(CONNECT_TIMEOUT, read_timeout, read_timeout, None),
            extensions={"trace": trace},
        )
        if self.http_client.is_borrowed:
            remove_client_defaults(http_request, request.url, http.headers)
        if request.content is not None:
            replace_body_stream(http_request, request.content)
        return http_request


async def _read_response(http_response: HttpResponse, method: str) -> Response:
    try:
        body = await (drain if method == "HEAD" else read_body)(http_response)
        return _to_response(http_response, body)
    finally:
        await http_response.aclose()


def _to_response(http_response: HttpResponse, body: bytes | BodyError) -> Response:
    if isinstance(body, BodyError):
        return Response(http_response.status_code, http_response.headers, body_error=body)
    return Response(http_response.status_code, http_response.headers, body)


def _without_body(http_response: HttpResponse, failure: SendError) -> Response | SendError:
    """Return what a response means whose body could not be read: of an error, status and headers are enough."""
    if 200 <= http_response.status_code < 300:
        return SendError(Fault.BODY_TRUNCATED, failure.cause)
    return Response(http_response.status_code, http_response.headers)
