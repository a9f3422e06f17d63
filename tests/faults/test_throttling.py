"""Rows 26 to 33: 429 and `Retry-After`. In rows 27 and 33 only `Retry-After` is read, as the design decides."""

import contextlib
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import anyio
import httpx
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from coaching_async import (
    CoachingClient,
    RateLimited,
    ResponseError,
    RetryPolicy,
    ServerError,
)
from coaching_async._transport.retry_policy import Fault, cooldown_seconds, parse_retry_after
from tests.faults.statuses import CALLS, GET, POST, Store, service_of, throttled
from tests.faults.support import APPOINTMENT, Source, client_to, failing
from tests.support.doubles import answer
from tests.support.effort import examples
from tests.support.fault_server import FaultServer, answering, then

pytestmark = pytest.mark.anyio

SILENT = 3.0
LONGEST = RetryPolicy().max_retry_after


@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_row_26_a_call_waits_as_two_429s_say_and_a_post_is_stored_once(method: str):
    store = Store(lambda: throttled("3"), lambda: throttled("3"), lambda: answer(APPOINTMENT))
    async with service_of(store) as (service, client, waits):
        started = anyio.current_time()

        got = await CALLS[method](client)

        assert got.id == APPOINTMENT["id"]
        assert 6 <= anyio.current_time() - started < 6.5
    assert [wait.wait for wait in waits] == [3, 3]
    assert len(service.requests) == 3
    assert store.stored == (method == "POST")


async def test_row_27_other_rate_limit_headers_are_ignored():
    answers = [throttled(**{"inin-ratelimit-reset": "2"}), answer(APPOINTMENT)]
    async with service_of(answers) as (service, client, waits):
        started = anyio.current_time()

        await POST(client)

        assert SILENT <= anyio.current_time() - started < SILENT + 0.5
    assert [wait.wait for wait in waits] == [SILENT]
    assert len(service.requests) == 2


@pytest.mark.parametrize("method", CALLS)
async def test_row_28_a_429_without_retry_after_is_waited_for_three_seconds(method: str):
    good = {"id": "1", "status": "Completed"}
    async with service_of([throttled(), answer(good)]) as (service, client, _):
        started = anyio.current_time()

        await CALLS[method](client)

        assert SILENT <= anyio.current_time() - started < SILENT + 0.5
    assert len(service.requests) == 2


@pytest.mark.parametrize("method", CALLS)
async def test_row_29_repeated_429s_are_an_error_after_six_requests(method: str):
    async with service_of([throttled("1")]) as (service, client, waits):
        started = anyio.current_time()

        with failing(RateLimited) as caught:
            await CALLS[method](client)

        assert 5 <= anyio.current_time() - started < 5.5
    assert (caught.value.retry_after, caught.value.attempts, caught.value.processed) == (1, 6, "no")
    assert len(service.requests) == 6
    assert len(waits) == 5


@pytest.mark.parametrize("method", CALLS)
@pytest.mark.parametrize("timeout", [60.0, 1e6])
async def test_row_30_a_wait_of_a_day_does_not_start(method: str, timeout: float):
    async with service_of([throttled("86400")], timeout=timeout) as (service, client, waits):
        started = anyio.current_time()

        with failing(RateLimited) as caught:
            await CALLS[method](client)

        assert anyio.current_time() - started < 0.05
    assert (caught.value.retry_after, caught.value.processed) == (86400, "no")
    assert len(service.requests) == 1
    assert waits == []


# Retry-After

OWN = -1.0
"""Stands for the client's own backoff."""
NOON = "Mon, 23 Nov 2026 12:00:00 GMT"


@pytest.mark.parametrize(
    "value, date, waited",
    [
        pytest.param("soon", None, SILENT, id="a word"),
        pytest.param("", None, SILENT, id="empty"),
        pytest.param("-1", None, SILENT, id="negative"),
        pytest.param("1e9", None, SILENT, id="an exponent"),
        pytest.param("1.5", None, 2, id="a fraction"),
        pytest.param("10.0", None, 10, id="a fraction of nothing"),
        pytest.param("3, 4", None, 4, id="two"),
        pytest.param("inf", None, SILENT, id="infinity"),
        pytest.param("nan", None, SILENT, id="nan"),
        pytest.param("+5", None, SILENT, id="a sign"),
        pytest.param("²", None, SILENT, id="a digit that is no decimal"),
        pytest.param("0", None, OWN, id="zero"),
        pytest.param("0.0", None, OWN, id="zero as a fraction"),
        pytest.param(" 7 ", None, 7, id="spaces"),
        pytest.param("180", None, 180, id="the longest"),
        pytest.param("181", None, None, id="a second too long"),
        pytest.param("1000000000", None, None, id="thirty years"),
        pytest.param("9" * 400, None, None, id="beyond a float"),
        pytest.param("9" * 5000, None, None, id="beyond an int"),
        pytest.param("Mon, 23 Nov 2026 11:59:00 GMT", NOON, OWN, id="a past date"),
        pytest.param("Mon, 01 Jan 2001 00:00:00 GMT", None, OWN, id="a past date, by our clock"),
        pytest.param("Mon, 23 Nov 2026 12:00:07 GMT", NOON, 7, id="a date"),
        pytest.param("Mon, 23 Nov 2026 13:00:07 +0100", NOON, 7, id="a date of another zone"),
        pytest.param("Monday, 23-Nov-26 12:00:07 GMT", NOON, 7, id="a date of RFC 850"),
        pytest.param("Sun, 01 Jan 1950 00:00:07 GMT", "Sun, 01 Jan 1950 00:00:00 GMT", 7, id="a server of 1950"),
        pytest.param("Fri, 01 Jan 2094 00:00:07 GMT", "Fri, 01 Jan 2094 00:00:00 GMT", 7, id="a server of 2094"),
        pytest.param("Fri, 01 Jan 2094 00:00:00 GMT", NOON, None, id="a date too far"),
        pytest.param("Fri, 31 Dec 9999 23:59:59 GMT", "Mon, 01 Jan 0001 00:00:00 GMT", None, id="all of time"),
        pytest.param("Mon, 23 Nov 2026 12:00:07", NOON, 7, id="a date without a zone"),
        pytest.param("Mon Nov 23 12:00:07 2026", NOON, 7, id="a date of asctime"),
        pytest.param("Mon, 23 Nov 2026 12:00:07 GMT", "yesterday", SILENT, id="a Date that is none"),
        pytest.param("Mon, 23 Nov 2026 12:00:07 GMT", "Mon, 23 Nov 2026 12:00:00", 7, id="a Date without a zone"),
        pytest.param("Mon, 99 Nov 2026 12:00:07 GMT", NOON, SILENT, id="a day that is none"),
        pytest.param("Mon, 23 Nov 2026 12:00:07 +9999", NOON, SILENT, id="a zone that is none"),
        pytest.param("Mon, 23 Nov 99999999999 12:00:07 GMT", NOON, SILENT, id="a year beyond all"),
    ],
)
async def test_row_31_a_retry_after_is_parsed_or_ignored(value: str, date: str | None, waited: float | None):
    headers = [(b"Retry-After", value.encode()), *([] if date is None else [(b"Date", date.encode())])]
    answers = [httpx.Response(429, headers=headers), answer(APPOINTMENT)]
    async with service_of(answers, timeout=1000.0) as (service, client, waits):
        started = anyio.current_time()

        if waited is None:
            with failing(RateLimited) as caught:
                await GET(client)
            assert caught.value.retry_after > LONGEST
        else:
            await GET(client)

        elapsed = anyio.current_time() - started
    if waited is OWN:
        assert 0.5 <= waits[0].wait <= 1
        waited = waits[0].wait
    assert elapsed == pytest.approx(waited or 0, abs=0.01)
    assert [wait.wait for wait in waits] == ([] if waited is None else [waited])
    assert len(service.requests) == (1 if waited is None else 2)


@pytest.mark.parametrize("value", ["0", "0.0", "Thu, 01 Jan 1970 00:00:00 GMT"])
@pytest.mark.parametrize("status, requests", [(429, 6), (503, 4)])
async def test_row_31_attempts_are_spaced_even_if_the_service_tells_no_wait(status: int, requests: int, value: str):
    async with service_of([answer({}, status, Retry_After=value)], timeout=1000.0) as (service, client, waits):
        with failing(ResponseError):
            await GET(client)

    assert len(service.requests) == requests
    assert all(2**count / 2 <= each.wait <= 2**count for count, each in enumerate(waits))


@pytest.mark.parametrize("retry", [RetryPolicy(), RetryPolicy(throttle_waits=0)])
async def test_row_31_after_a_429_that_tells_no_wait_other_calls_of_the_token_pause_too(retry: RetryPolicy):
    times: list[float] = []

    def throttle_first(_: httpx.Request) -> httpx.Response:
        times.append(anyio.current_time())
        return answer({}, 429, Retry_After="0") if len(times) == 1 else answer(APPOINTMENT)

    async with service_of(throttle_first, retry=retry) as (_, client, _waits):
        with contextlib.suppress(RateLimited):
            await GET(client)
        await GET(client)

    assert times[1] - times[0] >= 0.5


async def test_row_31_a_date_is_compared_with_the_date_of_the_response_and_not_with_the_local_clock():
    server = datetime.now(UTC).replace(microsecond=0) - timedelta(days=1)
    dates = {"Retry_After": format_datetime(server + timedelta(seconds=9), usegmt=True)}
    dates["Date"] = format_datetime(server, usegmt=True)
    async with service_of([answer({}, 429, **dates), answer(APPOINTMENT)]) as (_, client, waits):
        await GET(client)
    assert [wait.wait for wait in waits] == [9]


moments = st.datetimes().flatmap(
    lambda moment: st.sampled_from(["GMT", "+0000", "-0000", "+2359", "-2400", "+99999999", "EST", "Z", ""]).map(
        lambda zone: f"{moment:%a, %d %b} {moment.year:04} {moment:%H:%M:%S} {zone}".strip()
    )
)
pieces = st.lists(
    st.sampled_from(["Mon", ",", " ", "23", "Nov", "2026", "12:00:00", ":", "-", "+", "GMT", "0", "9" * 20, "(", ")"]),
    max_size=12,
).map("".join)
texts = st.one_of(
    st.text(),
    st.from_regex(r"\s*[+-]?\d{1,500}(\.\d+)?(e\d+)?\s*", fullmatch=True),
    st.integers().map(str),
    moments,
    pieces,
)
policies = st.builds(
    RetryPolicy,
    attempts=st.integers(1, 10),
    throttle_waits=st.integers(0, 10),
    max_backoff=st.floats(0, 100),
    max_retry_after=st.floats(0, 10_000),
)


@settings(deadline=None, max_examples=examples(400))
@given(value=st.none() | texts, date=st.none() | texts, policy=policies, fault=st.sampled_from(Fault))
@example(value="9" * 400, date=None, policy=RetryPolicy(max_retry_after=float("inf")), fault=Fault.THROTTLED)
@example(value="0\x1f", date=None, policy=RetryPolicy(), fault=Fault.THROTTLED)
def test_row_31_with_any_headers_a_wait_is_within_bounds_or_does_not_start(
    value: str | None, date: str | None, policy: RetryPolicy, fault: Fault
):
    seconds = parse_retry_after(value, date)

    assert seconds is None or seconds >= 0
    assert 0 <= cooldown_seconds(seconds) <= 180
    for count in range(1, 12):
        wait = policy.wait(fault, failures=count, throttles=count, retry_after=seconds, random=lambda: 0.5)
        assert wait is None or 0 <= wait <= policy.max_retry_after


@settings(deadline=None, max_examples=examples(60))
@given(
    value=st.binary(max_size=60) | texts.map(lambda text: text.encode("utf-8", "replace")),
    date=st.none() | st.binary(max_size=60) | texts.map(lambda text: text.encode("utf-8", "replace")),
    status=st.sampled_from([429, 503]),
)
@example(value=b"0\x1f", date=None, status=429)
@example(value=b"\x1c7", date=None, status=503)
async def test_row_31_with_any_header_bytes_a_call_waits_within_bounds_or_fails_at_once(
    value: bytes, date: bytes | None, status: int
):
    headers = [(b"Retry-After", value), *([] if date is None else [(b"Date", date)])]
    answers = [httpx.Response(status, headers=headers), answer(APPOINTMENT)]
    async with service_of(answers, timeout=1000.0) as (service, client, waits):
        started = anyio.current_time()

        error: ResponseError | None = None
        try:
            await GET(client)
        except (RateLimited, ServerError) as caught:
            error = caught
        elapsed = anyio.current_time() - started

    if error is None:
        assert len(service.requests) == 2
        assert 0 <= waits[0].wait <= LONGEST
        assert elapsed == pytest.approx(waits[0].wait)
    else:
        assert error.status == status
        assert error.retry_after is not None
        assert error.retry_after > LONGEST
        assert (len(service.requests), waits, elapsed) == (1, [], 0)


@pytest.mark.real_time
@pytest.mark.parametrize("status", [429, 503])
@pytest.mark.parametrize("value", ["0\x1f", "0\x1c", "\x1e0", "0\x85", "0\xa0"], ids=ascii)
async def test_row_31_control_characters_beside_the_digits_do_no_harm(value: str, status: int):
    throttle, good = answering({}, status, Retry_After=value), answering(APPOINTMENT)
    with FaultServer(then(throttle, good)) as server:
        retry = RetryPolicy(
            max_backoff=0.01, max_retry_after=1.0
        )  # ignored it would be three seconds, which exceeds this
        async with client_to(server.url, retry=retry) as client:
            with contextlib.suppress(RateLimited):  # if the header is ignored
                await GET(client)


async def test_row_33_a_request_count_at_its_limit_causes_no_wait():
    full = {"inin-ratelimit-count": "300", "inin-ratelimit-allowed": "300", "inin-ratelimit-reset": "10"}
    async with service_of(lambda _: answer(APPOINTMENT, 200, **full)) as (service, client, waits):
        started = anyio.current_time()
        await GET(client)

        await GET(client)

        assert anyio.current_time() - started < 0.05
    assert len(service.requests) == 2
    assert waits == []


async def test_row_32_a_429_delays_all_waiting_requests_and_then_one_goes_before_the_others():
    sent: list[float] = []

    async def serve(_: httpx.Request) -> httpx.Response:
        sent.append(anyio.current_time() - start)
        if len(sent) == 1:
            await anyio.sleep(0.5)
            return answer({"code": "too.many.requests"}, 429, Retry_After="7")
        await anyio.sleep(1)
        return answer({"id": "1"})

    start = anyio.current_time()
    async with httpx.AsyncClient(transport=httpx.MockTransport(serve)) as http:
        client = CoachingClient(Source(), base_url="https://api.test", http_client=http, max_concurrency=5)
        async with client, anyio.create_task_group() as tasks:
            for _ in range(20):
                tasks.start_soon(client.appointments.get, "1")

    # Five were in flight. None starts during the cooldown, and after it as many at a time as succeeded before.
    assert sent == pytest.approx([*[0] * 5, 7.5, *[8.5] * 2, *[9.5] * 4, *[10.5] * 5, *[11.5] * 4])
