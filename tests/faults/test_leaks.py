"""Rows 103 to 106: failures leave nothing behind, and the import has no side effects."""

import contextlib
import gc
import itertools
import json
import logging
import os
import socket
import subprocess
import sys
import tracemalloc
import warnings
from collections import Counter
from collections.abc import Callable
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import anyio
import anyio.lowlevel
import pytest

import coaching_async
from coaching_async import (
    CoachingClient,
    DeadlineExceeded,
    DecodeError,
    NotFound,
    OutcomeUnknown,
    RateLimit,
    RateLimited,
    ServerError,
    TransportError,
)
from coaching_async._transport.retry_policy import RetryBudget
from tests.faults.conftest import row_105_nothing_is_left_behind
from tests.faults.support import ANNOTATION, APPOINTMENT, client_to, eventually
from tests.support.cancelling import assert_nothing_is_held
from tests.support.doubles import http_of, pipeline_of
from tests.support.effort import FULL, on_one_backend
from tests.support.fault_server import HANG, Conversation, FaultServer, ok, tasks_now

pytestmark = pytest.mark.anyio

# 103

CALLS = 2_000 if FULL else 200
WARM_UP = 200
LEAK = 500
"""Bytes a call that are more than noise."""
AT_ONCE = 10


class Moody:
    """A service whose response depends on the requested id."""

    def __init__(self) -> None:
        self._asked: Counter[str] = Counter()
        self.arrived: set[str] = set()

    def __call__(self, conversation: Conversation) -> None:
        while (request := conversation.request()) is not None:
            id_ = request.target.split("?")[0].split("/")[5]
            mood, _, number = id_.partition("-")
            if mood == "held":
                self.arrived.add(id_)
            first = self._asked.pop(number, 0) == 0
            match mood:
                case "missing":
                    conversation.answer({"code": "not.found", "message": "m"}, 404)
                case "unavailable" if first:
                    self._asked[number] = 1
                    conversation.answer({"code": "unavailable"}, 503)
                case "throttled" if first:
                    self._asked[number] = 1
                    conversation.answer({}, 429, retry_after="0")
                case "cut":
                    return
                case "reset":
                    conversation.reset()
                    return
                case "half":
                    conversation.send(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{")
                    return
                case "slow" | "held":
                    conversation.read(1)  # until the client hangs up
                    return
                case "garbled":
                    conversation.send(b"\x00\x01 nonsense\r\n\r\n")
                    return
                case "hollow":
                    conversation.answer({"name": "no id"})
                case _:
                    conversation.answer(ANNOTATION if "annotations" in request.target else APPOINTMENT)


MOODS: dict[str, tuple[type[Exception] | None, ...]] = {
    "ok": (None,),
    "missing": (NotFound,),
    "unavailable": (None, ServerError),  # the retry budget may be spent
    "throttled": (None,),
    "cut": (TransportError,),
    "reset": (TransportError,),
    "half": (TransportError,),
    "slow": (DeadlineExceeded, RateLimited),  # the latter if its deadline passes during a cooldown
    "garbled": (TransportError,),
    "hollow": (DecodeError,),
    "cut write": (OutcomeUnknown,),
    "slow write": (OutcomeUnknown, DeadlineExceeded, RateLimited),  # depends on whether it was sent in time
    "cancelled": (None,),
    "cancelled write": (None,),
}


async def cancelled_in_flight(call: Callable[[], Any], has_arrived: Callable[[], bool]) -> None:
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(call)
        await eventually(has_arrived)
        tasks.cancel_scope.cancel()


async def one(client: CoachingClient, moody: Moody, mood: str, number: int) -> str:
    kind, _, use = mood.partition(" ")
    if kind == "slow":
        client = client.with_options(timeout=0.01)
    id_ = f"{'held' if kind == 'cancelled' else kind}-{number}"
    outcome: type[Exception] | None = None
    try:
        call = partial(client.annotations.update, id_, "2", "t") if use else partial(client.appointments.get, id_)
        if kind == "cancelled":
            await cancelled_in_flight(call, lambda: id_ in moody.arrived)
        else:
            await call()
    except coaching_async.CoachingError as error:
        outcome = type(error)
    assert outcome in MOODS[mood], (mood, outcome)
    return f"{mood}: {outcome.__name__ if outcome else 'done'}"


def descriptors() -> Counter[str]:
    """Count open files by kind, because the kernel chooses their numbers."""
    kinds = Counter[str]()
    for each in Path("/proc/self/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):
            kinds[str(each.readlink()).split(":")[0]] += 1
    return kinds


def traced() -> int:
    """Return the allocated bytes, without those of coverage, which keeps data of each thread of the server."""
    held = tracemalloc.take_snapshot().filter_traces([tracemalloc.Filter(False, "*coverage*")])
    return sum(statistic.size for statistic in held.statistics("filename"))


def forget(server: FaultServer) -> None:
    """Clear the records of the test's own server, which are no leak of the client."""
    server.requests.clear()
    server._threads[:] = [thread for thread in server._threads if thread.is_alive()]


@pytest.mark.real_time
@on_one_backend
async def test_row_103_after_many_failed_calls_nothing_has_grown(caplog: pytest.LogCaptureFixture):
    caplog.set_level(logging.CRITICAL)
    numbers = itertools.count()
    outcomes = Counter[str]()
    moody = Moody()
    with FaultServer(moody) as server:
        async with client_to(server.url, rate_limit=RateLimit(10**6, per=0.1), max_concurrency=AT_ONCE) as client:

            async def worker(moods: Any) -> None:
                for mood in moods:
                    outcomes[await one(client, moody, mood, next(numbers))] += 1

            async def calls(count: int) -> None:
                pipeline_of(client).retry_budget.left = RetryBudget.FULL
                moods = iter(list(itertools.islice(itertools.cycle(MOODS), count)))
                async with anyio.create_task_group() as tasks:
                    for _ in range(AT_ONCE):
                        tasks.start_soon(worker, moods)

            async def settled() -> tuple[Counter[str], int]:
                """Close all connections, because their number varies, and return what is left."""
                assert_nothing_is_held(client, AT_ONCE)
                pool = http_of(client)._transport._pool
                for connection in pool.connections:
                    await connection.aclose()
                pool._connections.clear()
                await anyio.to_thread.run_sync(server.wait_until, lambda: not server.open)
                await anyio.to_thread.run_sync(
                    server.wait_until, lambda: sum(thread.is_alive() for thread in server._threads) == 1
                )
                forget(server)
                moody.arrived.clear()
                gc.collect()
                return descriptors(), tasks_now()

            await calls(WARM_UP)
            before = await settled()
            outcomes.clear()
            tracemalloc.start()
            sizes: list[int] = []
            try:
                for _ in range(4):
                    await calls(CALLS // 4)
                    after = await settled()
                    sizes.append(traced())
            finally:
                tracemalloc.stop()

    assert after == before
    # A leak with each call grows in every quarter. What grows in one only is a cache, or the server's threads.
    assert min(later - earlier for earlier, later in pairwise(sizes)) < LEAK * CALLS // 4, sizes
    assert gc.garbage == []
    assert outcomes.total() == CALLS
    assert {outcome.partition(":")[0] for outcome in outcomes} == set(MOODS)
    assert outcomes["unavailable: done"], "there was no retry"
    assert outcomes["cancelled: done"] == outcomes["cancelled write: done"] > 0, "each was cancelled in flight"


# 104


@pytest.mark.real_time
async def test_row_104_a_client_that_is_dropped_unclosed_closes_its_connections_and_warns():
    with FaultServer(ok(APPOINTMENT)) as server, warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        gc.collect()
        before = descriptors()
        client: CoachingClient | None = client_to(server.url)
        assert client is not None
        async with anyio.create_task_group() as tasks:
            for _ in range(3):
                tasks.start_soon(client.appointments.get, "1")
        assert server.open == 3
        del client, tasks
        gc.collect()
        await anyio.lowlevel.checkpoint()
        gc.collect()
        await anyio.to_thread.run_sync(server.wait_until, lambda: not server.open)
        await anyio.to_thread.run_sync(
            server.wait_until, lambda: sum(thread.is_alive() for thread in server._threads) == 1
        )

        assert descriptors() == before
    ours = [each for each in caught if "CoachingClient" in str(each.message)]
    assert [our.category for our in ours] == [ResourceWarning]
    assert "was dropped without being closed" in str(ours[0].message)


# 105

nothing_is_left: Callable[[object], Any] = contextlib.asynccontextmanager(row_105_nothing_is_left_behind.__wrapped__)  # type: ignore[attr-defined]


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tests.faults.conftest.PATIENCE", 0.05)


async def test_row_105_finds_a_leaked_socket(impatient: None):
    with contextlib.ExitStack() as held, pytest.raises(AssertionError, match=r"left behind: .*socket"):
        async with nothing_is_left(None):
            held.enter_context(socket.socket())


async def test_row_105_finds_a_leaked_task(impatient: None):
    async with anyio.create_task_group() as outer:
        with pytest.raises(AssertionError):
            async with nothing_is_left(None):
                outer.start_soon(anyio.sleep_forever)
        outer.cancel_scope.cancel()


async def test_row_105_finds_nothing_if_nothing_is_leaked(impatient: None):
    async with nothing_is_left(None):
        with socket.socket():
            pass
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(anyio.lowlevel.checkpoint)


# 106

CONFIG = (".netrc", ".env", ".genesyscloudpython/config", ".config/coaching_async/config.toml", ".aws/config")

IMPORTING = """
import json, logging, os, sys, threading

opened, asked = [], []
package = os.path.dirname(sys.argv[1])

class Watched(type(os.environ)):
    def __getitem__(self, key):
        asked.append(key)
        return super().__getitem__(key)

    def __iter__(self):
        asked.append("all of it")
        return super().__iter__()

os.environ.__class__ = Watched

def hook(event, args):
    if event == "open" and isinstance(args[0], (str, bytes, os.PathLike)):
        opened.append(os.fsdecode(args[0]))

def state():
    loggers = [logging.getLogger(name) for name in (None, "httpx", "httpcore", "coaching_async")]
    return [(each.name, each.level, each.disabled, each.propagate, len(each.handlers)) for each in loggers]

before, disabled = state(), logging.root.manager.disable
sys.addaudithook(hook)
sys.path.insert(0, package)
import coaching_async
assert os.path.samefile(os.path.dirname(coaching_async.__file__), sys.argv[1])
said = {
    "opened": opened[:],
    "asked": asked[:],
    "loggers unchanged": state() == before and logging.root.manager.disable == disabled,
    "threads": threading.active_count(),
    "kernel threads": len(os.listdir("/proc/self/task")) if os.path.isdir("/proc/self/task") else 1,
    "ours and httpx": ["coaching_async" in sys.modules, "httpx" in sys.modules],
    "prefixes": [sys.prefix, sys.base_prefix, sys.argv[1]],
    "event loop": "asyncio" in sys.modules,
}
os.environ.get("HTTPS_PROXY"), os.getenv("GENESYSCLOUD_REGION"), open(os.devnull).close()
said["watched"] = [asked[-2:], opened[-1]]
print(json.dumps(said))
"""


def test_row_106_the_import_reads_no_configuration_and_starts_nothing(tmp_path: Path):
    for name in CONFIG:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("host = evil.test\n")
    names = ("GENESYSCLOUD_REGION", "GENESYSCLOUD_ACCESS_TOKEN", "HTTPS_PROXY", "HTTP_PROXY", "ALL_PROXY")
    environment = {"HOME": str(tmp_path), "PATH": os.environ["PATH"]} | dict.fromkeys(names, "http://evil.test")
    package = str(Path(coaching_async.__file__).parent)

    ran = subprocess.run(
        [sys.executable, "-W", "error", "-c", IMPORTING, package],
        env=environment,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=HANG,
        check=False,
    )

    assert (ran.returncode, ran.stderr) == (0, "")
    said = json.loads(ran.stdout)
    assert said["watched"] == [["HTTPS_PROXY", "GENESYSCLOUD_REGION"], os.devnull], "the watch is blind"
    installed = tuple(str(Path(prefix).resolve()) + os.sep for prefix in said["prefixes"])
    strange = [each for each in said["opened"] if not str(Path(tmp_path, each).resolve()).startswith(installed)]
    assert said["opened"]
    assert strange == []
    assert "all of it" not in said["asked"]
    read = [each for each in said["asked"] if each.upper().startswith("GENESYS") or each.upper().endswith("_PROXY")]
    assert read == []
    assert said["loggers unchanged"]
    assert (said["threads"], said["kernel threads"]) == (1, 1)
    assert said["ours and httpx"] == [True, True]
    assert sorted(str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path.is_file()) == sorted(CONFIG)
