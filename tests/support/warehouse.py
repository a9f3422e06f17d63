"""Pipelines of dlt in a folder of their own: nothing outside of it is read or written, and no other host is asked."""

import os
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import dlt

from coaching_async import ClientCredentials, CoachingClient, RateLimit
from coaching_async.sandbox import CLIENT_ID, CLIENT_SECRET, Fault, Sandbox
from tests.support.cli import environment
from tests.support.markdown import ROOT

FAST: Final = RateLimit(100_000, per=1.0)


def surroundings(folder: Path) -> dict[str, str]:
    """Return the environment variables that keep dlt in a folder, and silent."""
    return {
        "DLT_DATA_DIR": str(folder / "data"),
        "DLT_PROJECT_DIR": str(folder),
        "RUNTIME__DLTHUB_TELEMETRY": "false",
        "RUNTIME__LOG_LEVEL": "CRITICAL",
    }


class Clients:
    """Makes the clients of runs, and remembers them."""

    def __init__(self, sandbox: Sandbox, **options: Any) -> None:
        self.made: list[CoachingClient] = []
        self._sandbox = sandbox
        self._options = {"rate_limit": FAST, **options}

    def __call__(self) -> CoachingClient:
        url = self._sandbox.base_url
        auth = ClientCredentials(CLIENT_ID, CLIENT_SECRET)
        self.made.append(CoachingClient(auth, base_url=url, login_url=url, **self._options))
        return self.made[-1]


class Warehouse:
    """A pipeline into a file of DuckDB."""

    def __init__(self, folder: Path, name: str = "coaching") -> None:
        destination = dlt.destinations.duckdb(str(folder / f"{name}.duckdb"))
        self.pipeline = dlt.pipeline(
            name, destination=destination, dataset_name="raw", pipelines_dir=str(folder / "pipelines")
        )

    def run(self, source: Any, **how: Any) -> None:
        self.pipeline.run(source, **how)

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        with self.pipeline.sql_client() as client:
            return list(client.execute_sql(query) or [])

    def column(self, query: str) -> list[Any]:
        return sorted(value for (value,) in self.rows(query))

    def tables(self) -> dict[str, dict[str, str]]:
        """Return the columns of each table, with their types as DuckDB has them, without those that dlt adds."""
        found: dict[str, dict[str, str]] = {}
        query = "select table_name, column_name, data_type from information_schema.columns where table_schema = 'raw'"
        for table, column, kind in self.rows(query):
            if not (table.startswith("_dlt") or column.startswith("_dlt")):
                found.setdefault(table, {})[column] = kind
        return found


def of_users(sandbox: Sandbox, *users: str) -> list[dict[str, Any]]:
    """Return the appointments of users, as the sandbox has them."""

    def roles(row: Mapping[str, Any]) -> set[str]:
        people = [*row["attendees"], row.get("facilitator"), row.get("createdBy")]
        return {person["id"] for person in people if person}

    return [row for row in sandbox.state.appointments.values() if roles(row) & set(users)]


PROGRAM: Final = """
import sys

import dlt

from coaching_async import CoachingClient, RateLimit
from coaching_async.integrations.dlt import coaching

folder, *users = sys.argv[1:]
pipeline = dlt.pipeline(
    "coaching",
    destination=dlt.destinations.duckdb(f"{folder}/coaching.duckdb"),
    dataset_name="raw",
    pipelines_dir=f"{folder}/pipelines",
)
pipeline.run(coaching(users, client=lambda: CoachingClient.from_env(rate_limit=RateLimit(100_000, per=1.0))))
"""


def kill_during(request: int, sandbox: Sandbox, folder: Path, users: list[str]) -> None:
    """Run a pipeline in a process of its own, and kill that when this request of it, counted from 0, has arrived."""
    fault = Fault("stall", after=request)
    sandbox.faults.add(fault)
    arrived = len(sandbox.requests) + request + 1
    environ = os.environ | environment(sandbox) | surroundings(folder) | {"PYTHONPATH": str(ROOT)}
    with subprocess.Popen([sys.executable, "-W", "error", "-c", PROGRAM, folder, *users], env=environ) as process:
        try:
            while len(sandbox.requests) < arrived:
                assert process.poll() is None, "the run has ended before"
                time.sleep(0.01)
        finally:
            process.kill()
    sandbox.faults.clear()
