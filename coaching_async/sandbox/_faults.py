"""Faults on order: what goes wrong, for which requests, how often.

A new kind is one coroutine function in `KINDS`.
"""

import asyncio
import re
import threading
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, TypeAlias

import attrs
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Send

from ._replies import failure


def _known(_: object, __: object, kind: str) -> None:
    if kind not in KINDS:
        raise ValueError(f"kind must be one of {', '.join(KINDS)}, not {kind!r}")


@attrs.frozen
class Fault:
    """Something that shall go wrong.

    `drop_before` cuts the connection before the work is done and `drop_after` after it; `status` answers that status
    instead of doing the work (with `retry_after` and `body` if given); `stall` never answers; `half_body` does the work
    and cuts its answer in two; `accepted` answers a create, update or delete of an appointment with 202, and its work
    is seen after `delay` seconds.

    It applies to requests of that `method` whose path (or path and query) has a match for the regular expression
    `path`: to `times` of them (`math.inf` for all), after it let the first `after` pass.
    """

    kind: str = attrs.field(validator=_known)
    method: str | None = None
    path: str | None = None
    times: float = attrs.field(default=1, validator=attrs.validators.ge(1))
    after: int = attrs.field(default=0, validator=attrs.validators.ge(0))
    status: int | None = attrs.field(default=None, kw_only=True)
    retry_after: float | str | None = attrs.field(default=None, kw_only=True)
    body: Any = attrs.field(default=None, kw_only=True)
    delay: float = attrs.field(default=0.0, kw_only=True, validator=attrs.validators.ge(0))

    def __attrs_post_init__(self) -> None:
        if (self.kind == "status") is not (self.status is not None):
            raise ValueError("status belongs to the kind 'status', and that needs it")
        if self.status is not None and not 200 <= self.status <= 599:
            raise ValueError(f"status must be between 200 and 599, not {self.status}")
        if self.path is not None:
            re.compile(self.path)

    def matches(self, method: str, path: str, query: str) -> bool:
        if self.method is not None and self.method.upper() != method:
            return False
        return self.path is None or any(re.search(self.path, target) for target in (path, f"{path}?{query}"))


@attrs.define(eq=False)
class _Order:
    fault: Fault
    passing: int
    left: float


@attrs.define(eq=False)
class Faults:
    """The faults on order; the first that matches and is due is applied. May be used from any thread."""

    _orders: list[_Order] = attrs.field(factory=list, init=False, repr=False)
    _lock: threading.Lock = attrs.field(factory=threading.Lock, init=False, repr=False)

    def add(self, *faults: Fault) -> None:
        with self._lock:
            self._orders.extend(_Order(fault, fault.after, fault.times) for fault in faults)

    def clear(self) -> None:
        with self._lock:
            self._orders.clear()

    @property
    def pending(self) -> tuple[Fault, ...]:
        """What was ordered and has not been applied as often as it shall be."""
        with self._lock:
            return tuple(order.fault for order in self._orders)

    def take(self, method: str, path: str, query: str) -> Fault | None:
        with self._lock:
            for order in self._orders:
                if not order.fault.matches(method, path, query):
                    continue
                if order.passing:
                    order.passing -= 1
                    continue
                order.left -= 1
                if order.left < 1:
                    self._orders.remove(order)
                return order.fault
        return None


@attrs.frozen
class Exchange:
    """One request, how to do its work, and the connection that waits for the answer."""

    request: Request
    send: Send
    transport: asyncio.Transport
    context_id: str
    work: Callable[[], Awaitable[Response]]
    note_status: Callable[[int], None]

    def sign(self, response: Response) -> Response:
        """Mark as the answer, before the first byte leaves: who has read it finds it in the log."""
        response.headers["ININ-Correlation-Id"] = self.context_id
        self.note_status(response.status_code)
        return response

    async def deliver(self, response: Response) -> None:
        await self.sign(response)(self.request.scope, self.request.receive, self.send)

    async def cut(self) -> None:
        self.transport.abort()
        await self.gone()

    async def gone(self) -> None:
        while (await self.request.receive())["type"] != "http.disconnect":
            pass


async def _drop_before(exchange: Exchange, _: Fault) -> None:
    await exchange.cut()


async def _drop_after(exchange: Exchange, _: Fault) -> None:
    await exchange.work()
    await exchange.cut()


async def _status(exchange: Exchange, fault: Fault) -> None:
    oauth = exchange.request.scope["path"].startswith("/oauth/")
    response = failure(fault.status or 500, fault.body, exchange.context_id, oauth=oauth)
    if fault.retry_after is not None:
        response.headers["Retry-After"] = str(fault.retry_after)
    await exchange.deliver(response)


async def _stall(exchange: Exchange, _: Fault) -> None:
    await exchange.gone()


async def _half_body(exchange: Exchange, _: Fault) -> None:
    response = exchange.sign(await exchange.work())
    body = bytes(response.body)
    await exchange.send(
        {"type": "http.response.start", "status": response.status_code, "headers": response.raw_headers}
    )
    await exchange.send({"type": "http.response.body", "body": body[: len(body) // 2], "more_body": True})
    # Closed, not aborted: the half that was written has to arrive.
    exchange.transport.close()
    await exchange.gone()


async def _accepted(exchange: Exchange, fault: Fault) -> None:
    exchange.request.state.accepted_for = fault.delay
    await exchange.deliver(await exchange.work())


Kind: TypeAlias = Callable[[Exchange, Fault], Awaitable[None]]

KINDS: Mapping[str, Kind] = {
    "drop_before": _drop_before,
    "drop_after": _drop_after,
    "status": _status,
    "stall": _stall,
    "half_body": _half_body,
    "accepted": _accepted,
}
