"""Calls to cancel, and a service that holds its responses back."""

import logging
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

import anyio
import anyio.lowlevel
import httpx
import pytest

from coaching_async import (
    CoachingClient,
)
from tests.faults.support import APPOINTMENT, Source, credentials
from tests.support.cancelling import (
    Way,
)
from tests.support.doubles import Service, answer

PERMITS = 10
Use = Callable[[CoachingClient], Awaitable[Any]]


async def read(client: CoachingClient) -> object:
    return await client.appointments.get("1")


async def write(client: CoachingClient) -> object:
    return await client.annotations.update("1", "2", "t" * 300)


def warnings_of(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [
        record.getMessage()
        for record in caplog.records
        if record.name == "coaching_async" and record.levelno >= logging.WARNING
    ]


class Holding:
    """A service that sends no response until `go` is set."""

    def __init__(self, *, login: bool = False) -> None:
        self.go = anyio.Event()
        self.login = login
        self.service = Service(self.answer)

    async def answer(self, request: httpx.Request) -> httpx.Response:
        is_login = request.url.path == "/oauth/token"
        if is_login == self.login:
            await self.go.wait()
        if is_login:
            return answer({"access_token": "t", "expires_in": 86400})
        return answer(APPOINTMENT)

    def client(self, **options: Any) -> CoachingClient:
        auth = credentials() if self.login else Source()
        return self.service.client(auth, **({"timeout": 500.0} | options))  # type: ignore[arg-type]

    @property
    def sent(self) -> int:
        return len(self.service.requests)


async def cancelled_at_once(cancel: Way, use: Use, client: CoachingClient, seconds: float = 1) -> None:
    """Cancel a call after `seconds` of virtual time, and assert that it ends at that moment."""
    started = anyio.current_time()
    assert await cancel(partial(use, client), partial(anyio.sleep, seconds))
    assert anyio.current_time() - started == pytest.approx(seconds, abs=0.001)
