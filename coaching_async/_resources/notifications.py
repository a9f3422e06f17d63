"""Notifications: what a user is told about appointments."""

from coaching_async._pagination.listing import Listing
from coaching_async._serialization.urls import QueryValue
from coaching_async.models.common import Page
from coaching_async.models.notifications import Notification

from .base import Resource, build_listing

__all__ = ["Notifications"]


class Notifications(Resource):
    """What the user whose token this is has been told about appointments.

    Besides what is named at each method, every method may raise `TransportError`, `DeadlineExceeded`, `AuthError`,
    `Unauthorized`, `RateLimited`, `ServerError` and `DecodeError`; those that write, `OutcomeUnknown`.
    """

    __slots__ = ()

    def list(self, *, page_size: int = 100, expand_appointment: bool = False) -> Listing[Notification]:
        """The caller's notifications; with `expand_appointment` each carries its whole appointment.

        HTTP: GET /api/v2/coaching/notifications
        Permission: none, but a user's token
        Raises: `ValueError` now for bad arguments; `BadRequest` with code `not.a.user` when walked with a client's own
        token.
        """
        return build_listing(
            self._api,
            Page[Notification],
            "notifications.list",
            "notifications",
            page_size=page_size,
            chunks=(_expand(expand_appointment),),
        )

    async def get(self, notification_id: str, *, expand_appointment: bool = False) -> Notification:
        """One notification; with `expand_appointment` it carries its whole appointment.

        HTTP: GET /api/v2/coaching/notifications/{notificationId}
        Permission: coaching:notification:view, or being its recipient
        Raises: `NotFound`, `Forbidden`.
        """
        return await self._api.get(
            Notification, "notifications.get", "notifications", notification_id, filters=_expand(expand_appointment)
        )

    async def mark_read(self, notification_id: str, *, read: bool = True) -> Notification:
        """Mark one's own notification read, or unread again.

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
        )


def _expand(appointment: bool) -> dict[str, QueryValue]:
    return {"expand": ["appointment"]} if appointment else {}
