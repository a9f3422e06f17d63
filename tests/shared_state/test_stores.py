"""What every `SharedState` promises: those of the library, and one of a user's own."""

import sqlite3
import sys
import time
from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path

import anyio
import pytest

from coaching_async import SharedState
from coaching_async.testing import MemorySharedState
from tests.support.counting import COUNTER, count, opened
from tests.support.effort import FULL
from tests.support.redis_server import RedisServer

pytestmark = [pytest.mark.anyio, pytest.mark.real_time]

BOTH = ("asyncio", "trio")
STORES = [
    *((kind, backend) for kind in ("memory", "file", "own", "coredis") for backend in BOTH),
    ("redis", "asyncio"),
    ("valkey", "asyncio"),
]


class OwnSharedState:
    """What users write for a database of theirs: one statement for each operation, with the clock of the database."""

    def __init__(self, database: sqlite3.Connection) -> None:
        self._database = database
        database.execute("CREATE TABLE texts (name PRIMARY KEY, text, keep_until)")

    async def load(self, name: str) -> tuple[str | None, float]:
        kept = f"SELECT text FROM texts WHERE name = ? AND keep_until > {NOW}"
        return self._database.execute(f"SELECT ({kept}), {NOW}", (name,)).fetchone()

    async def swap(self, name: str, old: str | None, new: str, keep: float) -> bool:
        replace = f"UPDATE texts SET text = :new, keep_until = {NOW} + :keep WHERE name = :name AND text = :old AND keep_until > {NOW}"
        insert = (
            f"INSERT INTO texts VALUES (:name, :new, {NOW} + :keep) ON CONFLICT (name) DO UPDATE "
            f"SET text = excluded.text, keep_until = excluded.keep_until WHERE texts.keep_until <= {NOW}"
        )
        values = {"name": name, "old": old, "new": new, "keep": keep}
        return self._database.execute(insert if old is None else replace, values).rowcount == 1


NOW = "((julianday('now') - 2440587.5) * 86400)"


@pytest.fixture
async def state(kind: str, tmp_path: Path, request: pytest.FixtureRequest) -> AsyncIterator[SharedState]:
    match kind:
        case "memory":
            yield MemorySharedState(latency=0.001)
        case "own":
            with closing(sqlite3.connect(tmp_path / "own", isolation_level=None)) as database:
                yield OwnSharedState(database)
        case "file":
            async with opened(kind, str(tmp_path / "state")) as state:
                yield state
        case _:
            server: RedisServer = request.getfixturevalue("redis_server")
            server.command("FLUSHALL")
            async with opened(kind, server.url) as state:
                yield state


of_each_store = pytest.mark.parametrize(
    "kind, anyio_backend", [pytest.param(kind, (backend, {}), id=f"{kind}-{backend}") for kind, backend in STORES]
)


@of_each_store
async def test_a_text_is_swapped_only_for_the_one_that_is_there(state: SharedState):
    assert (await state.load("a"))[0] is None
    assert await state.swap("a", "none", "1", 60) is False
    assert await state.swap("a", None, "1", 60) is True
    assert await state.swap("a", None, "2", 60) is False
    assert await state.swap("a", "2", "3", 60) is False
    assert (await state.load("a"))[0] == "1"
    assert (await state.load("b"))[0] is None
    assert await state.swap("a", "1", "1", 60) is True
    assert await state.swap("a", "1", "", 60) is True
    assert await state.swap("a", None, "2", 60) is False
    assert (await state.load("a"))[0] == ""


@of_each_store
async def test_a_text_is_what_was_written_whatever_is_in_it(state: SharedState):
    old = None
    for text in ('{"ä": "日本 😀"}', "a\x00b", "'; --", "x" * 100_000):
        assert await state.swap("a/b c:ü", old, text, 60)
        assert (await state.load("a/b c:ü"))[0] == text
        old = text


@of_each_store
async def test_a_text_is_gone_after_it_was_to_be_kept(state: SharedState):
    await state.swap("a", None, "1", 0.02)
    await state.swap("b", None, "1", 600)
    await anyio.sleep(0.1)

    assert (await state.load("a"))[0] is None
    assert await state.swap("a", "1", "2", 60) is False
    assert await state.swap("a", None, "3", 600) is True
    assert (await state.load("a"))[0] == "3"
    assert (await state.load("b"))[0] == "1"


@of_each_store
async def test_the_last_swap_says_how_long_a_text_is_kept(state: SharedState):
    await state.swap("a", None, "1", 600)
    await state.swap("a", "1", "2", 0.02)
    await anyio.sleep(0.1)

    assert (await state.load("a"))[0] is None


@of_each_store
async def test_the_clock_goes_as_fast_as_that_of_the_process(state: SharedState):
    begin = time.monotonic()
    first = (await state.load("a"))[1]
    asked_at = time.monotonic()
    await anyio.sleep(0.05)
    answered_at = time.monotonic()
    last = (await state.load("b"))[1]
    end = time.monotonic()

    assert answered_at - asked_at - 0.01 <= last - first <= end - begin + 0.01


@of_each_store
async def test_of_tasks_that_count_at_once_none_loses_a_swap(state: SharedState):
    async with anyio.create_task_group() as tasks:
        for _ in range(3):
            tasks.start_soon(count, state, 5)

    assert (await state.load(COUNTER))[0] == "15"


@pytest.mark.parametrize(
    "kind, processes",
    [
        ("file", ["file/asyncio", "file/trio", "file/asyncio", "file/trio"]),
        ("redis", ["coredis/asyncio", "coredis/trio", "redis/asyncio", "valkey/asyncio"]),
    ],
    ids=["file", "redis"],
)
@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_of_processes_that_count_at_once_none_loses_a_swap(
    state: SharedState, kind: str, processes: list[str], tmp_path: Path, request: pytest.FixtureRequest
):
    address = str(tmp_path / "state") if kind == "file" else request.getfixturevalue("redis_server").url
    swaps = 1000 if FULL else 25

    await anyio.run_process([sys.executable, "-m", "tests.support.counting", str(swaps), address, *processes])

    assert (await state.load(COUNTER))[0] == str(4 * swaps)
