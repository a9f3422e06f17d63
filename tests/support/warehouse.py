"""Pipelines of dlt in a folder of their own: nothing outside of it is read or written, and no other host is asked."""

import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import dlt

from coaching_async import ClientCredentials, CoachingClient, RateLimit
from coaching_async.sandbox import CLIENT_ID, CLIENT_SECRET, Sandbox
from tests.support.cli import environment
from tests.support.dlt_settings import surroundings
from tests.support.markdown import ROOT

FAST: Final = RateLimit(100_000, per=1.0)


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

    def column(self, query: str) -> list[Any]:
        with self.pipeline.sql_client() as client:
            return sorted(value for (value,) in client.execute_sql(query) or [])

    def look(self) -> tuple[dict[str, list[dict[str, Any]]], dict[str, dict[str, str]]]:
        """Return the rows of each table, and its columns with their types as DuckDB has them.

        Columns that dlt adds are left out, except for the load of a row.
        """
        rows: dict[str, list[dict[str, Any]]] = {}
        types: dict[str, dict[str, str]] = {}
        with self.pipeline.sql_client() as client:
            query = (
                "select table_name, column_name, data_type from information_schema.columns where table_schema = 'raw'"
            )
            for table, column, kind in client.execute_sql(query) or []:
                if not (table.startswith("_dlt") or column.startswith("_dlt")):
                    types.setdefault(table, {})[column] = kind
            for table, columns in types.items():
                names = [*columns, *(["_dlt_load_id"] if "__" not in table else [])]
                quoted = ", ".join(f'"{name}"' for name in names)
                found = client.execute_sql(f"select {quoted} from {table}") or []
                rows[table] = [dict(zip(names, row, strict=True)) for row in found]
        return rows, types


def of_users(sandbox: Sandbox, *users: str) -> list[dict[str, Any]]:
    """Return the appointments of users, as the sandbox has them."""

    def roles(row: Mapping[str, Any]) -> set[str]:
        people = [*row["attendees"], row.get("facilitator"), row.get("createdBy")]
        return {person["id"] for person in people if person}

    return [row for row in sandbox.state.appointments.values() if roles(row) & set(users)]


PROGRAM: Final = """
import sys
from datetime import timedelta

import dlt
from dlt.common.runtime import anon_tracker

from coaching_async import CoachingClient, RateLimit
from coaching_async.integrations.dlt import coaching

anon_tracker.get_anonymous_id = lambda: "none"
folder, *users = sys.argv[1:]
pipeline = dlt.pipeline(
    "coaching",
    destination=dlt.destinations.duckdb(f"{folder}/coaching.duckdb"),
    dataset_name="raw",
    pipelines_dir=f"{folder}/pipelines",
)
client = lambda: CoachingClient.from_env(rate_limit=RateLimit(100_000, per=1.0))
pipeline.run(coaching(users, client=client, lookback=timedelta.max))
"""


@contextmanager
def running(sandbox: Sandbox, folder: Path, users: list[str]) -> Iterator[subprocess.Popen[bytes]]:
    """Run a pipeline in a process of its own, which is killed at the end of the block."""
    environ = os.environ | environment(sandbox) | surroundings(folder) | {"PYTHONPATH": str(ROOT)}
    with subprocess.Popen([sys.executable, "-W", "error", "-c", PROGRAM, folder, *users], env=environ) as process:
        try:
            yield process
        finally:
            process.kill()
