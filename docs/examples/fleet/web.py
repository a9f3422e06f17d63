"""The web application: `uvicorn web:app --workers 2`."""

from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from uuid import UUID

from fastapi import FastAPI
from shared import make_client, open_shared_state

from coaching_async import Appointment
from coaching_async.integrations.fastapi import Client, add_problem_responses, lifespan


@asynccontextmanager
async def open_client(app: FastAPI) -> AsyncGenerator[Mapping[str, object]]:
    """Open the shared state, and then the client of this worker."""
    async with open_shared_state() as state, lifespan(lambda: make_client(state))(app) as opened:
        yield opened


app = FastAPI(lifespan=open_client)
add_problem_responses(app)


@app.get("/appointments/{appointment_id}")
async def appointment(client: Client, appointment_id: UUID) -> Appointment:
    """Return one appointment: a direct call, which goes before the export."""
    return await client.appointments.get(str(appointment_id))
