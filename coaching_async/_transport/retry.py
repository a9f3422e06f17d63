"""Middleware that sends again what may be sent again."""

import random
from collections.abc import Callable
from contextlib import nullcontext
from typing import Final
from urllib.parse import urlsplit

import anyio
import attrs

from coaching_async._events import RetryScheduled
from coaching_async._exceptions import (
    CoachingError,
    OutcomeUnknown,
    TransportError,
    check_before_retrying,
    worst_processed,
)

from .messages import Request, Response, Send, SendError
from .retry_policy import RETRY_TABLE, Action, Fault, RetryBudget, Safety, cooldown_seconds
from .throttling import Cooldown

__all__ = ["RetryMiddleware"]


@attrs.define(eq=False, repr=False)
class RetryMiddleware:
    """Sends again what may be sent again, as `_retry.TABLE` has it.

    It gives up early where the wait would outlast the deadline, the caller's own tighter one included.
    """

    send: Send
    cooldown: Cooldown = attrs.field(factory=Cooldown)
    """Of everybody who uses the token: each 429 makes it last."""
    retry_budget: RetryBudget = attrs.field(factory=RetryBudget)
    random: Callable[[], float] = random.random

    async def __call__(self, request: Request) -> Response:
        """Send until it is done, refused or hopeless."""
        call = request.call
        faults = throttles = 0
        while True:
            outcome = await self._attempt(request)
            fault = outcome.fault
            if fault is None:
                self.retry_budget.succeeded()
                return _final_response(request, outcome)
            decision = RETRY_TABLE[fault][request.safety]
            call.processed = worst_processed(call.processed, decision.processed)
            if decision.action is Action.TREAT_AS_DONE:
                return DELETED
            retry_after = None if isinstance(outcome, SendError) else outcome.retry_after
            throttles += fault is Fault.THROTTLED
            faults += fault is not Fault.THROTTLED
            if fault is Fault.THROTTLED:
                self.cooldown.start(cooldown_seconds(retry_after))
            may_retry = decision.action is Action.RETRY or (decision.action is Action.RETRY_ONCE and faults == 1)
            if may_retry and fault is not Fault.THROTTLED:
                may_retry = self.retry_budget.failed()
            wait = call.policy.wait(
                fault, faults=faults, throttles=throttles, retry_after=retry_after, random=self.random
            )
            with call.waiting() if fault is Fault.THROTTLED else nullcontext():
                call.deadline_too_close = may_retry and wait is not None and _outlasts_deadline(wait)
                if not may_retry or wait is None or call.deadline_too_close:
                    return _give_up(request, outcome)
                call.emit(RetryScheduled(call.operation, call.attempts, wait, _reason(outcome)))
                await anyio.sleep(wait)

    async def _attempt(self, request: Request) -> "Response | SendError":
        try:
            return await self.send(request.with_cooldown(self.cooldown))
        except SendError as error:
            return error.with_traceback(None)  # its frames hold the signed request
        except CoachingError as error:
            if request.call.processed == "no":
                raise
            problem = str(error)
        raise _outcome_unknown(
            request, f"an attempt may have been carried out, and for another there was no way: {problem}"
        )


DELETED: Final = Response(204)
"""Stands for the answer to a delete that was done, and whose own answer got lost."""


def _final_response(request: Request, outcome: "Response | SendError") -> Response:
    assert isinstance(outcome, Response)  # noqa: S101 # a failed exchange always has a fault
    call = request.call
    if request.safety is Safety.DELETE and call.processed == "maybe" and outcome.status in {404, 410}:
        call.processed = "yes"  # it is gone, and most likely by our own hand
        return DELETED
    _raise_if_uncertain(request, outcome)
    if outcome.status < 300 and request.safety is not Safety.SAFE:
        call.processed = "yes"
    return outcome


def _give_up(request: Request, outcome: "Response | SendError") -> Response:
    if isinstance(outcome, Response):
        _raise_if_uncertain(request, outcome)
        return outcome
    if request.call.processed == "no":
        host = urlsplit(request.url).netloc.rpartition("@")[2]
        raise TransportError(f"{request.call.operation}: no answer from {host}: {outcome}") from outcome.cause
    problem = f"the connection broke after the request may have been carried out: {outcome}"
    raise _outcome_unknown(request, problem) from outcome.cause


def _raise_if_uncertain(request: Request, outcome: Response) -> None:
    """A 401 or a 429 says that nothing was done, but not of the attempt before."""
    if outcome.status in {401, 429} and request.call.processed != "no":
        raise _outcome_unknown(
            request, f"an attempt may have been carried out, and another was answered {outcome.status}"
        )


def _outcome_unknown(request: Request, problem: str) -> OutcomeUnknown:
    operation = request.call.operation
    return OutcomeUnknown(
        f"{operation}: {problem}. {check_before_retrying(operation)}", processed=request.call.processed
    )


def _outlasts_deadline(wait: float) -> bool:
    return anyio.current_time() + wait >= anyio.current_effective_deadline()


def _reason(outcome: "Response | SendError") -> str:
    return str(outcome.status) if isinstance(outcome, Response) else type(outcome.cause).__name__
