"""Rows 34 to 40: the error, and the retries, that follow from each other status."""

import json

import httpx
import pytest

from coaching_async import (
    BadRequest,
    Conflict,
    DecodeError,
    Forbidden,
    NotFound,
    OutcomeUnknown,
    RateLimited,
    ResponseError,
    ServerError,
    Unauthorized,
)
from tests.faults.statuses import CALLS, GET, POST, Store, service_of
from tests.faults.support import APPOINTMENT, COOKIE, client_to, failing
from tests.support.doubles import answer
from tests.support.effort import combinations
from tests.support.fault_server import Conversation, FaultServer, answering, then

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize("status", [408, 500, 502, 503, 504])
async def test_row_34_a_read_is_repeated_after_a_gateway_error(status: int):
    async with service_of([answer({}, status), answer(APPOINTMENT)]) as (service, client, waits):
        got = await GET(client)

    assert got.id == APPOINTMENT["id"]
    assert len(service.requests) == 2
    assert [wait.reason for wait in waits] == [str(status)]
    assert 0 <= waits[0].wait <= 1


@pytest.mark.parametrize("status", [408, 500, 502, 503, 504])
@pytest.mark.parametrize("method", ["POST", "PATCH"])
async def test_row_35_a_stored_write_is_not_repeated_after_a_gateway_error(method: str, status: int):
    store = Store(lambda: answer({}, status), lambda: answer({"id": "2", "status": "Completed"}))
    async with service_of(store) as (service, client, waits):
        with failing(ServerError) as caught:
            await CALLS[method](client)

    assert (caught.value.status, caught.value.processed, caught.value.attempts) == (status, "maybe", 1)
    assert len(service.requests) == 1
    assert store.stored == (method == "POST")
    assert waits == []


@pytest.mark.parametrize("retry_after", ["0", "1"])
async def test_row_36_a_503_with_retry_after_does_not_repeat_a_write(retry_after: str):
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
"""How often these are sent. All others are sent once. See rows 29, 34, 35."""
BODIES = {
    "ErrorBody": json.dumps(
        {
            "message": "what is wrong",
            "code": "its.code",
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
async def test_row_37_each_error_status_raises_its_error_class(body: str, method: str):
    for status in [
        *range(400, 452),
        501,
        505,
    ]:  # no parameter, because a thousand tests take longer than what they test
        await check_error_of(status, body, method)


async def check_error_of(status: int, body: str, method: str) -> None:
    headers = {"inin-correlation-id": CORRELATION, "Set-Cookie": f"session={COOKIE}"}

    def refuse(_: httpx.Request) -> httpx.Response:
        return httpx.Response(status, headers=headers, content=BODIES[body])

    async with service_of(refuse) as (service, client, _):
        with failing(ResponseError) as caught:
            await CALLS[method](client)

    error, said = caught.value, body == "ErrorBody"
    is_from_api = said or body == "empty"  # without a body the header tells it
    cls = OF_STATUS.get(status, ResponseError)
    assert type(error) is (cls if is_from_api or cls in {RateLimited, ServerError} else ResponseError)
    assert error.is_from_gateway is not is_from_api
    assert error.status == status
    assert error.correlation_id == CORRELATION
    assert (error.code, error.message) == (("its.code", "what is wrong") if said else (None, None))
    assert [detail.field_name for detail in error.details] == (["lengthInMinutes"] if said else [])
    assert str(status) in str(error)
    assert CORRELATION in str(error)
    assert error.attempts == len(service.requests) == SENDS.get(status, {}).get(method, 1)
    maybe = method == "POST" and (status >= 500 or status == 408)
    assert error.processed == ("maybe" if maybe else "no")


@pytest.mark.parametrize("body", BODIES)
async def test_row_37_without_the_header_the_correlation_id_comes_from_the_body(body: str):
    async with service_of(lambda _: httpx.Response(422, content=BODIES[body])) as (_, client, _waits):
        with failing(ResponseError) as caught:
            await GET(client)

    assert caught.value.correlation_id == ("of-the-body" if body == "ErrorBody" else None)


# Redirects

REDIRECTS = [301, 302, 303, 307, 308]


@pytest.mark.real_time
@pytest.mark.parametrize("borrowed", [False, True], ids=["own", "borrowed, follows by default"])
@pytest.mark.parametrize("status, method", combinations(REDIRECTS, CALLS))
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
async def test_row_39_a_redirect_to_itself_is_requested_once(status: int, method: str):
    def redirect(conversation: Conversation) -> None:
        while (request := conversation.request()) is not None:
            conversation.answer(b"", status, Location=request.target)

    with FaultServer(redirect) as server:
        async with client_to(server.url) as client:
            with failing(ResponseError) as caught:
                await CALLS[method](client)

        assert (len(server.requests), server.accepted) == (1, 1)
    assert (type(caught.value), caught.value.status) == (ResponseError, status)


# Successes without a model

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
async def test_row_40_a_success_without_the_expected_model_is_an_error(kind: str):
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
async def test_row_40_after_a_write_that_error_says_that_it_was_carried_out(method: str, kind: str):
    with FaultServer(then(*[HOLLOW[kind]] * 5)) as server:
        async with client_to(server.url) as client:
            with failing(OutcomeUnknown) as caught:
                await CALLS[method](client)

        assert len(server.requests) == 1
    assert caught.value.processed == "yes"


@pytest.mark.real_time
@pytest.mark.parametrize("kind", HOLLOW)
async def test_row_40_any_success_completes_a_delete(kind: str):
    with FaultServer(then(*[HOLLOW[kind]] * 5)) as server:
        async with client_to(server.url) as client:
            assert (await client.appointments.delete("1")).id == "1"

        assert len(server.requests) == 1
