"""OpenTelemetry: a span for each call, with its requests as events, and metrics.

client = CoachingClient(auth, on_event=OpenTelemetry())
"""

from collections.abc import Mapping
from contextvars import Token
from typing import Final, TypeAlias

import attrs

from coaching_async import (
    CallFinished,
    CallStarted,
    ChannelClosed,
    ChannelLost,
    ChannelMoved,
    ChannelOpened,
    Event,
    FillFailed,
    FramesDropped,
    FrameUnreadable,
    GapFilled,
    RequestAnswered,
    RequestFailed,
    RequestSent,
    RetryScheduled,
    RowsLeftOut,
    SharedStateFound,
    SharedStateLost,
    TokenIssued,
)

from ._extras import extra

with extra("otel"):
    from opentelemetry import context, metrics, trace
    from opentelemetry.util.types import AttributeValue

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
REASON: Final = "coaching.reason"

SECONDS: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
"""Default bucket boundaries of the histograms: those of HTTP durations, extended to the default deadline."""


@attrs.define
class CallInProgress:
    """A call in progress, with its span and the context to restore at its end."""

    operation: str
    span: trace.Span = trace.INVALID_SPAN
    before: Token[context.Context] | None = None
    answer: RequestAnswered | None = None
    """Response to its last request."""


ChannelEvents: TypeAlias = (
    ChannelOpened
    | ChannelLost
    | ChannelMoved
    | ChannelClosed
    | GapFilled
    | FillFailed
    | FramesDropped
    | FrameUnreadable
)
"""Events of listeners. They have no span, because a WebSocket lives for hours. Each of its requests has one of its own."""


CALL_IN_PROGRESS: Final = context.create_key("coaching_async.call")


class OpenTelemetry:
    """Handler of the events of one or more clients, for `on_event`: records a span for each call, and metrics.

    Spans and metrics go to the global providers, set before or after, unless others are given. No SDK is required: without
    one nothing is recorded. Nothing is patched.

    A span has the name of its method ("appointments.get"). It is a child of the caller's current span, and is itself current
    until the call ends. So the spans of an instrumented HTTP client are its children, one for each request. Its events are
    `coaching.request.sent`, `.answered` and `.failed`, `coaching.retry.scheduled`, `coaching.rows.left_out` and
    `coaching.token.issued`. Requests for a
    token are events of the call that sent them, with the operation `oauth.token`. Those of a token refresh in the background
    are recorded on no span. A failed call has the status ERROR and `error.type`, the name of its error's class. A call that
    its caller cancels has no error, by the conventions for HTTP, but `coaching.cancelled`.

    | metric | | attributes |
    |---|---|---|
    | `coaching.client.operation.duration` | histogram, s | operation, `error.type` or `coaching.cancelled` |
    | `coaching.client.operation.wait_time` | histogram, s: waiting for a permit or a slot, or after a 429 | operation |
    | `coaching.client.retries` | counter | operation, `error.type`: a status, or the name of an error |
    | `coaching.client.rows.left_out` | counter: rows of lists that cannot be read | operation |
    | `coaching.client.tokens` | counter: tokens that were issued | |
    | `coaching.client.shared_state.lost` | counter: times in which the shared state could not be used | |
    | `coaching.client.channel.open` | up-down counter: WebSockets of listeners that are open | |
    | `coaching.client.channel.lost` | counter: WebSockets that were lost, and messages that cannot be read | `coaching.reason` |
    | `coaching.client.channel.moved` | counter: WebSockets that were replaced in time | `coaching.reason` |
    | `coaching.client.channel.away` | histogram, s: time without a WebSocket, also before the first | |
    | `coaching.client.channel.filled` | counter: notifications that were found in the list | `coaching.reason` |
    | `coaching.client.channel.dropped` | counter: events that were dropped because a buffer was full | |

    They are named after `db.client.operation.duration` and `db.client.connection.wait_time`. `http.client.request.duration`,
    the duration of one HTTP request, is left to the instrumentation of the HTTP client, because it would be counted twice.

    Spans and metrics contain no addresses, user ids, queries or bodies. `coaching.correlation_id` is the service's id of the
    response, for its support.
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
            description="Duration of calls, with all their requests and waiting times.",
            explicit_bucket_boundaries_advisory=SECONDS,
        )
        self._wait_time: Final = meter.create_histogram(
            "coaching.client.operation.wait_time",
            unit="s",
            description="Time that calls have waited for a permit or a slot, or after a 429.",
            explicit_bucket_boundaries_advisory=SECONDS,
        )
        self._retries: Final = meter.create_counter(
            "coaching.client.retries", unit="{retry}", description="Retries of requests."
        )
        self._left_out: Final = meter.create_counter(
            "coaching.client.rows.left_out", unit="{row}", description="Rows of lists that cannot be read."
        )
        self._tokens: Final = meter.create_counter(
            "coaching.client.tokens", unit="{token}", description="Access tokens that were issued."
        )
        self._shared_state_lost: Final = meter.create_counter(
            "coaching.client.shared_state.lost",
            unit="{loss}",
            description="Times in which the shared state could not be used.",
        )
        self._channels: Final = ChannelMetrics(meter)

    def __call__(self, event: Event) -> None:
        """Record one event."""
        if isinstance(event, ChannelEvents):
            self._channels.record(event)
            return
        if isinstance(event, SharedStateLost | SharedStateFound):  # of a background task, or of any call: on no span
            self._shared_state_lost.add(isinstance(event, SharedStateLost))
            return
        if isinstance(event, CallStarted):
            self._begin(event.operation)
            return
        current = context.get_value(CALL_IN_PROGRESS)
        call = current if isinstance(current, CallInProgress) else None
        if isinstance(event, CallFinished):
            self._end(event, call)
            return
        if isinstance(event, RetryScheduled):
            self._retries.add(1, {OPERATION: event.operation, ERROR: event.reason})
        elif isinstance(event, RowsLeftOut):
            self._left_out.add(len(event.indexes), {OPERATION: event.operation})
        elif isinstance(event, TokenIssued):
            self._tokens.add(1)
        if call is not None and call.span.is_recording():
            _add_event(call, event)

    def _begin(self, operation: str) -> None:
        call = CallInProgress(operation)
        try:
            call.span = self._tracer.start_span(
                operation, kind=trace.SpanKind.CLIENT, attributes={OPERATION: operation}
            )
        finally:  # even if a sampler raises, because the end of the call has to find its own start
            call.before = context.attach(
                context.set_value(CALL_IN_PROGRESS, call, trace.set_span_in_context(call.span))
            )

    def _end(self, event: CallFinished, call: CallInProgress | None) -> None:
        operation, failure = {OPERATION: event.operation}, _failure(event)
        try:
            # While the span is current, because exemplars refer to it.
            self._duration.record(event.elapsed, {**operation, **failure})
            self._wait_time.record(event.waited, operation)
            if call is not None:
                _close(call, event, failure)
        finally:
            if call is not None and call.before is not None:
                context.detach(call.before)


class ChannelMetrics:
    """Metrics of listeners."""

    def __init__(self, meter: metrics.Meter) -> None:
        self._open: Final = meter.create_up_down_counter(
            "coaching.client.channel.open", unit="{socket}", description="WebSockets of listeners that are open."
        )
        self._lost: Final = meter.create_counter(
            "coaching.client.channel.lost",
            unit="{loss}",
            description="WebSockets that were lost, and messages that cannot be read.",
        )
        self._moved: Final = meter.create_counter(
            "coaching.client.channel.moved", unit="{socket}", description="WebSockets that were replaced in time."
        )
        self._away: Final = meter.create_histogram(
            "coaching.client.channel.away",
            unit="s",
            description="Time in which a listener had no WebSocket.",
            explicit_bucket_boundaries_advisory=SECONDS,
        )
        self._filled: Final = meter.create_counter(
            "coaching.client.channel.filled",
            unit="{notification}",
            description="Notifications that were found in the list.",
        )
        self._dropped: Final = meter.create_counter(
            "coaching.client.channel.dropped",
            unit="{event}",
            description="Events that were dropped because a buffer was full.",
        )

    def record(self, event: ChannelEvents) -> None:
        """Record one event."""
        match event:
            case ChannelOpened():
                self._open.add(1)
                self._away.record(event.away)
            case ChannelLost():
                self._open.add(-1)
                self._lost.add(1, {REASON: event.reason})
            case ChannelMoved():
                self._moved.add(1, {REASON: event.reason})
            case ChannelClosed():
                self._open.add(-1)
            case GapFilled():
                self._filled.add(event.found, {REASON: event.reason})
            case FillFailed():
                pass  # the failed call has a span, and a metric
            case FramesDropped():
                self._dropped.add(event.count)
            case FrameUnreadable():
                self._lost.add(1, {REASON: "unreadable"})


def _failure(event: CallFinished) -> Attributes:
    """Return attributes of a failed or cancelled call; none of a successful one."""
    if event.is_cancelled:
        return {CANCELLED: True}
    return {} if event.error is None else {ERROR: event.error}


def _close(call: CallInProgress, event: CallFinished, failure: Attributes) -> None:
    span = call.span
    if span.is_recording():
        span.set_attributes({"coaching.attempts": event.attempts, WAITED: event.waited, **failure})
        if call.answer is not None:
            span.set_attributes(_response_attributes(call.answer))
        if event.processed != "no":
            span.set_attribute("coaching.processed", event.processed)
        if ERROR in failure:
            span.set_status(trace.StatusCode.ERROR)
    span.end()


def _response_attributes(answer: RequestAnswered) -> Attributes:
    known: Attributes = {STATUS: answer.status}
    return known if answer.correlation_id is None else {**known, CORRELATION_ID: answer.correlation_id}


def _add_event(
    call: CallInProgress,
    event: RequestSent | RequestAnswered | RequestFailed | RetryScheduled | RowsLeftOut | TokenIssued,
) -> None:
    """Add an event to the span of its call."""
    if isinstance(event, RowsLeftOut):
        place: Attributes = {"coaching.page": event.page, "coaching.rows.indexes": event.indexes}
        call.span.add_event("coaching.rows.left_out", {OPERATION: event.operation, **place, REASON: event.reason})
        return
    if isinstance(event, TokenIssued):
        call.span.add_event("coaching.token.issued", {"coaching.token.lifetime": event.expires_in})
        return
    is_its_own = event.operation == call.operation  # and not a request for a token
    name: str
    more: Attributes
    match event:
        case RequestSent():
            name, more = "coaching.request.sent", {WAITED: event.waited}
            call.answer = None if is_its_own else call.answer
        case RequestAnswered():
            name, more = "coaching.request.answered", _response_attributes(event)
            call.answer = event if is_its_own else call.answer
        case RequestFailed():
            name, more = "coaching.request.failed", {ERROR: event.error}
        case RetryScheduled():
            name, more = "coaching.retry.scheduled", {ERROR: event.reason, "coaching.retry.wait": event.wait}
    call.span.add_event(name, {OPERATION: event.operation, ATTEMPT: event.attempt, **more})
