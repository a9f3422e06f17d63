"""The type of a fixture."""

from typing import TYPE_CHECKING, Protocol

from coaching_async import Notification

if TYPE_CHECKING:
    from coaching_async.sandbox import NotificationType, UserLike

__all__ = ["Notify"]


class Notify(Protocol):
    """The function that the fixture `coaching_notify` returns."""

    def __call__(self, action: "NotificationType" = ..., user: "UserLike | None" = ...) -> Notification: ...
