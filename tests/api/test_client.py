"""Calls: responses, errors, retries, deadlines and events."""

import json
import pickle
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import anyio
import httpx
import pytest

from coaching_async import (
    AccessToken,
    AppointmentCreate,
    AppointmentReference,
    AppointmentUpdate,
    AuthError,
    BadRequest,
    CallFinished,
    CallStarted,
    ClientCredentials,
    ClientMisuse,
    CoachingClient,
    CoachingError,
    DeadlineExceeded,
    DecodeError,
    ErrorDetail,
    Forbidden,
    NotFound,
    OutcomeUnknown,
    RateLimit,
    RateLimited,
    RequestAnswered,
    RequestFailed,
    RequestSent,
    ResponseError,
    RetryPolicy,
    ServerError,
    TransportError,
    Unauthorized,
)
from tests.support.doubles import TOKEN, Service, answer, page

pytestmark = pytest.mark.anyio

NEW = AppointmentCreate(
    name="n",
    description="d",
    date_start=datetime(2026, 11, 20, tzinfo=UTC),
    length_in_minutes=30,
    attendee_ids=["user-1"],
)
WHOLE = {"id": "new", "name": "n"}
REFERENCE = {"id": "new", "selfUri": "/api/v2/coaching/appointments/new"}
ONCE = RetryPolicy(attempts=1)


def cut(_: httpx.Request) -> httpx.Response:
    raise httpx.ReadError("cut")


async def failed(service: Service, call: Callable[[Any], Any], **options: Any) -> CoachingError:
    async with service.client(**options) as client, service.http:
        with pytest.raises(CoachingError) as caught:
            await call(client)
    return caught.value


def get(client: Any) -> Any:
    return client.appointments.get("an-id")


def create(client: Any) -> Any:
    return client.appointments.create(NEW)


def delete(client: Any) -> Any:
    return client.appointments.delete("an-id")


# Error responses


@pytest.mark.parametrize("status", [400, 401, 403, 404, 408, 409, 413, 415, 429, 500, 503, 504])
async def test_an_error_response_becomes_its_class_with_the_services_text(status: int, example: Any):
    body = example(f"error_{status}")
    service = Service([answer(body, status, ININ_Correlation_Id="c-1", Retry_After="42")])

    error = await failed(service, get, retry=RetryPolicy(attempts=1, throttle_waits=0))

    assert type(error) is ResponseError.of_status(status)
    assert isinstance(error, ResponseError)
    assert (error.status, error.code, error.message) == (status, body["code"], body["message"])
    assert (error.correlation_id, error.retry_after) == ("c-1", 42.0)
    assert (error.processed, error.attempts, error.operation) == ("no", 1, "appointments.get")
    assert str(error).startswith(f"appointments.get: {status} {body['code']} (")
    assert str(error).endswith("(correlation id c-1)")
    assert str(pickle.loads(pickle.dumps(error))) == str(error)


async def test_details_and_the_bodys_own_correlation_id_are_kept(example: Any):
    error = await failed(Service([answer(example("error_400"), 400)]), get)

    assert isinstance(error, BadRequest)
    assert error.details == (ErrorDetail(error_code="invalid.value", field_name="dateStart"),)
    assert error.correlation_id == "0a3b4c5d-6e7f-4809-9012-3c4d5e6f700e"


@pytest.mark.parametrize("name", ["error.future", "error_nested"])
async def test_unknown_fields_and_codes_of_errors_are_tolerated(name: str, example: Any):
    error = await failed(Service([answer(example(name), 400)]), get)

    assert isinstance(error, BadRequest)
    assert error.code == example(name)["code"]


@pytest.mark.parametrize(
    "content",
    [b"", b"<html>Bad Gateway</html>", b"[1]", b'"x"', b'{"code": 5, "details": 7}', b'{"details": [[1]]}', b"\xff"],
)
@pytest.mark.parametrize("status", [400, 404, 418, 501, 502])
async def test_a_malformed_error_body_is_not_the_apis(status: int, content: bytes):
    error = await failed(Service([httpx.Response(status, content=content)]), get, retry=ONCE)

    assert type(error) is (ServerError if status >= 500 else ResponseError)
    assert (error.status, error.code, error.details) == (status, None, ())
    assert error.is_from_gateway
    assert str(error).startswith(
        f"appointments.get: {status} from a gateway, proxy or captive portal before api.test, with "
    )


async def test_ids_and_addresses_are_redacted_in_the_text():
    message = "User 11111111-1111-4111-8111-111111111111 (ann@example.com)\nis not\tknown " + "x" * 500
    error = await failed(Service([answer({"message": message, "code": "invalid.id"}, 400)]), get)

    assert isinstance(error, ResponseError)
    assert error.message == message
    assert str(error).startswith("appointments.get: 400 invalid.id (User … … is not known xxx")
    assert len(str(error)) < 300


async def test_a_malformed_code_and_correlation_id_make_no_long_text():
    body = {"code": "x\ny" + "z" * 5000, "contextId": "c\n" + "d" * 5000}
    error = await failed(Service([answer(body, 400)]), get)

    assert isinstance(error, ResponseError)
    assert len(str(error)) < 300
    assert "\n" not in str(error)
    assert error.correlation_id is None


async def test_an_error_of_a_call_that_needs_a_user_advises_with_auth():
    body = {"message": "No user.", "code": "not.a.user", "status": 400}

    error = await failed(Service([answer(body, 400)]), lambda client: client.notifications.list().first())

    assert "needs a user's token" in str(error)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize("call", [get, create])
async def test_a_redirect_is_never_followed(status: int, call: Any):
    service = Service([httpx.Response(status, headers={"Location": "https://evil.test/"})])

    error = await failed(service, call)

    assert type(error) is ResponseError
    assert len(service.requests) == 1


async def test_a_401_after_a_token_refresh_is_raised():
    service = Service([answer(status=401)])

    assert isinstance(await failed(service, get), Unauthorized)
    assert len(service.requests) == 1


# Responses that do not match the schema


@pytest.mark.parametrize("content", [b"", b"[]", b'"id"', b"5", b"null", b'["id"]', b"{}", b'{"id": 1}'])
async def test_an_unreadable_response_to_a_read_is_a_decode_error(content: bytes):
    service = Service([httpx.Response(200, content=content, headers={"ININ-Correlation-Id": "c-1"})])

    error = await failed(service, get)

    assert isinstance(error, DecodeError)
    assert (error.status, error.correlation_id, error.processed) == (200, "c-1", "no")
    assert "appointments.get: the answer is not what the API promises: no " in str(error)
    assert error.__cause__ is error.__context__ is None
    assert len(service.requests) == 1


@pytest.mark.parametrize("status", [202, 203, 204, 206])
async def test_an_unexpected_2xx_status_is_a_decode_error(status: int):
    error = await failed(Service([answer(WHOLE, status)]), get)

    assert isinstance(error, DecodeError)
    assert f"status {status} is not among the answers" in str(error)


@pytest.mark.parametrize("content", [b"", b"[]", b"{}"])
async def test_an_unreadable_response_to_a_write_says_that_it_was_carried_out(content: bytes):
    service = Service([httpx.Response(201, content=content)])

    error = await failed(service, create)

    assert type(error) is OutcomeUnknown
    assert error.processed == "yes"
    assert len(service.requests) == 1


async def test_an_unexpected_202_returns_no_empty_object():
    error = await failed(
        Service([answer(REFERENCE, 202)]), lambda c: c.annotations.create("1", "x", access_type="Public")
    )

    assert type(error) is OutcomeUnknown


@pytest.mark.parametrize("content", [b"", b"{}", b"[1]", b'{"id": 5}', b"\xff"])
async def test_a_delete_succeeds_with_any_body_but_a_web_page(content: bytes):
    service = Service([httpx.Response(200, content=content)])

    async with service.client() as client, service.http:
        deleted = await client.appointments.delete("a/b")

    assert deleted == AppointmentReference(id="a/b", self_uri="/api/v2/coaching/appointments/a%2Fb")


# Accepted for later


async def test_an_accepted_create_is_polled_until_it_can_be_read():
    service = Service([answer(REFERENCE, 202), answer(status=404), answer(status=404), answer(WHOLE)])

    async with service.client() as client, service.http:
        assert (await client.appointments.create(NEW)).name == "n"

    assert [(request.method, request.url.path.rpartition("/")[2]) for request in service.requests] == [
        ("POST", "appointments"),
        *[("GET", "new")] * 3,
    ]


async def test_an_accepted_create_that_never_appears_is_unknown_and_has_its_reference():
    service = Service([answer(REFERENCE, 202), answer(status=404)])
    start = anyio.current_time()

    error = await failed(service, create, timeout=30)

    assert type(error) is OutcomeUnknown
    assert error.reference == AppointmentReference(id="new", self_uri=REFERENCE["selfUri"])
    assert (error.processed, error.operation) == ("maybe", "appointments.create")
    assert anyio.current_time() - start == pytest.approx(30)
    assert 8 < len(service.requests) < 16  # it looks often at first, then less often


@pytest.mark.parametrize("status", [403, 500])
async def test_an_accepted_create_that_the_token_may_not_read_is_unknown_and_has_its_reference(status: int):
    service = Service([answer(REFERENCE, 202), answer(status=status)])

    error = await failed(service, create)

    assert type(error) is OutcomeUnknown
    assert error.reference is not None
    assert f"accepted for later (202), but what became of it cannot be read: appointments.create: {status}" in str(
        error
    )
    assert error.__context__ is None


async def test_a_202_without_a_reference_is_unknown():
    error = await failed(Service([answer({}, 202)]), create)

    assert type(error) is OutcomeUnknown
    assert error.reference is None


@pytest.mark.parametrize("id_", ["", ".", ".."])
async def test_a_202_with_an_invalid_id_is_unknown(id_: str):
    assert type(await failed(Service([answer({"id": id_}, 202)]), create)) is OutcomeUnknown


async def test_a_create_and_its_polling_are_one_call():
    service = Service([answer(REFERENCE, 202), answer(status=404), answer(WHOLE)])

    async with service.client() as client, service.http:
        await client.appointments.create(NEW)

    assert (client.stats().calls, client.stats().requests, client.stats().failed_calls) == (1, 3, 0)


async def test_an_accepted_update_is_read_once():
    service = Service([answer(REFERENCE, 202), answer(WHOLE)])

    async with service.client() as client, service.http:
        assert (await client.appointments.update("new", AppointmentUpdate(name="x"))).name == "n"

    assert len(service.requests) == 2


async def test_an_accepted_update_that_cannot_be_read_is_unknown():
    service = Service([answer(REFERENCE, 202), answer(status=404)])

    error = await failed(service, lambda c: c.appointments.update("new", AppointmentUpdate(name="x")))

    assert type(error) is OutcomeUnknown
    assert error.processed == "maybe"
    assert len(service.requests) == 2


# Retries of writes


@pytest.mark.parametrize(
    "failure", [httpx.ReadError("cut"), httpx.RemoteProtocolError("cut"), httpx.ReadTimeout("slow")]
)
async def test_a_write_without_a_response_is_sent_once(failure: Exception):
    service = Service([failure])

    error = await failed(service, create)

    assert type(error) is OutcomeUnknown
    assert (error.processed, error.attempts) == ("maybe", 1)
    assert type(error.__cause__) is type(failure)
    assert len(service.requests) == 1


@pytest.mark.parametrize("status", [408, 500, 502, 503, 504])
async def test_a_write_answered_with_a_server_error_is_sent_once(status: int):
    service = Service([answer(status=status, Retry_After="0")])

    error = await failed(service, create)

    assert type(error) is ServerError
    assert (error.processed, error.status) == ("maybe", status)
    assert len(service.requests) == 1


async def test_a_write_that_was_rejected_before_processing_is_retried():
    service = Service([answer(status=429, Retry_After="1"), httpx.ConnectError("refused"), answer(WHOLE, 201)])

    async with service.client() as client, service.http:
        await client.appointments.create(NEW)

    assert len(service.requests) == 3


async def test_a_delete_is_retried_and_a_404_to_the_retry_is_a_success():
    service = Service([httpx.ReadError("cut"), answer(status=404)])

    async with service.client() as client, service.http:
        assert (await client.appointments.delete("an-id")).id == "an-id"

    assert len(service.requests) == 2


async def test_a_404_to_the_first_request_of_a_delete_is_not_found():
    assert isinstance(await failed(Service([answer(status=404)]), delete), NotFound)


async def test_a_read_is_retried_until_its_attempts_are_exhausted():
    service = Service(cut)

    error = await failed(service, get)

    assert type(error) is TransportError
    assert (error.processed, error.attempts) == ("no", 4)
    assert len(service.requests) == 4


# Time


async def stall(_: Any = None) -> None:
    await anyio.sleep_forever()


class Silent(httpx.AsyncBaseTransport):
    """Never answers."""

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        await anyio.sleep_forever()
        raise AssertionError


def silent() -> Service:
    service = Service([])
    service.http = httpx.AsyncClient(transport=Silent())
    return service


async def test_a_read_ends_at_its_deadline():
    start = anyio.current_time()

    error = await failed(silent(), get, timeout=7)

    assert isinstance(error, DeadlineExceeded)
    assert isinstance(error, TimeoutError)
    assert (error.processed, error.attempts) == ("no", 1)
    assert anyio.current_time() - start == pytest.approx(7)
    assert error.__context__ is None


@pytest.mark.parametrize("call", [create, delete])
async def test_a_write_that_ends_at_its_deadline_is_unknown(call: Any):
    error = await failed(silent(), call, timeout=7)

    assert type(error) is OutcomeUnknown
    assert error.processed == "maybe"


async def test_a_wrong_secret_uses_no_permits():
    refused = answer({"error": "invalid_client"}, 400)
    service = Service([refused])

    async with (
        service.client(ClientCredentials("id", "wrong"), rate_limit=RateLimit(2, per=60)) as client,
        service.http,
    ):
        for _ in range(10):
            with pytest.raises(AuthError):
                await client.appointments.get("1")

    assert len(service.requests) == 1


async def test_calls_that_are_cancelled_before_they_are_sent_use_no_permits():
    inside = 0

    class Slow(httpx.AsyncBaseTransport):
        async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
            nonlocal inside
            inside += 1
            await anyio.sleep(5 if inside <= 2 else 0)
            return answer(WHOLE)

    async with httpx.AsyncClient(transport=Slow()) as http:
        client = CoachingClient(
            AccessToken(TOKEN),
            base_url="https://api.test",
            http_client=http,
            max_concurrency=2,
            rate_limit=RateLimit(20, per=60),
        )
        with anyio.move_on_after(1):
            async with anyio.create_task_group() as tasks:
                for _ in range(20):
                    tasks.start_soon(client.appointments.get, "1")

        with anyio.fail_after(1):
            await client.appointments.get("1")
    assert inside == 3


async def test_a_waiting_call_raises_client_misuse_when_the_client_is_closed():
    service = Service([answer(status=429, Retry_After="10"), answer(WHOLE)])
    told: list[BaseException] = []

    async def call(client: CoachingClient) -> None:
        try:
            await client.appointments.create(NEW)
        except ClientMisuse as error:
            told.append(error)

    async with anyio.create_task_group() as tasks, service.http:
        client = service.client()
        tasks.start_soon(call, client)
        await anyio.sleep(1)
        await client.aclose()
        await anyio.sleep(30)

    assert len(told) == 1
    assert len(service.requests) == 1


async def test_a_deadline_covers_the_wait_for_the_token():
    class SlowToken:
        async def token(self, rejected: str | None = None) -> str:
            await anyio.sleep_forever()
            raise AssertionError

    service = Service([])
    error = await failed(service, create, auth=SlowToken(), timeout=7)

    assert isinstance(error, DeadlineExceeded)
    assert service.requests == []


async def test_an_earlier_deadline_of_the_caller_is_left_to_the_caller():
    async with silent().client(timeout=60) as client:
        with anyio.move_on_after(5) as scope:
            await client.appointments.get("an-id")

    assert scope.cancelled_caught


async def test_a_call_fails_at_once_if_its_backoff_would_exceed_the_deadline():
    service = Service([answer(status=503, Retry_After="10")])
    start = anyio.current_time()

    error = await failed(service, get, timeout=5)

    assert isinstance(error, ServerError)
    assert anyio.current_time() - start < 0.1


async def test_a_429_pauses_every_request_of_the_token():
    sent: list[float] = []

    def respond(_: httpx.Request) -> httpx.Response:
        sent.append(anyio.current_time() - start)
        return answer(status=429, Retry_After="10") if len(sent) == 1 else answer(WHOLE)

    service = Service(respond)
    start = anyio.current_time()
    async with service.client(max_concurrency=2) as client, service.http, anyio.create_task_group() as tasks:
        for _ in range(10):
            tasks.start_soon(client.appointments.get, "an-id")

    # The other request had been sent already. Nothing starts during the cooldown.
    assert not [moment for moment in sent[2:] if moment < 10]
    assert len(sent) == 11


async def test_a_call_whose_permit_would_come_after_its_deadline_is_rejected_at_once():
    service = Service([answer(WHOLE)])

    async with service.client(rate_limit=RateLimit(1, per=60), timeout=30) as client, service.http:
        await client.appointments.get("an-id")
        with pytest.raises(RateLimited, match="not sent") as caught:
            await client.appointments.get("an-id")

    assert (caught.value.attempts, caught.value.operation) == (0, "appointments.get")
    assert len(service.requests) == 1


# Events


async def test_events_describe_a_call_from_start_to_finish():
    events: list[Any] = []
    service = Service([httpx.ReadError("cut"), answer(WHOLE, ININ_Correlation_Id="c-1")])

    async with service.client(on_event=events.append) as client, service.http:
        await client.appointments.get("an-id")

    assert [type(event).__name__ for event in events] == [
        "CallStarted",
        "RequestSent",
        "RequestFailed",
        "RetryScheduled",
        "RequestSent",
        "RequestAnswered",
        "CallFinished",
    ]
    assert events[0] == CallStarted("appointments.get")
    assert events[1] == RequestSent("appointments.get", 1)
    assert events[2] == RequestFailed("appointments.get", 1, "ReadError", 0.0)
    assert events[5] == RequestAnswered("appointments.get", 2, 200, 0.0, "c-1")
    assert events[6] == CallFinished("appointments.get", 2, events[6].elapsed, None)
    assert "an-id" not in str(events)


async def test_the_event_of_a_failed_call_has_its_error():
    events: list[Any] = []
    await failed(Service([answer(status=403)]), get, on_event=events.append)
    assert events[-1].error == "Forbidden"

    with anyio.move_on_after(1):
        async with silent().client(on_event=events.append) as client:
            await client.appointments.get("an-id")
    assert events[-1].error in {"CancelledError", "Cancelled"}


async def test_an_exception_of_an_event_hook_changes_nothing(caplog: pytest.LogCaptureFixture):
    def hook(_: object) -> None:
        raise ZeroDivisionError

    service = Service([answer(WHOLE, 201)])
    async with service.client(on_event=hook) as client, service.http:
        assert (await client.appointments.create(NEW)).name == "n"

    assert "on_event failed on CallFinished" in caplog.text


async def test_other_exceptions_are_raised_unchanged():
    def broken(_: httpx.Request) -> httpx.Response:
        raise ZeroDivisionError("a bug in somebody's transport")

    service = Service(broken)
    async with service.client() as client, service.http:
        with pytest.raises(ZeroDivisionError):
            await client.appointments.get("an-id")


# Secrets


async def test_the_token_is_neither_in_an_error_nor_in_its_causes():
    for outcome in (
        [httpx.ReadError("cut")],
        [answer(status=500)],
        [answer(status=401)],
        [httpx.Response(200, content=b"<")],
    ):
        for call in (get, create):
            error: BaseException | None = await failed(Service(outcome), call, retry=ONCE)
            while error is not None:
                assert TOKEN not in f"{error!r} {vars(error)!r} {error.args!r}"
                assert not hasattr(error, "_request") or error._request is None
                traceback = error.__traceback__
                while traceback is not None:
                    if "coaching_async" in traceback.tb_frame.f_code.co_filename:
                        assert TOKEN not in repr(traceback.tb_frame.f_locals)
                    traceback = traceback.tb_next
                error = error.__cause__ or error.__context__


async def test_pages_are_never_fetched_from_a_url_in_a_body():
    evil = page("1", count=2) | {"nextUri": "https://evil.test/", "selfUri": "https://evil.test/"}
    service = Service([answer(evil), answer(page("2", number=2, count=2))])

    async with service.client() as client, service.http:
        assert [item.id async for item in client.appointments.list("u")] == ["1", "2"]

    assert {request.url.host for request in service.requests} == {"api.test"}
    assert json.loads(json.dumps(evil))["nextUri"]


async def test_a_403_names_the_missing_permission(example: Any):
    error = await failed(Service([answer(example("error_403"), 403)]), get)

    assert isinstance(error, Forbidden)
    assert "coaching:appointment:view" in str(error)
