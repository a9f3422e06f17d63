from contextvars import ContextVar
from typing import Any

import anyio
import pytest

from coaching_async import ClientCredentials, Event, RateLimit, Stats
from coaching_async._events import (
    CallFinished,
    CallStarted,
    Counters,
    RequestAnswered,
    RequestFailed,
    RequestSent,
    RetryScheduled,
    TokenIssued,
)
from tests.support.doubles import Service, answer


def test_counters_count_events():
    counters = Counters()
    assert counters.snapshot() == Stats()

    for event in (
        CallStarted("appointments.get"),
        RequestSent("oauth.token", 1),
        RequestAnswered("oauth.token", 1, 200, 0.1, None),
        TokenIssued(60.0),
        RequestSent("appointments.get", 1),
        RequestAnswered("appointments.get", 1, 429, 0.1, "c"),
        RetryScheduled("appointments.get", 1, 3.0, "429"),
        RequestSent("appointments.get", 2),
        RequestFailed("appointments.get", 2, "ReadError", 0.1),
        CallFinished("appointments.get", 2, 0.2, "TransportError", waited=1.5),
        CallFinished("appointments.get", 1, 0.2, None, waited=0.25),
    ):
        counters(event)

    assert counters.snapshot() == Stats(
        calls=1, requests=2, retries=1, throttled=1, waited=1.75, tokens=1, failed_calls=1
    )


@pytest.mark.anyio
@pytest.mark.parametrize("in_bulk", [False, True])
async def test_waited_is_the_time_spent_waiting_for_permits_and_slots_without_backoff(in_bulk: bool):
    """Three seconds because of a 429; then for a permit, until the first of two is free again. In bulk no time runs meanwhile."""
    events: list[Any] = []
    timeout = 10.0 if in_bulk else 200.0
    service = Service([answer(status=429), answer(status=503), answer({"id": "1"})])
    async with service.client(on_event=events.append, rate_limit=RateLimit(2, per=60.0), timeout=timeout) as client:
        started = anyio.current_time()
        if in_bulk:
            (await client.bulk(client.appointments.get, ["1"])).raise_for_failures()
        else:
            await client.appointments.get("1")
        took = anyio.current_time() - started

    waited = [event.waited for event in events if isinstance(event, RequestSent)]
    (backoff,) = [event.wait for event in events if isinstance(event, RetryScheduled) and event.reason == "503"]
    assert waited[0] == 0.0
    assert waited[1] >= 3.0
    assert events[-1].waited == waited[2] == pytest.approx(took - backoff)
    assert backoff > 0
    assert client.stats().waited == events[-1].waited


@pytest.mark.anyio
async def test_a_call_that_is_cancelled_while_it_waits_reports_how_long_it_waited():
    events: list[Any] = []
    async with Service([answer({"id": "1"})]).client(
        on_event=events.append, rate_limit=RateLimit(1, per=60.0), timeout=200.0
    ) as client:
        await client.appointments.get("1")
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(client.appointments.get, "1")
            await anyio.sleep(7.0)
            tasks.cancel_scope.cancel()

    assert (events[-1].is_cancelled, events[-1].waited, client.stats().waited) == (True, 7.0, 7.0)


@pytest.mark.anyio
async def test_a_context_variable_that_a_hook_sets_at_the_start_of_a_call_is_visible_at_each_event_of_that_call():
    """This distinguishes concurrent calls, whose events have no id."""
    number: ContextVar[int | None] = ContextVar("number", default=None)
    told: list[tuple[int | None, Event]] = []

    def hook(event: Event) -> None:
        if isinstance(event, CallStarted):
            number.set(len(told))
        told.append((number.get(), event))

    token = answer({"access_token": "t", "expires_in": 1000})
    answers = [answer(status=503)] * 5

    def serve(request: Any) -> Any:
        if request.url.path.endswith("/token"):
            return token
        return answers.pop() if answers else answer({"id": "1"}, ININ_Correlation_Id=request.url.path[-1])

    ids = [str(each) for each in range(8)]
    async with Service(serve).client(ClientCredentials("id", "s"), on_event=hook) as client:
        await client.bulk(client.appointments.get, ids)

    calls = {start: [event for found, event in told if found == start] for start, _ in told if start is not None}
    assert len(calls) == len(ids)
    assert sum(map(len, calls.values())) == len(told)
    for events in calls.values():
        assert isinstance(events[0], CallStarted)
        assert isinstance(events[-1], CallFinished)
        own = [event for event in events if isinstance(event, RequestSent) and event.operation != "oauth.token"]
        assert [event.attempt for event in own] == list(range(1, events[-1].attempts + 1))
