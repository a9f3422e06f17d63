"""Endpoints of the platform without methods of their own, and raw responses."""

from collections.abc import AsyncIterator
from typing import Any, assert_type

from coaching_async import Appointment, CoachingClient, Listing, RawResponse


async def main(client: CoachingClient) -> AsyncIterator[str]:
    answer = await client.request("GET", "/api/v2/users", query={"pageSize": 5, "state": ["active"], "expand": None})
    yield answer.json["entities"][0]["name"].upper()
    yield answer.value["entities"][0]["id"]
    for page in [answer.json]:
        yield ", ".join(user["name"] for user in page["entities"] if user.get("email"))

    users = client.items("/api/v2/users", query={"state": "active"})
    assert_type(users, Listing[dict[str, Any]])
    async for user in users:
        yield user["name"].split()[0] + user["division"]["id"]

    appointment = await client.appointments.list([user["id"] for user in await users.collect()]).first()
    if appointment is not None:
        raw = await client.raw(client.appointments.get, appointment.id)
        assert_type(raw, RawResponse[Appointment])
        yield raw.json["dateStart"] + raw.headers["content-type"] + raw.value.id
    search = {"query": [{"type": "TERM", "fields": ["name"], "value": "a"}], "pageSize": 1}
    yield str((await client.request("POST", "/api/v2/users/search", json=search, safe=True)).status)
