"""Teams and their members, which are read by cursors, and the search of teams."""

from starlette.responses import Response

from coaching_async.sandbox._auth import access
from coaching_async.sandbox._auth.access import require_permission
from coaching_async.sandbox._wire import query as read
from coaching_async.sandbox._wire.cursors import cursor_page
from coaching_async.sandbox._wire.formats import JsonObject
from coaching_async.sandbox._wire.references import TEAMS, user_reference
from coaching_async.sandbox._wire.responses import JsonResponse
from coaching_async.sandbox._wire.search import TEAM_TYPES, name_and_id, read_search

from .request_context import RequestContext, Routes


def _shown(context: RequestContext, team: JsonObject, *, with_division_name: bool = False) -> JsonObject:
    shown = team | {"memberCount": len(context.state.members.get(team["id"], ()))}
    if "division" in team and not with_division_name:
        shown["division"] = {name: value for name, value in team["division"].items() if name != "name"}
    return shown


async def list_teams(context: RequestContext) -> Response:
    require_permission(context.caller, access.VIEW_TEAMS)
    start = context.query.get("name", "").lower()
    with_division_name = bool(read.choice(context.query, "expand", ("entities.division",), ""))
    teams = [team for team in list(context.state.teams.values()) if team["name"].lower().startswith(start)]
    teams.sort(key=name_and_id)
    page, links = cursor_page(context.path, context.query, teams, name_and_id, context.page_cap)
    shown = [_shown(context, team, with_division_name=with_division_name) for team in page]
    return JsonResponse({"entities": shown} | links)


async def list_members(context: RequestContext) -> Response:
    require_permission(context.caller, access.VIEW_TEAMS)
    team = context.state.team(context.ids["teamId"])
    has_names = bool(read.choice(context.query, "expand", ("entities",), ""))
    ids = sorted(context.state.members.get(team["id"], ()))
    page, links = cursor_page(context.path, context.query, ids, lambda user_id: [user_id], context.page_cap)
    users = context.state.users
    names = {id_: users[id_]["name"] for id_ in page if has_names and "name" in users.get(id_, ())}
    shown = [user_reference(id_) | ({"name": names[id_]} if id_ in names else {}) for id_ in page]
    return JsonResponse({"entities": shown} | links)


async def search_teams(context: RequestContext) -> Response:
    require_permission(context.caller, access.VIEW_TEAMS)
    search = read_search(await context.body(), TEAM_TYPES, context.page_cap, required=("query",))
    found = search.select(list(context.state.teams.values()))
    shown = [_shown(context, team) for team in search.page_of(found)]
    return JsonResponse(search.envelope("teams", len(found)) | {"results": shown})


ROUTES: Routes = {
    TEAMS: {"GET": list_teams},
    f"{TEAMS}/search": {"POST": search_teams},
    f"{TEAMS}/{{teamId}}/members": {"GET": list_members},
}
