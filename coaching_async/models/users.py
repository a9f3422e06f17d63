"""Models of users and teams."""

from datetime import datetime
from typing import Literal, TypeAlias

import attrs

from coaching_async._value import Value

from .common import Reference, UserReference
from .types import OpenEnum

__all__ = ["Division", "Team", "TeamMember", "User", "UserState", "UserStateLike"]


class UserState(OpenEnum):
    """Whether a user can work: deleting a user is a state, too, and the id and most fields remain."""

    ACTIVE = "active"
    INACTIVE = "inactive"
    DELETED = "deleted"


UserStateLike: TypeAlias = UserState | Literal["active", "inactive", "deleted"]


@attrs.frozen(kw_only=True, eq=False, repr=False)
class Division(Reference):
    """The division that a user or a team belongs to."""

    name: str | None = None


@attrs.frozen(kw_only=True, eq=False, repr=False)
class User(Value):
    """A person, or a service account. A user has no time zone."""

    id: str
    name: str | None = None
    """The name to show. It may be None for a user who was deleted."""
    email: str | None = None
    """The main e-mail address, in the case that it was typed in."""
    username: str | None = None
    """The name to log in with, in most cases the e-mail address."""
    department: str | None = None
    title: str | None = None
    manager: UserReference | None = None
    """The service gives no name with it: `client.users.names` has it."""
    division: Division | None = None
    state: UserState | None = None
    version: int | str | None = None
    """The version of the record: a number, or text."""
    self_uri: str | None = None


@attrs.frozen(kw_only=True, eq=False, repr=False)
class Team(Value):
    """A team. A user is in up to one team, and a team has up to 100 members."""

    id: str
    name: str | None = None
    division: Division | None = None
    """Without its name."""
    description: str | None = None
    date_created: datetime | None = None
    date_modified: datetime | None = None
    member_count: int | None = None
    self_uri: str | None = None


@attrs.frozen(kw_only=True, eq=False, repr=False)
class TeamMember(UserReference):
    """A member of a team."""

    name: str | None = None
