"""Fifty browsers that come and go while the listener's WebSockets fail get each notification once."""

import asyncio
import os
import random
import time
from collections.abc import AsyncIterator, Callable
from typing import Any

import httpx
from fastapi import FastAPI

from coaching_async import AccessToken, CoachingClient, Notification
from coaching_async.fanout import Hub
from coaching_async.integrations.fastapi import EventStream, NotificationHub, lifespan
from coaching_async.sandbox import Sandbox
from tests.support.event_source import EventSource
from tests.support.fault_server import HANG, wait_until
from tests.support.in_thread import in_thread

BROWSERS = 50
EVENTS = int(os.environ.get("LONG_EVENTS", "2000"))
SEED = int(os.environ.get("LONG_SEED", "18"))


def orders(sandbox: Sandbox, randomly: random.Random) -> Callable[[], None]:
    """Return what happens to the WebSockets."""
    sockets = sandbox.sockets
    kinds = [
        sockets.drop,
        sockets.close,
        sockets.double,
        sockets.garble,
        sockets.evict,
        lambda: sockets.say_closing(2.0),
    ]
    return randomly.choices(kinds, [6, 4, 6, 2, 1, 3])[0]


class Browser:
    """A browser that loses its connection again and again, and reconnects with the id of its last event."""

    def __init__(self, url: str, client: httpx.AsyncClient, seed: int) -> None:
        self._url, self._client = f"{url}/events", client
        self._randomly = random.Random(seed)
        self.last_id = ""
        self.ids: list[str] = []
        self.missed: list[Any] = []

    async def run(self, is_complete: Callable[[], bool]) -> None:
        patience = 1
        while not is_complete():
            before = len(self.ids)
            try:
                async with asyncio.timeout(patience * self._randomly.uniform(0.2, 3.0)):
                    await self._read()
            except TimeoutError:
                # On a busy machine a connection can be over before anything comes.
                patience = 2 * patience if len(self.ids) == before else 1
                await asyncio.sleep(self._randomly.uniform(0.0, 0.5))

    async def _read(self) -> None:
        headers = {"Last-Event-ID": self.last_id} if self.last_id else {}
        async with self._client.stream("GET", self._url, headers=headers) as answer:
            source = EventSource(answer.aiter_lines())
            while True:
                name, data = await source.next()
                self.last_id = source.last_id
                if name == "notification":
                    self.ids.append(data["id"])
                elif name == "missed":
                    self.missed.append(data)


async def browse(url: str, sandbox: Sandbox, hubs: list[Hub], show: Callable[[str], None]) -> None:
    user_id, randomly, made = sandbox.state.user_ids[0], random.Random(SEED), list[str]()
    async with httpx.AsyncClient(trust_env=False, verify=False, timeout=HANG, limits=httpx.Limits()) as client:
        browsers = [Browser(url, client, SEED + number) for number in range(BROWSERS)]
        is_over = asyncio.Event()

        def is_complete(browser: Browser) -> bool:
            return is_over.is_set() and len(browser.ids) >= len(made)

        tasks = [asyncio.create_task(each.run(lambda each=each: is_complete(each))) for each in browsers]
        await asyncio.to_thread(wait_until, lambda: all(each.last_id for each in browsers))
        started = time.monotonic()
        while len(made) < EVENTS:
            made += [sandbox.notify(user_id)["id"] for _ in range(randomly.randrange(1, 6))]
            if randomly.random() < 0.03:
                orders(sandbox, randomly)()
            await asyncio.sleep(randomly.uniform(0.0, 0.06))
        is_over.set()
        await asyncio.wait(tasks, timeout=10 * HANG)
        show(f"{len(made)} notifications in {time.monotonic() - started:.0f} s, to {BROWSERS} browsers")
    for browser in browsers:
        assert browser.missed == []
        assert len(browser.ids) == len(set(browser.ids))
        assert len(browser.ids) == len(made)  # before the ids themselves, which fill thousands of lines
        assert set(browser.ids) == set(made)
    await asyncio.to_thread(wait_until, lambda: hubs[0].subscribers == 0)


def test_each_browser_gets_each_notification_once(show: Callable[[str], None]):
    with Sandbox(appointments=20, users=3) as sandbox:
        token = sandbox.user_token(sandbox.state.user_ids[0])
        hubs: list[Hub] = []

        async def listen(client: CoachingClient) -> AsyncIterator[Notification]:
            return client.notifications.listen()

        app = FastAPI(
            lifespan=lifespan(lambda: CoachingClient(AccessToken(token), region=sandbox.base_url), listen=listen)
        )

        @app.get("/events")
        async def events(hub: NotificationHub) -> EventStream:
            hubs[:] = [hub]
            return EventStream(hub, sandbox.state.user_ids[0])

        with in_thread(app) as url:
            asyncio.run(browse(url, sandbox, hubs, show))
