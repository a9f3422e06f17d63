"""The appointments of a team in a week, in local time, with the names of the attendees."""

from collections.abc import AsyncIterator
from zoneinfo import ZoneInfo

from coaching_async import CoachingClient, Interval

BERLIN = ZoneInfo("Europe/Berlin")


async def main(client: CoachingClient) -> AsyncIterator[str]:
    team = await client.teams.list().first()
    if team is None:
        return
    members = [member.id async for member in client.teams.list_members(team.id)]
    week = Interval.parse("2026-W48", tz=BERLIN)
    appointments = await client.appointments.list(members, interval=week, sort_order="Asc").collect()
    names = await client.users.names(person.id for each in appointments for person in each.attendees)
    for each in appointments:
        start, end = each.starts_at.astimezone(BERLIN), each.ends_at.astimezone(BERLIN)
        people = ", ".join(names[person.id] for person in each.attendees)
        yield f"{start:%a %H:%M} to {end:%H:%M} {each.name}: {people}"
