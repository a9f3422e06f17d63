"""Exports, notifications, and a test with faults."""

import io
from collections.abc import AsyncIterator

from coaching_async import AccessToken, CoachingClient, Notification
from coaching_async.export import export
from coaching_async.sandbox import Fault, Sandbox
from coaching_async.testing import fails, loses_answer


async def of_a_user(client: CoachingClient) -> list[Notification]:
    return [each async for each in client.notifications.list() if each.action_type == "Create" and each.starts_at]


async def main(client: CoachingClient) -> AsyncIterator[str]:
    users = [user.id async for user in client.users.list()]
    written = io.BytesIO()
    done = await export(
        client, users, written, form="csv", statuses="Completed", relationships="Attendee", overdue=False
    )
    yield str(done.items)
    with Sandbox() as sandbox:
        sandbox.faults.add(Fault("drop_after", "POST"))
        fails(sandbox, "appointments.list", 503, after=1)
        loses_answer(sandbox, "appointments.create")
        sandbox.notify(sandbox.state.user_ids[0], "Create")
        async with CoachingClient(
            AccessToken(sandbox.user_token(sandbox.state.user_ids[0])), base_url=sandbox.base_url
        ) as mine:
            yield str(len(await of_a_user(mine)))
            watch = mine.notifications.watch(start="all", every=30.0)
            async for notification in watch:
                yield notification.name or ""
                break
