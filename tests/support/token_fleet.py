"""A fleet and its token: token sources that stand for processes, over one shared state and one login host."""

import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

import anyio

from coaching_async import ClientCredentials, CoachingError, RetryPolicy
from coaching_async._auth.grants import Grant
from coaching_async._auth.shared_name import shared_name
from coaching_async._auth.shared_token_cache import SharedTokenCache
from coaching_async._auth.token_endpoint import TokenEndpoint
from coaching_async._auth.token_source import TokenState, token_source_for
from coaching_async._concurrency.tasks import BackgroundTasks
from coaching_async._shared_state.connection import SharedStateConnection
from coaching_async._shared_state.store import SharedState
from coaching_async._transport.messages import Request, Response
from coaching_async._transport.retry import RetryMiddleware

LOGIN = "https://login.test/oauth/token"


async def no_step(_: str) -> None:
    """Do nothing at a step."""


class LoginHost:
    """A `Send` that issues a new token `seconds` after each request, or responds as the next of `mishaps` says."""

    def __init__(self, life: float = 600.0, seconds: float = 0.3) -> None:
        self.life, self.seconds = life, seconds
        self.mishaps: list[Response] = []
        self.refusal: Response | None = None
        self.asked_at: list[float] = []
        self.under_way = self.most_under_way = self.issued = 0

    async def __call__(self, request: Request) -> Response:
        self.asked_at.append(anyio.current_time())
        self.under_way += 1
        self.most_under_way = max(self.most_under_way, self.under_way)
        try:
            await anyio.sleep(self.seconds)
        finally:
            self.under_way -= 1
        response = self.mishaps.pop(0) if self.mishaps else self.refusal
        if response is not None:
            return response
        self.issued += 1
        body = {"access_token": f"t{self.issued}", "token_type": "bearer", "expires_in": self.life}
        return Response(200, content=json.dumps(body).encode())


class Reached:
    """A shared state as one process reaches it: `step` is awaited before and after each operation."""

    def __init__(self, store: SharedState) -> None:
        self.store = store
        self.step: Callable[[str], Awaitable[None]] = no_step
        self.operations: list[str] = []
        self.texts: list[str] = []

    async def load(self, name: str) -> tuple[str | None, float]:
        self.operations.append("load")
        await self.step("before load")
        loaded = await self.store.load(name)
        await self.step("after load")
        return loaded

    async def swap(self, name: str, old: str | None, new: str, keep: float) -> bool:
        self.operations.append("swap")
        await self.step("before swap")
        self.texts.append(new)
        is_swapped = await self.store.swap(name, old, new, keep)
        await self.step("after swap")
        return is_swapped


class Process:
    """The token source of one process."""

    def __init__(
        self,
        login: Any,
        store: SharedState,
        auth: Grant | None = None,
        url: str = LOGIN,
        state: TokenState | None = None,
    ) -> None:
        self.events: list[object] = []
        self.reached = Reached(store)
        self.background = BackgroundTasks()
        self.connection = SharedStateConnection(self.reached, self.events.append, self.background.spawn)
        self.state = state or TokenState()
        auth = auth or ClientCredentials("id", "s3cret")
        endpoint = TokenEndpoint(url, RetryMiddleware(login), self.events.append, RetryPolicy(attempts=1))
        name = shared_name(auth, url, "token")
        shared = None if name is None else SharedTokenCache(self.connection, name)
        self.source = token_source_for(auth, endpoint, self.background.spawn, self.state, shared)

    async def token(self, rejected: str | None = None) -> str:
        return await self.source.token(rejected)

    def kill(self) -> None:
        """End the process as `kill -9` does: nothing that it does from now on reaches the shared state."""

        async def hang(_: str) -> None:
            await anyio.sleep_forever()

        self.reached.step = hang

    async def close(self) -> None:
        self.connection.close()
        await self.background.wait_until_idle()


@asynccontextmanager
async def fleet(number: int, login: Any, store: SharedState) -> AsyncIterator[list[Process]]:
    """Return processes, and close them at the end."""
    processes = [Process(login, store) for _ in range(number)]
    try:
        yield processes
    finally:
        for process in processes:
            await process.close()


def tokens_of(processes: list[Process], rejected: str | None = None) -> list[Callable[[], Awaitable[str]]]:
    """Return what asks each process for its token."""
    return [partial(process.token, rejected) for process in processes]


async def all_of(functions: list[Callable[[], Awaitable[Any]]]) -> list[Any]:
    """Call all of them at once, and return what they return, or their errors."""
    results: dict[int, Any] = {}

    async def call(number: int, function: Callable[[], Awaitable[Any]]) -> None:
        try:
            results[number] = await function()
        except CoachingError as error:
            results[number] = error

    async with anyio.create_task_group() as tasks:
        for number, function in enumerate(functions):
            tasks.start_soon(call, number, function)
    return [results[number] for number in range(len(functions))]
