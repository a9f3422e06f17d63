"""Coaching appointments behind aiohttp: `python main.py 8080`.

The org is taken from the environment, as `CoachingClient.from_env` does.
"""

import asyncio
import sys

from aiohttp import web

from coaching_async import AppointmentCreate, from_dict, to_dict
from coaching_async.integrations.aiohttp import cleanup_ctx, client, json_lines, problems, user_client

routes = web.RouteTableDef()


@routes.get("/appointments")
async def appointments(request: web.Request) -> web.StreamResponse:
    """All appointments of some users, a line of JSON for each, as they come."""
    try:
        listing = client(request).appointments.list(request.query.getall("user_id", []))
    except ValueError as error:
        raise web.HTTPUnprocessableEntity(text=str(error)) from error
    return await json_lines(request, listing)


@routes.post("/appointments")
async def create(request: web.Request) -> web.Response:
    """A new appointment."""
    try:
        body = from_dict(AppointmentCreate, await request.json())
    except ValueError as error:
        raise web.HTTPUnprocessableEntity(text=str(error)) from error
    # A task of its own, which ends by itself: a write that is cancelled may have been carried out, and nobody is told.
    writing = asyncio.create_task(client(request).appointments.create(body))
    created = await asyncio.shield(writing)
    return web.json_response(to_dict(created), status=201)


@routes.get("/appointments/{appointment_id}")
async def appointment(request: web.Request) -> web.Response:
    """One appointment."""
    found = await client(request).appointments.get(request.match_info["appointment_id"])
    return web.json_response(to_dict(found))


@routes.get("/me/appointments")
async def mine(request: web.Request) -> web.Response:
    """The appointments of the user who asks, who is known by the token of the request."""
    found = await user_client(request).appointments.list_mine().collect(limit=500)
    return web.json_response([to_dict(each) for each in found])


app = web.Application(middlewares=[problems])
app.cleanup_ctx.append(cleanup_ctx())
app.add_routes(routes)

if __name__ == "__main__":
    # With handler_cancellation a browser that leaves cancels its handler, and what that asks of the service.
    # Its log of accesses would hold the ids of users.
    web.run_app(app, host="127.0.0.1", port=int(sys.argv[1]), handler_cancellation=True, access_log=None, print=None)
