"""The search of the site finds what people type.

`make docs` sets SITE to the site that it has built; otherwise the tests build one. The searches run in the site's own script.
"""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from itertools import chain
from pathlib import Path

import pytest
from py_mini_racer import MiniRacer

from tests.support.fault_server import HANG
from tests.support.markdown import ROOT

SEARCHES = {
    "202": ["updating"],
    "429": ["pacing", "errors"],
    "429 too many requests": ["beyond-one-process"],
    "503": ["errors"],
    "aggregates": ["slots"],
    "aiohttp": ["testing-fastapi", "web"],
    "airflow": ["recipes/scheduler", "warehouse"],
    "api key": ["authentication"],
    "arq": ["beyond-one-process"],
    "asgitransport": ["testing-fastapi"],
    "asyncio.timeout": ["deadlines"],
    "at least once": ["live"],
    "attempts": ["errors"],
    "authenticate": ["authentication"],
    "availability": ["slots"],
    "aws lambda": ["beyond-one-process", "deadlines"],
    "backoff": ["errors"],
    "backpressure": ["bulk"],
    "batch": ["bulk", "creating"],
    "bigquery": ["warehouse"],
    "breaking changes": ["policy"],
    "bulk": ["bulk"],
    "bulk create": ["creating"],
    "cancel appointment": ["updating"],
    "cancellation": ["deadlines"],
    "celery": ["beyond-one-process"],
    "certificate": ["authentication"],
    "change facilitator": ["updating"],
    "chart": ["report"],
    "circuit breaker": ["errors"],
    "clear": ["updating"],
    "client certificates": ["authentication"],
    "client secret": ["authentication"],
    "coaching appointment": ["export", "lists"],
    "columns": ["export"],
    "command line": ["cli"],
    "completion rate": ["report"],
    "concurrency": ["bulk", "pacing"],
    "concurrency limit": ["bulk"],
    "concurrently": ["bulk"],
    "connection reset": ["errors"],
    "cooldown": ["pacing"],
    "count": ["slots"],
    "create": ["cli", "updating"],
    "create appointment": ["updating", "creating"],
    "create many": ["creating"],
    "credentials": ["authentication"],
    "cron": ["recipes/scheduler"],
    "csv": ["export", "creating"],
    "csv import": ["creating"],
    "cursor": ["lists", "live"],
    "dashboard": ["report"],
    "data lake": ["warehouse"],
    "databricks": ["warehouse"],
    "dataframe": ["frames"],
    "date range": ["lists"],
    "dbt": ["warehouse"],
    "deadline": ["deadlines"],
    "debug": ["observing", "doctor"],
    "delete": ["updating"],
    "deleted": ["warehouse"],
    "deletions": ["warehouse"],
    "dependencies": ["policy"],
    "deprecation": ["policy"],
    "diagnose": ["doctor"],
    "django": ["moving", "web"],
    "dlt": ["warehouse"],
    "docker": ["testing"],
    "duckdb": ["frames", "warehouse"],
    "duplicates": ["creating", "lists", "errors"],
    "e-mail": ["people"],
    "e-mail address": ["people"],
    "email": ["people"],
    "event loop": ["deadlines"],
    "events": ["observing"],
    "excel": ["export"],
    "exceptions": ["errors"],
    "expired token": ["authentication", "users"],
    "export": ["cli", "export"],
    "factories": ["testing"],
    "fan out": ["web"],
    "fastapi": ["web"],
    "faults": ["testing"],
    "filter": ["lists"],
    "filters": ["lists"],
    "fixture": ["testing"],
    "fixtures": ["testing"],
    "flask": ["moving", "web"],
    "free slot": ["slots"],
    "free time": ["slots"],
    "gather": ["bulk"],
    "gunicorn": ["beyond-one-process"],
    "headers": ["requests"],
    "html": ["report"],
    "httpx2": ["policy"],
    "idempotency": ["creating", "errors"],
    "idempotency key": ["creating"],
    "idempotent": ["creating", "errors", "updating"],
    "import a csv": ["creating"],
    "incremental load": ["warehouse"],
    "install": ["index"],
    "ipython": ["tour"],
    "iterator": ["lists", "live"],
    "jitter": ["errors"],
    "json lines": ["export"],
    "jupyter": ["frames", "tour"],
    "kubernetes": ["beyond-one-process", "recipes/scheduler"],
    "lambda": ["beyond-one-process"],
    "libreoffice": ["export"],
    "lifespan": ["web"],
    "logging": ["observing"],
    "login": ["authentication", "users"],
    "logs": ["observing"],
    "lookback window": ["warehouse"],
    "manager": ["people"],
    "mark all as read": ["live"],
    "metrics": ["observing"],
    "migrate": ["moving"],
    "mock": ["testing"],
    "mock server": ["testing"],
    "move": ["updating"],
    "names": ["export", "people"],
    "no duplicates": ["creating"],
    "notebook": ["frames", "tour"],
    "notes": ["updating"],
    "notification": ["live"],
    "notification channels": ["testing"],
    "oauth": ["authentication", "users"],
    "oauth client": ["authentication"],
    "observability": ["observing"],
    "offset": ["lists"],
    "one token": ["beyond-one-process"],
    "opentelemetry": ["observing"],
    "other endpoints": ["requests"],
    "overdue": ["report", "lists"],
    "page": ["lists"],
    "page size": ["lists"],
    "pagination": ["lists"],
    "pandas": ["frames"],
    "parquet": ["frames", "export"],
    "partial updates": ["updating"],
    "permissions": ["authentication", "doctor"],
    "pkce": ["users"],
    "pods": ["beyond-one-process"],
    "polars": ["frames"],
    "postgres": ["warehouse"],
    "postgresql": ["beyond-one-process"],
    "prefetch": ["lists"],
    "priority": ["pacing"],
    "probe": ["doctor"],
    "processes": ["beyond-one-process"],
    "progress": ["bulk", "export"],
    "proxies": ["authentication"],
    "proxy": ["authentication"],
    "purecloud": ["moving"],
    "pydantic": ["web"],
    "pytest": ["testing"],
    "pytest-asyncio": ["testing-fastapi"],
    "python versions": ["policy"],
    "quickstart": ["index", "tour"],
    "rate limit": ["pacing"],
    "raw response": ["requests"],
    "reassign": ["updating"],
    "recipes": ["moving"],
    "recurring": ["creating"],
    "redis": ["beyond-one-process"],
    "redshift": ["warehouse"],
    "refresh": ["authentication"],
    "refresh token": ["users"],
    "region": ["authentication"],
    "report": ["cli", "report"],
    "reschedule": ["updating"],
    "respx": ["testing", "testing-fastapi"],
    "resume": ["export", "lists"],
    "retries": ["errors"],
    "retry": ["errors"],
    "retry failed": ["bulk"],
    "saml": ["users"],
    "sandbox": ["cli", "testing"],
    "schedule": ["warehouse"],
    "schedule slots": ["slots"],
    "semantic versioning": ["policy"],
    "semaphore": ["bulk"],
    "server-sent events": ["web"],
    "shared state": ["beyond-one-process"],
    "sign-in": ["users"],
    "snowflake": ["warehouse"],
    "sort": ["lists"],
    "spans": ["observing"],
    "spreadsheet": ["export"],
    "sse": ["web"],
    "ssl": ["authentication"],
    "statistics": ["observing"],
    "streaming": ["bulk", "web", "lists"],
    "sync": ["moving"],
    "synchronous": ["moving"],
    "team": ["people"],
    "teams": ["people", "testing"],
    "testclient": ["testing-fastapi"],
    "threads": ["moving"],
    "throttling": ["pacing"],
    "time zone": ["lists"],
    "timeout": ["deadlines"],
    "timezone": ["lists"],
    "title": ["people"],
    "token of a user": ["testing-fastapi"],
    "token refresh": ["authentication"],
    "tour": ["tour"],
    "trio": ["web"],
    "troubleshooting": ["doctor"],
    "type hints": ["tour", "reference/models", "reference/client", "web"],
    "unread": ["live"],
    "update": ["updating"],
    "upgrade": ["CHANGELOG", "policy"],
    "user id": ["people"],
    "user name": ["people"],
    "user names": ["people", "testing"],
    "user token": ["users"],
    "users": ["people"],
    "uvicorn": ["beyond-one-process"],
    "valkey": ["beyond-one-process"],
    "warehouse": ["warehouse"],
    "web application": ["web"],
    "webhook": ["live"],
    "websocket": ["live"],
    "who": ["people"],
    "workers": ["beyond-one-process"],
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


def test_every_how_to_page_is_searched_for():
    background = {"design", "performance"}

    assert {page.stem for page in (ROOT / "docs").glob("*.md")} - background <= set(chain(*SEARCHES.values()))
