"""The way of a request: layers that each add one thing and hand on to the next.

A layer is a class with a `send` field, called with a request. No layer holds a connection while it waits: the engine
at the bottom has read the whole answer before anybody above sees it.
"""

import random
from collections.abc import Callable
from contextlib import nullcontext
from typing import Final, Protocol
from urllib.parse import urlsplit

import anyio
import attrs

from ._errors import AuthError, CoachingError, OutcomeUnknown, TransportError, worse
from ._events import RetryScheduled
from ._exchange import ExchangeFailed, Request, Response, Send
from ._gate import Pause
from ._hints import look_first
from ._rate import Budget
from ._retry import TABLE, Fault, RetryBudget, Safety, Then, shared_pause
from ._types import B64TOKEN, Secret

__all__ = ["Authorising", "Pacing", "Retrying", "TokenSource"]


@attrs.define(eq=False, repr=False)
class Retrying:
    """Sends again what may be sent again, as `_retry.TABLE` has it.

    It gives up early where the wait would outlast the deadline, the caller's own tighter one included.
    """

    send: Send
    pause: Pause = attrs.field(factory=Pause)
    """Of everybody who uses the token: each 429 makes it last."""
    budget: RetryBudget = attrs.field(factory=RetryBudget)
    draw: Callable[[], float] = random.random

    async def __call__(self, request: Request) -> Response:
        """Send until it is done, refused or hopeless."""
        call = request.call
        faults = throttles = 0
        while True:
            outcome = await self._attempt(request)
            fault = outcome.fault
            if fault is None:
                self.budget.succeeded()
                return _settled(request, outcome)
            verdict = TABLE[fault][request.safety]
            call.processed = worse(call.processed, verdict.processed)
            if verdict.then is Then.DONE:
                return GONE
            hint = None if isinstance(outcome, ExchangeFailed) else outcome.retry_after
            throttles += fault is Fault.THROTTLED
            faults += fault is not Fault.THROTTLED
            if fault is Fault.THROTTLED:
                self.pause.last(shared_pause(hint))
            may_go_on = verdict.then is Then.RETRY or (verdict.then is Then.RETRY_ONCE and faults == 1)
            if may_go_on and fault is not Fault.THROTTLED:
                may_go_on = self.budget.failed()
            wait = call.policy.wait(fault, faults=faults, throttles=throttles, retry_after=hint, draw=self.draw)
            with call.in_line() if fault is Fault.THROTTLED else nullcontext():
                call.is_out_of_time = may_go_on and wait is not None and _outlasts_deadline(wait)
                if not may_go_on or wait is None or call.is_out_of_time:
                    return _given_up(request, outcome)
                call.emit(RetryScheduled(call.operation, call.attempts, wait, _reason(outcome)))
                await anyio.sleep(wait)

    async def _attempt(self, request: Request) -> "Response | ExchangeFailed":
        try:
            return await self.send(request.with_pause(self.pause))
        except ExchangeFailed as failure:
            return failure.with_traceback(None)  # its frames hold the signed request
        except CoachingError as error:
            if request.call.processed == "no":
                raise
            problem = str(error)
        raise _unknown(request, f"an attempt may have been carried out, and for another there was no way: {problem}")


GONE: Final = Response(204)
"""Stands for the answer to a delete that was done, and whose own answer got lost."""


def _settled(request: Request, outcome: "Response | ExchangeFailed") -> Response:
    assert isinstance(outcome, Response)  # noqa: S101 # a failed exchange always has a fault
    call = request.call
    if request.safety is Safety.DELETE and call.processed == "maybe" and outcome.status in {404, 410}:
        call.processed = "yes"  # it is gone, and most likely by our own hand
        return GONE
    _refuse_to_hide(request, outcome)
    if outcome.status < 300 and request.safety is not Safety.SAFE:
        call.processed = "yes"
    return outcome


def _given_up(request: Request, outcome: "Response | ExchangeFailed") -> Response:
    if isinstance(outcome, Response):
        _refuse_to_hide(request, outcome)
        return outcome
    if request.call.processed == "no":
        host = urlsplit(request.url).netloc.rpartition("@")[2]
        raise TransportError(f"{request.call.operation}: no answer from {host}: {outcome}") from outcome.cause
    problem = f"the connection broke after the request may have been carried out: {outcome}"
    raise _unknown(request, problem) from outcome.cause


def _refuse_to_hide(request: Request, outcome: Response) -> None:
    """A 401 or a 429 says that nothing was done, but not of the attempt before."""
    if outcome.status in {401, 429} and request.call.processed != "no":
        raise _unknown(request, f"an attempt may have been carried out, and another was answered {outcome.status}")


def _unknown(request: Request, problem: str) -> OutcomeUnknown:
    operation = request.call.operation
    return OutcomeUnknown(f"{operation}: {problem}. {look_first(operation)}", processed=request.call.processed)


def _outlasts_deadline(wait: float) -> bool:
    return anyio.current_time() + wait >= anyio.current_effective_deadline()


def _reason(outcome: "Response | ExchangeFailed") -> str:
    return str(outcome.status) if isinstance(outcome, Response) else type(outcome.cause).__name__


@attrs.define(eq=False, repr=False)
class Pacing:
    """Keeps one token's requests under its rate limit."""

    send: Send
    budget: Budget

    async def __call__(self, request: Request) -> Response:
        """Wait for a permit, then send."""
        call = request.call
        permit = self.budget.permit(call.lane)
        if permit is None:
            with call.in_line():
                permit = await self.budget.acquire(call.lane)
        before, refused = call.attempts, False
        try:
            response = await self.send(request)
            refused = response.status == 429
            return response
        finally:
            self.budget.release(permit, call.attempts - before, refused=refused)


class TokenSource(Protocol):
    """Anything that gives access tokens."""

    async def token(self, rejected: str | None = None) -> str:
        """A token to use now; one other than `rejected`, if another can be had."""
        ...


@attrs.define(eq=False, repr=False)
class Authorising:
    """Signs requests; replaces a token that the service rejects, and sends once more.

    A 401 means that nothing was done, so any request may be replayed.
    """

    send: Send
    tokens: TokenSource

    async def __call__(self, request: Request) -> Response:
        """Sign and send."""
        token = _checked(await self.tokens.token())
        response = await self.send(_signed(request, token))
        if response.status == 401:
            fresh = _checked(await self.tokens.token(rejected=token.reveal()))
            if fresh != token:
                response = await self.send(_signed(request, fresh))
        return response


def _checked(token: object) -> Secret:
    """Keep out what a header cannot carry: the error about it would quote it."""
    secret = Secret(token) if isinstance(token, str) and B64TOKEN.fullmatch(token) else None
    del token
    if secret is None:
        raise AuthError("the token source gave no access token: it has only letters, digits and -._~+/")
    return secret


def _signed(request: Request, token: Secret) -> Request:
    return request.with_header("Authorization", f"Bearer {token.reveal()}")
