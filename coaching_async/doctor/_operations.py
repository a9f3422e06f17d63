"""Check of the permission for each operation, without changing anything.

Only GET requests are sent, most of them with an unknown id. The permission for a write is derived from the roles of the token.
"""

import uuid
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final, TypeAlias, cast

from coaching_async import (
    PERMISSIONS,
    BadRequest,
    CoachingClient,
    CoachingError,
    Forbidden,
    NotFound,
    RawResponse,
)

from ._results import Check

__all__ = [
    "OPERATIONS",
    "READS",
    "ROLES",
    "Answer",
    "Grants",
    "check_operation",
    "covers",
    "entities",
    "granted_permissions",
    "is_user_token",
]

Answer: TypeAlias = RawResponse[Any] | CoachingError
"""The response to a request, or its error."""

Grants: TypeAlias = frozenset[str]
"""Permissions that roles grant, as `domain:entity:action`; each part may be `*`."""

ROLES: Final = "/api/v2/authorization/subjects/me"
"""Path of the token's roles, for users and for OAuth clients. It needs no permission."""

UNKNOWN_ID: Final = str(uuid.uuid4())
"""An id under which the service has nothing."""

NEEDS_USER: Final = "it speaks of the caller, so it needs a user's token"
USE_USER: Final = "Use a user's token: see with_auth."
GIVE_ROLE: Final = "Give the OAuth client, or the user, a role that has it."
CHECK_SCOPES: Final = "Its roles grant that: look at the scopes of the OAuth client, and at the divisions of the roles."

LIST_MINE: Final = "appointments.list_mine"

READS: Final[Mapping[str, Callable[[CoachingClient], Awaitable[RawResponse[Any]]]]] = {
    "appointments.list": lambda client: client.raw(client.appointments.list(UNKNOWN_ID).first),
    LIST_MINE: lambda client: client.raw(client.appointments.list_mine().first),
    "appointments.get": lambda client: client.raw(client.appointments.get, UNKNOWN_ID),
    "appointments.list_statuses": lambda client: client.raw(client.appointments.list_statuses(UNKNOWN_ID).first),
    "annotations.list": lambda client: client.raw(client.annotations.list(UNKNOWN_ID).first),
    "annotations.get": lambda client: client.raw(client.annotations.get, UNKNOWN_ID, UNKNOWN_ID),
    "notifications.list": lambda client: client.raw(client.notifications.list().first),
    "notifications.get": lambda client: client.raw(client.notifications.get, UNKNOWN_ID),
    "schedule_slots.get_job": lambda client: client.raw(client.schedule_slots.get_job, UNKNOWN_ID),
    "users.get": lambda client: client.raw(client.users.get, UNKNOWN_ID),
    "users.me": lambda client: client.raw(client.users.me),
    "users.list": lambda client: client.raw(client.users.list().first),
    "teams.list": lambda client: client.raw(client.teams.list().first),
    "teams.list_members": lambda client: client.raw(client.teams.list_members(UNKNOWN_ID).first),
    "topics.available": lambda client: client.raw(client.topics.available),
    "topics.channels": lambda client: client.raw(client.topics.channels),
}
"""The calls that check operations that only read, one request each (`users.get` sends two)."""

WITHOUT_PERMISSION: Final = frozenset({"topics.create_channel", "topics.subscribe", "users.get"})
"""Operations that need neither a permission nor a user's token, and that fail for another reason, or are not tried."""

OPERATIONS: Final = tuple(
    sorted({*READS, *PERMISSIONS, *WITHOUT_PERMISSION, "notifications.mark_read"} - {"schedule_slots.find"})
)
"""All operations that send one kind of request. `schedule_slots.find` sends two kinds, and is left out."""

ABOUT_APPOINTMENTS: Final = frozenset(
    name for name in PERMISSIONS if name.partition(".")[0] in {"appointments", "annotations"}
) - {"appointments.list", "appointments.create", "appointments.aggregate"}
"""Operations on one appointment, which its participants may call without a permission."""


def granted_permissions(subject: object) -> Grants:
    """Return the permissions in the response to `ROLES`."""
    found: set[str] = set()
    for grant in _objects(_field(subject, "grants")):
        for policy in _objects(_field(grant.get("role"), "policies")):
            actions = policy.get("actions")
            for action in cast("list[object]", actions) if isinstance(actions, list) else []:
                found.add(f"{policy.get('domain')}:{policy.get('entityName')}:{action}".lower())
    return frozenset(found)


def is_user_token(mine: Answer | None) -> bool | None:
    """Return whether the token belongs to a user, by the response to `LIST_MINE`; None if that is not known."""
    if isinstance(mine, RawResponse):
        return True
    return False if isinstance(mine, BadRequest) and mine.code == "not.a.user" else None


def check_operation(operation: str, answer: Answer | None, grants: Grants | None, *, is_user: bool | None) -> Check:
    """Check the permission for an operation, by the response to its GET request and by the granted permissions."""
    needed = PERMISSIONS.get(operation, ())
    given = [] if grants is None else [permission for permission in needed if covers(grants, permission)]
    match answer:
        case RawResponse():
            return Check(operation, "ok", "it was asked, and answered")
        case Forbidden() if given:
            return Check(operation, "not allowed", str(answer), CHECK_SCOPES)
        case Forbidden():
            return Check(operation, "not allowed", str(answer), GIVE_ROLE)
        case BadRequest(code="not.a.user"):
            return Check(operation, "not allowed", NEEDS_USER, USE_USER)
        case NotFound() | None if needed and grants is not None:
            return _by_roles(operation, needed, given, is_user=is_user)
        case NotFound() if operation in WITHOUT_PERMISSION:
            return Check(operation, "ok", "it needs no permission, and it was answered")
        case None if operation in WITHOUT_PERMISSION - READS.keys():
            return Check(
                operation, "not known", "nothing may be changed to find out, and each topic has its own permission"
            )
        case NotFound():
            why = "nothing has a made-up id, and the permission may be checked after that"
            return Check(operation, "not known", why)
        case None if operation in READS:
            return Check(operation, "not known", "it was not answered in time")
        case None if needed:
            return Check(operation, "not known", "nothing may be changed to find out, and its roles cannot be read")
        case None if is_user is None:
            return Check(operation, "not known", f"{NEEDS_USER}, and whether this is one cannot be told")
        case None if is_user:
            return Check(operation, "ok", f"{NEEDS_USER}, and this is one")
        case None:
            return Check(operation, "not allowed", NEEDS_USER, USE_USER)
        case _:
            return Check(operation, "not known", str(answer))


def _by_roles(operation: str, needed: tuple[str, ...], given: list[str], *, is_user: bool | None) -> Check:
    if given:
        lacking = " and ".join(permission for permission in needed if permission not in given)
        return Check(operation, "ok", f"its roles grant {' and '.join(given)}{lacking and f', and not {lacking}'}")
    sentence = f"it needs {' or '.join(needed)}"
    if is_user and operation in ABOUT_APPOINTMENTS:
        sentence += ", unless the user has a part in the appointment"
    return Check(operation, "not allowed", sentence, GIVE_ROLE)


def covers(grants: Grants, permission: str) -> bool:
    """Return whether granted permissions contain one."""
    domain, entity, action = permission.lower().split(":")
    return not grants.isdisjoint(
        f"{one}:{two}:{three}" for one in (domain, "*") for two in (entity, "*") for three in (action, "*")
    )


def _field(value: object, name: str) -> object:
    return cast("dict[str, object]", value).get(name) if isinstance(value, dict) else None


def entities(page: object) -> list[dict[str, object]]:
    """Return the entities of a page of any kind."""
    return _objects(_field(page, "entities"))


def _objects(value: object) -> list[dict[str, object]]:
    """Return the objects in a list, and ignore everything else, because the service's JSON is not validated."""
    return (
        [cast("dict[str, object]", item) for item in cast("list[object]", value) if isinstance(item, dict)]
        if isinstance(value, list)
        else []
    )
