"""Stream a long list to a browser: `uvicorn stream:app`.

It needs `pip install 'coaching_async[fastapi]' uvicorn`.
"""

from typing import Annotated

from fastapi import FastAPI, Query
from fastapi.responses import StreamingResponse

from coaching_async.integrations.fastapi import Client, add_problem_responses, json_lines, lifespan

app = FastAPI(lifespan=lifespan())
add_problem_responses(app)


@app.get("/appointments")
async def appointments(client: Client, user_id: Annotated[list[str], Query()]) -> StreamingResponse:
    """Stream the appointments of users, one line of JSON per appointment."""
    return await json_lines(client.appointments.list(user_id))
