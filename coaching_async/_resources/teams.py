"""Teams: the operations below `/api/v2/teams`."""

from __future__ import annotations

from coaching_async._pagination.listing import Listing
from coaching_async.models.coercion import IdLike
from coaching_async.models.common import Page
from coaching_async.models.users import Team, TeamMember

from .base import Resource, build_cursor_listing
from .user_search import checked_text

__all__ = ["Teams"]


class Teams(Resource):
    """Teams of users. Their pages follow each other by cursors of the service, so their lists have no `total` and no `cursor`.

    Besides the errors named at each method, every method may raise `TransportError`, `DeadlineExceeded`, `AuthError`,
    `Unauthorized`, `RateLimited`, `ServerError` and `DecodeError`.
    """

    __slots__ = ()

    def list(self, *, name: str | None = None, page_size: int = 100) -> Listing[Team]:
        """Return the teams, or those whose name begins with `name`, in any case.

            async for team in client.teams.list(name="Billing"):
                print(team.id, team.name)

        HTTP: GET /api/v2/teams
        Permission: groups:team:view
        Raises: `ValueError` now for invalid arguments; `BadRequest`, `Forbidden` when iterated.
        """
        filters = {} if name is None else {"name": checked_text("name", name)}
        return build_cursor_listing(self._api, Page[Team], "teams.list", "teams", page_size=page_size, filters=filters)

    def list_members(self, team_id: IdLike, *, page_size: int = 100) -> Listing[TeamMember]:
        """Return the members of a team, with their names. `users.get_many` has what else there is to know of them.

            members = client.teams.list_members(team_id)
            user_ids = [member.id async for member in members]

        HTTP: GET /api/v2/teams/{teamId}/members
        Permission: groups:team:view
        Raises: `ValueError` now for invalid arguments; `NotFound`, `Forbidden` when iterated.
        """
        return build_cursor_listing(
            self._api,
            Page[TeamMember],
            "teams.list_members",
            "teams",
            team_id,
            "members",
            page_size=page_size,
            filters={"expand": "entities"},
        )
