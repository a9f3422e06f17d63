"""`EventStream` with ASGI messages; test_event_streams_served.py has servers and browsers."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import anyio
import pytest

from coaching_async import Forbidden, Notification, from_dict
from coaching_async.fanout import Hub, Missed
from coaching_async.integrations.fastapi import CancelOnDisconnect, EventStream
from tests.support.notifications import ANN, BOB, FedStream, notification

pytestmark = pytest.mark.anyio


class Browser:
    """The browser's side of one web request, as ASGI messages."""

    def __init__(self, *, last_event_id: str | None = None, query: bytes = b"", method: str = "GET") -> None:
        headers = [] if last_event_id is None else [(b"last-event-id", last_event_id.encode())]
        self.scope = {"type": "http", "method": method, "path": "/", "headers": headers, "query_string": query}
        self.sent: list[Any] = []
        self.reads = anyio.Event()
        self.reads.set()
        self.has_left = anyio.Event()
        self.is_requested = False

    def stop_reading(self) -> None:
        self.reads = anyio.Event()

    async def receive(self) -> Any:
        if not self.is_requested:
            self.is_requested = True
            return {"type": "http.request", "body": b"", "more_body": False}
        await self.has_left.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: Any) -> None:
        await self.reads.wait()
        self.sent.append(message)

    @property
    def text(self) -> str:
        return "".join(message["body"].decode() for message in self.sent if message["type"] == "http.response.body")

    @property
    def events(self) -> list[tuple[str, Any]]:
        """The events behind the first `alive`, parsed as an EventSource does it: name and data."""
        blocks = [
            dict(line.split(": ", 1) for line in block.splitlines()) for block in self.text.split("\n\n") if block
        ]
        events = [(block["event"], json.loads(block["data"])) for block in blocks]
        assert events[0] == ("alive", {})
        return events[1:]

    @property
    def last_id(self) -> str:
        return [line for line in self.text.splitlines() if line.startswith("id: ")][-1].removeprefix("id: ")


@asynccontextmanager
async def serving(browser: Browser, hub: Hub, *args: Any, around: Any = None, **options: Any) -> AsyncIterator[None]:
    """Serve an event stream to a browser. It has ended when the block is left."""
    response: Any = EventStream(hub, *args, **options)
    app = response if around is None else around(response)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(app, browser.scope, browser.receive, browser.send)
        await settled()
        yield


async def settled() -> None:
    await anyio.wait_all_tasks_blocked()


async def test_each_notification_is_an_event_with_an_id():
    stream, browser = FedStream(), Browser()
    async with Hub(stream) as hub, serving(browser, hub, ANN):
        stream.feed(notification(1), notification(2, BOB), Missed(3), Missed(), notification(4))
        await settled()
        browser.has_left.set()

    start = browser.sent[0]
    headers = dict(start["headers"])
    assert start["status"] == 200
    assert headers[b"content-type"] == b"text/event-stream; charset=utf-8"
    assert headers[b"cache-control"] == b"no-store"
    assert headers[b"x-accel-buffering"] == b"no"
    assert b"content-length" not in headers
    assert [name for name, _ in browser.events] == ["notification", "missed", "missed", "notification"]
    assert from_dict(Notification, browser.events[0][1]) == notification(1)
    assert [data for name, data in browser.events if name == "missed"] == [{"count": 3}, {"count": None}]
    assert browser.text.startswith("retry: ")
    blocks = browser.text.removesuffix("\n\n").split("\n\n")
    assert all("id: " in block for block in blocks)
    assert browser.sent[-1] == {"type": "http.response.body", "body": b"", "more_body": False}


async def test_a_text_with_line_ends_is_one_line_of_data():
    stream, browser = FedStream(), Browser()
    odd = Notification(id="n", name="one\ntwo\r\n\nevent: missed\u2028\x85", user=notification(1).user)
    async with Hub(stream) as hub, serving(browser, hub, ANN):
        stream.feed(odd)
        await settled()
        browser.has_left.set()

    assert len(browser.text.split("\n\n")) == 3
    assert "\r" not in browser.text
    assert from_dict(Notification, browser.events[0][1]) == odd


async def test_alive_is_sent_every_15_seconds():
    stream, browser = FedStream(), Browser()
    async with Hub(stream) as hub, serving(browser, hub, ANN):
        await anyio.sleep(50)
        assert browser.events == [("alive", {})] * 3
        stream.feed(notification(1))
        await anyio.sleep(14)
        assert [name for name, _ in browser.events] == ["alive"] * 3 + ["notification"]
        browser.has_left.set()


@pytest.mark.parametrize("around", [None, CancelOnDisconnect])
async def test_a_disconnect_ends_the_subscription(around: Any):
    browser = Browser()
    async with Hub(FedStream()) as hub, serving(browser, hub, ANN, around=around):
        assert hub.subscribers == 1
        browser.has_left.set()
        await settled()
        assert hub.subscribers == 0


async def test_a_disconnect_of_a_browser_that_does_not_read_ends_the_subscription():
    stream, browser = FedStream(), Browser()
    async with Hub(stream) as hub, serving(browser, hub, ANN):
        browser.stop_reading()
        stream.feed(notification(1))
        await settled()
        browser.has_left.set()
        await settled()
        assert hub.subscribers == 0
        browser.reads.set()


async def test_a_server_that_raises_at_a_disconnect_ends_the_subscription():
    stream, browser = FedStream(), Browser()

    async def send(message: Any) -> None:
        if browser.sent:
            raise ConnectionResetError
        browser.sent.append(message)

    async with Hub(stream) as hub:
        with pytest.raises(ConnectionResetError):  # of the last message: servers expect it
            await EventStream(hub, ANN)(browser.scope, browser.receive, send)
        assert hub.subscribers == 0


async def test_an_error_of_the_server_is_raised_as_itself():
    browser = Browser()

    async def send(message: Any) -> None:
        if browser.sent:
            raise ZeroDivisionError
        browser.sent.append(message)

    async with Hub(FedStream()) as hub:
        with pytest.raises(ZeroDivisionError):
            await EventStream(hub, ANN)(browser.scope, browser.receive, send)
        assert hub.subscribers == 0


async def test_a_response_that_is_cancelled_ends_the_subscription():
    browser = Browser()
    async with Hub(FedStream()) as hub:
        with anyio.move_on_after(20):
            await EventStream(hub, ANN)(browser.scope, browser.receive, browser.send)
        assert hub.subscribers == 0


async def test_a_slow_browser_is_told_how_many_it_misses():
    stream, slow, quick = FedStream(), Browser(), Browser()
    async with (
        Hub(stream) as hub,
        serving(slow, hub, ANN, room=3),
        serving(quick, hub, ANN),
    ):
        slow.stop_reading()
        stream.feed(*(notification(number) for number in range(20)))
        await settled()
        assert [data["id"] for _, data in quick.events] == [f"n{number}" for number in range(20)]
        slow.reads.set()
        await settled()
        assert slow.events[-4][1] == {"count": 20 - 3 - (len(slow.events) - 4)}
        assert [data["id"] for _, data in slow.events[-3:]] == ["n17", "n18", "n19"]
        slow.has_left.set()
        quick.has_left.set()


@pytest.mark.parametrize("way", ["header", "query", "both"])
async def test_a_browser_that_reconnects_gets_what_came_meanwhile(way: str):
    stream, first = FedStream(), Browser()
    async with Hub(stream) as hub:
        async with serving(first, hub, ANN):
            early = first.last_id
            stream.feed(notification(1))
            await settled()
            first.has_left.set()
        stream.feed(notification(2))
        await settled()

        header, query = first.last_id, f"last_event_id={first.last_id}"
        second = {
            "header": Browser(last_event_id=header),
            "query": Browser(query=query.encode()),
            "both": Browser(last_event_id=header, query=f"last_event_id={early}".encode()),
        }[way]
        async with serving(second, hub, ANN):
            stream.feed(notification(3))
            await settled()
            second.has_left.set()

    assert [data["id"] for _, data in first.events + second.events] == ["n1", "n2", "n3"]


async def test_a_browser_that_comes_from_another_hub_is_told_that_it_may_have_missed_some():
    browser = Browser(last_event_id="0123abcd-5")
    async with Hub(FedStream()) as hub, serving(browser, hub, ANN):
        browser.has_left.set()

    assert browser.events == [("missed", {"count": None})]


async def test_the_response_ends_after_its_age_and_the_browser_goes_on_where_it_was():
    stream, browser = FedStream(), Browser()
    async with Hub(stream) as hub:
        started = anyio.current_time()
        await EventStream(hub, ANN, max_age=100)(browser.scope, browser.receive, browser.send)
        assert anyio.current_time() - started == pytest.approx(100)
        assert browser.sent[-1]["more_body"] is False
        stream.feed(notification(1))
        await settled()
        again = Browser(last_event_id=browser.last_id)
        async with serving(again, hub, ANN):
            again.has_left.set()
        assert [name for name, _ in again.events] == ["notification"]


async def test_an_error_of_the_stream_is_told_and_ends_the_response_so_that_the_browser_asks_again_later():
    stream, browser, later = FedStream(), Browser(), Browser()
    async with Hub(stream) as hub:
        async with serving(browser, hub, ANN):
            stream.feed(notification(1), Forbidden("no permission"))
        async with serving(later, hub, ANN):
            pass

    assert [name for name, _ in browser.events] == ["notification", "unavailable"]
    assert later.events == [("unavailable", {})]
    for each in (browser, later):
        assert each.sent[0]["status"] == 200  # an EventSource would give up for good
        retry = [int(line.partition(": ")[2]) for line in each.text.splitlines() if line.startswith("retry")]
        assert retry[-1] >= 10_000
        assert each.sent[-1]["more_body"] is False


async def test_the_end_of_the_hub_ends_the_response():
    browser = Browser()
    async with Hub(FedStream()) as hub, serving(browser, hub, ANN):
        hub.close()

    assert browser.events == []
    assert browser.sent[-1]["more_body"] is False


async def test_head_is_answered_without_a_body():
    browser = Browser(method="HEAD")
    async with Hub(FedStream()) as hub:
        await EventStream(hub, ANN)(browser.scope, browser.receive, browser.send)
        assert hub.subscribers == 0
    assert len(browser.sent) == 2


async def test_a_response_without_a_user_is_refused_before_it_starts():
    browser = Browser()
    async with Hub(FedStream()) as hub:
        with pytest.raises(ValueError, match="user id"):
            await EventStream(hub, [])(browser.scope, browser.receive, browser.send)
    assert browser.sent == []
