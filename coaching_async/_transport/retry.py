"""Retry middleware: retries failed requests, with backoff, as far as that is safe (idempotency)."""

import random
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Final

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

from .cooldown import Cooldown
from .messages import Request, Response, Send, SendError
from .retry_policy import RETRY_TABLE, Action, Decision, Fault, RetryBudget, Safety, cooldown_seconds

__all__ = ["RetryMiddleware"]


@attrs.define(eq=False, repr=False)
class RetryMiddleware:
    """Retries failed requests according to `RETRY_TABLE`.

    Gives up without waiting if the delay would exceed the deadline, that of an enclosing scope included.
    """

    send: Send
    cooldown: Cooldown = attrs.field(factory=Cooldown)
    """Shared by all requests of the token. Each 429 starts or extends it."""
    retry_budget: RetryBudget = attrs.field(factory=RetryBudget)
    random: Callable[[], float] = random.random

    async def __call__(self, request: Request) -> Response:
        """Send the request until it succeeds, is refused, or must not be retried."""
        call = request.call
        failures = throttles = 0
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
            waiting: AbstractContextManager[None]
            if fault is Fault.THROTTLED:
                throttles += 1
                may_retry, waiting = True, call.waiting()
            else:
                failures += 1
                may_retry, waiting = self._may_retry(decision, failures), nullcontext()
            delay = call.policy.wait(
                fault, failures=failures, throttles=throttles, retry_after=outcome.retry_after, random=self.random
            )
            if fault is Fault.THROTTLED:
                own_delay = call.policy.backoff(throttles, self.random) if delay is None else delay
                self.cooldown.start(cooldown_seconds(outcome.retry_after) or own_delay)
            with waiting:
                if not may_retry or delay is None:
                    return _give_up(request, outcome)
                if _exceeds_deadline(delay):
                    call.deadline_too_close = True
                    return _give_up(request, outcome)
                call.emit(RetryScheduled(call.operation, call.attempts, delay, _reason(outcome)))
                await anyio.sleep(delay)

    def _may_retry(self, decision: Decision, failures: int) -> bool:
        is_allowed = decision.action is Action.RETRY or (decision.action is Action.RETRY_ONCE and failures == 1)
        return is_allowed and self.retry_budget.failed()

    async def _attempt(self, request: Request) -> "Response | SendError":
        try:
            return await self.send(request.with_cooldown(self.cooldown))
        except SendError as error:
            return error.with_traceback(None)  # the frames hold the token
        except CoachingError as error:
            if request.call.processed == "no":
                raise
            problem = str(error)
        raise _outcome_unknown(
            request, f"an attempt may have been carried out, and another one could not be made: {problem}"
        )


DELETED: Final = Response(204)
"""Response to a delete that was carried out, but whose own response was lost."""


GONE: Final = frozenset({404, 410})
"""Statuses of what does not exist any more."""


def _final_response(request: Request, outcome: "Response | SendError") -> Response:
    assert isinstance(outcome, Response)  # noqa: S101 # a SendError always has a fault
    call = request.call
    if (
        request.safety is Safety.DELETE
        and call.processed == "maybe"
        and outcome.status in GONE
        and outcome.is_from_service
    ):
        call.processed = "yes"  # an earlier attempt most likely deleted it
        return DELETED
    _raise_if_uncertain(request, outcome)
    if outcome.status < 300 and request.safety is not Safety.SAFE:
        # A captive portal sends its page instead of passing the request on; another gateway may send one afterwards.
        call.processed = worst_processed(call.processed, "yes" if outcome.is_from_service else "maybe")
    return outcome


def _give_up(request: Request, outcome: "Response | SendError") -> Response:
    if isinstance(outcome, Response):
        _raise_if_uncertain(request, outcome)
        return outcome
    if request.call.processed == "no":
        raise TransportError(f"{request.call.operation}: no answer from {request.host}: {outcome}") from outcome.cause
    problem = f"the connection broke after the request may have been carried out: {outcome}"
    raise _outcome_unknown(request, problem) from outcome.cause


def _raise_if_uncertain(request: Request, outcome: Response) -> None:
    """Raise `OutcomeUnknown` if an earlier attempt may have been carried out, and this response is only about the last one.

    That is a 401, a 429, and any other 4xx of a gateway.
    """
    if request.call.processed == "no" or outcome.status < 400:
        return
    is_from_service = outcome.is_from_service
    if outcome.status in {401, 429} or (outcome.fault is None and not is_from_service):
        answer = outcome.status if is_from_service else outcome.describe_foreign(request.host)
        raise _outcome_unknown(request, f"an attempt may have been carried out, and another was answered {answer}")


def _outcome_unknown(request: Request, problem: str) -> OutcomeUnknown:
    operation = request.call.operation
    return OutcomeUnknown(
        f"{operation}: {problem.rstrip('.')}. {check_before_retrying(operation)}", processed=request.call.processed
    )


def _exceeds_deadline(delay: float) -> bool:
    return anyio.current_time() + delay >= anyio.current_effective_deadline()


def _reason(outcome: "Response | SendError") -> str:
    return str(outcome.status) if isinstance(outcome, Response) else type(outcome.cause).__name__
