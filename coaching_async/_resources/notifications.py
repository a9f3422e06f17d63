"""Notifications: the operations below `/api/v2/coaching/notifications`."""

from __future__ import annotations

from collections.abc import Callable
from inspect import iscoroutinefunction

from coaching_async._bulk.results import BulkResult
from coaching_async._bulk.runner import bulk
from coaching_async._channels.catch_up import Start
from coaching_async._channels.frames import notification_topic
from coaching_async._channels.notification_cursor import known_at_start
from coaching_async._channels.reports import Gap
from coaching_async._channels.streams import NotificationStream
from coaching_async._channels.watch import NotificationWatch
from coaching_async._pagination.listing import Listing
from coaching_async._refusals.arguments import checked_count, checked_flag
from coaching_async._serialization.urls import QueryValue
from coaching_async.models.coercion import IdLike, IdsLike, to_user_ids
from coaching_async.models.common import Page
from coaching_async.models.notifications import Notification

from .base import Resource, build_listing
from .topics import checked_topics

__all__ = ["Notifications"]


class Notifications(Resource):
    """Notifications about appointments, for the user of the token.

    Besides the errors named at each method, every method may raise `TransportError`, `DeadlineExceeded`, `AuthError`,
    `Unauthorized`, `RateLimited`, `ServerError` and `DecodeError`. Methods that write may raise `OutcomeUnknown`.
    """

    __slots__ = ()

    def list(self, *, page_size: int = 100, expand_appointment: bool = False) -> Listing[Notification]:
        """Return the notifications of the user of the token. `expand_appointment` includes the whole appointment in each.

            async for notification in client.notifications.list():
                print(notification.name, notification.action_type)

        HTTP: GET /api/v2/coaching/notifications
        Permission: none, but a user's token
        Raises: `ValueError` now for invalid arguments; `BadRequest` with code `not.a.user` when iterated with a token of client
        credentials.
        """
        return build_listing(
            self._api,
            Page[Notification],
            "notifications.list",
            "notifications",
            page_size=page_size,
            chunks=(_expand(expand_appointment),),
        )

    def watch(
        self,
        *,
        every: float = 30.0,
        start: Start = "new",
        cursor: str | None = None,
        expand_appointment: bool = False,
    ) -> NotificationWatch:
        """Return an iterator over the notifications of the user of the token as they come, by reading the list again and again.

            watch = client.notifications.watch(start="unread")
            async for notification in watch:
                print(notification.name, notification.action_type)

        It reads the list every `every` seconds, give or take a tenth. A look takes one request for up to 100 notifications in the
        list, and two for more, if the new ones are at its ends. Requests have the priority of lists, so others go first.

        - `start="new"` hands out what comes after the first look has ended, which the first step takes. `start="unread"` first
          hands out those in the list that are not marked as read, and `start="all"` all of them.
        - With a `cursor`, it goes on after what the watch or stream had handed out that the cursor is from.

        Each notification is handed out once, as long as the process or its cursor lives. It is known by its id, so another change
        of it, such as being marked as read, is not handed out. One that comes and goes between two looks is not seen. After the
        first page was read, errors that may pass are waited out: `TransportError`, `DeadlineExceeded`, `RateLimited`,
        `ServerError`, and a `DecodeError` unless the client is `strict`. The pause doubles each time, up to a minute. Others are
        raised, and the next step goes on after the pause. The appointment of a notification is as it was when the list was read.

        HTTP: GET /api/v2/coaching/notifications
        Permission: none, but a user's token
        Raises: `ValueError` or `TypeError` now for invalid arguments; when iterated, `ValueError` if the cursor belongs to another
        user, and `BadRequest` with code `not.a.user` with a token of client credentials.
        """
        return NotificationWatch(
            self._api, every=every, start=start, cursor=cursor, expand_appointment=expand_appointment
        )

    async def get(self, notification_id: IdLike, *, expand_appointment: bool = False) -> Notification:
        """Return one notification. `expand_appointment` includes its whole appointment.

            notification = await client.notifications.get(
                notification_id, expand_appointment=True
            )

        HTTP: GET /api/v2/coaching/notifications/{notificationId}
        Permission: coaching:notification:view, or being its recipient
        Raises: `NotFound`, `Forbidden`.
        """
        return await self._api.get(
            Notification, "notifications.get", "notifications", notification_id, filters=_expand(expand_appointment)
        )

    async def mark_read(self, notification_id: IdLike, *, read: bool = True) -> Notification:
        """Mark a notification of the user of the token as read, or as unread.

            await client.notifications.mark_read(notification_id)

        HTTP: PATCH /api/v2/coaching/notifications/{notificationId}
        Permission: none, but a user's token: the recipient's
        Raises: `BadRequest`, `NotFound`, `Forbidden`; `OutcomeUnknown` when it may have been marked.
        """
        return await self._api.write(
            Notification,
            "notifications.mark_read",
            "PATCH",
            "notifications",
            notification_id,
            body={"marked_as_read": checked_flag("read", read)},
            sets_values=True,
        )

    def listen(
        self,
        user_ids: IdsLike | None = None,
        *,
        start: Start = "new",
        cursor: str | None = None,
        buffer: int = 1000,
        partial: bool = False,
        on_gap: Callable[[Gap], None] | None = None,
    ) -> NotificationStream:
        """Return a stream of notifications as they happen: those of the user of the token, or of the users with these ids.

            async with client.notifications.listen() as notifications:
                async for notification in notifications:
                    print(notification.name, notification.action_type)

        `start` is "new", "unread" (first those that are not marked as read) or "all" (first those of the list). With a `cursor`
        of an earlier stream it goes on after that. Both need the list, which has the notifications of the token's own user
        only. `buffer` notifications wait for a reader that is slow. With `partial` the stream does without users whose
        notifications the service refuses; `rejected` has their topics. `on_gap`, a plain function, is called with each gap when it
        is over. A stream has a channel of its own, of the 20 that a user and OAuth client can have. It needs the extra `live`.

        HTTP: POST /api/v2/notifications/channels, PUT /api/v2/notifications/channels/{channelId}/subscriptions
        and a WebSocket, again whenever that is replaced; before it GET /api/v2/users/me unless there are several ids; for the
        notifications of the user of the token also GET /api/v2/coaching/notifications, before and after it, and every ten minutes
        Permission: none, but that of the topic `v2.users.{id}.wem.coaching.notification`, which `client.topics.available` tells
        Raises: `ValueError` and `TypeError` now for invalid arguments. When the block is entered: `ConfigurationError` without
        the extra, `ValueError` for `start` or `cursor` without a list, and what follows, which later is raised by the step
        of the loop: `BadRequest`, `Forbidden`, which names the missing permissions, `ChannelTaken`.
        """
        ids = None if user_ids is None else tuple(dict.fromkeys(to_user_ids(user_ids)))
        if ids is not None:
            checked_topics(map(notification_topic, ids))
        known, begin = known_at_start(start, cursor)
        if on_gap is not None and (not callable(on_gap) or iscoroutinefunction(on_gap)):
            raise TypeError("on_gap is a plain function: it is called in the middle of a step, and not awaited")
        return NotificationStream(
            self._api,
            ids,
            known,
            begin,
            checked_count("buffer", buffer),
            is_partial=checked_flag("partial", partial),
            on_gap=on_gap,
        )

    async def mark_all_read(self, *, concurrency: int | None = None) -> BulkResult[Notification, Notification]:
        """Mark all notifications of the user of the token as read, up to `concurrency` at once. Return an outcome for each unread one.

            result = await client.notifications.mark_all_read()
            print(len(result.succeeded), "are read now")

        The list is read first, so a notification that comes meanwhile may stay unread. See `CoachingClient.bulk` for
        `concurrency`, and for errors: that of one notification is its outcome. One that was deleted meanwhile is a `NotFound`.

        HTTP: GET /api/v2/coaching/notifications, PATCH /api/v2/coaching/notifications/{notificationId}
        Permission: none, but a user's token
        Raises: `ValueError` for an invalid `concurrency`; `BadRequest` with code `not.a.user` with a token of client credentials.
        """
        if concurrency is not None:
            checked_count("concurrency", concurrency)
        unread = [notification for notification in await self.list().collect() if not notification.marked_as_read]
        return await bulk(
            lambda notification: self.mark_read(notification.id),
            unread,
            concurrency,
            None,
            default_concurrency=self._api.concurrency,
        )


def _expand(appointment: bool) -> dict[str, QueryValue]:
    return {"expand": ["appointment"]} if checked_flag("expand_appointment", appointment) else {}
