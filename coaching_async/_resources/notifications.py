"""Notifications: the operations below `/api/v2/coaching/notifications`."""

from coaching_async._pagination.listing import Listing
from coaching_async._serialization.urls import QueryValue
from coaching_async.models.coercion import IdLike
from coaching_async.models.common import Page
from coaching_async.models.notifications import Notification

from .base import Resource, build_listing

__all__ = ["Notifications"]


class Notifications(Resource):
    """Notifications about appointments, for the user of the token.

    Besides the errors named at each method, every method may raise `TransportError`, `DeadlineExceeded`, `AuthError`,
    `Unauthorized`, `RateLimited`, `ServerError` and `DecodeError`. Methods that write may raise `OutcomeUnknown`.
    """

    __slots__ = ()

    def list(self, *, page_size: int = 100, expand_appointment: bool = False) -> Listing[Notification]:
        """Return the notifications of the user of the token. `expand_appointment` includes the whole appointment in each.

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

    async def get(self, notification_id: IdLike, *, expand_appointment: bool = False) -> Notification:
        """Return one notification. `expand_appointment` includes its whole appointment.

        HTTP: GET /api/v2/coaching/notifications/{notificationId}
        Permission: coaching:notification:view, or being its recipient
        Raises: `NotFound`, `Forbidden`.
        """
        return await self._api.get(
            Notification, "notifications.get", "notifications", notification_id, filters=_expand(expand_appointment)
        )

    async def mark_read(self, notification_id: IdLike, *, read: bool = True) -> Notification:
        """Mark a notification of the user of the token as read, or as unread.

        HTTP: PATCH /api/v2/coaching/notifications/{notificationId}
        Permission: none, but a user's token: the recipient's
        Raises: `BadRequest`, `NotFound`, `Forbidden`; `OutcomeUnknown` when it may have been marked.
        """
        if not isinstance(read, bool):  # pyright: ignore[reportUnnecessaryIsInstance] # callers without a type checker
            raise TypeError(f"read is True or False, not {type(read).__name__}")
        return await self._api.write(
            Notification,
            "notifications.mark_read",
            "PATCH",
            "notifications",
            notification_id,
            body={"marked_as_read": read},
            sets_values=True,
        )


def _expand(appointment: bool) -> dict[str, QueryValue]:
    return {"expand": ["appointment"]} if appointment else {}
