"""Coaching appointments behind FastAPI: `uvicorn main:app`.

It reads the org from the environment, as `CoachingClient.from_env` does.
"""

from typing import Annotated, Literal
from uuid import UUID

from fastapi import Body, FastAPI, Query
from fastapi.responses import StreamingResponse

from coaching_async import Appointment, AppointmentCreate, Notification
from coaching_async.integrations.fastapi import (
    CancelOnDisconnect,
    Client,
    UserClient,
    add_problem_responses,
    json_lines,
    lifespan,
)

app = FastAPI(title="Coaching", lifespan=lifespan())
app.add_middleware(CancelOnDisconnect)
add_problem_responses(app)


@app.get("/appointments")
async def appointments(
    client: Client,
    user_id: Annotated[list[UUID], Query(min_length=1)],
    status: Annotated[list[Literal["Scheduled", "InProgress", "Completed"]], Query()] = [],  # noqa: B006 # FastAPI copies it
) -> StreamingResponse:
    """Stream all appointments of some users, one line of JSON per appointment."""
    users = [str(each) for each in user_id]
    return await json_lines(client.appointments.list(users, statuses=status or None))


@app.post("/appointments", status_code=201)
async def create(client: Client, body: Annotated[AppointmentCreate, Body()]) -> Appointment:
    """Create an appointment."""
    return await client.appointments.create(body)


@app.get("/appointments/{appointment_id}")
async def appointment(client: Client, appointment_id: UUID) -> Appointment:
    """Return one appointment."""
    return await client.appointments.get(str(appointment_id))


@app.get("/me/appointments")
async def mine(client: UserClient) -> list[Appointment]:
    """Return the appointments of the user whose token the request has."""
    return await client.appointments.list_mine().collect(limit=500)


@app.get("/me/notifications")
async def notifications(client: UserClient) -> list[Notification]:
    """Return up to 25 notifications of that user."""
    return await client.notifications.list().collect(limit=25)
