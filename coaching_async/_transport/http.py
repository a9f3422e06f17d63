"""The bottom of the pipeline, and the only place that knows how an HTTP library talks and fails."""

from typing import Any, Final

import anyio
import attrs
import httpx

from coaching_async._concurrency.deadlines import checkpoint_if_past_deadline
from coaching_async._concurrency.tasks import run_in_child_task
from coaching_async._events import RequestAnswered, RequestFailed, RequestSent
from coaching_async._exceptions import ClientMisuse

from .body import drain, read_body
from .failures import fault_from_exception, network_error_class, sanitized
from .http_client import HttpClient, HttpResponse, LazyHttpClient
from .httpcore_hooks import BytesBody, HttpcoreTrace, mark_sent, silence_hpack
from .messages import BodyError, Request, Response, SendError
from .retry_policy import Fault, Safety
from .throttling import ConcurrencyLimiter

__all__ = ["HttpTransport"]


CONNECT_TIMEOUT: Final = 5.0


READ_TIMEOUT: Final = 15.0
"""Seconds of silence after which a request that may be repeated is repeated; a write waits for its deadline."""


@attrs.define(eq=False, repr=False)
class HttpTransport:
    """Sends one request through the gate and reads the answer in full.

    Each exchange runs in a child task: so a native cancel of the caller reaches httpx as the cancelling of a scope, the
    only kind that its pool survives (encode/httpcore#1093). The gate keeps requests from waiting in that pool.
    """

    http_client: LazyHttpClient
    limiter: ConcurrencyLimiter

    async def __call__(self, request: Request) -> Response:
        """Exchange one request for its answer, or raise ExchangeFailed."""
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
            attempt, before = call.attempts, call.processed
            if self.http_client.is_borrowed:
                mark_sent(request)  # it may take another's transport to know better
            started = anyio.current_time()
            call.emit(RequestSent(call.operation, attempt, call.waited))
            answer = await run_in_child_task(lambda: self._exchange(http, request))
            elapsed = anyio.current_time() - started
            call.processed = before
            if isinstance(answer, SendError):
                call.emit(RequestFailed(call.operation, attempt, type(answer.cause).__name__, elapsed))
                try:
                    raise answer
                finally:
                    del answer  # it holds this frame, and must not be held by it
            slot.succeeded = answer.status != 429
            call.emit(RequestAnswered(call.operation, attempt, answer.status, elapsed, answer.correlation_id))
            return answer

    async def _exchange(self, http: HttpClient, request: Request) -> Response | SendError:
        answer: HttpResponse | None = None
        read_timeout = None if request.safety is Safety.WRITE else READ_TIMEOUT
        if self.http_client.is_borrowed:  # our own speaks HTTP/1.1
            silence_hpack()
        trace = HttpcoreTrace(request, self.http_client.admission)
        try:
            http_request = http.build_request(
                request.method,
                request.url,
                headers={**self.http_client.headers, **request.headers},
                content=request.content,
                timeout=(CONNECT_TIMEOUT, read_timeout, read_timeout, None),
                extensions={"trace": trace},
            )
            if self.http_client.is_borrowed:
                _without_client_defaults(http_request, request, http)
            if isinstance(http_request, httpx.Request) and request.content is not None:
                http_request.stream = BytesBody(request.content)
            async with trace:
                answer = await http.send(http_request, stream=True, auth=None, follow_redirects=False)
            try:
                return _to_response(answer, await (drain if request.method == "HEAD" else read_body)(answer))
            finally:
                await answer.aclose()
        except Exception as error:
            kind = network_error_class(error)
            if kind is not None:
                return self._classify(error, kind, answer)
            if not (
                self.http_client.is_borrowed and isinstance(error, RuntimeError) and "loop is closed" in str(error)
            ):
                raise  # a mistake, ours or a borrowed transport's
        raise ClientMisuse("the HTTP client that this client was given belongs to an event loop that is gone")

    def _classify(self, error: Exception, kind: type[Exception], answer: HttpResponse | None) -> Response | SendError:
        if kind.__name__ == "HTTPStatusError":  # a borrowed client may raise by itself
            refusal: HttpResponse = getattr(error, "response")  # noqa: B009 # whichever library's
            return _to_response(refusal, refusal.content if refusal.is_stream_consumed else b"")
        if answer is not None and not 200 <= answer.status_code < 300:
            return Response(answer.status_code, answer.headers)  # what matters of it arrived
        fault = (
            Fault.BODY_TRUNCATED
            if answer is not None
            else fault_from_exception(error, kind.__name__, borrowed=self.http_client.is_borrowed)
        )
        return SendError(fault, sanitized(error, kind))


def _without_client_defaults(http_request: Any, request: Request, http: HttpClient) -> None:
    """Without what a borrowed client adds to each request: its params, which would stand instead of ours, and its jar."""
    if str(http_request.url) != request.url:
        http_request.url = type(http_request.url)(request.url)
    if "cookie" not in http.headers:
        http_request.headers.pop("cookie", None)


def _to_response(answer: HttpResponse, body: bytes | BodyError) -> Response:
    if isinstance(body, BodyError):
        return Response(answer.status_code, answer.headers, body_error=body)
    return Response(answer.status_code, answer.headers, body)
