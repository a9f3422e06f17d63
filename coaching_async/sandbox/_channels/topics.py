"""Topics: their names, and what a caller needs to subscribe to one."""

import re
from collections.abc import Sequence

import attrs

from coaching_async.sandbox._auth import access
from coaching_async.sandbox._auth.access import Caller, Rule
from coaching_async.sandbox._wire.formats import JsonObject

MAX_LENGTH = 200


@attrs.frozen
class Topic:
    """A kind of topic. If `rule` is given, a caller needs its permission; `of_user` topics of the caller need none."""

    template: str
    description: str
    rule: Rule | None = None
    of_user: bool = False
    pattern: re.Pattern[str] = attrs.field(init=False, eq=False, repr=False)

    def __attrs_post_init__(self) -> None:
        before, _, after = self.template.partition("{id}")
        object.__setattr__(self, "pattern", re.compile(f"{re.escape(before)}([^.?&]+){re.escape(after)}"))

    def missing_permissions(self, name: str, caller: Caller) -> Sequence[str]:
        match = self.pattern.fullmatch(name)
        is_own = self.of_user and match is not None and match[1] == caller.user_id
        return () if self.rule is None or is_own or self.rule.allows(caller) else (self.rule.permission,)

    def as_json(self) -> JsonObject:
        return {
            "id": self.template,
            "description": self.description,
            "enforced": True,
            "visibility": "Public",
            "schema": {},
            "transports": ["Websocket"],
            "publicApiTemplateUriPaths": [],
            "requiresPermissions": [] if self.rule is None else [self.rule.permission],
            "permissionDetails": [],
            "topicParameters": ["id"],
            "requiresCurrentUser": False,
            "requiresCurrentUserOrPermission": self.of_user and self.rule is not None,
            "requiresDivisionPermissions": False,
            "requiresAnyValidator": False,
        }


COACHING = Topic(
    "v2.users.{id}.wem.coaching.notification",
    "Coaching notifications of a user.",
    access.VIEW_NOTIFICATION,
    of_user=True,
)
JOBS = Topic("v2.coaching.scheduleslots.jobs.{id}", "The state of a job that searches for slots.", access.VIEW_JOB)
TOPICS = (
    COACHING,
    JOBS,
    # These exist to be combined, as programs do; the sandbox itself publishes nothing about them.
    Topic("v2.users.{id}.activity", "Activity of a user."),
    Topic("v2.users.{id}.presence", "Presence of a user."),
    Topic("v2.users.{id}.routingStatus", "Routing status of a user."),
)


def single_names(name: str) -> Sequence[str]:
    """Return the topics that a name stands for: `prefix?a&b` stands for `prefix.a` and `prefix.b`."""
    prefix, mark, rest = name.partition("?")
    return tuple(f"{prefix}.{each}" for each in rest.split("&")) if mark else (name,)


def find_topic(name: str) -> Topic | None:
    return next((topic for topic in TOPICS if topic.pattern.fullmatch(name)), None)


def coaching_topic(user_id: str) -> str:
    return COACHING.template.replace("{id}", user_id)


def job_topic(job_id: str) -> str:
    return JOBS.template.replace("{id}", job_id)
