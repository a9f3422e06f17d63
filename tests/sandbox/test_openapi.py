"""The contract that the sandbox serves, as a document and as a page."""

from __future__ import annotations

import math
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pytest

import coaching_async.sandbox
from coaching_async.sandbox import CLIENT_ID, CLIENT_SECRET, REFRESH_TOKEN, Fault, Sandbox
from tests.sandbox.api import DOCUMENT

if TYPE_CHECKING:
    from collections.abc import Callable

PACKAGE = Path(coaching_async.sandbox.__file__).parent


def shown(sandbox: Sandbox) -> Any:
    return httpx.get(f"{sandbox.base_url}/openapi.json").json()


def test_the_document_in_the_package_is_the_contract():
    truth = Path(__file__).parents[1] / "data" / "coaching.openapi.json"
    assert (PACKAGE / "_server" / "openapi.json").read_bytes() == truth.read_bytes()


def test_the_served_document_names_no_other_host(sandbox: Sandbox):
    document = shown(sandbox)
    assert document["servers"] == [{"url": sandbox.base_url}]
    flows = document["components"]["securitySchemes"]["GenesysOAuth"]["flows"]
    assert {flow["tokenUrl"] for flow in flows.values()} == {f"{sandbox.login_url}/oauth/token"}
    assert document["components"]["schemas"] == DOCUMENT["components"]["schemas"]
    assert not any("servers" in path for path in document["paths"].values())


def test_the_page_loads_nothing_from_another_host(sandbox: Sandbox):
    page = httpx.get(f"{sandbox.base_url}/docs")
    assert page.headers["Content-Type"] == "text/html; charset=utf-8"
    assert set(re.findall(r'(?:src|href)="([^"]*)"', page.text)) == {"data:,", "openapi.json"}
    assert [url for url in re.findall(r"https?://[^\s\"']+", page.text) if "localhost" not in url] == []


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
