"""A cluster of Dask whose workers are processes, and an organization to export from."""

import os
import random
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import attrs
import dask
import pytest
from distributed import Client, LocalCluster

from coaching_async import CoachingClient, FileSharedState, Interval
from coaching_async.export import Exported
from coaching_async.integrations.dask import export_shards, submit_shards
from coaching_async.sandbox import Sandbox
from tests.support.cli import environment
from tests.support.export import ids
from tests.support.fault_server import HANG


@attrs.define
class Fleet:
    """A sandbox, and a cluster whose workers know it."""

    sandbox: Sandbox
    dask: Client
    cluster: LocalCluster
    shards: int

    def whole(self) -> Interval:
        """Return the time of all appointments."""
        starts = sorted(each["dateStart"][:10] for each in self.sandbox.state.appointments.values())
        return Interval.parse(f"{starts[0]}/{starts[-1]}")

    def export(self, folder: Path, **how: Any) -> list[Exported]:
        return export_shards(self.dask, self.sandbox.state.user_ids, folder, **self._options(how))

    def submit(self, dask: Any, folder: Path, **how: Any) -> list[Any]:
        return submit_shards(dask, self.sandbox.state.user_ids, folder, **self._options(how))

    def _options(self, how: dict[str, Any]) -> dict[str, Any]:
        return {"intervals": self.whole().split(self.shards), "page_size": 5, **how}

    def kill_worker(self, chance: random.Random) -> None:
        """Kill the process of a worker."""
        os.kill(chance.choice(list(self.dask.run(os.getpid).values())), signal.SIGKILL)

    def wait_for_requests(self, number: int) -> None:
        """Wait until the workers have sent that many requests, since the beginning."""
        while len(self.sandbox.requests) < number:
            time.sleep(0.001)

    def assert_exact(self, folder: Path) -> None:
        """Assert that each appointment is in one file, once, and that nothing is unfinished."""
        files = sorted(folder.glob("*.jsonl"))
        found = [id_ for file in files for id_ in ids(file)]
        assert sorted(found) == sorted(self.sandbox.state.appointments)
        assert len(files) == self.shards
        assert {file.name for file in folder.iterdir()} == {
            name for file in files for name in (file.name, f"{file.name}.part.checkpoint")
        }


def sharing(folder: Path, **options: Any) -> Callable[[], CoachingClient]:
    """Return what makes clients that share a token and a rate limit."""
    return partial(CoachingClient.from_env, shared_state=FileSharedState(folder / "state"), **options)


@contextmanager
def a_fleet(sandbox: Sandbox, *, workers: int, shards: int) -> Iterator[Fleet]:
    """Yield a sandbox, which is entered here, with a cluster of processes of two threads each."""
    with sandbox, pytest.MonkeyPatch.context() as patch:
        for name, value in environment(sandbox).items():
            patch.setenv(name, value)
        patient = {
            f"distributed.{each}": HANG
            for each in ("comm.timeouts.connect", "comm.timeouts.tcp", "deploy.lost-worker-timeout")
        }
        with (
            dask.config.set(patient),
            LocalCluster(n_workers=workers, threads_per_worker=2, dashboard_address=":0", host="127.0.0.1") as cluster,
            Client(cluster) as client,
        ):
            yield Fleet(sandbox, client, cluster, shards)
