"""Access control: the permission that an operation requires, and the relationships that make it unnecessary."""

import attrs

from coaching_async.sandbox._wire import errors

LEADERS = frozenset({"Creator", "Facilitator"})
PARTICIPANTS = LEADERS | {"Attendee"}


@attrs.frozen
class Caller:
    """The owner of a request's access token; with client credentials there is no user."""

    token: str = attrs.field(repr=False)
    permissions: frozenset[str]
    client_id: str
    user_id: str | None = None


@attrs.frozen
class Rule:
    """A permission, and the relationships to an appointment that make it unnecessary."""

    permission: str
    exempt: frozenset[str] = frozenset()

    def allows(self, caller: Caller, relationships: frozenset[str] = frozenset()) -> bool:
        return self.permission in caller.permissions or not self.exempt.isdisjoint(relationships)


ADD_APPOINTMENT = Rule("coaching:appointment:add")
LIST_APPOINTMENTS = Rule("coaching:appointment:view")
VIEW_APPOINTMENT = Rule("coaching:appointment:view", PARTICIPANTS)
EDIT_APPOINTMENT = Rule("coaching:appointment:edit", LEADERS)
ADD_CONVERSATION = Rule("coaching:appointmentConversation:add", LEADERS)
DELETE_APPOINTMENT = Rule("coaching:appointment:delete", frozenset({"Creator"}))
VIEW_STATUSES = Rule("coaching:appointmentStatus:view", PARTICIPANTS)
EDIT_STATUS = Rule("coaching:appointmentStatus:edit", PARTICIPANTS)
VIEW_NOTIFICATION = Rule("coaching:notification:view")
ADD_ANNOTATION = {
    "Public": Rule("coaching:annotation:add", PARTICIPANTS),
    "Private": Rule("coaching:privateAnnotation:add", LEADERS),
}
VIEW_ANNOTATION = {
    "Public": Rule("coaching:annotation:view", PARTICIPANTS),
    "Private": Rule("coaching:privateAnnotation:view", LEADERS),
}
EDIT_ANNOTATION = {
    "Public": Rule("coaching:annotation:edit", LEADERS),
    "Private": Rule("coaching:privateAnnotation:edit", LEADERS),
}
DELETE_ANNOTATION = {
    "Public": Rule("coaching:annotation:delete", LEADERS),
    "Private": Rule("coaching:privateAnnotation:delete", LEADERS),
}
VIEW_SLOTS = Rule("coaching:scheduleSlot:view")
ADD_JOB = Rule("coaching:scheduleSlotJob:add")
VIEW_JOB = Rule("coaching:scheduleSlotJob:view")
SEARCH_USERS = Rule("directory:user:view")
VIEW_TEAMS = Rule("groups:team:view")

ALL_PERMISSIONS = frozenset(
    rule.permission
    for rule in (
        ADD_APPOINTMENT,
        VIEW_APPOINTMENT,
        EDIT_APPOINTMENT,
        ADD_CONVERSATION,
        DELETE_APPOINTMENT,
        VIEW_STATUSES,
        EDIT_STATUS,
        VIEW_NOTIFICATION,
        VIEW_SLOTS,
        ADD_JOB,
        VIEW_JOB,
        SEARCH_USERS,
        VIEW_TEAMS,
        *ADD_ANNOTATION.values(),
        *VIEW_ANNOTATION.values(),
        *EDIT_ANNOTATION.values(),
        *DELETE_ANNOTATION.values(),
    )
)


def require_permission(caller: Caller, *rules: Rule, relationships: frozenset[str] = frozenset()) -> None:
    """Raise the API's error unless one of the rules allows the request."""
    if not any(rule.allows(caller, relationships) for rule in rules):
        raise errors.missing_permissions(rule.permission for rule in rules)


def require_user(caller: Caller) -> str:
    """Return the caller's user id; raise the API's error if the token is not a user's."""
    if caller.user_id is None:
        raise errors.not_a_user()
    return caller.user_id
