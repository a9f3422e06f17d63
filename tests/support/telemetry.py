"""Spans and metrics of OpenTelemetry in memory."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from opentelemetry.instrumentation.httpx import HTTPXClientInstrumentor
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import Sampler
from opentelemetry.trace import INVALID_SPAN, Tracer, get_current_span

from coaching_async.integrations.opentelemetry import OpenTelemetry

OURS = "coaching_async"
THEIRS = "opentelemetry.instrumentation.httpx"


class Telemetry:
    """OpenTelemetry providers, and an `on_event` hook that reports to them."""

    def __init__(self, sampler: Sampler | None = None) -> None:
        self._spans = InMemorySpanExporter()
        self._metrics = InMemoryMetricReader()
        self.tracing = TracerProvider(sampler, shutdown_on_exit=False)
        self.tracing.add_span_processor(SimpleSpanProcessor(self._spans))
        self.metering = MeterProvider([self._metrics], shutdown_on_exit=False)
        self.hook = OpenTelemetry(tracer_provider=self.tracing, meter_provider=self.metering)

    @property
    def tracer(self) -> Tracer:
        """Return the tracer of an application."""
        return self.tracing.get_tracer("app")

    @contextmanager
    def httpx_instrumented(self) -> Iterator[None]:
        instrumentor = HTTPXClientInstrumentor()
        instrumentor.instrument(tracer_provider=self.tracing, meter_provider=self.metering)
        try:
            yield
        finally:
            instrumentor.uninstrument()

    def spans(self, scope: str = OURS) -> list[ReadableSpan]:
        """Return the spans that have ended."""
        return [span for span in self._spans.get_finished_spans() if of(span) == scope]

    def the_span(self) -> ReadableSpan:
        (span,) = self.spans()
        return span

    def metrics(self, scope: str = OURS) -> dict[str, dict[frozenset[tuple[str, Any]], Any]]:
        """Return data points by name and attributes: the value of a counter, the count and the sum of a histogram."""
        found: dict[str, dict[frozenset[tuple[str, Any]], Any]] = {}
        data = self._metrics.get_metrics_data()
        for each in [] if data is None else data.resource_metrics[0].scope_metrics:
            if each.scope.name == scope:
                for metric in each.metrics:
                    found[metric.name] = {
                        frozenset((point.attributes or {}).items()): (
                            point.value if hasattr(point, "value") else (point.count, point.sum)
                        )
                        for point in metric.data.data_points
                    }
        return found


def of(span: ReadableSpan) -> str:
    """Return the name of the instrumentation scope."""
    assert span.instrumentation_scope is not None
    return span.instrumentation_scope.name


def told(span: ReadableSpan) -> list[tuple[str, Mapping[str, Any]]]:
    """The events of a span, without the part of their names that all have."""
    return [(event.name.removeprefix("coaching."), dict(event.attributes or {})) for event in span.events]


def names(span: ReadableSpan) -> list[str]:
    """The same, with what they are of: `oauth.token` or the call itself."""
    return [
        name if more.get("coaching.operation.name") in {None, span.name} else f"{name} (token)"
        for name, more in told(span)
    ]


def is_child(span: ReadableSpan, parent: ReadableSpan | None) -> bool:
    above = None if span.parent is None else span.parent.span_id
    return above == (None if parent is None or parent.context is None else parent.context.span_id)


def everything(spans: Sequence[ReadableSpan]) -> str:
    """All that is written of spans."""
    return "".join(span.to_json() for span in spans)


def nothing_is_current() -> bool:
    return get_current_span() is INVALID_SPAN
