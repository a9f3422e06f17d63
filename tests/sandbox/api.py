"""A plain HTTP client of the sandbox that compares every response with the contract."""

from __future__ import annotations

import copy
import functools
import json
import math
import re
from typing import TYPE_CHECKING, Any

import httpx
from openapi_schema_validator import OAS30ReadValidator, oas30_format_checker

from coaching_async.sandbox import CLIENT_ID, CLIENT_SECRET
from tests.support.contract import DOCUMENT
from tests.support.fault_server import HANG

if TYPE_CHECKING:
    from collections.abc import Callable

    from coaching_async.sandbox import Sandbox


APPOINTMENTS = "/api/v2/coaching/appointments"
NOTIFICATIONS = "/api/v2/coaching/notifications"
BASIC = (CLIENT_ID, CLIENT_SECRET)
MINIMAL = {
    "name": "n",
    "description": "d",
    "dateStart": "2026-12-01T09:30:00Z",
    "lengthInMinutes": 30,
    "attendeeIds": ["someone"],
}


def closed(document: dict[str, Any]) -> dict[str, Any]:
    """Return the contract, with additional fields forbidden."""
    schemas = copy.deepcopy(document["components"]["schemas"])
    for schema in schemas.values():
        if "properties" in schema:
            schema["additionalProperties"] = False
    return {"components": {"schemas": schemas, "responses": document["components"]["responses"]}}


CONTRACT = closed(DOCUMENT)
PATHS = sorted(DOCUMENT["paths"], key=lambda path: "{" in path)  # /me before /{appointmentId}


def documented(method: str, path: str) -> tuple[str, dict[str, Any]] | None:
    for template in PATHS:
        if re.fullmatch(re.sub(r"{\w+}", "[^/]+", template), path) and method.lower() in DOCUMENT["paths"][template]:
            operation: dict[str, Any] = DOCUMENT["paths"][template][method.lower()]
            return operation["operationId"], operation["responses"]
    return None


def schema_of(response: httpx.Response) -> str | None:
    found = documented(response.request.method, response.request.url.raw_path.decode().partition("?")[0])
    if found is None:
        return "ErrorBody"
    answer = found[1][str(response.status_code)]
    if "$ref" in answer:
        answer = CONTRACT["components"]["responses"][answer["$ref"].rpartition("/")[2]]
    content = answer.get("content")
    return content["application/json"]["schema"]["$ref"].rpartition("/")[2] if content else None


@functools.cache
def validator(schema: str) -> OAS30ReadValidator:
    reference = {"allOf": [{"$ref": f"#/components/schemas/{schema}"}]}
    return OAS30ReadValidator(reference | CONTRACT, format_checker=oas30_format_checker)


def check(response: httpx.Response) -> None:
    """Compare a response with the contract; the hook of every `Api`."""
    response.read()
    assert response.headers["ININ-Correlation-Id"]
    schema = schema_of(response)
    if schema is None or response.request.method == "HEAD":
        assert response.content == b""
        return
    body = response.json()
    assert [error.message for error in validator(schema).iter_errors(body)] == []
    if schema == "ErrorBody":
        assert body["status"] == response.status_code
        assert body["contextId"] == response.headers["ININ-Correlation-Id"]


class Api(httpx.Client):
    """A plain HTTP client that compares every response with the contract."""

    def __init__(self, sandbox: Sandbox, token: str | None = None) -> None:
        super().__init__(
            base_url=sandbox.base_url,
            headers={"Authorization": f"Bearer {token}"} if token else {},
            event_hooks={"response": [check]},
            timeout=HANG,
            trust_env=False,
            verify=False,  # plain http: certificates would cost more than all the rest
        )

    def ids(self, path: str = APPOINTMENTS, **query: Any) -> list[str]:
        """Return the ids on all pages."""
        found: list[str] = []
        page = {"pageCount": math.inf}
        number = 0
        while number < page["pageCount"]:
            number += 1
            page = self.get(path, params={**query, "pageNumber": number}).json()
            found += [entity["id"] for entity in page["entities"]]
        return found

    def token(self, auth: tuple[str, str] | None = BASIC, **form: str) -> httpx.Response:
        return self.post("/oauth/token", data=form, auth=auth)  # type: ignore[arg-type]


def token_of(sandbox: Sandbox, **form: str) -> str:
    with Api(sandbox) as api:
        token: str = api.token(**(form or {"grant_type": "client_credentials"})).json()["access_token"]
        return token


def first(sandbox: Sandbox, wanted: Callable[[dict[str, Any]], bool]) -> str:
    return next(appointment["id"] for appointment in sandbox.state.appointments.values() if wanted(appointment))


def only_attends(user: str) -> Callable[[dict[str, Any]], bool]:
    return lambda each: (
        any(attendee["id"] == user for attendee in each["attendees"])
        and user not in (each["facilitator"]["id"], each.get("createdBy", {}).get("id"))
    )


def foreign(user: str) -> Callable[[dict[str, Any]], bool]:
    return lambda each: user not in json.dumps(each)


def led_appointment(api: Api, user: str) -> str:
    """Create an appointment that this user leads and another attends, with a private annotation; return its id."""
    body = {**MINIMAL, "facilitatorId": user}
    appointment_id: str = api.post(APPOINTMENTS, json=body).json()["id"]
    api.post(f"{APPOINTMENTS}/{appointment_id}/annotations", json={"text": "t", "accessType": "Private"})
    return appointment_id
