"""Notifications as server-sent events: the text of each event."""

import json
import random
from collections.abc import AsyncIterator, Mapping
from typing import Final

import anyio

from coaching_async import to_dict
from coaching_async.fanout import Missed, Subscription

__all__ = ["EVENT_STREAM_HEADERS", "MAX_AGE", "ROOM", "EventTexts", "last_event_id"]

EVENT_STREAM_HEADERS: Final = {
    "Content-Type": "text/event-stream; charset=utf-8",
    "Cache-Control": "no-store",  # the events are personal data
    "X-Accel-Buffering": "no",  # nginx would hold the events back
}

ALIVE_EVERY: Final = 15.0
"""Seconds without a notification after which `alive` is sent. Proxies cut connections that are idle, many after 30 s or 60 s."""

MAX_AGE: Final = 3600.0
"""Seconds after which an event stream ends. The browser asks for the next one, so its user is authorized again."""

ROOM: Final = 1000
"""Number of notifications that may wait for a slow browser. A listener that was away may read hundreds from the list at once."""


def last_event_id(headers: Mapping[str, str], query: Mapping[str, str]) -> str | None:
    """Return where the browser was. Its own reconnects send the header, and a page that reconnects sends the parameter."""
    return headers.get("last-event-id") or query.get("last_event_id")


class EventTexts(AsyncIterator[str]):
    """The events of a subscription, and `alive` at the start and where there is none for 15 s.

    Its id says where the browser is, even before the first notification. A page that has heard nothing for longer than that
    knows that its connection is dead, which comments would not tell it.

    After an error of the hub's stream comes `unavailable`, and then the end. A browser gives up for good if its request is
    refused, but reconnects after an end.
    """

    def __init__(self, subscription: Subscription) -> None:
        self._subscription: Final = subscription
        self._is_begun = False
        self._has_failed = False

    async def __anext__(self) -> str:
        if not self._is_begun:
            self._is_begun = True
            return f"retry: {random.randint(1000, 3000)}\n{self._event('alive', {})}"  # noqa: S311 # spreads reconnects
        if self._has_failed:
            raise StopAsyncIteration
        item = None
        try:
            with anyio.move_on_after(ALIVE_EVERY):
                item = await anext(self._subscription)
        except StopAsyncIteration:
            raise
        except Exception:  # noqa: BLE001 # the hub has logged it
            self._has_failed = True
            return f"retry: {random.randint(10_000, 30_000)}\n{self._event('unavailable', {})}"  # noqa: S311
        if item is None:
            return self._event("alive", {})
        if isinstance(item, Missed):
            return self._event("missed", {"count": item.count})
        return self._event("notification", to_dict(item))

    def _event(self, name: str, data: object) -> str:
        return f"id: {self._subscription.last_event_id}\nevent: {name}\ndata: {json.dumps(data)}\n\n"
