"""However a run of dlt ends, its client is closed, and the next run loads what is missing."""

import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import anyio
import dlt
import pytest
from dlt.pipeline.exceptions import PipelineStepFailed

from coaching_async import Forbidden
from coaching_async.integrations.dlt import coaching
from coaching_async.integrations.dlt._tasks import Put, TaskIterator
from coaching_async.sandbox import Fault, Sandbox
from coaching_async.testing import assert_no_leaks
from tests.support.dlt_settings import surroundings
from tests.support.fault_server import HANG
from tests.support.warehouse import Clients, Warehouse, running


@pytest.fixture(autouse=True)
def kept_in_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in surroundings(tmp_path).items():
        monkeypatch.setenv(name, value)


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    with Sandbox(appointments=40, users=3, page_cap=10) as sandbox:
        yield sandbox


@pytest.fixture
def warehouse(tmp_path: Path) -> Warehouse:
    return Warehouse(tmp_path)


def tokens(sandbox: Sandbox) -> int:
    return sum(arrival.path == "/oauth/token" for arrival in sandbox.requests)


def ended(failure: Callable[[], Any]) -> list[str]:
    """Return what a task notes whose run is ended by the failure of another resource while a step waits for it."""
    notes: list[str] = []
    is_waiting = threading.Event()

    async def work(put: Put[dict[str, int]]) -> None:
        try:
            await put({"id": 1})
            is_waiting.set()
            await anyio.sleep(HANG)
        finally:
            with anyio.CancelScope(shield=True):
                for _ in range(10):
                    await anyio.sleep(0.01)
            notes.append("closed")

    def other() -> Iterator[Any]:
        is_waiting.wait(HANG)
        yield failure()

    with pytest.raises(PipelineStepFailed):
        dlt.pipeline("ends").extract(
            [dlt.resource(lambda: TaskIterator(work), name="a"), dlt.resource(other, name="b")]
        )
    return notes


@pytest.mark.parametrize("error", [RuntimeError("failed"), KeyboardInterrupt()], ids=repr)
def test_a_task_finishes_its_cleanup_when_the_pipeline_fails_during_a_step(
    error: BaseException, caplog: pytest.LogCaptureFixture
):
    def fail() -> None:
        raise error

    assert ended(fail) == ["closed"]
    assert not [record for record in caplog.records if record.name == "asyncio"]


def test_a_run_has_one_client_and_one_token_and_leaves_nothing_open(sandbox: Sandbox, warehouse: Warehouse):
    clients = Clients(sandbox)

    with assert_no_leaks():
        warehouse.pipeline.extract(
            coaching(sandbox.state.user_ids, client=clients, with_statuses=True, with_users=True)
        )

    assert (len(clients.made), tokens(sandbox)) == (1, 1)


def test_a_run_that_the_service_refuses_fails_with_that_error_and_begins_again_when_it_is_repeated(
    sandbox: Sandbox, warehouse: Warehouse
):
    clients = Clients(sandbox)
    sandbox.faults.add(Fault("status", path="appointments", after=2, status=403))

    with assert_no_leaks(), pytest.raises(PipelineStepFailed) as failed:
        warehouse.pipeline.extract(coaching(sandbox.state.user_ids, client=clients))
    before = len(sandbox.requests)
    warehouse.pipeline.extract(coaching(sandbox.state.user_ids, client=clients))

    assert isinstance(failed.value.__cause__.__cause__, Forbidden)
    assert [arrival.path for arrival in sandbox.requests[before:]].count("/api/v2/coaching/appointments") == 4
    assert (len(clients.made), tokens(sandbox)) == (2, 2)


@pytest.mark.parametrize("error", [RuntimeError("failed"), KeyboardInterrupt()], ids=repr)
def test_the_client_is_closed_when_another_resource_fails_during_a_request(
    error: BaseException, sandbox: Sandbox, warehouse: Warehouse, caplog: pytest.LogCaptureFixture
):
    sandbox.faults.add(Fault("stall", path="appointments", after=1))

    def other() -> Iterator[Any]:
        while len(sandbox.requests) < 3:
            yield {"id": 1}
        raise error

    source = coaching(sandbox.state.user_ids, client=Clients(sandbox))
    source.resources.add(dlt.resource(other, name="other"))
    with assert_no_leaks(), pytest.raises(PipelineStepFailed):
        warehouse.pipeline.extract(source)

    assert not caplog.records


def test_the_client_is_closed_when_a_row_is_refused_between_two_requests(sandbox: Sandbox, warehouse: Warehouse):
    source = coaching(sandbox.state.user_ids, client=Clients(sandbox))
    source.resources["appointments"].add_map(lambda row: row["no such column"])

    with assert_no_leaks(), pytest.raises(PipelineStepFailed):
        warehouse.pipeline.extract(source)


def test_a_run_that_was_killed_is_repeated_and_loads_all(sandbox: Sandbox, tmp_path: Path):
    users = list(sandbox.state.user_ids)
    sandbox.faults.add(Fault("stall", path="appointments", after=2))

    with running(sandbox, tmp_path, users) as process:
        while len(sandbox.requests) < 4:
            assert process.poll() is None
            time.sleep(0.01)
    warehouse = Warehouse(tmp_path)
    warehouse.run(coaching(users, client=Clients(sandbox)))

    assert warehouse.column("select id from appointments") == sorted(sandbox.state.appointments)
