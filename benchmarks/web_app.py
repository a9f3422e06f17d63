"""A FastAPI application that reads single appointments, beside a bulk in the same process if requested.

    python -m benchmarks.web_app CONTENDER '{"url": ..., "token": ..., "ids": [...], "limit": [...], "has_bulk": ...}'

It prints its port, and serves until its standard input ends. `/cpu` has the CPU time that the process has taken, in seconds.
"""

import json
import socket
import sys
import time
from collections.abc import AsyncGenerator, Callable, Coroutine
from contextlib import asynccontextmanager
from itertools import cycle, islice
from typing import Any, Final

import anyio
import attrs
import httpx
import uvicorn
from fastapi import FastAPI, Response

from coaching_async import AccessToken, Appointment, CoachingClient, RateLimit
from coaching_async.integrations.fastapi import Client, add_problem_responses, lifespan

__all__: list[str] = []

ENDLESS: Final = 10**6
TASKS: Final = 10


@attrs.frozen
class Options:
    """What an application is started with."""

    url: str
    token: str
    ids: list[str]
    limit: list[float]
    has_bulk: bool


def by_us(options: Options) -> FastAPI:
    """Return the application with this client."""

    @asynccontextmanager
    async def opened(app: FastAPI) -> AsyncGenerator[Any]:
        rate_limit = RateLimit(int(options.limit[0]), per=options.limit[1])
        client = CoachingClient(AccessToken(options.token), base_url=options.url, rate_limit=rate_limit)

        async def bulk() -> None:
            await client.appointments.get_many(islice(cycle(options.ids), ENDLESS))

        async with lifespan(lambda: client)(app) as state, beside(bulk if options.has_bulk else None):
            yield state

    app = FastAPI(lifespan=opened)
    add_problem_responses(app)

    @app.get("/appointments/{appointment_id}")
    async def appointment(client: Client, appointment_id: str) -> Appointment:
        return await client.appointments.get(appointment_id)

    return app


def by_httpx(options: Options) -> FastAPI:
    """Return the application with bare httpx: it passes the body on unread, and its bulk waits for what a 429 names."""
    headers = {"Authorization": f"Bearer {options.token}"}
    http = httpx.AsyncClient(base_url=f"{options.url}/api/v2/coaching/", headers=headers, trust_env=False)

    async def bulk() -> None:
        async def work(ids: list[str]) -> None:
            for id_ in cycle(ids):
                answer = await http.get(f"appointments/{id_}")
                if answer.status_code == 429:
                    await anyio.sleep(float(answer.headers["Retry-After"]))

        async with anyio.create_task_group() as tasks:
            for number in range(TASKS):
                tasks.start_soon(work, options.ids[number:] + options.ids[:number])

    @asynccontextmanager
    async def opened(_: FastAPI) -> AsyncGenerator[None]:
        async with http, beside(bulk if options.has_bulk else None):
            yield

    app = FastAPI(lifespan=opened)

    @app.get("/appointments/{appointment_id}")
    async def appointment(appointment_id: str) -> Response:
        answer = await http.get(f"appointments/{appointment_id}")
        return Response(answer.content, answer.status_code, media_type="application/json")

    return app


@asynccontextmanager
async def beside(bulk: Callable[[], Coroutine[Any, Any, None]] | None) -> AsyncGenerator[None]:
    """Run a bulk during the block."""
    async with anyio.create_task_group() as tasks:
        if bulk is not None:
            tasks.start_soon(bulk)
        yield
        tasks.cancel_scope.cancel()


async def serve(app: FastAPI) -> None:
    """Serve until the standard input ends."""
    # With the protocol named, asyncio sends small packets at once, as it does with the sockets that uvicorn opens.
    with socket.socket(proto=socket.IPPROTO_TCP) as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        server = uvicorn.Server(uvicorn.Config(app, log_level="warning"))
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(server.serve, [listener])
            print(listener.getsockname()[1], flush=True)
            await anyio.wait_readable(sys.stdin)
            server.should_exit = True


def main() -> None:
    """Serve the application of one contender."""
    app = {"ours": by_us, "bare httpx": by_httpx}[sys.argv[1]](Options(**json.loads(sys.argv[2])))

    @app.get("/cpu")
    async def cpu() -> float:
        return time.process_time()

    anyio.run(serve, app)


if __name__ == "__main__":
    main()
