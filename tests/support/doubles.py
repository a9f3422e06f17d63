"""Doubles and shorthands for tests."""

import json
from collections.abc import Callable, Sequence
from typing import Any

import httpx
from trio.testing import MockClock

from coaching_async import AccessToken, CoachingClient
from coaching_async._transport.messages import CallContext, Request, Response, SendError
from coaching_async._transport.priority import Priority
from coaching_async._transport.rate_limit.limiter import Permit, RateLimiter
from coaching_async._transport.retry_policy import Fault, RetryPolicy, Safety
from tests.conftest import VirtualLoop

TOKEN = "a-token-for-tests"

CUT = (httpx.RemoteProtocolError, httpx.ReadError)
"""What a cut connection looks like: which of them depends on what was on its way at that moment."""

Outcome = Response | Exception | int


class Script:
    """A `Send` that plays back outcomes, the last of them for ever, and remembers what it was sent."""

    def __init__(self, *outcomes: Outcome) -> None:
        self.outcomes = list(outcomes)
        self.sent: list[Request] = []

    async def __call__(self, request: Request) -> Response:
        self.sent.append(request)
        outcome = self.outcomes.pop(0) if len(self.outcomes) > 1 else self.outcomes[0]
        match outcome:
            case Exception():
                raise outcome
            case int():
                return api_response(outcome)
            case _:
                return outcome


def refusal(status: int) -> dict[str, Any]:
    """An error body of the API, without which an error status is a gateway's."""
    return {"message": "m", "code": CODES.get(status, "some.code"), "status": status}


CODES = {400: "bad.request", 401: "bad.credentials", 403: "missing.any.permissions", 404: "not.found"}


def api_response(status: int) -> Response:
    """A response of the API to the transport, with an error body if it is an error."""
    return Response(status, httpx.Headers(), json.dumps(refusal(status)).encode() if status >= 400 else b"")


def request_of(
    safety: Safety = Safety.SAFE, events: list[object] | None = None, policy: RetryPolicy | None = None
) -> Request:
    emit = (lambda _: None) if events is None else events.append
    return Request(CallContext("tests.call", emit, policy or RetryPolicy()), "GET", "https://api.test/x", safety)


def http_of(client: CoachingClient) -> Any:
    """The HTTP client at the bottom, where it is the client's own or borrowed."""
    return pipeline_of(client).send.send.send.http_client.http


def pipeline_of(client: CoachingClient) -> Any:
    """The layers that a client's requests go through."""
    return client._sessions.value.pipeline(client._api.identity).send


def on(backend: str) -> dict[str, Any]:
    """Options of `anyio.run` for a virtual clock."""
    if backend == "trio":
        return {"backend": "trio", "backend_options": {"clock": MockClock(autojump_threshold=0)}}
    return {"backend_options": {"loop_factory": VirtualLoop}}


def failure(fault: Fault) -> SendError:
    return SendError(fault, httpx.ReadError("cut"))


def throttled(retry_after: str | None = None) -> Response:
    headers = {} if retry_after is None else {"Retry-After": retry_after}
    return Response(429, httpx.Headers(headers))


class Service:
    """An in-memory service: answers each request from a list, or from a function, and remembers what came."""

    def __init__(self, answers: "Callable[[httpx.Request], httpx.Response] | Sequence[httpx.Response | Exception]"):
        self.answers = answers if callable(answers) else list(answers)
        self.requests: list[httpx.Request] = []
        self.http = httpx.AsyncClient(transport=httpx.MockTransport(self._answer))

    def _answer(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        if callable(self.answers):
            return self.answers(request)
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Exception):
            raise answer
        return answer

    def client(self, auth: Any = None, **options: Any) -> CoachingClient:
        return CoachingClient(auth or AccessToken(TOKEN), base_url="https://api.test", http_client=self.http, **options)


def answer(body: Any = None, status: int = 200, **headers: str) -> httpx.Response:
    """An answer of the service: with that body, and without one the error body of the status."""
    if body is None and status >= 400:
        body = refusal(status)
    content = b"" if body is None else json.dumps(body).encode()
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return httpx.Response(status, headers=named, content=content)


def page(
    *ids: str, number: int = 1, count: int | None = 1, total: int | None = None, size: int = 100
) -> dict[str, Any]:
    body: dict[str, Any] = {"entities": [{"id": id_} for id_ in ids], "pageNumber": number, "pageSize": size}
    if count is not None:
        body["pageCount"] = count
    if total is not None:
        body["total"] = total
    return body


async def permit_of(limiter: RateLimiter, priority: Priority = Priority.INTERACTIVE) -> Permit:
    """Return a permit as a request gets it: at once, or after waiting in the queue."""
    return limiter.acquire_nowait(priority) or await limiter.acquire(priority)
