"""The bottom of the pipeline, and the only place that knows how an HTTP library talks and fails."""

import ssl
from collections.abc import Awaitable, Callable
from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import Final, TypeVar

import anyio
import attrs
import httpx

from ._errors import ClientMisuse
from ._events import RequestAnswered, RequestFailed, RequestSent
from ._pipeline import ExchangeFailed, Request, Response
from ._rate import Gate
from ._retry import Fault, Safety
from ._version import VERSION

__all__ = ["Engine", "close", "own_client"]

T = TypeVar("T")

CONNECT_TIMEOUT: Final = 5.0
ANSWER_TIMEOUT: Final = 15.0
"""Seconds of silence after which a request that may be repeated is repeated; a write waits for its deadline."""


HEADERS: Final = {"Accept": "application/json", "Accept-Encoding": "gzip", "User-Agent": f"coaching-async/{VERSION}"}


def own_client(*, connections: int) -> httpx.AsyncClient:
    """The HTTP client of who brings none: no redirects, no cookies, proxies from the environment, HTTP/1.1."""
    limits = httpx.Limits(
        max_connections=connections,
        max_keepalive_connections=connections,
        keepalive_expiry=5.0,  # below any load balancer's idle time: else it may close just as we send
    )
    no_cookies = CookieJar(DefaultCookiePolicy(allowed_domains=[]))
    # Whatever the environment says: what stays on this machine needs no proxy, and may be plain http.
    direct: dict[str, None] = dict.fromkeys(["all://localhost", "all://127.0.0.1", "all://[::1]"])
    return httpx.AsyncClient(limits=limits, cookies=no_cookies, mounts=direct, follow_redirects=False)


async def close(http: httpx.AsyncClient) -> None:
    """Close its connections, all of them, also when the caller is cancelled in the middle."""
    await _in_child_task(http.aclose)


@attrs.define
class Engine:
    """Sends one request through the gate and reads the answer in full.

    Each exchange runs in a child task of its own: so a native cancel of the caller reaches httpx as the cancelling of a
    scope, the only kind that its pool survives (encode/httpcore#1093), and the gate keeps anybody from waiting in there.
    """

    http: httpx.AsyncClient
    gate: Gate
    borrowed: bool = False

    async def __call__(self, request: Request) -> Response:
        """Exchange one request for its answer, or raise ExchangeFailed."""
        async with self.gate:
            if self.http.is_closed:
                raise ClientMisuse("the HTTP client that this client was given is closed")
            call = request.call
            call.attempts += 1
            attempt, before = call.attempts, call.processed
            if request.safety is not Safety.SAFE:
                call.processed = "maybe"  # from here on, until the answer tells
            started = anyio.current_time()
            call.emit(RequestSent(call.operation, attempt))
            answer = await _in_child_task(lambda: self._exchange(request))
            elapsed = anyio.current_time() - started
            call.processed = before
            if isinstance(answer, ExchangeFailed):
                call.emit(RequestFailed(call.operation, attempt, type(answer.cause).__name__, elapsed))
                raise answer
            call.emit(RequestAnswered(call.operation, attempt, answer.status, elapsed, answer.correlation_id))
            return answer

    async def _exchange(self, request: Request) -> Response | ExchangeFailed:
        answer: httpx.Response | None = None
        try:
            outgoing = self.http.build_request(
                request.method,
                request.url,
                headers=HEADERS | dict(request.headers),
                content=request.content,
                timeout=httpx.Timeout(
                    None,
                    connect=CONNECT_TIMEOUT,
                    read=None if request.safety is Safety.WRITE else ANSWER_TIMEOUT,
                    write=None if request.safety is Safety.WRITE else ANSWER_TIMEOUT,
                ),
            )
            answer = await self.http.send(outgoing, stream=True, auth=None, follow_redirects=False)
            try:
                content = await answer.aread()
            finally:
                await answer.aclose()
            return Response(answer.status_code, answer.headers, content)
        except httpx.HTTPStatusError as error:  # a borrowed client may raise by itself
            answer = error.response
            return Response(answer.status_code, answer.headers, answer.content if answer.is_stream_consumed else b"")
        except httpx.RequestError as error:
            failure = error
        if answer is not None and not 200 <= answer.status_code < 300:
            return Response(answer.status_code, answer.headers)  # what matters of it arrived
        fault = _fault(failure, borrowed=self.borrowed) if answer is None else Fault.BODY_LOST
        return ExchangeFailed(fault, _bare(failure))


async def _in_child_task(function: Callable[[], Awaitable[T]]) -> T:
    """Run `function` in a task of its own and come back as if it had been awaited: no exception groups."""
    values: list[T] = []
    errors: list[BaseException] = []

    async def child() -> None:
        try:
            values.append(await function())
        except anyio.get_cancelled_exc_class():
            raise
        except BaseException as error:  # noqa: BLE001 # handed on below
            errors.append(error)

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(child)
    if errors:
        raise errors.pop()
    if not values:
        raise RuntimeError("the HTTP client cancelled a request by itself")
    return values.pop()


def _fault(error: httpx.RequestError, *, borrowed: bool) -> Fault:
    match error:
        case httpx.ProxyError():
            return Fault.UNSENT if str(error).startswith("5") else Fault.REFUSED
        case httpx.ConnectError():
            return Fault.REFUSED if _tls_cause(error) else Fault.UNSENT
        case httpx.ConnectTimeout():
            # The aiohttp transport reports a server that hung up after reading the request this way.
            return Fault.LOST if borrowed else Fault.UNSENT
        case httpx.PoolTimeout():
            return Fault.UNSENT
        case httpx.UnsupportedProtocol() | httpx.LocalProtocolError():
            return Fault.REFUSED
        case _:
            return Fault.LOST


def _tls_cause(error: BaseException) -> ssl.SSLError | None:
    seen: BaseException | None = error
    while seen is not None:
        if isinstance(seen, ssl.SSLError):
            return seen
        seen = seen.__cause__ or seen.__context__
    return None


def _bare(error: httpx.RequestError) -> httpx.RequestError:
    """The same error without request, traceback and context, which hold the token and the form."""
    cls = next(each for each in type(error).__mro__ if each.__module__ == httpx.__name__)
    # An error about what could not be sent quotes it.
    copy: httpx.RequestError = cls("" if isinstance(error, httpx.LocalProtocolError) else str(error))
    if tls := _tls_cause(error):
        copy.__cause__ = type(tls)(*tls.args)
    return copy
