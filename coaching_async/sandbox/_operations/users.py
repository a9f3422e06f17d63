"""Users: read by id, listed, and searched; and the members of groups, which are listed as users."""

from collections.abc import Sequence
from urllib.parse import quote

from starlette.responses import Response

from coaching_async.sandbox._auth import access
from coaching_async.sandbox._auth.access import require_permission, require_user
from coaching_async.sandbox._auth.oauth import ORG_NAME
from coaching_async.sandbox._wire import errors
from coaching_async.sandbox._wire import query as read
from coaching_async.sandbox._wire.formats import JsonObject, format_timestamp
from coaching_async.sandbox._wire.paging import read_page_request
from coaching_async.sandbox._wire.references import GROUPS, USERS
from coaching_async.sandbox._wire.responses import JsonResponse
from coaching_async.sandbox._wire.search import (
    MAX_RESULTS,
    PRESENCE_SOURCES,
    USER_TYPES,
    decode_search,
    encode_search,
    name_and_id,
    read_search,
)

from .request_context import RequestContext, Routes

MAX_IDS = 100

_STATES = ("active", "inactive", "deleted")
_EXPANDS = frozenset(
    "routingStatus presence integrationPresence conversationSummary outOfOffice geolocation station authorization "  # noqa: SIM905 - a list has a line for each
    "lasttokenissued authorization.unusedRoles team workPlanBidRanks externalContactsSettings groups customAttributes "
    "profileSkills certifications locations skills languages languagePreference employerInfo biography dateLastLogin "
    "dateWelcomeSent".split()
)
_EXPANDS_OF_ME = _EXPANDS | frozenset(
    "date geolocationsettings organization presencedefinitions divisionedpresencedefinitions locationdefinitions "  # noqa: SIM905 - as above
    "orgauthorization orgproducts favorites superiors directreports adjacents routingskills routinglanguages "
    "fieldconfigs token trustors logCapture autoanswersettings".split()
)


def _expanded(context: RequestContext, user: JsonObject, expand: frozenset[str]) -> JsonObject:
    """Add team and groups, if they are to be expanded. The sandbox has nothing for the other expands."""
    state, shown = context.state, dict(user)
    if "team" in expand and (team := state.team_of(user["id"])):
        shown["team"] = {name: team[name] for name in ("id", "name", "selfUri")}
    if "groups" in expand:
        shown["groups"] = [{name: group[name] for name in ("id", "selfUri")} for group in state.groups_of(user["id"])]
    return shown


def _read_expand(context: RequestContext, allowed: frozenset[str] = _EXPANDS) -> frozenset[str]:
    read.choices(context.query, "integrationPresenceSource", PRESENCE_SOURCES)
    return read.choices(context.query, "expand", allowed)


def _require_few_schemas(context: RequestContext, maximum: int) -> None:
    given = read.strings(context.query, "userCustomAttributeSchemaIds")
    if len(given) > maximum:
        raise errors.invalid_parameter("userCustomAttributeSchemaIds", ",".join(given))


# lists


async def list_users(context: RequestContext) -> Response:
    query = context.query
    ids, chat_ids = read.strings(query, "id"), frozenset(read.strings(query, "jabberId"))
    if len(ids) > MAX_IDS:
        raise errors.too_many_user_ids(MAX_IDS)
    if ids and chat_ids:
        raise errors.invalid_parameter("jabberId", ",".join(chat_ids))
    state = read.choice(query, "state", (*_STATES, "any"), "active")
    page = read_page_request(query, context.page_cap)
    if state != "active" and page.number * page.size > MAX_RESULTS:
        raise errors.bad_request(f"At most {MAX_RESULTS} users of this state can be listed.")
    _require_few_schemas(context, 5)
    users = [
        user
        for user in list(context.state.users.values())
        if state in {user.get("state", "active"), "any"}
        and (not ids or user["id"] in ids)
        and (not chat_ids or user.get("chat", {}).get("jabberId") in chat_ids)
    ]
    return _page(context, users)


async def list_group_members(context: RequestContext) -> Response:
    group = context.state.group(context.ids["groupId"])
    users = context.state.users
    return _page(context, [users[id_] for id_ in list(context.state.members.get(group["id"], ())) if id_ in users])


def _page(context: RequestContext, users: Sequence[JsonObject]) -> Response:
    expand = _read_expand(context)
    is_descending = context.query.get("sortOrder", "ASC").lower().startswith("desc")
    by_name = sorted(users, key=name_and_id, reverse=is_descending)
    return context.page(by_name, lambda user: _expanded(context, user, expand))


# one user


async def get_user(context: RequestContext) -> Response:
    user = context.state.user(context.ids["userId"])
    is_deleted = read.choice(context.query, "state", ("active", "deleted"), "active") == "deleted"
    if is_deleted is not (user.get("state") == "deleted"):
        raise errors.not_found("user", user["id"])
    _require_few_schemas(context, 100)
    return JsonResponse(_expanded(context, user, _read_expand(context)))


async def get_me(context: RequestContext) -> Response:
    user = context.state.user(require_user(context.caller))
    expand = _read_expand(context, _EXPANDS_OF_ME)
    _require_few_schemas(context, 100)
    shown = _expanded(context, user, expand)
    if "date" in expand:
        shown["date"] = {"currentDate": format_timestamp(context.state.clock())}
    if "organization" in expand:
        shown["organization"] = {"name": ORG_NAME}
    return JsonResponse(shown)


# search


async def search_users(context: RequestContext) -> Response:
    require_permission(context.caller, access.SEARCH_USERS)
    return _search(context, await context.body())


async def repeat_search(context: RequestContext) -> Response:
    """Search again, by the link of a page."""
    require_permission(context.caller, access.SEARCH_USERS)
    if not (text := context.query.get("q64")):
        raise errors.missing_parameter("q64")
    return _search(context, decode_search(text))


def _search(context: RequestContext, body: JsonObject) -> Response:
    search = read_search(body, USER_TYPES, context.page_cap)
    found = search.select(list(context.state.users.values()))
    page = search.page_of(found)
    if not search.mentions("state"):
        # Left out of the page and not of the total, because the service has pages with fewer results than others, too.
        page = [user for user in page if user.get("state", "active") == "active"]
    expand = frozenset(search.body.get("expand", ()))
    envelope = search.envelope("users", len(found))
    links = {
        name: f"{USERS}/search?q64={quote(encode_search(search, number), safe='')}"
        for name, number in (
            ("previousPage", search.number - 1),
            ("currentPage", search.number),
            ("nextPage", search.number + 1),
        )
        if number == search.number or 1 <= number <= envelope["pageCount"]
    }
    return JsonResponse(envelope | links | {"results": [_expanded(context, user, expand) for user in page]})


ROUTES: Routes = {
    USERS: {"GET": list_users},
    f"{USERS}/me": {"GET": get_me},  # before `{userId}`, which matches it, too
    f"{USERS}/search": {"POST": search_users},
    f"{USERS}/{{userId}}": {"GET": get_user},
    f"{GROUPS}/{{groupId}}/members": {"GET": list_group_members},
}
SEARCH_LINKS: Routes = {f"{USERS}/search": {"GET": repeat_search}}
"""What the links of a search lead to; the contract does not have it."""
