"""The recipes of the page about several processes do what the page says, each with one token for all of its runs."""

import re
import sqlite3
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import anyio
import fastapi
import pytest
import redis.asyncio

from coaching_async import CoachingClient
from coaching_async.integrations.redis import RedisSharedState
from coaching_async.sandbox import Sandbox
from tests.docs.test_pages import CELERY, compiled, is_awaiting
from tests.support.cli import environment
from tests.support.markdown import ROOT, blocks
from tests.support.redis_server import RedisServer

pytestmark = pytest.mark.real_time

PAGE = ROOT / "docs" / "beyond-one-process.md"


@pytest.fixture(scope="module")
def redis_url() -> Iterator[str]:
    with RedisServer() as server:
        yield server.url


@pytest.fixture
def sandbox(monkeypatch: pytest.MonkeyPatch) -> Iterator[Sandbox]:
    with Sandbox(appointments=20, users=2) as sandbox:
        for name, value in environment(sandbox).items():
            monkeypatch.setenv(name, value)
        yield sandbox


@pytest.fixture
def page(redis_url: str, tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """The names that the page defines, without its blocks that call the service."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(sys.modules, "celery", CELERY)
    names: dict[str, Any] = {"__name__": "a_page", "redis_url": redis_url}
    for block in blocks(PAGE, "python"):
        if is_awaiting(block):
            imports = re.findall(r"^(?:from|import) .*$", block.text, re.MULTILINE)
            exec("\n".join(imports), names)
        else:
            exec(compiled(block), names)
    return names


def tokens(sandbox: Sandbox) -> int:
    return sum(request.path == "/oauth/token" for request in sandbox.requests)


def test_celery_tasks_and_lambda_handlers_share_one_token(sandbox: Sandbox, page: dict[str, Any]):
    (user, _) = sandbox.state.user_ids
    found = [
        page["count_appointments"](user),
        page["count_appointments"](user),
        page["handler"]({"user_id": user}, None),
    ]

    assert len(set(found)) == 1
    assert found[0] > 0
    assert tokens(sandbox) == 1


def test_jobs_of_arq_share_the_client_of_their_worker(sandbox: Sandbox, page: dict[str, Any], redis_url: str):
    settings = page["WorkerSettings"]

    async def work() -> list[int]:
        async with redis.asyncio.Redis.from_url(redis_url) as queue:
            context: dict[str, Any] = {"redis": queue}
            await settings.on_startup(context)
            (job,) = settings.functions
            counts = [await job(context, user) for user in sandbox.state.user_ids]
            await settings.on_shutdown(context)
            assert await queue.ping()  # it is the worker's
            return counts

    assert sum(anyio.run(work)) >= 20
    assert tokens(sandbox) == 1


def test_the_lifespan_with_redis_opens_a_client_that_shares(sandbox: Sandbox, page: dict[str, Any]):
    async def live() -> None:
        async with page["redis_lifespan"](page["app"]) as state:
            (views,) = state.values()
            await views.client.warmup()
            assert await views.client.sharing() is not None

    assert isinstance(page["app"], fastapi.FastAPI)
    for _ in range(2):
        anyio.run(live)
    assert tokens(sandbox) == 1


class Pool:
    """A pool of asyncpg, over SQLite: the same statements, apart from the clock, and the same answers."""

    def __init__(self, database: sqlite3.Connection) -> None:
        self.database = database
        database.create_function("clock_timestamp", 0, time.time)

    def _run(self, statement: str, *arguments: str) -> sqlite3.Cursor:
        statement = statement.replace("extract(epoch FROM clock_timestamp())::float8", "clock_timestamp()")
        return self.database.execute(re.sub(r"\$(\d)", r"?\1", statement), arguments)

    async def fetchrow(self, statement: str, *arguments: str) -> Any:
        return self._run(statement, *arguments).fetchone()

    async def execute(self, statement: str, *arguments: str) -> str:
        verb, count = statement.split()[0], self._run(statement, *arguments).rowcount
        return f"{verb} 0 {count}" if verb == "INSERT" else f"{verb} {count}"


def test_the_shared_state_in_postgresql_is_one(sandbox: Sandbox, page: dict[str, Any]):
    state = page["PostgresSharedState"]
    (table,) = re.findall(r"CREATE UNLOGGED (TABLE .*)", state.__doc__)

    async def use(database: sqlite3.Connection) -> None:
        database.execute(f"CREATE {table}")
        shared = state(Pool(database))
        assert (await shared.load("a"))[0] is None
        assert await shared.swap("a", None, "1", 60.0)
        assert not await shared.swap("a", None, "2", 60.0)
        assert not await shared.swap("a", "2", "3", 60.0)
        assert await shared.swap("a", "1", "2", 60.0)
        assert (await shared.load("a"))[0] == "2"
        for _ in range(2):
            async with CoachingClient.from_env(shared_state=shared) as client:
                await client.appointments.list(sandbox.state.user_ids).first()
                assert client.stats().shared_state_lost == 0

    with closing(sqlite3.connect(":memory:", isolation_level=None)) as database:
        anyio.run(use, database)
    assert tokens(sandbox) == 1


def test_a_user_of_redis_needs_the_four_commands_that_the_page_names(redis_url: str):
    (rule,) = re.findall(r"`ACL SETUSER coaching on >password (.*?)`", " ".join(PAGE.read_text().split()))

    async def use() -> None:
        async with redis.asyncio.Redis.from_url(redis_url) as admin:
            await admin.execute_command("ACL", "SETUSER", "coaching", "reset", "on", ">password", *rule.split())
        restricted = redis_url.replace("//", "//coaching:password@")
        async with redis.asyncio.Redis.from_url(restricted) as client:
            shared = RedisSharedState(client)
            assert await shared.swap("a", None, "1", 60.0)
            assert (await shared.load("a"))[0] == "1"
            with pytest.raises(redis.exceptions.NoPermissionError):
                await client.get("the-key-of-another-application")

    anyio.run(use)
