"""For aiohttp: one client for the application, a view for each user, errors as problem responses.

app = web.Application(middlewares=[problems])
app.cleanup_ctx.append(cleanup_ctx())

async def appointment(request: web.Request) -> web.Response:
    return web.json_response(to_dict(await client(request).appointments.get(request.match_info["id"])))

web.run_app(app, handler_cancellation=True)  # a browser that leaves cancels its handler
"""

from collections.abc import AsyncGenerator, AsyncIterable, Callable
from typing import TypeAlias

from aiohttp import web
from aiohttp.typedefs import Handler

from coaching_async import CoachingClient, CoachingError

from ._client_views import ClientViews
from ._ndjson import LINES_TYPE, lines_of
from ._problems import PROBLEM_TYPE, problem

__all__ = ["cleanup_ctx", "client", "json_lines", "problems", "user_client"]

CleanupContext: TypeAlias = Callable[[web.Application], AsyncGenerator[None]]

USERS = web.AppKey("coaching_users", ClientViews)


def cleanup_ctx(make: Callable[[], CoachingClient] = CoachingClient.from_env) -> CleanupContext:
    """For `app.cleanup_ctx`: a client, which `make` makes; it is open as long as the application runs."""

    async def opened(app: web.Application) -> AsyncGenerator[None]:
        async with make() as client:
            app[USERS] = ClientViews(client)
            yield

    return opened


def client(request: web.Request) -> CoachingClient:
    """The application's client, with its own permissions."""
    return request.config_dict[USERS].client


def user_client(request: web.Request) -> CoachingClient:
    """The same client with the token that the request brings (`Authorization: Bearer`).

    Raises `HTTPUnauthorized` where it brings none.
    """
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not token.strip():
        raise web.HTTPUnauthorized(headers={"WWW-Authenticate": "Bearer"})
    return request.config_dict[USERS].view(token.strip())


@web.middleware
async def problems(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Answer an error of the client that no handler catches with a problem, RFC 9457.

    400, 401, 403, 404 and 409 are passed on. A rate limit is 503 with Retry-After, a deadline 504, anything else that the
    service did wrong 502. `detail` is the error's text, which has no ids in it; `processed` says "maybe" or "yes" where a
    write may have been carried out. What is the application's own mistake stays a 500.
    """
    try:
        return await handler(request)
    except CoachingError as error:
        told = problem(error)
        if told is None or request.writer.output_size:  # an answer that has begun can only be cut off
            raise
        return web.json_response(told.body, status=told.status, headers=told.headers, content_type=PROBLEM_TYPE)


async def json_lines(request: web.Request, models: AsyncIterable[object]) -> web.StreamResponse:
    """A list as it comes, a line of JSON for each of its items; a slow browser slows the list down.

    The first item is read before the answer begins, so that an error by then gets an answer of its own. A later one
    cuts the answer off, which the browser can tell from its end.
    """
    lines = await lines_of(models)
    response = web.StreamResponse(headers={"Content-Type": LINES_TYPE})
    await response.prepare(request)
    async for line in lines:
        await response.write(line.encode())
    return response
