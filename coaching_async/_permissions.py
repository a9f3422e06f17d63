"""The permissions of each operation, and advice for error responses."""

from collections.abc import Mapping
from typing import Final

__all__ = ["PERMISSIONS", "advice_for"]


ADVICE_BY_CODE: Final[Mapping[str, str]] = {
    "not.a.user": "it speaks of the caller, so it needs a user's token: see with_auth",
    "response.entity.too.large": "ask for less at once: a smaller page_size, or no expand",
}
"""Advice by error code."""


PERMISSIONS: Final[Mapping[str, tuple[str, ...]]] = {
    "appointments.list": ("coaching:appointment:view",),
    "appointments.get": ("coaching:appointment:view",),
    "appointments.create": ("coaching:appointment:add",),
    "appointments.update": ("coaching:appointment:edit",),
    "appointments.delete": ("coaching:appointment:delete",),
    "appointments.list_statuses": ("coaching:appointmentStatus:view",),
    "appointments.set_status": ("coaching:appointmentStatus:edit",),
    "appointments.add_conversation": ("coaching:appointment:edit", "coaching:appointmentConversation:add"),
    "appointments.aggregate": ("coaching:appointment:view",),
    "annotations.list": ("coaching:annotation:view", "coaching:privateAnnotation:view"),
    "annotations.get": ("coaching:annotation:view", "coaching:privateAnnotation:view"),
    "annotations.create": ("coaching:annotation:add", "coaching:privateAnnotation:add"),
    "annotations.update": ("coaching:annotation:edit", "coaching:privateAnnotation:edit"),
    "annotations.delete": ("coaching:annotation:delete", "coaching:privateAnnotation:delete"),
    "notifications.get": ("coaching:notification:view",),
    "schedule_slots.query": ("coaching:scheduleSlot:view",),
    "schedule_slots.start_job": ("coaching:scheduleSlotJob:add",),
    "schedule_slots.get_job": ("coaching:scheduleSlotJob:view",),
    "schedule_slots.find": ("coaching:scheduleSlotJob:add", "coaching:scheduleSlotJob:view"),
    "users.search": ("directory:user:view",),
    "teams.list": ("groups:team:view",),
    "teams.list_members": ("groups:team:view",),
}
"""Operation → permissions, of which the token needs at least one.

The participants of an appointment may call some operations without."""


def advice_for(operation: str, status: int, code: str | None) -> str | None:
    """Return what to do about an error response; None if there is no advice."""
    if status == 403 and operation in PERMISSIONS:
        return f"its token needs {' or '.join(PERMISSIONS[operation])}"
    return ADVICE_BY_CODE.get(code or "")
