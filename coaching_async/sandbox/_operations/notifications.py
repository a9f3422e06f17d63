"""Notifications of users about their appointments."""

from starlette.responses import Response

from coaching_async.sandbox._auth import access
from coaching_async.sandbox._auth.access import require_permission, require_user
from coaching_async.sandbox._wire import errors
from coaching_async.sandbox._wire import query as read
from coaching_async.sandbox._wire.formats import JsonObject
from coaching_async.sandbox._wire.references import NOTIFICATIONS
from coaching_async.sandbox._wire.responses import JsonResponse
from coaching_async.sandbox._wire.validation import is_boolean, read_field

from .request_context import RequestContext, Routes, unchanged


def _expands(context: RequestContext) -> bool:
    return "appointment" in read.choices(context.query, "expand", ("appointment",))


def _owns(context: RequestContext, notification: JsonObject) -> bool:
    return bool(notification["user"]["id"] == context.user_id)


async def list_notifications(context: RequestContext) -> Response:
    own = context.state.notifications_of(require_user(context.caller))
    return context.page(
        own[::-1] if context.newest_first else own, context.state.expanded if _expands(context) else unchanged
    )


async def get_notification(context: RequestContext) -> Response:
    notification = context.state.notification(context.ids["notificationId"])
    if not _owns(context, notification):
        require_permission(context.caller, access.VIEW_NOTIFICATION)
    return JsonResponse(context.state.expanded(notification) if _expands(context) else notification)


async def update_notification(context: RequestContext) -> Response:
    require_user(context.caller)
    notification = context.state.notification(context.ids["notificationId"])
    if not _owns(context, notification):
        raise errors.not_authorized()
    is_read = read_field(await context.body(), "markedAsRead", is_boolean)
    return JsonResponse(context.state.mark(notification["id"], read=is_read))


ROUTES: Routes = {
    NOTIFICATIONS: {"GET": list_notifications},
    f"{NOTIFICATIONS}/{{notificationId}}": {"GET": get_notification, "PATCH": update_notification},
}
