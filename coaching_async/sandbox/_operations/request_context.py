"""A request as the operations see it: routed, and with a valid access token."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import TypeAlias, TypeVar

import attrs
from starlette.datastructures import QueryParams
from starlette.requests import Request
from starlette.responses import Response

from coaching_async.sandbox._auth.access import Caller
from coaching_async.sandbox._channels.channels import Channels
from coaching_async.sandbox._faults.effects import Effects
from coaching_async.sandbox._state.state import State
from coaching_async.sandbox._wire import errors
from coaching_async.sandbox._wire.formats import JsonObject
from coaching_async.sandbox._wire.paging import envelope, links, read_page_request
from coaching_async.sandbox._wire.responses import JsonResponse
from coaching_async.sandbox._wire.validation import parse_body, parse_list

T = TypeVar("T")

MAX_BODY_SIZE = 512_000


@attrs.frozen
class RequestContext:
    """The request, its caller, and the state that it reads or changes. `ids` are those in the path, by name."""

    request: Request
    path: str
    ids: Mapping[str, str]
    caller: Caller
    state: State
    channels: Channels
    page_cap: int
    job_reads: int
    newest_first: bool
    effects: Effects

    @property
    def query(self) -> QueryParams:
        return self.request.query_params

    @property
    def user_id(self) -> str | None:
        return self.caller.user_id

    async def body(self) -> JsonObject:
        return parse_body(await self._raw_body())

    async def list_body(self) -> Sequence[JsonObject]:
        return parse_list(await self._raw_body())

    async def _raw_body(self) -> bytes:
        media_type, _, _ = self.request.headers.get("content-type", "").partition(";")
        if media_type.strip().lower() != "application/json":
            raise errors.unsupported_media_type()
        raw = bytearray()
        # Read to its end even when it is too large, because a client that is still sending does not read the response.
        async for chunk in self.request.stream():
            raw += chunk[: MAX_BODY_SIZE + 1 - len(raw)]
        if len(raw) > MAX_BODY_SIZE:
            raise errors.body_too_large()
        return bytes(raw)

    def page(self, entities: Sequence[T], show: Callable[[T], JsonObject], *, linked: bool = True) -> Response:
        """Respond with the requested page of the entities."""
        requested = read_page_request(self.query, self.page_cap)
        shown = [show(entity) for entity in requested.slice_of(entities)]
        page = envelope(shown, requested, len(entities))
        return JsonResponse(page | links(self.path, requested, page["pageCount"]) if linked else page)


Operation: TypeAlias = Callable[[RequestContext], Awaitable[Response]]
Routes: TypeAlias = Mapping[str, Mapping[str, Operation]]
"""Operations by path and method."""


def unchanged(entity: JsonObject) -> JsonObject:
    """Show an entity as it is kept."""
    return entity
