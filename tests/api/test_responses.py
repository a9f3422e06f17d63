"""The answer behind the value, and endpoints that have no method of their own."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import anyio
import httpx
import pytest

from coaching_async import (
    Appointment,
    AppointmentCreate,
    AppointmentReference,
    BadRequest,
    CallFinished,
    DecodeError,
    NotFound,
    OutcomeUnknown,
    RateLimited,
    RawResponse,
    ResponseError,
    RetryPolicy,
    ServerError,
    Unauthorized,
)
from tests.support.doubles import Service, answer, page

pytestmark = pytest.mark.anyio

START = datetime(2026, 11, 20, 14, 30, 12, tzinfo=UTC)
NEW = AppointmentCreate(
    name="n", description="d", date_start=START, length_in_minutes=30, attendee_ids=["u1", "u2"], facilitator_id="f"
)


async def test_raw_returns_the_raw_response_besides_the_value():
    body = {"id": "1", "name": "n", "ofTomorrow": [1]}
    service = Service([answer(status=503), answer(body, ININ_Correlation_Id="c-1", Secret="s3cret")])

    async with service.client() as client:
        raw: RawResponse[Appointment] = await client.raw(client.appointments.get, "1")

    assert (raw.status, raw.attempts, raw.correlation_id) == (200, 2, "c-1")
    assert raw.headers["SECRET"] == "s3cret"
    assert raw.json == body
    assert raw.value == Appointment(id="1", name="n")
    assert raw.elapsed >= 0
    assert "s3cret" not in repr(raw)


async def test_raw_raises_what_the_method_raises():
    async with Service([answer({"code": "not.found"}, 404)]).client() as client:
        with pytest.raises(NotFound):
            await client.raw(client.appointments.get, "1")


async def test_raw_does_not_wait_for_the_result_of_a_202():
    reference = {"id": "new", "selfUri": "/api/v2/coaching/appointments/new"}
    service = Service([answer(reference, 202)])

    async with service.client() as client:
        raw = await client.raw(client.appointments.create, NEW)

    assert (raw.status, raw.json, len(service.requests)) == (202, reference, 1)
    with pytest.raises(OutcomeUnknown, match="accepted for later") as caught:
        _ = raw.value
    assert caught.value.reference == AppointmentReference(id="new", self_uri=reference["selfUri"])
    assert (caught.value.operation, caught.value.processed) == ("appointments.create", "maybe")


@pytest.mark.parametrize("status, content", [(204, b""), (200, b"gone"), (202, b'{"id": "1"}')])
async def test_raw_of_a_delete_has_any_body(status: int, content: bytes):
    async with Service([httpx.Response(status, content=content)]).client() as client:
        raw = await client.raw(client.appointments.delete, "1")

    assert raw.status == status
    assert raw.value == AppointmentReference(id="1", self_uri="/api/v2/coaching/appointments/1")
    assert raw.json == (json.loads(content) if content.startswith(b"{") else None)


async def test_raw_of_a_function_that_makes_no_call_is_a_type_error():
    async def nothing() -> None: ...

    async with Service([answer()]).client() as client:
        with pytest.raises(TypeError, match="a method of this client's that makes a call"):
            await client.raw(nothing)


async def test_raw_of_a_function_that_is_not_async_is_a_type_error():
    async with Service([]).client() as client:
        function: Any = client.appointments.list_mine
        with pytest.raises(TypeError, match="not one that returns Listing: its `collect\\(\\)` can be awaited"):
            await client.raw(function)


@pytest.mark.parametrize("function", [None, "get", {}])
async def test_raw_takes_a_method_that_is_not_called(function: Any):
    async with Service([]).client() as client:
        with pytest.raises(TypeError, match="a method of this client's, which is given without being called"):
            await client.raw(function)


async def test_raw_of_a_bulk_is_a_type_error_before_its_first_call():
    service = Service([answer({"id": "1"})])

    async with service.client() as client:
        with pytest.raises(TypeError, match="call it in the bulk"):
            await client.raw(client.appointments.get_many, ["1", "2"])
        with pytest.raises(TypeError, match="call it in the bulk"):
            await client.raw(client.bulk, client.appointments.create, [NEW, NEW])
        result = await client.bulk(lambda id_: client.raw(client.appointments.get, id_), ["1"])

    assert [request.method for request in service.requests] == ["GET"]
    assert result.succeeded["1"].status == 200


async def test_concurrent_tasks_each_get_their_own_response():
    service = Service(lambda request: answer({"id": request.url.path[-1]}))
    seen: dict[str, Any] = {}

    async with service.client() as client, anyio.create_task_group() as tasks:

        async def look(id_: str) -> None:
            seen[id_] = (await client.raw(client.appointments.get, id_)).json

        for id_ in "abc":
            tasks.start_soon(look, id_)

    assert seen == {id_: {"id": id_} for id_ in "abc"}


# Other endpoints


async def test_any_endpoint_can_be_called_with_the_clients_token():
    service = Service([answer([{"id": "u"}], ININ_Correlation_Id="c-1")])

    async with service.client() as client:
        raw = await client.request(
            "get", "/api/v2/users/a%2Fb", query={"pageSize": 25, "id": ["x", "y z"], "expand": None, "active": True}
        )

    (request,) = service.requests
    assert (request.method, request.headers["authorization"][:7]) == ("GET", "Bearer ")
    assert str(request.url) == "https://api.test/api/v2/users/a%2Fb?pageSize=25&id=x&id=y%20z&active=true"
    assert (raw.value, raw.json, raw.status, raw.correlation_id) == ([{"id": "u"}], [{"id": "u"}], 200, "c-1")


async def test_a_body_is_sent_as_json_and_an_empty_response_is_none():
    service = Service([answer(status=204)])

    async with service.client() as client:
        raw = await client.request("PUT", "/api/v2/x", json={"a_b": [1, None]})

    assert json.loads(service.requests[0].content) == {"a_b": [1, None]}
    assert service.requests[0].headers["content-type"] == "application/json"
    assert (raw.value, raw.status) == (None, 204)


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH"])
async def test_a_write_request_is_sent_once_unless_it_is_marked_as_safe(method: str):
    service = Service([httpx.ReadError("cut"), answer({})])
    async with service.client() as client:
        with pytest.raises(OutcomeUnknown) as caught:
            await client.request(method, "/api/v2/x", json={})
    assert (len(service.requests), caught.value.operation) == (1, "request")

    service = Service([httpx.ReadError("cut"), answer({})])
    async with service.client() as client:
        assert (await client.request(method, "/api/v2/x", json={}, safe=True)).attempts == 2


async def test_a_delete_request_is_retried_like_any_delete():
    service = Service([httpx.ReadError("cut"), answer(status=404)])
    async with service.client() as client:
        assert (await client.request("DELETE", "/api/v2/x")).status == 204


async def test_errors_of_other_endpoints_have_the_same_classes():
    async with Service([answer({"code": "bad.request"}, 400), answer()]).client() as client:
        with pytest.raises(BadRequest, match=r"request: 400 bad\.request"):
            await client.request("GET", "/api/v2/x")
    async with Service([httpx.Response(200, content=b"<html>")]).client() as client:
        with pytest.raises(DecodeError):
            await client.request("GET", "/api/v2/x")


@pytest.mark.parametrize(
    "status, error",
    [(302, ResponseError), (401, Unauthorized), (404, NotFound), (429, RateLimited), (500, ServerError)],
)
@pytest.mark.parametrize("method", ["HEAD", "GET", "POST", "DELETE"])
async def test_an_error_without_a_body_is_an_error(method: str, status: int, error: type[ResponseError]):
    headers = {
        "Retry-After": "600",
        "ININ-Correlation-Id": "c-1",
    }  # without a body, that header shows that it is the API's
    refusing = Service(lambda _: httpx.Response(status, headers=headers))
    async with refusing.client(retry=RetryPolicy(attempts=1)) as client:
        with pytest.raises(error) as caught:
            await client.request(method, "/api/v2/x")

    assert caught.value.status == status
    assert caught.value.processed == ("maybe" if method in {"POST", "DELETE"} and status in {302, 500} else "no")


@pytest.mark.parametrize(
    "path",
    [
        "",
        "api/v2",
        "//evil.test/x",
        "/api//x",
        "/api/../x",
        "/api/./x",
        "/api/%2e%2E/x",
        "/a?b",
        "/a#b",
        "/a b",
        "/a\\b",
        "https://evil.test/",
        "/a\n",
        "/é",
        "/%",
        "/%zz",
        "/a/",
        "/%2e./x",
        "/x%2F..%2Fy",
    ],
)
async def test_a_path_to_another_host_or_folder_is_rejected_before_anything_is_sent(path: str):
    service = Service([answer({})])
    async with service.client() as client:
        with pytest.raises(ValueError, match="path "):
            await client.request("GET", path)
    assert service.requests == []


@pytest.mark.parametrize(
    "wrong, kind",
    [
        ({"method": "GE T"}, ValueError),
        ({"method": ""}, ValueError),
        ({"path": 5}, TypeError),
        ({"json": float("nan")}, ValueError),
        ({"json": object()}, TypeError),
        ({"query": {"id": ["a,b"]}}, ValueError),
    ],
)
async def test_other_invalid_arguments_are_rejected(wrong: dict[str, Any], kind: type[Exception]):
    service = Service([answer({})])
    async with service.client() as client:
        with pytest.raises(kind):
            await client.request(**{"method": "POST", "path": "/api/v2/x"} | wrong)
    assert service.requests == []


# After an unknown outcome


def listed(**changes: Any) -> dict[str, Any]:
    return {
        "id": "1",
        "name": "n",
        "dateStart": "2026-11-20T14:30:00Z",
        "lengthInMinutes": 30,
        "attendees": [{"id": "u2"}, {"id": "u1"}],
        "facilitator": {"id": "f"},
        "dateCreated": "2026-11-10T08:00:00Z",
    } | changes


SINCE = datetime(2026, 11, 10, 8, tzinfo=UTC)


async def found(*entities: dict[str, Any], since: datetime = SINCE, body: AppointmentCreate = NEW) -> list[str]:
    service = Service([answer(page() | {"entities": entities, "pageCount": 1})])
    async with service.client() as client:
        ids = [each.id for each in await client.appointments.find_created(body, since=since)]
    asked = service.requests[0].url.params
    assert asked.get_list("userIds") == ["u1"]
    assert asked["interval"] == "2026-11-20T14:30:00.000Z/2026-11-20T14:31:00.000Z"
    return ids


async def test_find_created_returns_matches_the_oldest_first():
    later = listed(id="2", dateCreated="2026-11-10T08:00:05Z")

    assert await found(later, listed()) == ["1", "2"]


@pytest.mark.parametrize(
    "changes",
    [
        {"name": "other"},
        {"dateStart": "2026-11-20T14:31:00Z"},
        {"lengthInMinutes": 45},
        {"attendees": [{"id": "u1"}]},
        {"facilitator": {"id": "g"}},
        {"facilitator": None},
        {"dateCreated": "2026-11-10T07:58:59Z"},
        {"dateCreated": None},
        {"dateStart": None},
    ],
)
async def test_an_appointment_that_differs_is_no_match(changes: dict[str, Any]):
    assert await found(listed(**changes)) == []


async def test_clocks_may_differ_by_a_minute():
    assert await found(listed(), since=SINCE + timedelta(seconds=60)) == ["1"]
    assert await found(listed(), since=SINCE + timedelta(seconds=61)) == []


async def test_any_facilitator_matches_if_none_was_given():
    body = AppointmentCreate(
        name="n", description="d", date_start=START, length_in_minutes=30, attendee_ids=["u1", "u2"]
    )
    assert await found(listed(facilitator={"id": "someone"}), body=body) == ["1"]


async def test_a_naive_since_is_rejected():
    async with Service([answer()]).client() as client:
        with pytest.raises(ValueError, match="no time zone"):
            await client.appointments.find_created(NEW, since=datetime(2026, 1, 1))  # noqa: DTZ001


async def test_the_error_of_a_create_names_find_created():
    async with Service([httpx.ReadError("cut")]).client() as client:
        with pytest.raises(OutcomeUnknown, match=r"appointments\.find_created\(body, since=\.\.\.\) finds it"):
            await client.appointments.create(NEW)
        with pytest.raises(OutcomeUnknown, match=r"Look before you send it again$"):
            await client.annotations.create("1", "t", access_type="Public")


# Which calls are captured


async def test_a_call_made_by_a_token_source_during_raw_is_not_captured():
    started: list[Any] = []

    def serve(request: httpx.Request) -> httpx.Response:
        return answer({"id": "new"}, 202) if request.method == "POST" else answer({"id": "new", "name": "n"})

    class Source:
        """Makes a call of another client's, which is accepted for later."""

        async def token(self, rejected: str | None = None) -> str:
            if not started:
                started.append(None)
                async with Service(serve).client() as other:
                    started[0] = await other.appointments.create(NEW)
            return "t"

    async with Service(serve).client(Source()) as client:
        raw = await client.raw(client.appointments.get, "mine")

    assert raw.status == 200
    assert started == [Appointment(id="new", name="n")]


async def test_raw_of_find_does_not_wait_for_the_job():
    service = Service([answer({"id": "job"}, 202)])
    async with service.client() as client:
        raw = await client.raw(
            client.schedule_slots.find,
            attendee_ids=["u"],
            length_in_minutes=30,
            activity_code_id="5",
            intervals=(START, START + timedelta(hours=1)),
        )

    assert (raw.status, raw.value.id, len(service.requests)) == (202, "job", 1)


async def test_raw_of_a_request_returns_the_same_response():
    async with Service([answer({"a": 1}, 201)]).client() as client:
        raw = await client.raw(client.request, "POST", "/api/v2/x", json={})

    assert (raw.status, raw.json, raw.value.value) == (201, {"a": 1}, {"a": 1})


async def test_a_url_too_long_for_http_is_rejected_before_anything_is_sent():
    service = Service([answer({})])
    async with service.client() as client:
        with pytest.raises(ValueError, match="too long for HTTP"):
            await client.request("POST", "/api/v2/x", query={"id": ["a" * 36] * 3000}, json={})
    assert service.requests == []


async def test_a_head_response_with_a_large_content_length_is_accepted():
    service = Service([httpx.Response(200, headers={"Content-Length": "20000000"}, stream=httpx.ByteStream(b""))])
    async with service.client() as client:
        assert (await client.request("HEAD", "/api/v2/x")).value is None


async def test_the_event_of_a_successful_write_says_that_it_was_processed():
    seen: list[Any] = []
    accepted = Service([answer({"id": "new"}, 202), answer({"id": "new", "name": "n"})])
    gone = Service([answer(status=503), answer(status=404)])

    async with accepted.client(on_event=seen.append) as client:
        await client.appointments.create(NEW)
    async with gone.client(on_event=seen.append) as client:
        await client.appointments.delete("1")
    async with Service([answer({"id": "new"}, 202)]).client(on_event=seen.append) as client:
        await client.raw(client.appointments.create, NEW)
        assert client.stats().failed_calls == 0

    ended = [(event.operation, event.processed, event.error) for event in seen if isinstance(event, CallFinished)]
    assert ended == [
        ("appointments.create", "yes", None),
        ("appointments.delete", "yes", None),
        ("appointments.create", "maybe", None),
    ]
