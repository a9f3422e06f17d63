"""A handler that speaks for the user who asks: `uvicorn user_handler:app`."""

from fastapi import FastAPI

from coaching_async import Appointment
from coaching_async.integrations.fastapi import UserClient, add_problem_responses, lifespan

app = FastAPI(lifespan=lifespan())
add_problem_responses(app)


@app.get("/me/appointments")
async def mine(client: UserClient) -> list[Appointment]:
    """The appointments of the user whose token the request brings."""
    return await client.appointments.list_mine().collect()
