"""The search terms of a page are in one of its headings or first paragraphs."""

import re
from itertools import takewhile

import pytest

from tests.support.markdown import FENCED, ROOT

DOCS = ROOT / "docs"

WORDS = {
    "authentication.md": [
        "authenticate",
        "certificate",
        "client certificates",
        "credentials",
        "login",
        "OAuth client",
        "permissions",
        "proxies",
        "proxy",
        "refresh",
        "region",
        "token refresh",
    ],
    "beyond-one-process.md": [
        "429 Too Many Requests",
        "arq",
        "Celery",
        "gunicorn",
        "Kubernetes",
        "Lambda",
        "one token",
        "pods",
        "PostgreSQL",
        "processes",
        "rate limit",
        "Redis",
        "shared state",
        "uvicorn",
        "Valkey",
        "workers",
    ],
    "bulk.md": ["backpressure", "bulk", "concurrency limit", "concurrently", "retry failed", "streaming"],
    "cli.md": ["command line", "create", "export", "report", "sandbox"],
    "creating.md": [
        "bulk create",
        "create many",
        "CSV import",
        "duplicates",
        "idempotency key",
        "idempotent",
        "import a CSV",
        "no duplicates",
    ],
    "deadlines.md": ["asyncio.timeout", "cancellation", "deadline", "event loop", "timeout"],
    "doctor.md": ["diagnose", "permissions", "probe", "troubleshooting"],
    "errors.md": [
        "attempts",
        "backoff",
        "circuit breaker",
        "duplicates",
        "exceptions",
        "idempotency",
        "idempotent",
        "jitter",
        "retries",
        "retry",
    ],
    "export.md": [
        "coaching appointment",
        "columns",
        "CSV",
        "Excel",
        "export",
        "JSON lines",
        "LibreOffice",
        "names",
        "Parquet",
        "resume",
        "spreadsheet",
    ],
    "frames.md": ["DataFrame", "DuckDB", "Excel", "Jupyter", "notebook", "pandas", "Parquet", "polars"],
    "lists.md": [
        "coaching appointment",
        "cursor",
        "DataFrame",
        "duplicates",
        "filters",
        "iterator",
        "Jupyter",
        "notebook",
        "offset",
        "page",
        "pagination",
        "pandas",
        "prefetch",
        "resume",
        "time zone",
        "timezone",
    ],
    "moving.md": ["migrate", "recipes", "synchronous", "threads"],
    "policy.md": ["dependencies", "deprecation", "httpx2", "Python versions", "semantic versioning", "upgrade"],
    "observing.md": ["events", "logging", "logs", "metrics", "observability", "OpenTelemetry", "spans", "statistics"],
    "pacing.md": ["429", "concurrency", "cooldown", "priority", "rate limit", "throttling"],
    "people.md": [
        "e-mail",
        "e-mail address",
        "manager",
        "names",
        "teams",
        "title",
        "user id",
        "user names",
        "users",
        "who",
    ],
    "live.md": ["at least once", "cursor", "iterator", "mark all as read", "notification", "webhook", "WebSocket"],
    "report.md": ["chart", "completion rate", "dashboard", "HTML", "overdue", "report"],
    "requests.md": ["headers", "other endpoints", "pagination", "raw response"],
    "slots.md": ["aggregates", "count", "free time", "schedule slots"],
    "testing.md": [
        "docker",
        "factories",
        "faults",
        "fixture",
        "mock",
        "notification channels",
        "pytest",
        "respx",
        "sandbox",
        "teams",
        "user names",
        "WebSocket",
    ],
    "testing-fastapi.md": [
        "aiohttp",
        "ASGITransport",
        "FastAPI",
        "pytest-asyncio",
        "respx",
        "TestClient",
        "token of a user",
    ],
    "tour.md": ["ipython", "jupyter", "quickstart", "tour"],
    "updating.md": [
        "202",
        "clear",
        "create",
        "delete",
        "idempotent",
        "move",
        "partial updates",
        "reassign",
        "reschedule",
        "update",
    ],
    "users.md": ["OAuth", "PKCE", "refresh token", "SAML", "sign-in", "user token"],
    "warehouse.md": [
        "Airflow",
        "BigQuery",
        "cron",
        "data lake",
        "Databricks",
        "dbt",
        "deletions",
        "deleted",
        "dlt",
        "DuckDB",
        "incremental load",
        "lookback window",
        "Parquet",
        "Postgres",
        "Redshift",
        "schedule",
        "Snowflake",
        "warehouse",
    ],
    "web.md": [
        "aiohttp",
        "FastAPI",
        "fan out",
        "lifespan",
        "pydantic",
        "server-sent events",
        "SSE",
        "streaming",
        "trio",
        "web application",
    ],
}
"""The terms that readers search for, by page."""


def searched(page: str) -> str:
    """Return the headings of a page, and the first paragraph below each."""
    text = FENCED.sub("", (DOCS / page).read_text())
    sections = re.split(r"^(?=#+ )", text, flags=re.MULTILINE)
    shown: list[str] = []
    for section in sections:
        heading, _, rest = section.partition("\n")
        shown += [heading, *takewhile(str.strip, rest.strip().splitlines())]
    return " ".join(" ".join(shown).split()).casefold()


@pytest.mark.parametrize("page", WORDS)
def test_the_search_terms_of_a_page_are_in_its_headings_or_first_paragraphs(page: str):
    text = searched(page)

    assert [word for word in WORDS[page] if word.casefold() not in text] == []


def test_every_how_to_page_has_search_terms():
    background = {"design.md", "performance.md"}

    assert {page.name for page in DOCS.glob("*.md")} - background == WORDS.keys()
