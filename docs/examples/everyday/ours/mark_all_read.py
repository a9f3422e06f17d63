"""Mark all notifications of the user as read.

The client needs a user's token: see `with_auth`.
"""

from coaching_async import CoachingClient


async def mark_all_read(client: CoachingClient) -> int:
    """Mark them, and return how many were unread."""
    result = await client.notifications.mark_all_read()
    result.raise_for_failures()
    return len(result.succeeded)
