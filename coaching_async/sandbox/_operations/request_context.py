"""A request that has been let in, as the operations see it."""

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TypeVar

import attrs
from starlette.datastructures import QueryParams
from starlette.requests import Request
from starlette.responses import Response

from coaching_async.sandbox._auth.access import Caller
from coaching_async.sandbox._faults.list_changes import Disturbance
from coaching_async.sandbox._state.filters import asked_for
from coaching_async.sandbox._state.state import State
from coaching_async.sandbox._wire import errors
from coaching_async.sandbox._wire import validation as bodies
from coaching_async.sandbox._wire.formats import JsonObject, appointment_pointer
from coaching_async.sandbox._wire.paging import envelope, links, page_request
from coaching_async.sandbox._wire.responses import Json

T = TypeVar("T")

LARGEST_BODY = 512_000


@attrs.frozen
class Call:
    """Who asks, for what, of which state."""

    request: Request
    path: str
    ids: Mapping[str, str]
    caller: Caller
    state: State
    page_cap: int
    job_reads: int

    @property
    def query(self) -> QueryParams:
        return self.request.query_params

    @property
    def by(self) -> str | None:
        return self.caller.user_id

    @property
    def appointment_id(self) -> str:
        return self.ids["appointmentId"]

    @property
    def appointment(self) -> JsonObject:
        return self.state.appointment(self.appointment_id)

    async def body(self) -> JsonObject:
        media_type, _, _ = self.request.headers.get("content-type", "").partition(";")
        if media_type.strip().lower() != "application/json":
            raise errors.unsupported_media_type()
        return bodies.parse(await self._raw_body())

    async def _raw_body(self) -> bytes:
        raw = bytearray()
        # Read to its end even when it is too large: who is still sending does not see an answer.
        async for chunk in self.request.stream():
            raw += chunk[: LARGEST_BODY + 1 - len(raw)]
        if len(raw) > LARGEST_BODY:
            raise errors.too_large()
        return bytes(raw)

    def appointments_of(self, user_ids: Iterable[str]) -> Response:
        wanted = asked_for(self.query, user_ids, self.state.clock())
        table = self.state.appointments
        disturb: Disturbance | None = getattr(self.request.state, "disturb", None)
        with table.lock:  # what is listed is still there when it is shown
            if disturb and (listed := self.state.appointments_wanted(wanted)):
                disturb(self.state, listed, wanted.newest_first)
            return self.page(self.state.appointments_wanted(wanted), lambda each: self.state.shown(table[each]))

    def page(self, entities: Sequence[T], show: Callable[[T], JsonObject], *, linked: bool = True) -> Response:
        wanted = page_request(self.query, self.page_cap)
        shown = [show(entity) for entity in wanted.cut(entities)]
        page = envelope(shown, wanted, len(entities))
        return Json(page | links(self.path, wanted, page["pageCount"]) if linked else page)

    def carry_out(self, appointment_id: str, work: Callable[[], Response]) -> Response:
        """Do it now, or, where a fault says so, only promise it: then it is done later and its answer is lost."""
        delay: float | None = getattr(self.request.state, "accepted_for", None)
        if delay is None:
            return work()
        asyncio.get_running_loop().call_later(delay, _quietly, work)
        return Json(appointment_pointer(appointment_id), 202)


def _quietly(work: Callable[[], Response]) -> None:
    try:
        work()
    except errors.ApiError:
        return  # the appointment changed since the promise
