"""Rows 26 to 41: what follows from each status. Rows 27 and 33 as the design has them: only Retry-After is read."""

import contextlib
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import anyio
import httpx
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from coaching_async import (
    BadRequest,
    CoachingClient,
    CoachingError,
    Conflict,
    DecodeError,
    Forbidden,
    NotFound,
    OutcomeUnknown,
    RateLimit,
    RateLimited,
    ResponseError,
    RetryPolicy,
    RetryScheduled,
    ServerError,
    Unauthorized,
)
from coaching_async._transport.retry_policy import Fault, cooldown_seconds, parse_retry_after
from tests.faults.support import APPOINTMENT, COOKIE, NEW, Source, client_to, failing
from tests.support.doubles import Service, answer
from tests.support.fault_server import Conversation, FaultServer, answering, then

pytestmark = pytest.mark.anyio

SILENT = 3.0
LONGEST = RetryPolicy().max_retry_after

Calls = dict[str, Callable[[CoachingClient], Awaitable[Any]]]

CALLS: Calls = {
    "GET": lambda client: client.appointments.get("1"),
    "POST": lambda client: client.appointments.create(NEW),
    "PATCH": lambda client: client.appointments.set_status("1", "Completed"),
    "DELETE": lambda client: client.appointments.delete("1"),
}
GET, POST = CALLS["GET"], CALLS["POST"]


@asynccontextmanager
async def service_of(
    answers: Any, **options: Any
) -> AsyncIterator[tuple[Service, CoachingClient, list[RetryScheduled]]]:
    """A service in memory, its client, and the waits that it begins."""
    service, waits = Service(answers), list[RetryScheduled]()

    def watch(event: object) -> None:
        if isinstance(event, RetryScheduled):
            waits.append(event)

    async with service.client(Source(), on_event=watch, **options) as client:
        yield service, client, waits
    await service.http.aclose()


def throttled(retry_after: str | None = None, **headers: str) -> httpx.Response:
    return answer({}, 429, **headers if retry_after is None else {"Retry_After": retry_after, **headers})


class Store:
    """A service that does what it is told and then answers as told: each POST is one appointment more."""

    def __init__(self, *answers: Callable[[], httpx.Response]) -> None:
        self.answers, self.stored, self.asked = answers, 0, 0

    def __call__(self, request: httpx.Request) -> httpx.Response:
        made = self.answers[min(self.asked, len(self.answers) - 1)]()
        self.asked += 1
        self.stored += request.method == "POST" and made.status_code != 429
        return made


# 429


@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_row_26_two_429s_are_waited_out_as_told_and_a_post_is_stored_once(method: str):
    store = Store(lambda: throttled("3"), lambda: throttled("3"), lambda: answer(APPOINTMENT))
    async with service_of(store) as (service, client, waits):
        started = anyio.current_time()

        got = await CALLS[method](client)

        assert got.id == APPOINTMENT["id"]
        assert 6 <= anyio.current_time() - started < 6.5
    assert [each.wait for each in waits] == [3, 3]
    assert len(service.requests) == 3
    assert store.stored == (method == "POST")


async def test_row_27_the_hint_of_another_header_is_not_read_and_the_wait_is_that_of_silence():
    answers = [throttled(**{"inin-ratelimit-reset": "2"}), answer(APPOINTMENT)]
    async with service_of(answers) as (service, client, waits):
        started = anyio.current_time()

        await POST(client)

        assert SILENT <= anyio.current_time() - started < SILENT + 0.5
    assert [each.wait for each in waits] == [SILENT]
    assert len(service.requests) == 2


@pytest.mark.parametrize("method", CALLS)
async def test_row_28_a_429_that_says_nothing_is_waited_out_for_three_seconds(method: str):
    good = {"id": "1", "status": "Completed"}
    async with service_of([throttled(), answer(good)]) as (service, client, _):
        started = anyio.current_time()

        await CALLS[method](client)

        assert SILENT <= anyio.current_time() - started < SILENT + 0.5
    assert len(service.requests) == 2


@pytest.mark.parametrize("method", CALLS)
async def test_row_29_429_for_ever_is_given_up_after_six_sends(method: str):
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
async def test_row_30_a_wait_of_a_day_is_not_begun(method: str, timeout: float):
    async with service_of([throttled("86400")], timeout=timeout) as (service, client, waits):
        started = anyio.current_time()

        with failing(RateLimited) as caught:
            await CALLS[method](client)

        assert anyio.current_time() - started < 0.05
    assert (caught.value.retry_after, caught.value.processed) == (86400, "no")
    assert len(service.requests) == 1
    assert waits == []


# Retry-After

NOON = "Mon, 23 Nov 2026 12:00:00 GMT"


@pytest.mark.parametrize(
    "value, date, waited",
    [
        pytest.param("soon", None, SILENT, id="a word"),
        pytest.param("", None, SILENT, id="empty"),
        pytest.param("-1", None, SILENT, id="negative"),
        pytest.param("1e9", None, SILENT, id="an exponent"),
        pytest.param("1.5", None, SILENT, id="a fraction"),
        pytest.param("3, 4", None, SILENT, id="two"),
        pytest.param("inf", None, SILENT, id="infinity"),
        pytest.param("nan", None, SILENT, id="nan"),
        pytest.param("+5", None, SILENT, id="a sign"),
        pytest.param("²", None, SILENT, id="a digit that is no decimal"),
        pytest.param("0", None, 0, id="zero"),
        pytest.param(" 7 ", None, 7, id="spaces"),
        pytest.param("180", None, 180, id="the longest"),
        pytest.param("181", None, None, id="a second too long"),
        pytest.param("1000000000", None, None, id="thirty years"),
        pytest.param("9" * 400, None, None, id="beyond a float"),
        pytest.param("9" * 5000, None, None, id="beyond an int"),
        pytest.param("Mon, 23 Nov 2026 11:59:00 GMT", NOON, 0, id="a past date"),
        pytest.param("Mon, 01 Jan 2001 00:00:00 GMT", None, 0, id="a past date, by our clock"),
        pytest.param("Mon, 23 Nov 2026 12:00:07 GMT", NOON, 7, id="a date"),
        pytest.param("Mon, 23 Nov 2026 13:00:07 +0100", NOON, 7, id="a date of another zone"),
        pytest.param("Monday, 23-Nov-26 12:00:07 GMT", NOON, 7, id="a date of RFC 850"),
        pytest.param("Sun, 01 Jan 1950 00:00:07 GMT", "Sun, 01 Jan 1950 00:00:00 GMT", 7, id="a server of 1950"),
        pytest.param("Fri, 01 Jan 2094 00:00:07 GMT", "Fri, 01 Jan 2094 00:00:00 GMT", 7, id="a server of 2094"),
        pytest.param("Fri, 01 Jan 2094 00:00:00 GMT", NOON, None, id="a date too far"),
        pytest.param("Fri, 31 Dec 9999 23:59:59 GMT", "Mon, 01 Jan 0001 00:00:00 GMT", None, id="all of time"),
        pytest.param("Mon, 23 Nov 2026 12:00:07", NOON, SILENT, id="a date without a zone"),
        pytest.param("Mon, 23 Nov 2026 12:00:07 GMT", "yesterday", SILENT, id="a Date that is none"),
        pytest.param("Mon, 23 Nov 2026 12:00:07 GMT", "Mon, 23 Nov 2026 12:00:00", SILENT, id="a Date without a zone"),
        pytest.param("Mon, 99 Nov 2026 12:00:07 GMT", NOON, SILENT, id="a day that is none"),
        pytest.param("Mon, 23 Nov 2026 12:00:07 +9999", NOON, SILENT, id="a zone that is none"),
        pytest.param("Mon, 23 Nov 99999999999 12:00:07 GMT", NOON, SILENT, id="a year beyond all"),
    ],
)
async def test_row_31_a_retry_after_is_understood_or_taken_for_silence(
    value: str, date: str | None, waited: float | None
):
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
        assert elapsed == pytest.approx(waited or 0, abs=0.01)
    assert [each.wait for each in waits] == ([] if waited is None else [waited])
    assert len(service.requests) == (1 if waited is None else 2)


async def test_row_31_a_date_is_measured_by_the_date_of_the_answer_whatever_our_clock_says():
    server = datetime.now(UTC).replace(microsecond=0) - timedelta(days=1)
    dates = {"Retry_After": format_datetime(server + timedelta(seconds=9), usegmt=True)}
    dates["Date"] = format_datetime(server, usegmt=True)
    async with service_of([answer({}, 429, **dates), answer(APPOINTMENT)]) as (_, client, waits):
        await GET(client)
    assert [each.wait for each in waits] == [9]


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


@settings(deadline=None, max_examples=400)
@given(value=st.none() | texts, date=st.none() | texts, policy=policies, fault=st.sampled_from(Fault))
@example(value="9" * 400, date=None, policy=RetryPolicy(max_retry_after=float("inf")), fault=Fault.THROTTLED)
@example(value="0\x1f", date=None, policy=RetryPolicy(), fault=Fault.THROTTLED)
def test_row_31_whatever_the_headers_say_a_wait_is_within_bounds_or_not_begun(
    value: str | None, date: str | None, policy: RetryPolicy, fault: Fault
):
    seconds = parse_retry_after(value, date)

    assert seconds is None or seconds >= 0
    assert 0 <= cooldown_seconds(seconds) <= 180
    for count in range(1, 12):
        wait = policy.wait(fault, failures=count, throttles=count, retry_after=seconds, random=lambda: 0.5)
        assert wait is None or 0 <= wait <= policy.max_retry_after


@settings(deadline=None, max_examples=60)
@given(
    value=st.binary(max_size=60) | texts.map(lambda text: text.encode("utf-8", "replace")),
    date=st.none() | st.binary(max_size=60) | texts.map(lambda text: text.encode("utf-8", "replace")),
    status=st.sampled_from([429, 503]),
)
@example(value=b"0\x1f", date=None, status=429)
@example(value=b"\x1c7", date=None, status=503)
async def test_row_31_whatever_bytes_the_headers_have_the_call_waits_within_bounds_or_fails_at_once(
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
async def test_row_31_odd_bytes_beside_the_digits_come_through_the_wire_and_do_no_harm(value: str, status: int):
    throttle, good = answering({}, status, Retry_After=value), answering(APPOINTMENT)
    with FaultServer(then(throttle, good)) as server:
        retry = RetryPolicy(max_backoff=0.01, max_retry_after=1.0)  # silence would be three seconds: not waited for
        async with client_to(server.url, retry=retry) as client:
            with contextlib.suppress(RateLimited):  # where it was taken for silence
                await GET(client)


async def test_row_33_a_count_at_its_limit_is_no_pause():
    full = {"inin-ratelimit-count": "300", "inin-ratelimit-allowed": "300", "inin-ratelimit-reset": "10"}
    async with service_of(lambda _: answer(APPOINTMENT, 200, **full)) as (service, client, waits):
        started = anyio.current_time()
        await GET(client)

        await GET(client)

        assert anyio.current_time() - started < 0.05
    assert len(service.requests) == 2
    assert waits == []


# 5xx


@pytest.mark.parametrize("status", [408, 500, 502, 503, 504])
async def test_row_34_a_read_is_repeated_after_a_failure_of_the_gateway(status: int):
    async with service_of([answer({}, status), answer(APPOINTMENT)]) as (service, client, waits):
        got = await GET(client)

    assert got.id == APPOINTMENT["id"]
    assert len(service.requests) == 2
    assert [each.reason for each in waits] == [str(status)]
    assert 0 <= waits[0].wait <= 1


@pytest.mark.parametrize("status", [408, 500, 502, 503, 504])
@pytest.mark.parametrize("method", ["POST", "PATCH"])
async def test_row_35_a_write_that_was_stored_is_not_repeated_after_a_failure_of_the_gateway(method: str, status: int):
    store = Store(lambda: answer({}, status), lambda: answer({"id": "2", "status": "Completed"}))
    async with service_of(store) as (service, client, waits):
        with failing(ServerError) as caught:
            await CALLS[method](client)

    assert (caught.value.status, caught.value.processed, caught.value.attempts) == (status, "maybe", 1)
    assert len(service.requests) == 1
    assert store.stored == (method == "POST")
    assert waits == []


@pytest.mark.parametrize("retry_after", ["0", "1"])
async def test_row_36_a_503_that_invites_to_come_again_does_not_double_a_write(retry_after: str):
    store = Store(lambda: answer({}, 503, Retry_After=retry_after))
    async with service_of(store) as (_, client, waits):
        with failing(ServerError) as caught:
            await POST(client)

    assert (caught.value.status, caught.value.processed) == (503, "maybe")
    assert caught.value.retry_after == float(retry_after)
    assert (store.stored, store.asked) == (1, 1)
    assert waits == []


# Typed errors

CORRELATION = "3f6b1a52-8a53-4b55-9d8e-6f6d3f6a9f10"
OF_STATUS = {400: BadRequest, 401: Unauthorized, 403: Forbidden, 404: NotFound, 408: ServerError, 409: Conflict}
OF_STATUS |= {429: RateLimited, 501: ServerError, 505: ServerError}
SENDS = {408: {"GET": 4, "POST": 1}, 429: {"GET": 6, "POST": 6}}
"""Of those that are repeated; all others are sent once. See rows 29, 34, 35."""

BODIES = {
    "ErrorBody": json.dumps(
        {
            "message": "what is wrong",
            "code": "its.code",
            "status": 0,
            "contextId": "of-the-body",
            "details": [{"errorCode": "a.code", "fieldName": "lengthInMinutes"}],
            "errors": [],
        }
    ).encode(),
    "HTML": b"<html><body><h1>Bad</h1></body></html>",
    "empty": b"",
    "JSON of another kind": b'["code"]',
    "ErrorBody of other types": b'{"code": 5, "message": ["x"], "details": {"a": 1}, "contextId": {}}',
}


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize("body", BODIES)
@pytest.mark.parametrize("status", [*range(400, 452), 501, 505])
async def test_row_37_each_refusal_is_typed(status: int, body: str, method: str):
    headers = {"inin-correlation-id": CORRELATION, "Set-Cookie": f"session={COOKIE}"}

    def refuse(_: httpx.Request) -> httpx.Response:
        return httpx.Response(status, headers=headers, content=BODIES[body])

    async with service_of(refuse) as (service, client, _):
        with failing(ResponseError) as caught:
            await CALLS[method](client)

    error, said = caught.value, body == "ErrorBody"
    assert type(error) is OF_STATUS.get(status, ResponseError)
    assert error.status == status
    assert error.correlation_id == CORRELATION
    assert (error.code, error.message) == (("its.code", "what is wrong") if said else (None, None))
    assert [each.field_name for each in error.details] == (["lengthInMinutes"] if said else [])
    assert str(status) in str(error)
    assert CORRELATION in str(error)
    assert error.attempts == len(service.requests) == SENDS.get(status, {}).get(method, 1)
    maybe = method == "POST" and (status >= 500 or status == 408)
    assert error.processed == ("maybe" if maybe else "no")


@pytest.mark.parametrize("body", BODIES)
async def test_row_37_without_the_header_the_correlation_id_is_that_of_the_body(body: str):
    async with service_of(lambda _: httpx.Response(422, content=BODIES[body])) as (_, client, _waits):
        with failing(ResponseError) as caught:
            await GET(client)

    assert caught.value.correlation_id == ("of-the-body" if body == "ErrorBody" else None)


# Redirects

REDIRECTS = [301, 302, 303, 307, 308]


@pytest.mark.real_time
@pytest.mark.parametrize("borrowed", [False, True], ids=["own", "borrowed, follows by default"])
@pytest.mark.parametrize("method", CALLS)
@pytest.mark.parametrize("status", REDIRECTS)
async def test_row_38_a_redirect_to_another_origin_is_not_followed(status: int, method: str, borrowed: bool):
    lure = answering(APPOINTMENT)
    with FaultServer(then(lure, lure, lure)) as evil:

        def redirect(conversation: Conversation) -> None:
            while conversation.request() is not None:
                conversation.answer(b"", status, Location=f"{evil.url}/api/v2/x", Set_Cookie=f"a={COOKIE}")

        with FaultServer(redirect) as server:
            async with (
                httpx.AsyncClient(follow_redirects=True) as http,
                client_to(server.url, **{"http_client": http} if borrowed else {}) as client,
            ):
                with failing(ResponseError) as caught:
                    await CALLS[method](client)

        assert len(server.requests) == 1
        assert (evil.accepted, evil.requests) == (0, [])
    assert type(caught.value) is ResponseError
    assert caught.value.status == status
    assert caught.value.processed == ("no" if method == "GET" else "maybe")
    assert evil.url not in str(caught.value)


@pytest.mark.real_time
@pytest.mark.parametrize("method", CALLS)
@pytest.mark.parametrize("status", REDIRECTS)
async def test_row_39_a_redirect_to_itself_is_asked_once(status: int, method: str):
    def redirect(conversation: Conversation) -> None:
        while (request := conversation.request()) is not None:
            conversation.answer(b"", status, Location=request.target)

    with FaultServer(redirect) as server:
        async with client_to(server.url) as client:
            with failing(ResponseError) as caught:
                await CALLS[method](client)

        assert (len(server.requests), server.accepted) == (1, 1)
    assert (type(caught.value), caught.value.status) == (ResponseError, status)


# A success that is none

HOLLOW = {
    "204": answering(b"", 204),
    "204 with a length": answering(b"", 204, Content_Length="0"),
    "206": answering(APPOINTMENT, 206),
    "206, empty": answering(b"", 206),
    "200, empty": answering(b""),
    "200, null": answering(b"null"),
    "200, blank": answering(b" \r\n"),
}


@pytest.mark.real_time
@pytest.mark.parametrize("kind", HOLLOW)
async def test_row_40_where_a_model_is_due_a_hollow_success_is_an_error(kind: str):
    with FaultServer(then(*[HOLLOW[kind]] * 5)) as server:
        async with client_to(server.url) as client:
            with failing(DecodeError) as caught:
                await GET(client)

        assert len(server.requests) == 1
    assert caught.value.status == int(kind[:3])
    assert caught.value.processed == "no"


@pytest.mark.real_time
@pytest.mark.parametrize("kind", HOLLOW)
@pytest.mark.parametrize("method", ["POST", "PATCH"])
async def test_row_40_after_a_write_it_says_that_it_was_done(method: str, kind: str):
    with FaultServer(then(*[HOLLOW[kind]] * 5)) as server:
        async with client_to(server.url) as client:
            with failing(OutcomeUnknown) as caught:
                await CALLS[method](client)

        assert len(server.requests) == 1
    assert caught.value.processed == "yes"


@pytest.mark.real_time
@pytest.mark.parametrize("kind", HOLLOW)
async def test_row_40_to_a_delete_any_success_will_do(kind: str):
    with FaultServer(then(*[HOLLOW[kind]] * 5)) as server:
        async with client_to(server.url) as client:
            assert (await client.appointments.delete("1")).id == "1"

        assert len(server.requests) == 1


# The budget of retries

NO_LIMIT = {"rate_limit": RateLimit(1_000_000)}
IN_FLIGHT = 10


class Weather:
    """Fails while it is bad."""

    def __init__(self, failure: int | Exception) -> None:
        self.bad, self.sent, self._failure = True, 0, failure

    def __call__(self, _: httpx.Request) -> httpx.Response:
        self.sent += 1
        if not self.bad:
            return answer(APPOINTMENT)
        if isinstance(self._failure, Exception):
            raise self._failure
        return answer({}, self._failure)


async def several(client: CoachingClient, count: int, *, at_once: bool) -> None:
    async def one() -> None:
        try:
            await GET(client)
        except CoachingError as error:
            failed.append(error)

    failed: list[CoachingError] = []
    if at_once:
        async with anyio.create_task_group() as tasks:
            for _ in range(count):
                tasks.start_soon(one)
    else:
        for _ in range(count):
            await one()
    assert len(failed) == count


@pytest.mark.parametrize("at_once", [False, True], ids=["one after the other", "at once"])
@pytest.mark.parametrize("failure", [503, httpx.ConnectError("refused"), httpx.ReadError("cut")], ids=str)
async def test_row_41_while_all_fails_retries_are_few_and_come_back_with_success(
    failure: int | Exception, at_once: bool
):
    weather = Weather(failure)
    async with service_of(weather, max_concurrency=IN_FLIGHT, **NO_LIMIT) as (_, client, _waits):
        await several(client, 500, at_once=at_once)
        assert 500 < weather.sent <= 500 + 10 + IN_FLIGHT

        weather.sent = 0
        await several(client, 50, at_once=at_once)
        assert weather.sent == 50, "the budget is spent"

        weather.bad = False
        for _ in range(200):
            await GET(client)

        weather.bad, weather.sent = True, 0
        await several(client, 1, at_once=at_once)
        assert weather.sent == 4, "it has been refilled"


async def test_row_41_what_ten_failures_took_a_hundred_successes_give_back():
    weather = Weather(503)
    async with service_of(weather, **NO_LIMIT) as (_, client, _waits):
        await several(client, 3, at_once=False)
        first = weather.sent
        assert 3 < first <= 13

        weather.bad = False
        for _ in range(100):
            await GET(client)

        weather.bad, weather.sent = True, 0
        await several(client, 3, at_once=False)
        assert weather.sent == first


async def test_row_41_waits_for_429_take_nothing_from_the_budget():
    async with service_of([throttled("0")], **NO_LIMIT) as (service, client, _):
        await several(client, 100, at_once=False)

    assert len(service.requests) == 600


# Row 32


async def test_row_32_one_429_holds_all_who_wait_and_then_one_goes_before_the_others():
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

    # Five were on their way already; then nobody, and from the end of the pause on as many as went well before.
    assert sent == pytest.approx([*[0] * 5, 7.5, *[8.5] * 2, *[9.5] * 4, *[10.5] * 5, *[11.5] * 4])
