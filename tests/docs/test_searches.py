"""The search of the site finds what people type.

`make docs` sets SITE to the site that it has built; otherwise the tests build one. The searches run in the site's own script.
"""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from py_mini_racer import MiniRacer

from tests.support.fault_server import HANG
from tests.support.markdown import ROOT

SEARCHES = {
    "429": ["pacing", "errors"],
    "503": ["errors"],
    "airflow": ["recipes/scheduler", "warehouse"],
    "api key": ["authentication"],
    "availability": ["slots"],
    "aws lambda": ["beyond-one-process", "deadlines"],
    "backoff": ["errors"],
    "batch": ["bulk", "creating"],
    "bigquery": ["warehouse"],
    "breaking changes": ["policy"],
    "cancel appointment": ["updating"],
    "cancellation": ["deadlines"],
    "celery": ["beyond-one-process"],
    "certificate": ["authentication"],
    "change facilitator": ["updating"],
    "circuit breaker": ["errors"],
    "client secret": ["authentication"],
    "completion rate": ["report"],
    "concurrency": ["bulk", "pacing"],
    "connection reset": ["errors"],
    "create appointment": ["updating", "creating"],
    "cron": ["recipes/scheduler"],
    "csv": ["export", "creating"],
    "cursor": ["lists", "live"],
    "dashboard": ["report"],
    "dataframe": ["frames"],
    "date range": ["lists"],
    "debug": ["observing", "doctor"],
    "delete": ["updating"],
    "django": ["moving", "web"],
    "docker": ["testing"],
    "duckdb": ["frames", "warehouse"],
    "duplicates": ["creating", "lists", "errors"],
    "email": ["people"],
    "event loop": ["deadlines"],
    "excel": ["export"],
    "exceptions": ["errors"],
    "expired token": ["authentication", "users"],
    "fastapi": ["web"],
    "filter": ["lists"],
    "fixtures": ["testing"],
    "flask": ["moving", "web"],
    "free slot": ["slots"],
    "gather": ["bulk"],
    "gunicorn": ["beyond-one-process"],
    "idempotency": ["creating", "errors"],
    "idempotent": ["creating", "errors", "updating"],
    "install": ["index"],
    "jupyter": ["frames", "tour"],
    "kubernetes": ["beyond-one-process", "recipes/scheduler"],
    "logging": ["observing"],
    "login": ["authentication", "users"],
    "metrics": ["observing"],
    "migrate": ["moving"],
    "mock": ["testing"],
    "mock server": ["testing"],
    "notebook": ["frames", "tour"],
    "notes": ["updating"],
    "oauth": ["authentication", "users"],
    "offset": ["lists"],
    "opentelemetry": ["observing"],
    "overdue": ["report", "lists"],
    "page size": ["lists"],
    "pagination": ["lists"],
    "pandas": ["frames"],
    "parquet": ["frames", "export"],
    "permissions": ["authentication", "doctor"],
    "pkce": ["users"],
    "polars": ["frames"],
    "progress": ["bulk", "export"],
    "proxy": ["authentication"],
    "purecloud": ["moving"],
    "pydantic": ["web"],
    "pytest": ["testing"],
    "quickstart": ["index", "tour"],
    "rate limit": ["pacing"],
    "recurring": ["creating"],
    "redis": ["beyond-one-process"],
    "refresh token": ["users"],
    "region": ["authentication"],
    "reschedule": ["updating"],
    "resume": ["export", "lists"],
    "retry": ["errors"],
    "semaphore": ["bulk"],
    "snowflake": ["warehouse"],
    "sort": ["lists"],
    "ssl": ["authentication"],
    "streaming": ["bulk", "web", "lists"],
    "sync": ["moving"],
    "team": ["people"],
    "throttling": ["pacing"],
    "time zone": ["lists"],
    "timeout": ["deadlines"],
    "timezone": ["lists"],
    "troubleshooting": ["doctor"],
    "type hints": ["tour", "reference/models", "reference/client", "web"],
    "unread": ["live"],
    "upgrade": ["CHANGELOG", "policy"],
    "user name": ["people"],
    "webhook": ["live"],
    "websocket": ["live"],
}
"""What people type → the pages that answer it; one of them is among the first three."""


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if built := os.environ.get("SITE"):
        return ROOT / built
    folder = tmp_path_factory.mktemp("built")
    command = [sys.executable, ROOT / "docs" / "_site.py", folder]
    subprocess.run(command, check=True, timeout=HANG, stdout=subprocess.DEVNULL)
    return folder / "site"


BROWSER = """
var said, self = {postMessage: message => { said = message }};
"""
QUERY = """
self.onmessage({data: {type: 2, data: {input: %s, filter: {
    input: {type: "operator", data: {operator: "and", operands: []}},
    aggregation: {input: [{type: "term", data: {field: "tags"}}]},
}}}})
"""


@pytest.fixture(scope="module")
def search(site: Path) -> Iterator[Callable[[str], list[str]]]:
    """Return a function that searches as the browser does: it returns the pages of the first ten results, in their order."""
    (worker,) = site.glob("assets/javascripts/workers/search.*.js")
    index = json.loads((site / "search.json").read_text())
    with MiniRacer() as browser:
        browser.eval(BROWSER)
        browser.eval(worker.read_text())
        browser.eval(f"self.onmessage({{data: {{type: 0, data: {json.dumps(index)}}}}})")

        def pages(text: str) -> list[str]:
            browser.eval(QUERY % json.dumps(text))
            found = json.loads(str(browser.eval("JSON.stringify(said.data.items.map(item => item.id))")))
            return list(dict.fromkeys(index["items"][id_]["location"].partition(".html")[0] for id_ in found))

        yield pages


@pytest.mark.parametrize("text", SEARCHES)
def test_a_search_finds_a_right_page_among_the_first_three(search: Callable[[str], list[str]], text: str):
    found = search(text)[:3]

    assert set(found) & set(SEARCHES[text]), found
