"""Call the API with the token of each request's user: `uvicorn user_handler:app`.

It needs `pip install 'coaching_async[fastapi]' uvicorn`.
"""

from fastapi import FastAPI

from coaching_async import Appointment
from coaching_async.integrations.fastapi import UserClient, add_problem_responses, lifespan

app = FastAPI(lifespan=lifespan())
add_problem_responses(app)


@app.get("/me/appointments")
async def mine(client: UserClient) -> list[Appointment]:
    """Return the appointments of the user whose token the request has."""
    return await client.appointments.list_mine().collect()
