"""Responses of a gateway, proxy or captive portal between the client and the API: they are not the API's word."""

from collections.abc import Awaitable, Callable
from typing import Any

import anyio
import httpx
import pytest

from coaching_async import (
    ClientCredentials,
    CoachingClient,
    CoachingError,
    DecodeError,
    Forbidden,
    NotFound,
    OutcomeUnknown,
    RateLimited,
    ResponseError,
    RetryPolicy,
    ServerError,
    Unauthorized,
)
from tests.faults.support import NEW
from tests.support.doubles import Service, answer

pytestmark = pytest.mark.anyio

Call = Callable[[CoachingClient], Awaitable[Any]]

CALLS: dict[str, Call] = {
    "get": lambda client: client.appointments.get("1"),
    "list": lambda client: client.appointments.list("1").collect(),
    "query": lambda client: client.request("POST", "/x", safe=True),
    "create": lambda client: client.appointments.create(NEW),
    "update": lambda client: client.appointments.set_status("1", "Completed"),
    "delete": lambda client: client.appointments.delete("1"),
    "request": lambda client: client.request("DELETE", "/x"),
    "head": lambda client: client.request("HEAD", "/x"),
}

HTML = {"Content-Type": "text/html; charset=utf-8"}
JSON = {"Content-Type": "application/json"}
FOREIGN: dict[str, tuple[dict[str, str], bytes]] = {
    "web page": (HTML, b"<html><h1>Blocked by policy</h1></html>"),
    "page without a type": ({}, b"\xef\xbb\xbf\n<!doctype html>"),
    "page of a wrong type": (JSON, b" <html>"),
    "nothing": ({}, b""),
    "text": ({"Content-Type": "text/plain"}, b"404 page not found"),
    "message": (JSON, b'{"message": "Forbidden"}'),
    "number as code": (JSON, b'{"code": 403, "message": "no"}'),
    "digits as code": (JSON, b'{"code": "900901", "message": "Runtime Error", "description": "d"}'),
    "digits as code, with its status": (JSON, b'{"code": "404", "status": 404, "contextId": "c"}'),
    "word as code": (JSON, b'{"code": "rest_no_route", "message": "m", "data": {"status": 404}}'),
    "code of another status": (JSON, b'{"code": "not.found", "status": 499}'),
    "status and no code": (JSON, b'{"timestamp": "t", "status": 404, "error": "Not Found", "path": "/x"}'),
    "nested": (JSON, b'{"error": {"code": "not.found", "status": "NOT_FOUND"}}'),
    "problem": (
        {"Content-Type": "application/problem+json"},
        b'{"type": "about:blank", "title": "Not Found", "status": 404}',
    ),
    "list": (JSON, b"[]"),
    "XML": ({"Content-Type": "application/xml"}, b"<Error><Code>AccessDenied</Code></Error>"),
}

OWN = [
    {"code": "not.found", "message": "m"},
    {"code": "conflict", "status": 0},
    {"code": "conflict", "contextId": "c"},
    {"message": "m", "contextId": "c"},
]


class Renewing:
    """A token source that has another token whenever one is rejected."""

    count = 0

    async def token(self, rejected: str | None = None) -> str:
        self.count += rejected is not None
        return f"token-{self.count}"


async def error_of(service: Service, call: Call, **options: Any) -> Any:
    async with service.http, service.client(Renewing(), retry=RetryPolicy(attempts=1), **options) as client:
        with pytest.raises(CoachingError) as caught:
            await call(client)
    return caught.value


def foreign(status: int, kind: str, **headers: str) -> httpx.Response:
    return httpx.Response(status, headers=FOREIGN[kind][0] | headers, content=FOREIGN[kind][1])


@pytest.mark.parametrize("kind", FOREIGN)
@pytest.mark.parametrize("call", ["get", "list", "query", "create", "update", "delete", "request", "head"])
async def test_a_refusal_that_is_not_the_apis_is_no_statement_of_the_api(call: str, kind: str):
    for status in (400, 401, 403, 404, 405, 409, 410, 413):  # not parameters: as many tests would take 20 s
        service = Service([foreign(status, kind)])

        error = await error_of(service, CALLS[call])

        assert type(error) is ResponseError
        assert (error.status, error.is_from_gateway, error.processed) == (status, True, "no")
        assert f": {status} from a gateway, proxy or captive portal before api.test, with " in str(error)
        assert "check the URL, the proxy and the network" in str(error)
        assert "coaching:" not in str(error)
        assert len(service.requests) == 1, "neither retried nor sent with another token"


@pytest.mark.parametrize(
    "kind, said",
    [
        ("web page", "with a web page (text/html): check"),
        ("page without a type", "with a web page: check"),
        ("nothing", "with no body: check"),
        ("text", "with a body (text/plain) that is not in the form of the API: check"),
        ("message", "with a body (application/json) that is not in the form of the API (Forbidden): check"),
    ],
)
async def test_the_text_tells_what_came(kind: str, said: str):
    assert said in str(await error_of(Service([foreign(403, kind)]), CALLS["get"]))


@pytest.mark.parametrize("body", OWN)
@pytest.mark.parametrize("status, cls", [(401, Unauthorized), (403, Forbidden), (404, NotFound)])
async def test_a_body_in_the_form_of_the_api_is_its_word_even_where_fields_are_missing(
    body: dict[str, Any], status: int, cls: type[ResponseError]
):
    told = body | {"status": status} if "status" in body else body

    error = await error_of(Service([httpx.Response(status, json=told)]), CALLS["get"])

    assert type(error) is cls
    assert not error.is_from_gateway


@pytest.mark.parametrize(
    "headers", [{"ININ-Correlation-Id": "c-1"}, {"WWW-Authenticate": 'Bearer error="invalid_token"'}]
)
async def test_a_401_without_a_body_is_about_the_token_if_its_headers_say_so(headers: dict[str, str]):
    service = Service([httpx.Response(401, headers=headers)])

    assert type(await error_of(service, CALLS["get"])) is Unauthorized
    assert len(service.requests) == 2, "sent again with another token"


async def test_a_gateways_challenge_for_its_own_login_is_not_about_the_token():
    service = Service([httpx.Response(401, headers={"WWW-Authenticate": 'Basic realm="proxy"'})])

    assert type(await error_of(service, CALLS["get"])) is ResponseError
    assert len(service.requests) == 1


@pytest.mark.parametrize("kind", ["web page", "nothing", "message"])
@pytest.mark.parametrize(
    "status, cls", [(429, RateLimited), (408, ServerError), (502, ServerError), (503, ServerError)]
)
async def test_an_outage_or_a_limit_means_the_same_from_a_gateway(status: int, cls: type[ResponseError], kind: str):
    error = await error_of(Service([foreign(status, kind, **{"Retry-After": "600"})]), CALLS["get"])

    assert type(error) is cls
    assert (error.is_from_gateway, error.retry_after) == (True, 600)
    assert "check the URL" not in str(error)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_a_redirect_is_not_the_apis(status: int):
    headers = {"Location": "http://portal.test/?from=secret", "ININ-Correlation-Id": "c"}

    error = await error_of(Service([httpx.Response(status, headers=headers)]), CALLS["get"])

    assert type(error) is ResponseError
    assert f"{status} from a gateway, proxy or captive portal before api.test, with a redirect" in str(error)
    assert "secret" not in str(error)


# Pages that look like a success


PAGES = ["web page", "page without a type", "page of a wrong type", "text", "XML"]


@pytest.mark.parametrize("kind", PAGES)
@pytest.mark.parametrize("call", ["get", "list", "query"])
async def test_a_web_page_in_place_of_json_is_told_as_what_it_is(call: str, kind: str):
    error = await error_of(Service([foreign(200, kind)]), CALLS[call])

    assert type(error) is DecodeError
    assert error.is_from_gateway
    assert "200 from a gateway, proxy or captive portal before api.test, with " in str(error)


@pytest.mark.parametrize("kind", PAGES)
@pytest.mark.parametrize("status", [200, 201, 202])
@pytest.mark.parametrize("call", ["create", "update", "delete", "request"])
async def test_a_web_page_in_place_of_the_answer_to_a_write_leaves_the_outcome_open(call: str, status: int, kind: str):
    service = Service([foreign(status, kind)])

    error = await error_of(service, CALLS[call])

    assert type(error) is OutcomeUnknown
    assert (error.processed, error.is_from_gateway) == ("maybe", True)
    assert len(service.requests) == 1


# A gateway's 404 is not "deleted", and not "does not exist yet"


@pytest.mark.parametrize("kind", FOREIGN)
@pytest.mark.parametrize("status", [404, 410])
async def test_a_gateways_404_after_an_uncertain_delete_is_not_deleted(status: int, kind: str):
    service = Service([answer(status=503), foreign(status, kind)])

    async with service.http, service.client(Renewing()) as client:
        with pytest.raises(OutcomeUnknown, match="from a gateway") as caught:
            await client.appointments.delete("1")

    assert caught.value.processed == "maybe"


async def test_a_gateways_404_ends_the_polling_of_an_accepted_create():
    service = Service([answer({"id": "7"}, 202), foreign(404, "web page")])

    error = await error_of(service, CALLS["create"])

    assert type(error) is OutcomeUnknown
    assert error.reference.id == "7"
    assert "from a gateway" in str(error)


async def test_each_outcome_of_a_bulk_tells_a_gateways_404_from_the_apis():
    def found(request: httpx.Request) -> httpx.Response:
        return answer(status=404) if request.url.path.endswith("/a") else foreign(404, "web page")

    service = Service(found)
    async with service.http, service.client(Renewing()) as client:
        result = await client.appointments.get_many(["a", "b"])

    assert [type(outcome.error) for outcome in result.outcomes] == [NotFound, ResponseError]


async def test_concurrent_calls_to_a_service_that_rejects_every_token_request_two():
    tokens: list[str] = []

    def respond(request: httpx.Request) -> httpx.Response:
        if request.url.host != "login.test":
            return answer(status=401)
        tokens.append(f"t{len(tokens)}")
        return answer({"access_token": tokens[-1], "expires_in": 3600})

    service = Service(respond)

    async def call(client: CoachingClient) -> None:
        with pytest.raises(Unauthorized):
            await client.appointments.get("1")

    credentials = ClientCredentials("id", "secret")
    async with (
        service.client(credentials, login_url="https://login.test") as client,
        anyio.create_task_group() as group,
    ):
        for _ in range(30):
            group.start_soon(call, client)

    assert len(tokens) == 2


def test_a_service_that_rejects_every_token_does_not_cost_a_token_an_event_loop(anyio_backend: Any):
    source = Renewing()
    service = Service(lambda _: answer(status=401))
    client = service.client(source)

    async def call() -> None:
        with pytest.raises(Unauthorized):
            await client.appointments.get("1")

    for _ in range(10):
        anyio.run(call, backend=anyio_backend[0])

    assert source.count == 1
