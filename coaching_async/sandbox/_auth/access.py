"""Who may do what: permissions, and the people who need none."""

import attrs

from coaching_async.sandbox._state.appointment import relationships
from coaching_async.sandbox._wire import errors
from coaching_async.sandbox._wire.formats import JsonObject

LEADERS = frozenset({"Creator", "Facilitator"})
RELATED = LEADERS | {"Attendee"}


@attrs.frozen
class Caller:
    """Whose token a request carries; a client of its own has no user."""

    token: str = attrs.field(repr=False)
    permissions: frozenset[str]
    user_id: str | None = None


@attrs.frozen
class Rule:
    """One permission, and the relationships to an appointment that make it unnecessary."""

    permission: str
    exempt: frozenset[str] = frozenset()

    def allows(self, caller: Caller, appointment: JsonObject | None = None) -> bool:
        if self.permission in caller.permissions:
            return True
        return appointment is not None and not self.exempt.isdisjoint(relationships(appointment, caller.user_id))


ADD_APPOINTMENT = Rule("coaching:appointment:add")
LIST_APPOINTMENTS = Rule("coaching:appointment:view")
VIEW_APPOINTMENT = Rule("coaching:appointment:view", RELATED)
EDIT_APPOINTMENT = Rule("coaching:appointment:edit", LEADERS)
ADD_CONVERSATION = Rule("coaching:appointmentConversation:add", LEADERS)
DELETE_APPOINTMENT = Rule("coaching:appointment:delete", frozenset({"Creator"}))
VIEW_STATUSES = Rule("coaching:appointmentStatus:view", RELATED)
EDIT_STATUS = Rule("coaching:appointmentStatus:edit", RELATED)
VIEW_NOTIFICATION = Rule("coaching:notification:view")
ADD_ANNOTATION = {
    "Public": Rule("coaching:annotation:add", RELATED),
    "Private": Rule("coaching:privateAnnotation:add", LEADERS),
}
VIEW_ANNOTATION = {
    "Public": Rule("coaching:annotation:view", RELATED),
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

EVERY_PERMISSION = frozenset(
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
        *ADD_ANNOTATION.values(),
        *VIEW_ANNOTATION.values(),
        *EDIT_ANNOTATION.values(),
        *DELETE_ANNOTATION.values(),
    )
)


def demand(caller: Caller, *rules: Rule, about: JsonObject | None = None) -> None:
    """Refuse unless one of the rules allows it."""
    if not any(rule.allows(caller, about) for rule in rules):
        raise errors.missing_permissions(rule.permission for rule in rules)


def the_user(caller: Caller) -> str:
    if caller.user_id is None:
        raise errors.not_a_user()
    return caller.user_id
