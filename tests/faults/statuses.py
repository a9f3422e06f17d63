"""Calls by HTTP method, and a service in memory that answers them with any status."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import httpx

from coaching_async import (
    CoachingClient,
    RetryScheduled,
)
from tests.faults.support import NEW, Source
from tests.support.doubles import Service, answer

Calls = dict[str, Callable[[CoachingClient], Awaitable[Any]]]
CALLS: Calls = {
    "GET": lambda client: client.appointments.get("1"),
    "POST": lambda client: client.appointments.create(NEW),
    "PATCH": lambda client: client.appointments.set_status("1", "Completed"),
    "DELETE": lambda client: client.appointments.delete("1"),
}
GET, POST = CALLS["GET"], CALLS["POST"]


@asynccontextmanager
async def service_of(
    answers: Any, **options: Any
) -> AsyncIterator[tuple[Service, CoachingClient, list[RetryScheduled]]]:
    """Yield a service in memory, its client, and the retries that the client schedules."""
    service, waits = Service(answers), list[RetryScheduled]()

    def watch(event: object) -> None:
        if isinstance(event, RetryScheduled):
            waits.append(event)

    async with service.client(Source(), on_event=watch, **options) as client:
        yield service, client, waits
    await service.http.aclose()


def throttled(retry_after: str | None = None, **headers: str) -> httpx.Response:
    return answer({}, 429, **headers if retry_after is None else {"Retry_After": retry_after, **headers})


class Store:
    """A service that carries a request out and then answers from a list; each POST stores one appointment more."""

    def __init__(self, *answers: Callable[[], httpx.Response]) -> None:
        self.answers, self.stored, self.asked = answers, 0, 0

    def __call__(self, request: httpx.Request) -> httpx.Response:
        made = self.answers[min(self.asked, len(self.answers) - 1)]()
        self.asked += 1
        self.stored += request.method == "POST" and made.status_code != 429
        return made
