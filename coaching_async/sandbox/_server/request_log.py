"""The log of requests and the status of their responses."""

import itertools
from datetime import datetime

import attrs

from coaching_async.sandbox._wire.formats import JsonObject, format_timestamp


@attrs.frozen
class Arrival:
    """A request that arrived."""

    method: str
    """HTTP method."""
    path: str
    """Path of the URL, decoded."""
    query: str
    """Query of the URL, as it was sent."""
    at: datetime
    """When it arrived, by the clock of the sandbox (UTC)."""
    status: int | None = None
    """Status of the response. None until it is sent, and if none is."""

    def as_json(self) -> JsonObject:
        return attrs.asdict(self) | {"at": format_timestamp(self.at)}


@attrs.define(eq=False)
class RequestLog:
    """The newest `kept` requests. Only the thread of the server adds to it; `all` returns a copy."""

    kept: int
    _arrivals: dict[int, Arrival] = attrs.field(factory=dict, init=False, repr=False)
    _numbers: "itertools.count[int]" = attrs.field(factory=itertools.count, init=False, repr=False)

    def add(self, method: str, path: str, query: str, at: datetime) -> int:
        number = next(self._numbers)
        self._arrivals[number] = Arrival(method, path, query, at)
        self._arrivals.pop(number - self.kept, None)
        return number

    def set_status(self, number: int, status: int) -> None:
        if number in self._arrivals:
            self._arrivals[number] = attrs.evolve(self._arrivals[number], status=status)

    def all(self) -> list[Arrival]:
        return list(self._arrivals.values())
