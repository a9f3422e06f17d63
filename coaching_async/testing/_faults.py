"""Faults of a sandbox by the name of the operation that they affect."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Final, Literal, TypeAlias

if TYPE_CHECKING:
    from coaching_async.sandbox import FaultKind, Sandbox

__all__ = ["Operation", "fails", "loses_answer", "never_answers", "route"]

Operation: TypeAlias = Literal[
    "annotations.create",
    "annotations.delete",
    "annotations.get",
    "annotations.list",
    "annotations.update",
    "appointments.add_conversation",
    "appointments.aggregate",
    "appointments.create",
    "appointments.delete",
    "appointments.get",
    "appointments.list",
    "appointments.list_mine",
    "appointments.list_statuses",
    "appointments.set_status",
    "appointments.update",
    "notifications.get",
    "notifications.list",
    "notifications.mark_read",
    "schedule_slots.get_job",
    "schedule_slots.query",
    "schedule_slots.start_job",
    "teams.list",
    "teams.list_members",
    "topics.available",
    "topics.channels",
    "topics.create_channel",
    "topics.subscribe",
    "users.get",
    "users.list",
    "users.me",
    "users.search",
]
"""Name of a method that sends one kind of request."""

ROUTES: Final[Mapping[Operation, tuple[str, str]]] = {
    "annotations.create": ("POST", "coaching/appointments/*/annotations"),
    "annotations.delete": ("DELETE", "coaching/appointments/*/annotations/*"),
    "annotations.get": ("GET", "coaching/appointments/*/annotations/*"),
    "annotations.list": ("GET", "coaching/appointments/*/annotations"),
    "annotations.update": ("PATCH", "coaching/appointments/*/annotations/*"),
    "appointments.add_conversation": ("POST", "coaching/appointments/*/conversations"),
    "appointments.aggregate": ("POST", "coaching/appointments/aggregates/query"),
    "appointments.create": ("POST", "coaching/appointments"),
    "appointments.delete": ("DELETE", "coaching/appointments/*"),
    "appointments.get": ("GET", "coaching/appointments/(?!me$)*"),
    "appointments.list": ("GET", "coaching/appointments"),
    "appointments.list_mine": ("GET", "coaching/appointments/me"),
    "appointments.list_statuses": ("GET", "coaching/appointments/*/statuses"),
    "appointments.set_status": ("PATCH", "coaching/appointments/*/status"),
    "appointments.update": ("PATCH", "coaching/appointments/*"),
    "notifications.get": ("GET", "coaching/notifications/*"),
    "notifications.list": ("GET", "coaching/notifications"),
    "notifications.mark_read": ("PATCH", "coaching/notifications/*"),
    "schedule_slots.get_job": ("GET", "coaching/scheduleslots/jobs/*"),
    "schedule_slots.query": ("POST", "coaching/scheduleslots/query"),
    "schedule_slots.start_job": ("POST", "coaching/scheduleslots/jobs"),
    "teams.list": ("GET", "teams"),
    "teams.list_members": ("GET", "teams/*/members"),
    "topics.available": ("GET", "notifications/availabletopics"),
    "topics.channels": ("GET", "notifications/channels"),
    "topics.create_channel": ("POST", "notifications/channels"),
    "topics.subscribe": ("PUT", "notifications/channels/*/subscriptions"),
    "users.get": ("GET", "users/(?!me$)*"),
    "users.list": ("GET", "users"),
    "users.me": ("GET", "users/me"),
    "users.search": ("POST", "users/search"),
}


def route(operation: Operation) -> tuple[str, str]:
    """Return the method and path of a `Fault` for one operation.

        sandbox.faults.add(Fault("drip", *route("appointments.get"), delay=0.1))

    Raises: `KeyError` for an unknown operation.
    """
    method, path = ROUTES[operation]
    return method, f"^/api/v2/{path.replace('*', '[^/?]+')}$"


def fails(
    sandbox: "Sandbox",
    operation: Operation,
    status: int = 503,
    *,
    times: float = 1,
    after: int = 0,
    retry_after: float | None = None,
) -> None:
    """Make the next `times` requests of `operation` fail with `status`, after `after` successful ones.

    They change no data. `retry_after` is in seconds. The client retries what it may, so the caller does not see a single
    503 to a read. For that use `math.inf` times.
    """
    _add_fault(sandbox, "status", operation, times, after, status, retry_after)


def loses_answer(sandbox: "Sandbox", operation: Operation, *, times: float = 1, after: int = 0) -> None:
    """Carry out the next `times` requests of `operation`, and cut their connections before the response."""
    _add_fault(sandbox, "drop_after", operation, times, after)


def never_answers(sandbox: "Sandbox", operation: Operation, *, times: float = 1, after: int = 0) -> None:
    """Leave the next `times` requests of `operation` without a response, until the caller's deadline. They change no data."""
    _add_fault(sandbox, "stall", operation, times, after)


def _add_fault(
    sandbox: "Sandbox",
    kind: "FaultKind",
    operation: Operation,
    times: float,
    after: int,
    status: int | None = None,
    retry_after: float | None = None,
) -> None:
    from coaching_async.sandbox import Fault  # needs an extra, which `build` does not need

    sandbox.faults.add(Fault(kind, *route(operation), times, after, status=status, retry_after=retry_after))
