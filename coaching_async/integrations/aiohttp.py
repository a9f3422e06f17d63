"""aiohttp: a client for the application, a view for each user, and problem responses.

app = web.Application(middlewares=[problems])
app.cleanup_ctx.append(cleanup_ctx())

async def appointment(request: web.Request) -> web.Response:
    return web.json_response(to_dict(await client(request).appointments.get(request.match_info["id"])))

web.run_app(app, handler_cancellation=True)  # a disconnect of the browser cancels the handler

Notifications as server-sent events:

async def of_the_team(client: CoachingClient) -> AsyncIterator[Notification]:
    return client.notifications.listen(TEAM)

app.cleanup_ctx.append(cleanup_ctx(listen=of_the_team))
app.on_shutdown.append(close_event_streams)

async def events(request: web.Request) -> web.StreamResponse:
    return await event_stream(request, hub(request), signed_in(request))
"""

from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Awaitable, Callable, Iterable
from typing import TypeAlias
from uuid import UUID

import anyio

from coaching_async import CoachingClient, CoachingError, Notification
from coaching_async._refusals.arguments import checked_awaitable
from coaching_async.fanout import Hub

from ._clients import ClientViews, check_functions, made_by
from ._event_stream import EVENT_STREAM_HEADERS, MAX_AGE, ROOM, EventTexts, last_event_id
from ._extras import extra
from ._ndjson import NDJSON_TYPE, ndjson_lines
from ._problems import PROBLEM_TYPE, problem

with extra("aiohttp"):
    from aiohttp import web
    from aiohttp.typedefs import Handler

__all__ = [
    "cleanup_ctx",
    "client",
    "close_event_streams",
    "event_stream",
    "hub",
    "json_lines",
    "problems",
    "user_client",
]

CleanupContext: TypeAlias = Callable[[web.Application], AsyncGenerator[None]]

VIEWS = web.AppKey("coaching_users", ClientViews)
HUB = web.AppKey("coaching_hub", Hub)


def cleanup_ctx(
    make: Callable[[], CoachingClient] = CoachingClient.from_env,
    *,
    listen: Callable[[CoachingClient], Awaitable[AsyncIterator[Notification]]] | None = None,
) -> CleanupContext:
    """Return a context for `app.cleanup_ctx` with a client from `make`, which is open while the application runs.

    With `listen` the application has a `Hub`, too, which `hub` returns. `listen` is an async function that returns its stream,
    without entering it. Add `close_event_streams` to `app.on_shutdown`, because aiohttp waits up to a minute for open
    responses.

    Raises `TypeError` if `make` or `listen` is no function.
    """
    check_functions(make, listen, web.Application, "app.cleanup_ctx.append(cleanup_ctx())")

    async def client_context(app: web.Application) -> AsyncGenerator[None]:
        async with made_by("make", make) as client:
            app[VIEWS] = ClientViews(client)
            if listen is None:
                yield
                return
            async with Hub(await checked_awaitable("listen", listen(client))) as app[HUB]:
                yield

    return client_context


def client(request: web.Request) -> CoachingClient:
    """Return the application's client, with the application's permissions."""
    return request.config_dict[VIEWS].client


def user_client(request: web.Request) -> CoachingClient:
    """Return the same client with the token of the web request (`Authorization: Bearer`).

    Raises: `HTTPUnauthorized` if the web request has no token.
    """
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not token.strip():
        raise web.HTTPUnauthorized(headers={"WWW-Authenticate": "Bearer"})
    return request.config_dict[VIEWS].view(token.strip())


def hub(request: web.Request) -> Hub:
    """Return the application's hub, which reads the stream of `cleanup_ctx(listen=...)`."""
    return request.config_dict[HUB]


async def close_event_streams(app: web.Application) -> None:
    """End the event streams, for `app.on_shutdown`."""
    if HUB in app:  # its stream could be entered
        app[HUB].close()


@web.middleware
async def problems(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Respond to an error of the client that no handler catches with a problem response, RFC 9457.

    The statuses 400, 401, 403, 404 and 409 are passed on. A rate limit becomes 503 with Retry-After, a deadline 504, and any
    other error of the service 502. `detail` is the error's text, which contains no ids. `processed` is "maybe" or "yes" if
    a write may have been carried out. A mistake of the application stays a 500.
    """
    try:
        return await handler(request)
    except CoachingError as error:
        reply = problem(error)
        if reply is None or request.writer.output_size:  # a response that has started can only be cut off
            raise
        return web.json_response(reply.body, status=reply.status, headers=reply.headers, content_type=PROBLEM_TYPE)


async def json_lines(request: web.Request, models: AsyncIterable[object]) -> web.StreamResponse:
    """Return a list as newline-delimited JSON, as its pages are read; a slow browser slows the reading down.

    The first item is read before the response starts, so that its error becomes a response of its own. A later error
    cuts the response off, which the browser can detect.
    """
    lines = await ndjson_lines(models)
    response = web.StreamResponse(headers={"Content-Type": NDJSON_TYPE})
    await response.prepare(request)
    async for line in lines:
        await response.write(line.encode())
    return response


async def event_stream(
    request: web.Request,
    hub: Hub,
    user_ids: str | UUID | Iterable[str | UUID],
    *,
    room: int = ROOM,
    max_age: float = MAX_AGE,
) -> web.StreamResponse:
    """Return the notifications of some users as server-sent events, for an `EventSource` in the browser.

    The events are those of `coaching_async.integrations.fastapi.EventStream`. A browser that reconnects sends the id of the
    last one, in the header `Last-Event-ID` or in the parameter `last_event_id` of the query, and gets what came since. The
    handler decides whose notifications the browser may see. The response ends after `max_age` seconds, and the browser
    reconnects, so the handler decides again. `room` notifications may wait for a slow browser. Beyond that it gets `missed` in
    place of the oldest ones.

    The subscription ends with the response. With `handler_cancellation` that is when the browser disconnects, and without it
    up to 15 s later.
    """
    place = last_event_id(request.headers, request.query)
    response = web.StreamResponse(headers=EVENT_STREAM_HEADERS)
    with hub.subscribe(user_ids, last_event_id=place, room=room) as subscription:
        try:
            await response.prepare(request)
            with anyio.move_on_after(max_age):
                async for text in EventTexts(subscription):
                    await response.write(text.encode())
            await response.write_eof()
        except ConnectionResetError:  # the browser has disconnected
            pass
    return response
