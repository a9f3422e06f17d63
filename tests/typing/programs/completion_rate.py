"""The share of completed appointments, by facilitator and week."""

from collections import Counter
from collections.abc import AsyncIterator

from coaching_async import CoachingClient, Interval


async def main(client: CoachingClient) -> AsyncIterator[str]:
    users = [user.id async for user in client.users.list()]
    planned: Counter[tuple[str, int]] = Counter()
    completed: Counter[tuple[str, int]] = Counter()
    async for each in client.appointments.list(users, interval=Interval.month(2026, 11)):
        if each.facilitator is None:
            continue
        key = each.facilitator.id, each.starts_at.isocalendar().week
        planned[key] += 1
        completed[key] += each.status == "Completed"
    names = await client.users.names({facilitator for facilitator, _ in planned})
    for (facilitator, week), count in sorted(planned.items()):
        yield f"{names[facilitator]}, week {week}: {completed[facilitator, week] / count:.0%}"

    counted = await client.appointments.aggregate(
        interval=Interval.month(2026, 11),
        attendee_ids=users,
        statuses=["Completed", "Scheduled"],
        group_by="attendeeId",
        metrics=["nActivities", "nOverdueActivities"],
    )
    for group in counted.results:
        for data in group.data:
            yield f"{group.group['attendeeId']}: {sum(metric.count for metric in data.metrics)}"
