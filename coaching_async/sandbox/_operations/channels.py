"""Notification channels: created, listed, and subscribed to topics."""

from datetime import UTC, datetime, timedelta

from starlette.responses import Response

from coaching_async.sandbox._channels.channels import Channel
from coaching_async.sandbox._channels.topics import TOPICS
from coaching_async.sandbox._wire import query as read
from coaching_async.sandbox._wire.formats import JsonObject, format_timestamp
from coaching_async.sandbox._wire.references import AVAILABLE_TOPICS, CHANNELS
from coaching_async.sandbox._wire.responses import JsonResponse
from coaching_async.sandbox._wire.validation import is_string, read_field

from .request_context import RequestContext, Routes

_ALWAYS = frozenset({"id"})
_EXPANDS = {
    "description": {"description"},
    "enforced": {"enforced"},
    "schema": {"schema"},
    "visibility": {"visibility"},
    "transports": {"transports"},
    "publicApiTemplateUriPaths": {"publicApiTemplateUriPaths"},
    "requiresPermissions": {
        "requiresPermissions",
        "requiresCurrentUser",
        "requiresCurrentUserOrPermission",
        "requiresDivisionPermissions",
        "requiresAnyValidator",
    },
    "permissionDetails": {"permissionDetails"},
    "topicParameters": {"topicParameters"},
}
"""The fields of a topic that each value of `expand` adds."""


async def create_channel(context: RequestContext) -> Response:
    return JsonResponse(_shown(context, context.channels.create(context.caller)))


async def list_channels(context: RequestContext) -> Response:
    """Respond with the channels of the token; or with all of the user and client, those of other tokens without ids."""
    included = read.choice(context.query, "includechannels", ("token", "oauthclient"), "token")
    return JsonResponse(
        {
            "entities": [
                _shown(context, channel)
                for channel in context.channels.of(context.caller)
                if included == "oauthclient" or channel.token == context.caller.token
            ]
        }
    )


async def check_channel(context: RequestContext) -> Response:
    _channel(context)
    return Response()


async def list_subscriptions(context: RequestContext) -> Response:
    return JsonResponse({"entities": [{"id": name, "state": "Permitted"} for name in _channel(context).topics]})


async def add_subscriptions(context: RequestContext) -> Response:
    return await _subscribe(context, replace=False)


async def replace_subscriptions(context: RequestContext) -> Response:
    return await _subscribe(context, replace=True)


async def remove_subscriptions(context: RequestContext) -> Response:
    context.channels.subscribe(_channel(context), context.caller, (), replace=True, ignore_errors=False)
    return Response(status_code=204)


async def list_topics(context: RequestContext) -> Response:
    expand = read.choices(context.query, "expand", _EXPANDS)
    read.boolean(context.query, "includePreview", True)  # there are none
    fields = _ALWAYS.union(*(_EXPANDS[each] for each in expand))
    topics = [{name: value for name, value in topic.as_json().items() if name in fields} for topic in TOPICS]
    return JsonResponse({"entities": topics})


async def _subscribe(context: RequestContext, *, replace: bool) -> Response:
    channel = _channel(context)
    ignore_errors = read.boolean(context.query, "ignoreErrors", False)
    names = [read_field(item, "id", is_string) for item in await context.list_body()]
    results = context.channels.subscribe(channel, context.caller, names, replace=replace, ignore_errors=ignore_errors)
    return JsonResponse({"entities": results})


def _channel(context: RequestContext) -> Channel:
    return context.channels.get(context.ids["channelId"], context.caller)


def _shown(context: RequestContext, channel: Channel) -> JsonObject:
    # By the real clock, as the header Date, and not by the state's, which a test may have replaced.
    expires = datetime.now(UTC) + timedelta(seconds=context.channels.seconds_left(channel))
    shown: JsonObject = {"expires": format_timestamp(expires)}
    if channel.token == context.caller.token:
        host = str(context.request.base_url).rstrip("/").partition(":")[2]
        shown |= {"id": channel.id, "connectUri": f"ws:{host}/channels/{channel.id}"}
    return shown


ROUTES: Routes = {
    CHANNELS: {"GET": list_channels, "POST": create_channel},
    f"{CHANNELS}/{{channelId}}": {"HEAD": check_channel},
    f"{CHANNELS}/{{channelId}}/subscriptions": {
        "GET": list_subscriptions,
        "POST": add_subscriptions,
        "PUT": replace_subscriptions,
        "DELETE": remove_subscriptions,
    },
    AVAILABLE_TOPICS: {"GET": list_topics},
}
