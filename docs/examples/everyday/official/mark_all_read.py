"""Mark all notifications of the user as read."""

from careful import iterate
from PureCloudPlatformClientV2 import CoachingApi, CoachingNotification


def mark_all_read(api: CoachingApi) -> int:
    """Mark them, and return how many were unread."""
    unread = [each.id for each in iterate(api.get_coaching_notifications) if not each.marked_as_read]
    read = CoachingNotification()
    read.marked_as_read = True
    for notification_id in unread:
        api.patch_coaching_notification(notification_id, read)
    return len(unread)
