"""For OpenTelemetry: a span for each call, with its requests as events, and metrics.

client = CoachingClient(auth, on_event=OpenTelemetry())
"""

from collections.abc import Mapping
from contextvars import Token
from typing import Final, TypeAlias

import attrs
from opentelemetry import context, metrics, trace
from opentelemetry.util.types import AttributeValue

from coaching_async import (
    CallFinished,
    CallStarted,
    Event,
    RequestAnswered,
    RequestFailed,
    RequestSent,
    RetryScheduled,
    TokenIssued,
)

__all__ = ["OpenTelemetry"]

Attributes: TypeAlias = Mapping[str, AttributeValue]

SCOPE: Final = "coaching_async"

OPERATION: Final = "coaching.operation.name"
ATTEMPT: Final = "coaching.attempt"
WAITED: Final = "coaching.waited"
CANCELLED: Final = "coaching.cancelled"
CORRELATION_ID: Final = "coaching.correlation_id"
STATUS: Final = "http.response.status_code"
ERROR: Final = "error.type"

SECONDS: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
"""Bounds of the histograms, unless a view says otherwise: those of HTTP durations, on to the usual deadline."""


@attrs.define
class Underway:
    """A call that has begun, and where it leaves its context."""

    operation: str
    span: trace.Span = trace.INVALID_SPAN
    before: Token[context.Context] | None = None
    answer: RequestAnswered | None = None
    """To its last request."""


UNDERWAY: Final = context.create_key("coaching_async.call")


class OpenTelemetry:
    """A reader of the events of one client or many, for `on_event`: a span for each call, and metrics.

    Spans and metrics go to the global providers, set before or after, unless others are given. No SDK is needed: without one
    nothing is kept. Nothing is patched.

    A span has the name of its method ("appointments.get"), is a child of what is current where the method is called, and is
    current itself until the call ends; so the spans of an instrumented HTTP client are its children, one for each request. Its
    events are `coaching.request.sent`, `.answered` and `.failed`, `coaching.retry.scheduled` and `coaching.token.issued`. The
    requests for a token are told by the operation `oauth.token` on the call that made them; those of a renewal that no call
    makes are on none. A call that fails has the status ERROR and `error.type`, the name of its error's class; one that its
    caller cancels has no error, by the conventions for HTTP, but `coaching.cancelled`.

    | metric | | attributes |
    |---|---|---|
    | `coaching.client.operation.duration` | histogram, s | operation, `error.type` or `coaching.cancelled` |
    | `coaching.client.operation.wait_time` | histogram, s: for a permit, a slot, or as a 429 told it | operation |
    | `coaching.client.retries` | counter | operation, `error.type`: a status, or the name of an error |
    | `coaching.client.tokens` | counter: tokens that the login host gave | |

    They are named after `db.client.operation.duration` and `db.client.connection.wait_time`. `http.client.request.duration` is
    that of one HTTP request, and is left to the instrumentation of the HTTP client, which would count it again.

    Nothing has an address, an id of anybody, a query or a body in it. `coaching.correlation_id` is the service's, for support.
    """

    def __init__(
        self,
        *,
        tracer_provider: trace.TracerProvider | None = None,
        meter_provider: metrics.MeterProvider | None = None,
    ) -> None:
        self._tracer: Final = trace.get_tracer(SCOPE, tracer_provider=tracer_provider)
        meter = metrics.get_meter(SCOPE, meter_provider=meter_provider)
        self._duration: Final = meter.create_histogram(
            "coaching.client.operation.duration",
            unit="s",
            description="Duration of calls, with all their requests and waiting.",
            explicit_bucket_boundaries_advisory=SECONDS,
        )
        self._wait_time: Final = meter.create_histogram(
            "coaching.client.operation.wait_time",
            unit="s",
            description="How much of it calls waited for their turn: for a permit, a slot, or as a 429 told them.",
            explicit_bucket_boundaries_advisory=SECONDS,
        )
        self._retries: Final = meter.create_counter(
            "coaching.client.retries", unit="{retry}", description="Requests that are sent again."
        )
        self._tokens: Final = meter.create_counter(
            "coaching.client.tokens", unit="{token}", description="Access tokens that the login host gave."
        )

    def __call__(self, event: Event) -> None:
        """Tell of one event."""
        if isinstance(event, CallStarted):
            self._begin(event.operation)
            return
        found = context.get_value(UNDERWAY)
        call = found if isinstance(found, Underway) else None
        if isinstance(event, CallFinished):
            self._end(event, call)
            return
        if isinstance(event, RetryScheduled):
            self._retries.add(1, {OPERATION: event.operation, ERROR: event.reason})
        elif isinstance(event, TokenIssued):
            self._tokens.add(1)
        if call is not None and call.span.is_recording():
            _tell(call, event)

    def _begin(self, operation: str) -> None:
        call = Underway(operation)
        try:
            call.span = self._tracer.start_span(
                operation, kind=trace.SpanKind.CLIENT, attributes={OPERATION: operation}
            )
        finally:  # a sampler may raise, and the end has to find its own beginning all the same
            call.before = context.attach(context.set_value(UNDERWAY, call, trace.set_span_in_context(call.span)))

    def _end(self, event: CallFinished, call: Underway | None) -> None:
        operation, how = {OPERATION: event.operation}, _how(event)
        try:
            # With the span still current, because exemplars point to it.
            self._duration.record(event.elapsed, {**operation, **how})
            self._wait_time.record(event.waited, operation)
            if call is not None:
                _close(call, event, how)
        finally:
            if call is not None and call.before is not None:
                context.detach(call.before)


def _how(event: CallFinished) -> Attributes:
    """How a call ended, where that was not well."""
    if event.is_cancelled:
        return {CANCELLED: True}
    return {} if event.error is None else {ERROR: event.error}


def _close(call: Underway, event: CallFinished, how: Attributes) -> None:
    span = call.span
    if span.is_recording():
        span.set_attributes({"coaching.attempts": event.attempts, WAITED: event.waited, **how})
        if call.answer is not None:
            span.set_attributes(_of(call.answer))
        if event.processed != "no":
            span.set_attribute("coaching.processed", event.processed)
        if ERROR in how:
            span.set_status(trace.StatusCode.ERROR)
    span.end()


def _of(answer: RequestAnswered) -> Attributes:
    known: Attributes = {STATUS: answer.status}
    return known if answer.correlation_id is None else {**known, CORRELATION_ID: answer.correlation_id}


def _tell(call: Underway, event: RequestSent | RequestAnswered | RequestFailed | RetryScheduled | TokenIssued) -> None:
    """Add an event to the span of a call."""
    if isinstance(event, TokenIssued):
        call.span.add_event("coaching.token.issued", {"coaching.token.lifetime": event.expires_in})
        return
    is_its_own = event.operation == call.operation  # and not one for a token
    name: str
    more: Attributes
    match event:
        case RequestSent():
            name, more = "coaching.request.sent", {WAITED: event.waited}
            call.answer = None if is_its_own else call.answer
        case RequestAnswered():
            name, more = "coaching.request.answered", _of(event)
            call.answer = event if is_its_own else call.answer
        case RequestFailed():
            name, more = "coaching.request.failed", {ERROR: event.error}
        case RetryScheduled():
            name, more = "coaching.retry.scheduled", {ERROR: event.reason, "coaching.retry.wait": event.wait}
    call.span.add_event(name, {OPERATION: event.operation, ATTEMPT: event.attempt, **more})
