"""An in-memory service with a list of notifications, and chaos around a watch over it."""

import random
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from typing import Any

import anyio
import attrs
import httpx

from coaching_async import CoachingClient, CoachingError, Notification, RateLimit, RetryPolicy
from tests.support.doubles import Service, answer
from tests.support.notification_lists import OLDEST_FIRST, NotificationList

Answer = httpx.Response | Exception


class Watched(Service):
    """A service with a list of notifications. `faults` are answered before anything else."""

    def __init__(self, order: str = OLDEST_FIRST, length: int = 5, *, size: int = 100) -> None:
        super().__init__(self.respond)
        self.list = NotificationList(order, size, length)
        self.faults: list[Answer] = []
        self.chance: Callable[[], Answer | None] = lambda: None
        """Returns the fault of a request, or None."""
        self.times: list[float] = []
        """When requests came."""
        self.row: Callable[[str], dict[str, Any]] = lambda id_: {
            "id": id_,
            "markedAsRead": id_ in self.list.read_ids,
            "user": {"id": "me"},
        }

    def respond(self, request: httpx.Request) -> httpx.Response:
        self.times.append(anyio.current_time())
        fault = self.faults.pop(0) if self.faults else self.chance()
        if isinstance(fault, Exception):
            raise fault
        if fault is not None:
            return fault
        page = self.list.page(int(request.url.params["pageNumber"]))
        return answer(
            {
                "entities": [self.row(item.id) for item in page.entities],
                "pageNumber": page.page_number,
                "pageSize": page.page_size,
                "pageCount": page.page_count,
                "total": page.total,
            }
        )

    def client(self, auth: Any = None, **options: Any) -> CoachingClient:
        return super().client(auth, retry=RetryPolicy(attempts=1, throttle_waits=0), **options)


PASSING: dict[str, Callable[[], Answer]] = {
    "a 503": lambda: answer(status=503),
    "a 429": lambda: answer(status=429, Retry_After="1"),
    "a cut connection": lambda: httpx.ReadError("cut"),
    "a page of HTML": lambda: httpx.Response(200, html="<p>log in</p>"),
    "a 403 of a gateway": lambda: httpx.Response(403, html="<p>no</p>"),
    "a truncated page": lambda: httpx.Response(200, content=b'{"entities": [{"id": "n'),
    "another shape": lambda: answer([1, 2]),
    "another page": lambda: answer({"entities": [], "pageNumber": 7, "total": 0}),
}


@attrs.define
class Chaos:
    """Notifications come and go, requests fail, and the reader stops, is cancelled, and begins anew with a cursor."""

    order: str
    count: int
    seed: int
    found: list[str] = attrs.field(factory=list[str])
    late: list[float] = attrs.field(factory=list[float])
    """Seconds between each one's coming into being and its being handed out."""
    restarts: int = 0
    requests: int = 0
    service: Watched = attrs.field(init=False)
    _random: random.Random = attrs.field(init=False)
    _created_at: dict[str, float] = attrs.field(factory=dict[str, float])
    _is_over: bool = False

    def __attrs_post_init__(self) -> None:
        self._random = random.Random(self.seed)
        self.service = Watched(self.order, 230)

    @property
    def lost(self) -> set[str]:
        return self.service.list.lasting - set(self.found) - set(self.service.list.created[:230])

    async def run(self) -> None:
        options: dict[str, Any] = {"rate_limit": RateLimit(100_000, per=60.0)}
        async with self.service.client(**options) as client, anyio.create_task_group() as tasks:
            tasks.start_soon(self._read, client)
            await anyio.sleep(5)
            assert not self.found
            await self._make()
            self._is_over = True
            self.service.chance = lambda: None
        self.requests = len(self.service.requests)

    async def _make(self) -> None:
        """Make six notifications a second. Of a hundred changes one or two are deletes, and one in twenty requests fails."""
        faults = list(PASSING.values())
        self.service.chance = lambda: self._random.choice(faults)() if self._random.random() < 0.05 else None
        for _ in range(self.count):
            self._created_at[self.service.list.create()] = anyio.current_time()
            if self._random.random() < 0.015:
                self.service.list.delete(self._random.random())
            if self._random.random() < 0.1:
                self.service.list.read_ids.add(self._random.choice(self.service.list.ids))
            await anyio.sleep(self._random.expovariate(6.0))

    async def _read(self, client: CoachingClient) -> None:
        watch = client.notifications.watch(every=0.5)
        while not self._is_over:
            with anyio.move_on_after(self._random.expovariate(0.3)), suppress(CoachingError):  # at the first request
                await self._read_some(watch)
            if self._random.random() < 0.3 and watch.cursor is not None:
                self.restarts += 1
                watch = client.notifications.watch(every=0.5, cursor=watch.cursor)
        with anyio.move_on_after(900):  # a cooldown may have begun just before
            await self._read_some(client.notifications.watch(cursor=watch.cursor))

    async def _read_some(self, watch: AsyncIterator[Notification]) -> None:
        async for notification in watch:
            self.found.append(notification.id)
            self.late.append(anyio.current_time() - self._created_at[notification.id])
            if self._random.random() < 0.02:
                await anyio.sleep(self._random.random() * 4)
