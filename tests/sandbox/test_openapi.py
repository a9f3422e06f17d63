"""The contract that the sandbox serves, as a document and as a page."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pytest

import coaching_async.sandbox
from coaching_async.sandbox import CLIENT_ID, CLIENT_SECRET, REFRESH_TOKEN, Fault, Sandbox
from tests.conftest import DATA
from tests.support.contract import resolved

if TYPE_CHECKING:
    from collections.abc import Callable

PACKAGE = Path(coaching_async.sandbox.__file__).parent


def shown(sandbox: Sandbox) -> Any:
    return httpx.get(f"{sandbox.base_url}/openapi.json").json()


@pytest.mark.parametrize(
    "packaged, name",
    [("openapi.json", "coaching.openapi.json"), ("people.openapi.json",) * 2, ("channels.openapi.json",) * 2],
)
def test_the_documents_in_the_package_are_the_contracts(packaged: str, name: str):
    assert (PACKAGE / "_server" / packaged).read_bytes() == (DATA / name).read_bytes()


def without_references(part: Any, document: Any, depth: int = 0) -> Any:
    """Return a part of a document with what its references refer to, which may have another name in another document."""
    if depth > 12:  # schemas hold themselves
        return ...
    match part:
        case {"$ref": _}:
            return without_references(resolved(part, document), document, depth + 1)
        case dict():
            return {name: without_references(each, document, depth + 1) for name, each in part.items()}
        case list():
            return [without_references(each, document, depth + 1) for each in part]
        case _:
            return part


@pytest.mark.parametrize("name", ["coaching.openapi.json", "people.openapi.json", "channels.openapi.json"])
def test_the_served_document_has_every_operation_of_the_contracts_unchanged(sandbox: Sandbox, name: str):
    contract, served = json.loads((DATA / name).read_text(encoding="utf-8")), shown(sandbox)
    for path, operations in contract["paths"].items():
        operations.pop("servers", None)
        assert without_references(served["paths"][path], served) == without_references(operations, contract)


def test_the_served_document_names_no_other_host(sandbox: Sandbox):
    document = shown(sandbox)
    assert document["servers"] == [{"url": sandbox.base_url}]
    flows = document["components"]["securitySchemes"]["GenesysOAuth"]["flows"]
    assert {flow["tokenUrl"] for flow in flows.values()} == {f"{sandbox.login_url}/oauth/token"}
    assert flows["clientCredentials"]["scopes"].keys() >= {"coaching", "users:readonly"}
    assert not any("servers" in path for path in document["paths"].values())


def test_the_page_has_the_credentials_of_the_sandbox(sandbox: Sandbox, me: str):
    page = httpx.get(f"{sandbox.base_url}/docs").text
    for known in (CLIENT_ID, CLIENT_SECRET, REFRESH_TOKEN, me):
        assert known in page


@pytest.mark.parametrize("path", ["/docs", "/openapi.json"])
def test_document_and_page_are_not_recorded_and_ignore_faults(start_sandbox: Callable[..., Sandbox], path: str):
    sandbox = start_sandbox(appointments=1, rate_limit=1, latency=60)
    sandbox.faults.add(Fault("stall", times=math.inf))
    assert httpx.get(f"{sandbox.base_url}{path}").status_code == 200
    assert httpx.post(f"{sandbox.base_url}{path}").headers["Allow"] == "GET"
    assert sandbox.requests == []


def test_the_served_document_describes_every_property(sandbox: Sandbox):
    for name, schema in shown(sandbox)["components"]["schemas"].items():
        for field, described in schema.get("properties", {}).items():
            assert described.get("description"), f"{name}.{field}"
