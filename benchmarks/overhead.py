"""The cost of the middleware: calls of the client, and the same requests by plain httpx with the same decoding.

python benchmarks/overhead.py [--quick]
"""

import asyncio
import logging
import tempfile
from collections.abc import Callable, Coroutine
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any, Final, TypeAlias, TypeVar

import attrs
import httpx
import memray

from benchmarks.clients import ours
from benchmarks.clocks import clocks
from benchmarks.engines import ENGINES
from benchmarks.harness import Figure, Goal, Measures, Row, alternate, main
from benchmarks.processes import serving
from benchmarks.service import Service
from coaching_async import Appointment, CoachingClient, Page
from coaching_async._serialization.codec import decode

__all__ = ["measure"]

CPU, ALLOCATIONS = "CPU µs a call", "allocations a call"
SIZE: Final = 25
PAGE, ONE, EMPTY = f"page of {SIZE}", "one appointment", "empty answer (204)"
ID: Final = "3f0c8f0e-6d0b-4a57-9a7e-0d7f6f3f9a11"
PATH: Final = "/api/v2/coaching/appointments"

T = TypeVar("T")
Calls: TypeAlias = Callable[[], Coroutine[Any, Any, None]]


def measure(quick: bool) -> Figure:
    """Take the figure."""
    calls, rounds = 50, 4 if quick else 60  # in many short turns: the speed of a machine changes within seconds
    rows: list[Row] = []
    with serving(items=SIZE * calls) as service, asyncio.Runner() as runner:
        connections = AsyncExitStack()
        client = runner.run(connections.enter_async_context(ours(service)))
        http = runner.run(connections.enter_async_context(ENGINES["httpx"](1)))
        for case, by_us, by_httpx in (
            (PAGE, pages(client, service), pages_by_httpx(http, service, calls)),
            (ONE, repeated(lambda: client.appointments.get(ID), calls), repeated(lambda: get(http, service), calls)),
            (
                EMPTY,
                repeated(lambda: client.appointments.delete(ID), calls),
                repeated(lambda: delete(http, service), calls),
            ),
        ):
            contenders = {"ours": by_us, "bare httpx": by_httpx}
            timed = {name: timing(runner, work, calls) for name, work in contenders.items()}
            for row in alternate(timed, rounds, case):
                allocations = counted(runner, contenders[row.contender]) / calls
                rows.append(attrs.evolve(row, runs=tuple(run | {ALLOCATIONS: allocations} for run in row.runs)))
        runner.run(connections.aclose())
    figure = Figure(
        "overhead",
        "Overhead per call",
        f"A list with pages of {SIZE} appointments, a `get` and a `delete` with all layers on, and the same requests by bare httpx"
        " with the same decoder: one after the other, on one connection.",
        (CPU, ALLOCATIONS),
        tuple(rows),
    )
    over = (figure.ratio("ours", "bare httpx", case=PAGE) - 1) * 100
    return figure.with_goals(Goal(f"{PAGE}: CPU over bare httpx, in %", over, 25, at_least=False))


def timing(runner: asyncio.Runner, work: Calls, calls: int) -> Callable[[], Measures]:
    """Return a run that measures the time of `calls` calls."""

    def run() -> Measures:
        with clocks() as taken:
            runner.run(work())
        return {CPU: taken.cpu / calls * 1e6}

    return run


def counted(runner: asyncio.Runner, work: Calls) -> int:
    """Return the number of allocations of `work`."""
    # Memray corrects the addresses of a Python that is linked at fixed ones, as Debian's is, and warns of it.
    memray.set_log_level(logging.ERROR)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "allocations"
        with memray.Tracker(path, trace_python_allocators=True):
            runner.run(work())
        return memray.FileReader(path).metadata.total_allocations


def repeated(call: Callable[[], Coroutine[Any, Any, object]], calls: int) -> Calls:
    """Return work that makes `calls` calls, one after the other."""

    async def work() -> None:
        for _ in range(calls):
            await call()

    return work


def pages(client: CoachingClient, service: Service) -> Calls:
    """Return work that walks over all pages."""

    async def work() -> None:
        async for page in client.appointments.list(service.user_ids, page_size=SIZE).pages():
            assert len(page.entities) == SIZE

    return work


def pages_by_httpx(http: httpx.AsyncClient, service: Service, calls: int) -> Calls:
    """Return work that reads the same pages by httpx."""

    async def work() -> None:
        for number in range(1, calls + 1):
            query = {"userIds": service.user_ids, "pageSize": SIZE, "pageNumber": number}
            page = decode(Page[Appointment], (await sent(http, service, "GET", PATH, params=query)).content)
            assert len(page.entities) == SIZE

    return work


async def get(http: httpx.AsyncClient, service: Service) -> Appointment:
    """Return one appointment, read by httpx."""
    return decode(Appointment, (await sent(http, service, "GET", f"{PATH}/{ID}")).content)


async def delete(http: httpx.AsyncClient, service: Service) -> None:
    """Delete one appointment by httpx."""
    await sent(http, service, "DELETE", f"{PATH}/{ID}")


async def sent(http: httpx.AsyncClient, service: Service, method: str, path: str, params: Any = None) -> httpx.Response:
    """Send a request by httpx and return its response, with as little work as possible."""
    headers = {"Authorization": f"Bearer {service.token}"}
    response = await http.request(method, service.url + path, params=params, headers=headers)
    return response.raise_for_status()


if __name__ == "__main__":
    main(measure)
