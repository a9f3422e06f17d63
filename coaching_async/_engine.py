"""The bottom of the pipeline, and the only place that knows how an HTTP library talks and fails."""

from typing import Any, Final, Self, TypeVar

import anyio
import attrs
import httpx

from . import _body
from ._errors import ClientMisuse
from ._events import RequestAnswered, RequestFailed, RequestSent
from ._exchange import ExchangeFailed, Flaw, Request, Response
from ._failures import bare, fault_of_failure, kind_of
from ._gate import Gate
from ._http import Connections, HttpClient, HttpResponse
from ._log import not_in_hpacks_log
from ._rate import end_if_over
from ._retry import Fault, Safety
from ._tasks import in_child_task

__all__ = ["Engine"]

T = TypeVar("T")

CONNECT_TIMEOUT: Final = 5.0
ANSWER_TIMEOUT: Final = 15.0
"""Seconds of silence after which a request that may be repeated is repeated; a write waits for its deadline."""


@attrs.define(eq=False, repr=False)
class Engine:
    """Sends one request through the gate and reads the answer in full.

    Each exchange runs in a child task: so a native cancel of the caller reaches httpx as the cancelling of a scope, the
    only kind that its pool survives (encode/httpcore#1093). The gate keeps requests from waiting in that pool.
    """

    connections: Connections
    gate: Gate

    async def __call__(self, request: Request) -> Response:
        """Exchange one request for its answer, or raise ExchangeFailed."""
        http = await self.connections.get()
        call = request.call
        turn = self.gate.turn(request.pause)
        if turn is None:
            await end_if_over()
            with call.in_line():
                turn = await self.gate.slot(request.pause, call.lane)
        with turn:
            if http.is_closed:
                raise ClientMisuse("the HTTP client of this client is closed")
            call.attempts += 1
            attempt, before = call.attempts, call.processed
            if self.connections.is_borrowed:
                _has_left(request)  # it may take another's transport to know better
            started = anyio.current_time()
            call.emit(RequestSent(call.operation, attempt, call.waited))
            answer = await in_child_task(lambda: self._exchange(http, request))
            elapsed = anyio.current_time() - started
            call.processed = before
            if isinstance(answer, ExchangeFailed):
                call.emit(RequestFailed(call.operation, attempt, type(answer.cause).__name__, elapsed))
                try:
                    raise answer
                finally:
                    del answer  # it holds this frame, and must not be held by it
            turn.went_well = answer.status != 429
            call.emit(RequestAnswered(call.operation, attempt, answer.status, elapsed, answer.correlation_id))
            return answer

    async def _exchange(self, http: HttpClient, request: Request) -> Response | ExchangeFailed:
        answer: HttpResponse | None = None
        silence = None if request.safety is Safety.WRITE else ANSWER_TIMEOUT
        if self.connections.is_borrowed:  # our own speaks HTTP/1.1
            not_in_hpacks_log()
        watch = Watch(request, self.connections.door)
        try:
            outgoing = http.build_request(
                request.method,
                request.url,
                headers={**self.connections.headers, **request.headers},
                content=request.content,
                timeout=(CONNECT_TIMEOUT, silence, silence, None),
                extensions={"trace": watch},
            )
            if self.connections.is_borrowed:
                _as_asked(outgoing, request, http)
            if isinstance(outgoing, httpx.Request) and request.content is not None:
                outgoing.stream = Whole(request.content)
            async with watch:
                answer = await http.send(outgoing, stream=True, auth=None, follow_redirects=False)
            try:
                return _response(answer, await (_body.read_none if request.method == "HEAD" else _body.read)(answer))
            finally:
                await answer.aclose()
        except Exception as error:
            kind = kind_of(error)
            if kind is not None:
                return self._failed(error, kind, answer)
            if not (
                self.connections.is_borrowed and isinstance(error, RuntimeError) and "loop is closed" in str(error)
            ):
                raise  # a mistake, ours or a borrowed transport's
        raise ClientMisuse("the HTTP client that this client was given belongs to an event loop that is gone")

    def _failed(
        self, error: Exception, kind: type[Exception], answer: HttpResponse | None
    ) -> Response | ExchangeFailed:
        if kind.__name__ == "HTTPStatusError":  # a borrowed client may raise by itself
            refusal: HttpResponse = getattr(error, "response")  # noqa: B009 # whichever library's
            return _response(refusal, refusal.content if refusal.is_stream_consumed else b"")
        if answer is not None and not 200 <= answer.status_code < 300:
            return Response(answer.status_code, answer.headers)  # what matters of it arrived
        fault = (
            Fault.BODY_LOST
            if answer is not None
            else fault_of_failure(error, kind.__name__, borrowed=self.connections.is_borrowed)
        )
        return ExchangeFailed(fault, bare(error, kind))


def _as_asked(outgoing: Any, request: Request, http: HttpClient) -> None:
    """Without what a borrowed client adds to each request: its params, which would stand instead of ours, and its jar."""
    if str(outgoing.url) != request.url:
        outgoing.url = type(outgoing.url)(request.url)
    if "cookie" not in http.headers:
        outgoing.headers.pop("cookie", None)


def _has_left(request: Request) -> None:
    """From here on it may have been carried out, until the answer tells."""
    if request.safety is not Safety.SAFE:
        request.call.processed = "maybe"


@attrs.define(eq=False, repr=False)
class Watch:
    """Told by httpcore of each of its steps, for what it does not do itself; `async with` it, it goes through the door.

    `info` is what it writes to its log afterwards, at DEBUG: what is taken out here does not get there.
    """

    request: Request
    _door: anyio.Semaphore | None = None
    _is_in_the_door: bool = False
    _stream: Any = None

    async def __aenter__(self) -> None:
        if self._door is not None:
            await self._door.acquire()
            self._is_in_the_door = True

    async def __aexit__(self, *_: object) -> None:
        self._leave()

    def _leave(self) -> None:
        if self._is_in_the_door and self._door is not None:
            self._is_in_the_door = False
            self._door.release()

    async def __call__(self, step: str, info: dict[str, Any]) -> None:
        """One step."""
        self._leave()
        match step.partition(".")[2]:
            case "send_request_headers.started":
                _has_left(self.request)  # whatever ended before has surely done nothing
            case "receive_response_headers.complete":
                *start, headers = info["return_value"]
                info["return_value"] = (*start, [header for header in headers if header[0].lower() != b"set-cookie"])
            case "connect_tcp.complete":
                self._stream = info["return_value"]
            case "start_tls.failed" if self._stream is not None:
                # A handshake that is cancelled leaves its socket to the collector of garbage.
                with anyio.CancelScope(shield=True):
                    await self._stream.aclose()
            case _:
                pass
        if "exception" in info:  # h11 quotes what it cannot read
            info["exception"] = type(info["exception"]).__name__
        elif info.get("auth") is not None:  # of a SOCKS proxy, and used afterwards
            info["auth"] = Unshown(info["auth"])


class Unshown(tuple[bytes, ...]):
    """A user's name and password, as a log shows them."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "**********"


class Whole(httpx.AsyncByteStream):
    """A request's body. httpx's own is a generator, and one that is cancelled in the middle is left to the collector."""

    def __init__(self, content: bytes) -> None:
        self._left = [content]

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> bytes:
        if not self._left:
            raise StopAsyncIteration
        return self._left.pop()


def _response(answer: HttpResponse, body: bytes | Flaw) -> Response:
    if isinstance(body, Flaw):
        return Response(answer.status_code, answer.headers, flaw=body)
    return Response(answer.status_code, answer.headers, body)
