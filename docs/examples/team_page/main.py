"""A page that shows the coaching of a team as it happens: `uvicorn main:app`.

COACHING_TEAM is the name of the team, and PAGE_PASSWORD the password of the page, with any user name. It reads the org from
the environment, as `CoachingClient.from_env` does.
"""

import os
import secrets
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated

from fastapi import APIRouter, Depends, FastAPI, HTTPException
from fastapi.responses import FileResponse, Response
from fastapi.security import HTTPBasic, HTTPBasicCredentials

from coaching_async import Appointment, CoachingClient, Notification
from coaching_async.integrations.fastapi import (
    CancelOnDisconnect,
    Client,
    EventStream,
    NotificationHub,
    add_problem_responses,
    lifespan,
)

HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src data:; base-uri 'none'; "
        "form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'"
    ),
    "Cache-Control": "no-cache",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}
STATIC = Path(__file__).with_name("static")

people: dict[str, str] = {}
"""Names of the members of the team, by user id."""


async def read_team(client: CoachingClient) -> None:
    """Read who belongs to the team."""
    name = os.environ["COACHING_TEAM"]
    async for team in client.teams.list(name=name):  # those whose names begin with it
        if team.name == name:
            people.update({member.id: member.name or member.id async for member in client.teams.list_members(team.id)})


async def listen(client: CoachingClient) -> AsyncIterator[Notification]:
    """Return the stream of the notifications of the whole team. One stream serves all browsers."""
    await read_team(client)
    return client.notifications.listen(people)


def signed_in(credentials: Annotated[HTTPBasicCredentials, Depends(HTTPBasic(realm="Coaching"))]) -> None:
    """Let in who knows the password. An application with several teams decides here whose events a user may see."""
    if not secrets.compare_digest(credentials.password.encode(), os.environ["PAGE_PASSWORD"].encode()):
        raise HTTPException(401, headers={"WWW-Authenticate": 'Basic realm="Coaching"'})


page = APIRouter(dependencies=[Depends(signed_in)])


@page.get("/")
@page.get("/{name}.{kind}")
async def file(name: str = "page", kind: str = "html") -> FileResponse:
    """Return the page, its style or its script."""
    if (name, kind) not in {("page", "html"), ("page", "css"), ("page", "js")}:
        raise HTTPException(404)
    return FileResponse(STATIC / f"{name}.{kind}", headers=HEADERS)


@page.get("/team")
async def team() -> dict[str, str | dict[str, str]]:
    """Return the name of the team, and those of its members."""
    return {"name": os.environ["COACHING_TEAM"], "people": people}


@page.get("/events")
async def events(hub: NotificationHub) -> EventStream:
    """Return the notifications of the team as they come."""
    return EventStream(hub, people)


@page.get("/appointments")
async def appointments(client: Client) -> list[Appointment]:
    """Return the next appointments of the team. The page reads them again when it has missed notifications."""
    now = datetime.now(UTC)
    interval = (now, now + timedelta(days=14))
    return await client.appointments.list(people, interval=interval, sort_order="Asc").collect(limit=12)


app = FastAPI(title="Coaching", lifespan=lifespan(listen=listen))
app.add_middleware(CancelOnDisconnect)
add_problem_responses(app)
app.include_router(page)


@app.get("/health")
async def health(hub: NotificationHub) -> Response:
    """Return 503 if no more notifications come, so that the application is started again."""
    return Response(status_code=204 if hub.error is None else 503)
