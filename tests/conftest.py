"""Fixtures of all tests: both backends, and a virtual clock that jumps instead of waiting."""

import asyncio
import functools
import gc
import inspect
import json
import os
import selectors
import signal
from collections.abc import Callable, Generator, Iterator
from datetime import date
from pathlib import Path
from typing import Any

import httpx
import pytest
from httpx._transports import default
from hypothesis import HealthCheck, settings
from trio.testing import MockClock

from benchmarks import environments
from coaching_async._transport import http_client
from coaching_async.sandbox import _sandbox
from tests.support.contract import Witness, witnessing
from tests.support.dlt_settings import HAS_DLT
from tests.support.excerpts import excerpt
from tests.support.fault_server import HANG
from tests.support.official_sdk.everyday import Official, official
from tests.support.redis_server import RedisServer

DATA = Path(__file__).parent / "data"

# A shell's background job ignores SIGINT, and its children inherit that. With this handler, here and in the children of
# the tests, Ctrl-C does what it does in a terminal.
signal.signal(signal.SIGINT, signal.default_int_handler)

# Sandboxes of all tests, and of the documentation, that name no day of their own: what a test finds in their data must not
# depend on the day of its run.
TODAY = date(2026, 11, 23)
_sandbox._today = lambda: TODAY

# dlt reports to its makers what is done with it, unless it reads this when it is imported.
os.environ["RUNTIME__DLTHUB_TELEMETRY"] = "false"

if not HAS_DLT:
    collect_ignore_glob = ["integrations/test_dlt*.py"]

settings.register_profile("calm", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("calm")


def pytest_collection_finish() -> None:
    """Take what is alive before the first test out of garbage collection: thousands of tests make each one take long."""
    gc.collect()
    gc.freeze()


def pytest_report_teststatus(report: pytest.TestReport, config: pytest.Config) -> tuple[str, str, str] | None:
    """Print no letter under `-q` for a test that passes or is skipped: thousands would be half of the log of `make test`."""
    if config.get_verbosity() >= 0 or report.failed or (report.when != "call" and not report.skipped):
        return None
    return report.outcome, "", report.outcome.upper()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Shorten what a failing test has printed: a server that is stopped in the middle prints fifty tracebacks."""
    report = yield
    report.sections = [(title, excerpt(text)) for title, text in report.sections]
    return report


# httpx waits for 5 s unless it is told otherwise. On a busy machine a server of the tests may take longer.
PATIENT = inspect.signature(httpx.Client).parameters["timeout"].default
PATIENT.connect = PATIENT.read = PATIENT.write = PATIENT.pool = 120.0


# httpx reads all certificates of certifi again for each of its clients, which takes longer than most tests.
default.create_ssl_context = functools.cache(default.create_ssl_context)


class JumpingSelector(selectors.DefaultSelector):
    """Sets the time to that of the next timer where the event loop would sleep until then."""

    now = 0.0

    def select(self, timeout: float | None = None) -> Any:
        ready = super().select(0 if timeout else timeout)
        if not ready and timeout:
            self.now += timeout
        return ready


class VirtualLoop(asyncio.SelectorEventLoop):
    """An event loop with a virtual clock: asyncio's counterpart of trio's MockClock."""

    def __init__(self) -> None:
        self._jumping = JumpingSelector()
        super().__init__(self._jumping)

    def time(self) -> float:
        return self._jumping.now


@pytest.fixture(scope="session")
def witness() -> Iterator[Witness]:
    with witnessing() as witness:
        yield witness
        witness.judge()


@pytest.fixture(autouse=True)
def each_response_of_a_sandbox_is_valid_under_the_contract(witness: Witness) -> Iterator[None]:
    yield
    witness.judge()


@pytest.fixture(scope="session")
def sdk_python() -> Path:
    return environments.official_sdk()


@pytest.fixture(scope="session")
def official_sdk(sdk_python: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Official]:
    with official(sdk_python, tmp_path_factory.mktemp("home")) as official_sdk:
        yield official_sdk


@pytest.fixture(scope="session")
def redis_server() -> Iterator[RedisServer]:
    """Return a Redis that all tests use; those that disturb it start one of their own."""
    with RedisServer() as server:
        yield server


@pytest.fixture(params=["asyncio", "trio"])
def anyio_backend(request: pytest.FixtureRequest) -> tuple[str, dict[str, Any]]:
    """Both backends, on a virtual clock, or on the real one for tests marked `real_time`, which use sockets."""
    if request.node.get_closest_marker("real_time"):
        return request.param, {}
    if request.param == "trio":
        return "trio", {"clock": MockClock(autojump_threshold=0)}
    return "asyncio", {"loop_factory": VirtualLoop}


@pytest.fixture
def idle_connections_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a busy machine a connection that is needed again would have been idle for too long."""
    monkeypatch.setattr(http_client, "KEEPALIVE_EXPIRY", 10 * HANG)


@pytest.fixture
def example() -> Callable[[str], Any]:
    """Return a function that reads an example response of the contract by its file name."""
    return lambda name: json.loads((DATA / "examples" / f"{name}.json").read_text())
