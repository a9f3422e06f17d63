"""Mark all notifications of the user as read."""

from coaching_async import CoachingClient


async def mark_all_read(client: CoachingClient) -> int:
    """Mark them, and return how many were unread."""
    unread = [each.id async for each in client.notifications.list() if not each.marked_as_read]
    for notification_id in unread:
        await client.notifications.mark_read(notification_id)
    return len(unread)
