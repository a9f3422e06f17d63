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
    """Name of the division. It may be absent."""


@attrs.frozen(kw_only=True, eq=False, repr=False)
class User(Value):
    """A person, or a service account. A user has no time zone."""

    id: str
    """Id that the service assigned, a UUID in practice."""
    name: str | None = None
    """The name to show. It may be None for a user who was deleted."""
    email: str | None = None
    """The main e-mail address, in the case that it was typed in."""
    username: str | None = None
    """The name to log in with, in most cases the e-mail address."""
    department: str | None = None
    """Department. None if it was not set."""
    title: str | None = None
    """Job title. None if it was not set."""
    manager: UserReference | None = None
    """The service gives no name with it: `client.users.names` has it."""
    division: Division | None = None
    """Division that the user belongs to."""
    state: UserState | None = None
    """Whether the user is active, inactive or deleted."""
    version: int | str | None = None
    """The version of the record: a number, or text."""
    self_uri: str | None = None
    """Path of this resource at the API host."""


@attrs.frozen(kw_only=True, eq=False, repr=False)
class Team(Value):
    """A team. A user is in up to one team, and a team has up to 100 members."""

    id: str
    """Id that the service assigned, a UUID in practice."""
    name: str | None = None
    """Name of the team."""
    division: Division | None = None
    """Without its name."""
    description: str | None = None
    """Text about the team."""
    date_created: datetime | None = None
    """When it was created (UTC). The service sets it."""
    date_modified: datetime | None = None
    """When it was last changed (UTC). The service sets it."""
    member_count: int | None = None
    """Number of members."""
    self_uri: str | None = None
    """Path of this resource at the API host."""


@attrs.frozen(kw_only=True, eq=False, repr=False)
class TeamMember(UserReference):
    """A member of a team."""

    name: str | None = None
    """Name of the user. None if the service sends none."""
