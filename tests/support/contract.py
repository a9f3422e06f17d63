"""A check of the sandbox's responses: in each test they have to be valid under the contract.

The witness only records responses while requests are served, so that no test becomes slower. It checks them when the
test is over.
"""

from __future__ import annotations

import copy
import functools
import json
import re
from collections import deque
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, TypeAlias

import attrs
import pytest
from openapi_schema_validator import OAS30ReadValidator, oas30_format_checker

from coaching_async.sandbox._faults.fault import Fault
from coaching_async.sandbox._faults.registry import Faults
from coaching_async.sandbox._server.document import contract
from coaching_async.sandbox._server.service import Service

if TYPE_CHECKING:
    from collections.abc import Iterator

    from starlette.types import Message, Receive, Scope, Send

Json: TypeAlias = Any

DOCUMENT: Json = contract()  # tests/sandbox/test_openapi.py compares it with the two documents in tests/data

VALID_ROWS: set[tuple[str, str]] = set()
"""The rows of lists that were valid, with the schema of the list: the sandbox gives the same ones thousands of times."""

STRUCK: ContextVar[list[Fault]] = ContextVar("the faults that struck the request which is being served")


def closed(schema: Json) -> Json:
    """Return a schema that allows no other fields than it names."""
    match schema:
        case dict():
            shut = {"additionalProperties": False} if isinstance(schema.get("properties"), dict) else {}
            return shut | {name: closed(part) for name, part in schema.items()}
        case list():
            return [closed(part) for part in schema]
        case _:
            return schema


CLOSED = {"components": {"schemas": closed(copy.deepcopy(DOCUMENT["components"]["schemas"]))}}
# /me before /{appointmentId}
ROUTES = [
    (re.compile(re.sub(r"{\w+}", "[^/]+", path)), path)
    for path in sorted(DOCUMENT["paths"], key=lambda path: "{" in path)
]


@functools.cache
def operation(method: str, path: str) -> Json | None:
    """Return the operation of the document for a request path."""
    for pattern, template in ROUTES:
        if pattern.fullmatch(path):
            return DOCUMENT["paths"][template].get(method.lower())
    return None


@functools.cache
def validator(reference: str) -> OAS30ReadValidator:
    return OAS30ReadValidator({"allOf": [{"$ref": reference}]} | CLOSED, format_checker=oas30_format_checker)


@attrs.frozen
class Answer:
    """A request and its response."""

    method: str
    path: str
    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes

    def __str__(self) -> str:
        return f"{self.method} {self.path} answered {self.status} {self.body[:500]!r}"

    def violations(self) -> Iterator[str]:
        """Yield each violation of the contract. Requests that it does not know are ignored."""
        if (asked := operation(self.method, self.path)) is None:
            return
        if (documented := asked["responses"].get(str(self.status))) is None:
            yield f"{asked['operationId']} has no status {self.status}"
            return
        documented = resolved(documented)
        headers = dict(self.headers)
        yield from (
            f"the header {name} is missing" for name in documented.get("headers", ()) if name.lower() not in headers
        )
        if "content" not in documented:
            if self.body:
                yield f"{asked['operationId']} has no body for {self.status}"
            return
        content = documented["content"].get(headers.get("content-type", ""))
        if content is None:
            yield f"the content type {headers.get('content-type')} is not one of {', '.join(documented['content'])}"
            return
        yield from self._violations_of(content["schema"]["$ref"], headers)

    def _violations_of(self, reference: str, headers: dict[str, str]) -> Iterator[str]:
        try:
            body = json.loads(self.body)
        except ValueError as why:
            yield f"the body is no JSON: {why}"
            return
        yield from _violations_of_body(reference, body)
        if reference.endswith("/ErrorBody"):
            if body.get("status") != self.status:
                yield f"the body speaks of status {body.get('status')}"
            if body.get("contextId") != headers.get("inin-correlation-id"):
                yield "contextId is not the ININ-Correlation-Id"


def _violations_of_body(reference: str, body: Json) -> Iterator[str]:
    """Yield the violations of a body. Of the rows of a list only those are validated that no valid list has had before."""
    rows = body.get("entities") if isinstance(body, dict) else None
    if not isinstance(rows, list):
        yield from (f"{error.json_path}: {error.message}" for error in validator(reference).iter_errors(body))
        return
    new = {key: row for row in rows if (key := (reference, json.dumps(row, sort_keys=True))) not in VALID_ROWS}
    errors = list(validator(reference).iter_errors({**body, "entities": list(new.values())}))
    if not errors:
        VALID_ROWS.update(new)
    yield from (f"{error.json_path}: {error.message}" for error in errors)


def resolved(part: Json, document: Json = DOCUMENT) -> Json:
    """Return what a `$ref` refers to."""
    while "$ref" in part:
        part = functools.reduce(lambda node, name: node[name], part["$ref"].removeprefix("#/").split("/"), document)
    return part


@attrs.define
class Witness:
    """Records all responses. `judge` checks the new ones."""

    _answers: deque[Answer] = attrs.field(factory=deque, init=False)
    judged: int = attrs.field(default=0, init=False)

    async def watch(self, serve: Any, service: Service, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a request, and record the response unless a fault altered it or the client was gone."""
        start: list[Message] = []
        body: list[bytes] = []
        gone: list[Message] = []

        async def receiving() -> Message:
            message = await receive()
            if message["type"] == "http.disconnect":
                gone.append(message)
            return message

        async def sending(message: Message) -> None:
            if message["type"] == "http.response.start":
                start.append(message)
            elif message["type"] == "http.response.body":
                body.append(message.get("body", b""))
                if not message.get("more_body") and not gone and all(each.kind == "accepted" for each in struck):
                    self._answers.append(
                        answer_of(scope, start[0], b"".join(body))
                    )  # before the client can have read it
            await send(message)

        struck: list[Fault] = scope.setdefault("struck", [])  # shared by all witnesses of this request
        token = STRUCK.set(struck)
        try:
            await serve(service, scope, receiving, sending)
        finally:
            STRUCK.reset(token)

    def judge(self) -> None:
        """Fail if a response since the last call violates the contract."""
        found: list[str] = []
        while self._answers:
            answer = self._answers.popleft()
            self.judged += 1
            found += [f"{violation}\n    {answer}" for violation in answer.violations()]
        if found:
            pytest.fail(f"{len(found)} violations of the contract\n" + "\n".join(sorted(found)[:20]), pytrace=False)


def answer_of(scope: Scope, start: Message, body: bytes) -> Answer:
    headers = tuple(
        sorted((name.decode("latin-1").lower(), value.decode("latin-1")) for name, value in start["headers"])
    )
    method = scope["method"]
    return Answer(
        method, scope["raw_path"].decode("ascii"), start["status"], headers, b"" if method == "HEAD" else body
    )  # the server leaves the body of a HEAD out


@contextmanager
def witnessing() -> Iterator[Witness]:
    """Watch every sandbox of this process."""
    witness = Witness()
    serve, take = Service.__call__, Faults.take

    async def watched(service: Service, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            await witness.watch(serve, service, scope, receive, send)
        else:
            await serve(service, scope, receive, send)

    def noting(faults: Faults, *request: Any) -> Fault | None:
        fault = take(faults, *request)
        if fault is not None and (struck := STRUCK.get(None)) is not None:
            struck.append(fault)
        return fault

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Service, "__call__", watched)
        patch.setattr(Faults, "take", noting)
        yield witness
