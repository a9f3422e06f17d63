"""OpenTelemetry: one span for each call, also of concurrent calls, and metrics that count everything once."""

import math
import os
import re
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Iterator
from typing import Any

import anyio
import attrs
import pytest
from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor
from opentelemetry.sdk.trace.sampling import ALWAYS_ON, Sampler
from opentelemetry.trace import SpanKind, StatusCode, get_current_span

from coaching_async import (
    AuthError,
    CallFinished,
    CallStarted,
    ClientCredentials,
    CoachingClient,
    NotFound,
    OutcomeUnknown,
    RateLimit,
    RefreshToken,
    RetryPolicy,
    RetryScheduled,
    TokenIssued,
    TransportError,
    Unauthorized,
)
from coaching_async.integrations.opentelemetry import OpenTelemetry
from coaching_async.sandbox import CLIENT_ID, CLIENT_SECRET, REFRESH_TOKEN, Fault, Sandbox
from tests.support.cancelling import Way, every_way, skip_where_unknown
from tests.support.doubles import Service, answer
from tests.support.markdown import ROOT, blocks
from tests.support.telemetry import THEIRS, Telemetry, everything, is_child, names, nothing_is_current, told

pytestmark = pytest.mark.anyio
over_sockets = pytest.mark.real_time

OPERATION = "coaching.operation.name"
ME = "11111111-1111-4111-8111-111111111111"
AUTH = ClientCredentials(CLIENT_ID, CLIENT_SECRET)
QUICK = RetryPolicy(attempts=20, throttle_waits=20, max_backoff=0.01)
UNBOUNDED = RateLimit(100_000, per=60.0)


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    with Sandbox(appointments=60, users=4, page_cap=10) as sandbox:
        yield sandbox


@pytest.fixture
def telemetry() -> Iterator[Telemetry]:
    yield Telemetry()
    assert nothing_is_current()


@pytest.fixture
async def client(sandbox: Sandbox, telemetry: Telemetry) -> AsyncIterator[CoachingClient]:
    """A client that already has its token."""
    async with CoachingClient(
        AUTH, base_url=sandbox.base_url, retry=QUICK, rate_limit=UNBOUNDED, on_event=telemetry.hook
    ) as client:
        await client.appointments.get(next(iter(sandbox.state.appointments)))
        telemetry._spans.clear()
        yield client


def one_of(sandbox: Sandbox) -> str:
    return next(iter(sandbox.state.appointments))


# One call


async def test_left_out_rows_are_an_event_of_their_page_and_a_counter(telemetry: Telemetry):
    body = {"entities": [{"id": "a", "name": 5}, {"id": "b"}, None]}

    async with Service(lambda _: answer(body)).client(on_event=telemetry.hook) as client:
        await client.annotations.list("1").total()

    span = telemetry.the_span()
    assert names(span) == ["request.sent", "request.answered", "rows.left_out"]
    assert told(span)[-1][1] == {
        OPERATION: "annotations.list",
        "coaching.page": 1,
        "coaching.rows.indexes": (2,),
        "coaching.reason": "no Annotation: expected an object",
    }
    assert telemetry.metrics()["coaching.client.rows.left_out"] == {frozenset({(OPERATION, "annotations.list")}): 1}


@over_sockets
async def test_a_call_is_a_client_span_below_the_current_span_with_its_requests_as_events(
    client: CoachingClient, telemetry: Telemetry, sandbox: Sandbox
):
    sandbox.faults.add(Fault("status", "GET", "appointments/", status=503, times=2))
    with telemetry.tracer.start_as_current_span("handler") as handler:
        answer = await client.raw(client.appointments.get, one_of(sandbox))

    span = telemetry.the_span()
    assert (span.name, span.kind, span.status.status_code) == ("appointments.get", SpanKind.CLIENT, StatusCode.UNSET)
    assert is_child(span, handler)  # type: ignore[arg-type]
    assert names(span) == [
        *("request.sent", "request.answered", "retry.scheduled"),
        *("request.sent", "request.answered", "retry.scheduled"),
        *("request.sent", "request.answered"),
    ]
    assert [more["coaching.attempt"] for _, more in told(span)] == [1, 1, 1, 2, 2, 2, 3, 3]
    assert [more.get("http.response.status_code") for _, more in told(span)][1::3] == [503, 503, 200]
    assert told(span)[2][1]["error.type"] == "503"
    assert told(span)[2][1]["coaching.retry.wait"] <= 0.01
    assert told(span)[-1][1]["coaching.correlation_id"] == answer.correlation_id
    assert dict(span.attributes or {}) == {
        OPERATION: "appointments.get",
        "coaching.attempts": 3,
        "coaching.waited": pytest.approx(0, abs=1),
        "http.response.status_code": 200,
        "coaching.correlation_id": answer.correlation_id,
    }


@over_sockets
async def test_a_failed_call_is_a_span_with_the_type_of_its_error(client: CoachingClient, telemetry: Telemetry):
    with pytest.raises(NotFound) as caught:
        await client.appointments.get("no-such-appointment")

    span = telemetry.the_span()
    assert span.attributes is not None
    assert (span.status.status_code, span.status.description) == (StatusCode.ERROR, None)
    assert span.attributes["error.type"] == "NotFound"
    assert span.attributes["http.response.status_code"] == 404
    assert span.attributes["coaching.correlation_id"] == caught.value.correlation_id
    durations = telemetry.metrics()["coaching.client.operation.duration"]
    (count, _) = durations[frozenset({(OPERATION, "appointments.get"), ("error.type", "NotFound")})]
    assert count == 1


@over_sockets
async def test_a_write_with_a_lost_response_is_marked_as_possibly_carried_out(
    client: CoachingClient, telemetry: Telemetry, sandbox: Sandbox
):
    sandbox.faults.add(Fault("drop_after", "PATCH"))
    with pytest.raises(OutcomeUnknown):
        await client.appointments.set_status(one_of(sandbox), "Completed")

    span = telemetry.the_span()
    assert span.attributes is not None
    assert (span.attributes["error.type"], span.attributes["coaching.processed"]) == ("OutcomeUnknown", "maybe")
    assert "http.response.status_code" not in span.attributes
    assert names(span) == ["request.sent", "request.failed"]
    assert told(span)[1][1]["error.type"] in {"ReadError", "RemoteProtocolError"}


@over_sockets
async def test_a_span_has_the_status_code_of_its_last_response_or_none_without_a_response(
    client: CoachingClient, telemetry: Telemetry, sandbox: Sandbox
):
    twice = client.with_options(retry=RetryPolicy(attempts=2, max_backoff=0.01))
    sandbox.faults.add(Fault("status", "GET", "appointments/", status=503))
    sandbox.faults.add(Fault("drop_after", "GET", "appointments/"))
    with pytest.raises(TransportError):
        await twice.appointments.get(one_of(sandbox))
    sandbox.faults.add(Fault("revoke", "GET", "appointments/"))
    sandbox.faults.add(Fault("status", "POST", "oauth/token", status=400))
    with pytest.raises(AuthError):
        await client.appointments.get(one_of(sandbox))

    unanswered, refused = telemetry.spans()
    assert names(unanswered) == [
        *("request.sent", "request.answered", "retry.scheduled"),
        *("request.sent", "request.failed"),
    ]
    assert "http.response.status_code" not in (unanswered.attributes or {})
    assert names(refused)[1:] == ["request.answered", "request.sent (token)", "request.answered (token)"]
    assert told(refused)[-1][1]["http.response.status_code"] == 400
    assert (refused.attributes or {})["http.response.status_code"] == 401


@over_sockets
@every_way
async def test_a_cancelled_call_is_marked_and_is_no_error(
    cancel: Way, client: CoachingClient, telemetry: Telemetry, sandbox: Sandbox, anyio_backend_name: str
):
    skip_where_unknown(cancel, anyio_backend_name)
    sandbox.faults.add(Fault("stall", "PATCH"))
    before = len(sandbox.requests)

    def complete() -> Awaitable[object]:
        return client.appointments.set_status(one_of(sandbox), "Completed")

    assert await cancel(complete, lambda: arrived(sandbox, before))

    span = telemetry.the_span()
    assert span.attributes is not None
    assert (span.status.status_code, names(span)) == (StatusCode.UNSET, ["request.sent"])
    assert (span.attributes["coaching.cancelled"], span.attributes["coaching.processed"]) == (True, "maybe")
    assert "error.type" not in span.attributes
    durations = telemetry.metrics()["coaching.client.operation.duration"]
    assert frozenset({(OPERATION, "appointments.set_status"), ("coaching.cancelled", True)}) in durations


async def arrived(sandbox: Sandbox, before: int) -> None:
    """Wait until another request has arrived."""
    while len(sandbox.requests) == before:  # noqa: ASYNC110 # the sandbox's thread has no event to await
        await anyio.sleep(0.002)


# Many calls


@over_sockets
async def test_each_of_fifty_concurrent_calls_has_its_own_events_and_its_callers_span_as_parent(
    client: CoachingClient, telemetry: Telemetry, sandbox: Sandbox
):
    sandbox.faults.add(Fault("status", "GET", "appointments/", status=429, retry_after=0, times=10))
    sandbox.faults.add(Fault("drop_after", "GET", "appointments/", times=5, after=10))
    answers: dict[str, Any] = {}

    async def handle(number: int, id_: str) -> None:
        with telemetry.tracer.start_as_current_span(f"handler {number}") as handler:
            answers[f"handler {number}"] = await client.raw(client.appointments.get, id_)
            assert handler is get_current_span()

    async with anyio.create_task_group() as tasks:
        for number, id_ in enumerate(list(sandbox.state.appointments)[:50]):
            tasks.start_soon(handle, number, id_)

    handlers = {span.context.span_id: span.name for span in telemetry.spans("app") if span.context is not None}
    assert len(telemetry.spans()) == len(handlers) == len(answers) == 50
    for span in telemetry.spans():
        assert span.parent is not None
        answer = answers.pop(handlers[span.parent.span_id])
        assert names(span).count("request.sent") == answer.attempts == (span.attributes or {})["coaching.attempts"]
        assert told(span)[-1][1]["coaching.correlation_id"] == answer.correlation_id
    assert not answers


@over_sockets
async def test_the_calls_of_walks_streams_and_bulks_are_below_their_callers_span(
    client: CoachingClient, telemetry: Telemetry, sandbox: Sandbox
):
    listing = client.appointments.list(sandbox.state.user_ids)
    ids: list[str] = []
    with telemetry.tracer.start_as_current_span("handler") as handler:
        async for appointment in listing:
            ids.append(appointment.id)
            assert get_current_span() is handler
        async with listing.stream(concurrency=4) as items:
            async for _ in items:
                assert get_current_span() is handler
        await client.bulk(client.appointments.get, ids)
        async with client.bulk_stream(client.appointments.get, listing_ids(listing)) as outcomes:
            async for outcome in outcomes:
                assert outcome.is_ok
        assert get_current_span() is handler

    assert len(ids) == 60
    assert {span.name for span in telemetry.spans()} == {"appointments.list", "appointments.get"}
    assert all(is_child(span, handler) for span in telemetry.spans())  # type: ignore[arg-type]
    assert [span.name for span in telemetry.spans()].count("appointments.get") == 120
    assert {tuple(names(span)) for span in telemetry.spans()} == {("request.sent", "request.answered")}


async def listing_ids(listing: Any) -> AsyncIterator[str]:
    async for appointment in listing:
        yield appointment.id


class Source:
    """A token source that calls the service before it returns a token."""

    def __init__(self, client: CoachingClient, id_: str) -> None:
        self.client = client
        self.id = id_

    async def token(self, rejected: str | None = None) -> str:
        await self.client.appointments.get(self.id)
        return "no-token"


@over_sockets
async def test_calls_inside_a_call_are_its_children_and_keep_their_own_events(telemetry: Telemetry, sandbox: Sandbox):
    await call_inside_a_call(telemetry.hook, sandbox)

    *inside, outside = telemetry.spans()
    assert (outside.name, names(outside)) == ("appointments.list_mine", ["request.sent", "request.answered"])
    assert [(span.name, is_child(span, outside)) for span in inside] == [("appointments.get", True)] * 2


async def call_inside_a_call(hook: OpenTelemetry, sandbox: Sandbox) -> None:
    async with CoachingClient(AUTH, base_url=sandbox.base_url, on_event=hook) as inner:
        source = Source(inner, one_of(sandbox))
        async with CoachingClient(source, base_url=sandbox.base_url, on_event=hook) as outer:
            with pytest.raises(Unauthorized):
                await outer.appointments.list_mine().first()


# Together with instrumented httpx


@over_sockets
async def test_with_instrumented_httpx_each_request_is_a_span_below_its_call_and_nothing_is_counted_twice(
    client: CoachingClient, telemetry: Telemetry, sandbox: Sandbox
):
    sandbox.faults.add(Fault("status", "GET", "appointments/", status=429, retry_after=0, times=10))
    sandbox.faults.add(Fault("drop_after", "GET", "appointments/", times=5, after=10))
    ids = list(sandbox.state.appointments)[:50]
    before = len(sandbox.requests)

    with telemetry.httpx_instrumented():
        await client.bulk(client.appointments.get, ids)
    sent = len(sandbox.requests) - before

    calls = {span.context.span_id: span for span in telemetry.spans() if span.context is not None}
    assert (len(calls), len(telemetry.spans(THEIRS)), sent) == (50, 65, 65)
    below: dict[int, int] = dict.fromkeys(calls, 0)
    for span in telemetry.spans(THEIRS):
        assert span.parent is not None
        below[span.parent.span_id] += 1
    assert below == {id_: (span.attributes or {})["coaching.attempts"] for id_, span in calls.items()}
    ours, theirs = telemetry.metrics(), telemetry.metrics(THEIRS)
    assert (set(ours), set(theirs)) == (
        {
            "coaching.client.operation.duration",
            "coaching.client.operation.wait_time",
            "coaching.client.retries",
            "coaching.client.tokens",
        },
        {"http.client.duration"},
    )
    assert sum(count for count, _ in ours["coaching.client.operation.duration"].values()) == 50 + 1
    assert sum(ours["coaching.client.retries"].values()) == 15
    assert ours["coaching.client.retries"][frozenset({(OPERATION, "appointments.get"), ("error.type", "429")})] == 10


# Tokens


@over_sockets
async def test_a_token_event_is_on_the_call_that_requests_the_token_and_on_no_waiting_call(
    telemetry: Telemetry, sandbox: Sandbox
):
    async with CoachingClient(AUTH, base_url=sandbox.base_url, on_event=telemetry.hook) as client:
        with telemetry.httpx_instrumented():
            await client.bulk(client.appointments.get, list(sandbox.state.appointments)[:5])

    fetched = ["request.sent (token)", "request.answered (token)", "token.issued"]
    own = ["request.sent", "request.answered"]
    assert sorted(map(names, telemetry.spans()), key=len) == [own, own, own, own, [*fetched, *own]]
    (fetching,) = [span for span in telemetry.spans() if len(span.events) == 5]
    posts = [span for span in telemetry.spans(THEIRS) if span.name == "POST"]
    assert [is_child(span, fetching) for span in posts] == [True]
    assert telemetry.metrics()["coaching.client.tokens"] == {frozenset(): 1}


@over_sockets
async def test_if_the_call_that_requests_a_token_is_cancelled_the_next_call_has_the_token_event(
    telemetry: Telemetry, sandbox: Sandbox
):
    sandbox.faults.add(Fault("stall", "POST", "oauth/token"))
    async with (
        CoachingClient(AUTH, base_url=sandbox.base_url, on_event=telemetry.hook) as client,
        anyio.create_task_group() as tasks,
    ):
        with anyio.CancelScope() as scope:
            tasks.start_soon(client.appointments.get, one_of(sandbox))  # waits for the first one
            tasks.start_soon(cancel_once_asked, scope, sandbox)
            await client.appointments.set_status(one_of(sandbox), "Completed")

    first, second = telemetry.spans()
    assert (first.name, names(first)) == ("appointments.set_status", ["request.sent (token)"])
    assert second.name == "appointments.get"
    assert names(second)[:3] == ["request.sent (token)", "request.answered (token)", "token.issued"]


async def cancel_once_asked(scope: anyio.CancelScope, sandbox: Sandbox) -> None:
    await arrived(sandbox, 0)
    scope.cancel()


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_a_background_refresh_has_no_event_and_no_parent_span(backend: str, telemetry: Telemetry, sandbox: Sandbox):
    async def calls() -> None:
        auth = RefreshToken(CLIENT_ID, CLIENT_SECRET, REFRESH_TOKEN)
        async with CoachingClient(auth, base_url=sandbox.base_url, on_event=telemetry.hook) as client:
            await client.appointments.list_mine().first()
            tokens: Any = client._sessions.value.pipeline(client._api.identity).tokens
            tokens.state.current = attrs.evolve(tokens.state.current, refresh_at=-math.inf)  # due for refresh
            await client.appointments.list_mine().first()

    with telemetry.httpx_instrumented(), telemetry.tracer.start_as_current_span("program"):
        anyio.run(calls, backend=backend)

    assert [names(span) for span in telemetry.spans()] == [["request.sent", "request.answered"]] * 2
    posts = [span for span in telemetry.spans(THEIRS) if span.name == "POST"]
    assert [span.parent for span in posts] == [None, None]
    assert telemetry.metrics()["coaching.client.tokens"] == {frozenset(): 2}


# Metrics


def test_metrics_count_durations_waiting_times_and_retries(telemetry: Telemetry):
    for event in (
        CallStarted("appointments.get"),
        RetryScheduled("oauth.token", 1, 0.5, "ReadError"),
        TokenIssued(60.0),
        RetryScheduled("appointments.get", 1, 3.0, "429"),
        CallFinished("appointments.get", 2, 5.0, None, waited=3.0),
    ):
        telemetry.hook(event)

    get = (OPERATION, "appointments.get")
    assert telemetry.metrics() == {
        "coaching.client.operation.duration": {frozenset({get}): (1, 5.0)},
        "coaching.client.operation.wait_time": {frozenset({get}): (1, 3.0)},
        "coaching.client.retries": {
            frozenset({(OPERATION, "oauth.token"), ("error.type", "ReadError")}): 1,
            frozenset({get, ("error.type", "429")}): 1,
        },
        "coaching.client.tokens": {frozenset(): 1},
    }
    assert (telemetry.the_span().attributes or {})["coaching.waited"] == 3.0


@over_sockets
async def test_telemetry_contains_no_id_no_address_and_no_secret(
    client: CoachingClient, telemetry: Telemetry, sandbox: Sandbox
):
    sandbox.faults.add(Fault("status", "GET", "statuses", status=429, retry_after=0))
    with pytest.raises(NotFound):
        await client.annotations.get(one_of(sandbox), "canary-1")
    await client.appointments.list([ME], facilitator_ids=["canary-2"]).collect()
    await client.appointments.list_statuses(one_of(sandbox)).collect()
    await client.annotations.create(one_of(sandbox), "canary-3", access_type="Public")

    written = everything(telemetry.spans()) + str(telemetry.metrics())
    assert {span.name for span in telemetry.spans()} >= {"annotations.get", "appointments.list", "annotations.create"}
    for hidden in ("canary", ME, one_of(sandbox), "/api", "127.0.0.1", CLIENT_SECRET, CLIENT_ID):
        assert hidden not in written


# Failing telemetry


class BrokenSampler(Sampler):
    """A sampler that raises for all spans, or for those of one name."""

    def __init__(self, name: str | None = None) -> None:
        self.name = name

    def should_sample(self, parent_context: Any, trace_id: int, name: str, *_: Any, **__: Any) -> Any:
        if self.name in {None, name}:
            raise ZeroDivisionError
        return ALWAYS_ON.should_sample(parent_context, trace_id, name)

    def get_description(self) -> str:
        return "broken"


class BrokenProcessor(SpanProcessor):
    def on_end(self, span: ReadableSpan) -> None:
        raise ZeroDivisionError


@over_sockets
@pytest.mark.parametrize("broken", ["sampler", "processor"])
async def test_a_failing_telemetry_library_changes_no_call_and_leaves_no_current_span(
    broken: str, telemetry: Telemetry, sandbox: Sandbox
):
    failing = Telemetry(BrokenSampler() if broken == "sampler" else None)
    failing.tracing.add_span_processor(BrokenProcessor())

    with telemetry.tracer.start_as_current_span("handler") as handler:
        async with CoachingClient(AUTH, base_url=sandbox.base_url, on_event=failing.hook) as client:
            assert (await client.appointments.get(one_of(sandbox))).id == one_of(sandbox)
        assert get_current_span() is handler

    assert failing.metrics()["coaching.client.operation.duration"]


@over_sockets
async def test_a_span_that_fails_to_start_ends_no_other_span(sandbox: Sandbox):
    telemetry = Telemetry(BrokenSampler("appointments.get"))

    await call_inside_a_call(telemetry.hook, sandbox)

    span = telemetry.the_span()
    assert (span.name, names(span)) == ("appointments.list_mine", ["request.sent", "request.answered"])
    assert (span.attributes or {})["error.type"] == "Unauthorized"


def test_the_client_does_not_import_opentelemetry_and_nothing_is_recorded_without_an_sdk(sandbox: Sandbox):
    program = f"""
import asyncio, sys
import coaching_async
assert not [name for name in sys.modules if name.startswith("opentelemetry")]
from coaching_async.integrations.opentelemetry import OpenTelemetry
assert not [name for name in sys.modules if name.startswith("opentelemetry.sdk")]
from opentelemetry import trace

hook = OpenTelemetry()
auth = coaching_async.ClientCredentials({CLIENT_ID!r}, {CLIENT_SECRET!r})

async def main():
    async with coaching_async.CoachingClient(auth, base_url={sandbox.base_url!r}, on_event=hook) as client:
        await client.appointments.get({one_of(sandbox)!r})
        assert trace.get_current_span() is trace.INVALID_SPAN

        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import SimpleSpanProcessor
        from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

        kept = InMemorySpanExporter()
        trace.set_tracer_provider(TracerProvider())
        trace.get_tracer_provider().add_span_processor(SimpleSpanProcessor(kept))
        await client.appointments.get({one_of(sandbox)!r})
        print([span.name for span in kept.get_finished_spans()])

asyncio.run(main())
"""
    ran = subprocess.run([sys.executable, "-W", "error", "-c", program], check=False, capture_output=True, text=True)

    assert (ran.stderr, ran.stdout) == ("", "['appointments.get']\n")


def test_the_blocks_of_the_page_on_observing_run_in_order(sandbox: Sandbox):
    """Run in a process of its own, and export the spans to the console, as an application does."""
    texts = [block.text for block in blocks(ROOT / "docs" / "observing.md", "python")]
    program = f"""
import ast, asyncio, inspect
from coaching_async import ClientCredentials, CoachingClient
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import ConsoleSpanExporter, SimpleSpanProcessor

trace.set_tracer_provider(TracerProvider())
trace.get_tracer_provider().add_span_processor(SimpleSpanProcessor(ConsoleSpanExporter()))
auth = ClientCredentials({CLIENT_ID!r}, {CLIENT_SECRET!r})
names = dict(
    ClientCredentials=ClientCredentials,
    CoachingClient=CoachingClient,
    auth=auth,
    client=CoachingClient(auth, base_url={sandbox.base_url!r}),
    sandbox_url={sandbox.base_url!r},
    users={sandbox.state.user_ids!r},
)

async def main():
    for number, block in enumerate({texts!r}, 1):
        code = compile(block, f"docs/observing.md, block {{number}}", "exec", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
        result = eval(code, names)
        if inspect.isawaitable(result):
            await result

asyncio.run(main())
"""
    ran = subprocess.run(
        [sys.executable, "-W", "error", "-c", program],
        env=os.environ | {"OTEL_SEMCONV_STABILITY_OPT_IN": "http"},
        check=False,
        capture_output=True,
        text=True,
    )

    assert ran.stderr == ""
    assert ran.stdout.count('"name": "appointments.list"') == 2
    assert set(re.findall('"url.full": "(.*)"', ran.stdout)) == {"http://127.0.0.1/"}
    assert not [user for user in sandbox.state.user_ids if user in ran.stdout]
