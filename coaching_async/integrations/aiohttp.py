"""aiohttp: a client for the application, a view for each user, and problem responses.

app = web.Application(middlewares=[problems])
app.cleanup_ctx.append(cleanup_ctx())

async def appointment(request: web.Request) -> web.Response:
    return web.json_response(to_dict(await client(request).appointments.get(request.match_info["id"])))

web.run_app(app, handler_cancellation=True)  # a disconnect of the browser cancels the handler
"""

from collections.abc import AsyncGenerator, AsyncIterable, Callable
from typing import TypeAlias

from aiohttp import web
from aiohttp.typedefs import Handler

from coaching_async import CoachingClient, CoachingError

from ._client_views import ClientViews
from ._ndjson import NDJSON_TYPE, ndjson_lines
from ._problems import PROBLEM_TYPE, problem

__all__ = ["cleanup_ctx", "client", "json_lines", "problems", "user_client"]

CleanupContext: TypeAlias = Callable[[web.Application], AsyncGenerator[None]]

VIEWS = web.AppKey("coaching_users", ClientViews)


def cleanup_ctx(make: Callable[[], CoachingClient] = CoachingClient.from_env) -> CleanupContext:
    """Return a context for `app.cleanup_ctx` with a client from `make`, which is open while the application runs."""

    async def client_context(app: web.Application) -> AsyncGenerator[None]:
        async with make() as client:
            app[VIEWS] = ClientViews(client)
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
