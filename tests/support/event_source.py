"""A client of server-sent events."""

import json
from collections.abc import AsyncIterator
from typing import Any

__all__ = ["EventSource"]


class EventSource:
    """What a browser's EventSource keeps of an event stream."""

    def __init__(self, lines: AsyncIterator[str]) -> None:
        self._lines = lines
        self.last_id = ""

    async def next(self) -> tuple[str, Any]:
        """Return the name and the data of the next event. An event that is cut off does not count."""
        fields: dict[str, str] = {}
        async for line in self._lines:
            if not line and "data" in fields:
                self.last_id = fields["id"]
                return fields["event"], json.loads(fields["data"])
            name, _, value = line.partition(": ")
            fields[name] = value
        raise StopAsyncIteration

    async def notifications(self, until: str) -> list[str]:
        """Return the ids of notifications up to this one."""
        ids: list[str] = []
        while not ids or ids[-1] != until:
            name, data = await self.next()
            if name == "notification":
                ids.append(data["id"])
        return ids
