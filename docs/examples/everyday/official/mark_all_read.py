"""All notifications of the user whose token the client has are marked as read."""

from careful import walk
from PureCloudPlatformClientV2 import CoachingApi, CoachingNotification


def mark_all_read(api: CoachingApi) -> int:
    """How many were not."""
    unread = [each.id for each in walk(api.get_coaching_notifications) if not each.marked_as_read]
    read = CoachingNotification()
    read.marked_as_read = True
    for notification_id in unread:
        api.patch_coaching_notification(notification_id, read)
    return len(unread)
