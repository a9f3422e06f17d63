"""Coaching appointments behind aiohttp: `python main.py 8080`.

It reads the org from the environment, as `CoachingClient.from_env` does.
"""

import asyncio
import sys

from aiohttp import web

from coaching_async import AppointmentCreate, from_dict, to_dict
from coaching_async.integrations.aiohttp import cleanup_ctx, client, json_lines, problems, user_client

routes = web.RouteTableDef()


@routes.get("/appointments")
async def appointments(request: web.Request) -> web.StreamResponse:
    """Stream all appointments of some users, one line of JSON per appointment."""
    try:
        listing = client(request).appointments.list(request.query.getall("user_id", []))
    except ValueError as error:
        raise web.HTTPUnprocessableEntity(text=str(error)) from error
    return await json_lines(request, listing)


@routes.post("/appointments")
async def create(request: web.Request) -> web.Response:
    """Create an appointment."""
    try:
        body = from_dict(AppointmentCreate, await request.json())
    except ValueError as error:
        raise web.HTTPUnprocessableEntity(text=str(error)) from error
    # A task of its own, because a cancelled write may have been carried out, and no response would report it.
    writing = asyncio.create_task(client(request).appointments.create(body))
    created = await asyncio.shield(writing)
    return web.json_response(to_dict(created), status=201)


@routes.get("/appointments/{appointment_id}")
async def appointment(request: web.Request) -> web.Response:
    """Return one appointment."""
    found = await client(request).appointments.get(request.match_info["appointment_id"])
    return web.json_response(to_dict(found))


@routes.get("/me/appointments")
async def mine(request: web.Request) -> web.Response:
    """Return the appointments of the user whose token the request has."""
    found = await user_client(request).appointments.list_mine().collect(limit=500)
    return web.json_response([to_dict(each) for each in found])


app = web.Application(middlewares=[problems])
app.cleanup_ctx.append(cleanup_ctx())
app.add_routes(routes)

if __name__ == "__main__":
    # With handler_cancellation a browser that disconnects cancels its handler, and its requests to the service.
    # The access log would contain user ids.
    web.run_app(app, host="127.0.0.1", port=int(sys.argv[1]), handler_cancellation=True, access_log=None, print=None)
