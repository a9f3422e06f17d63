"""The platform's information about the caller's own token: not part of the Coaching API, and only what clients use."""

from starlette.responses import Response

from coaching_async.sandbox._auth.oauth import ORG_NAME
from coaching_async.sandbox._wire.formats import JsonObject
from coaching_async.sandbox._wire.responses import JsonResponse

from .request_context import RequestContext, Routes


async def get_token(_: RequestContext) -> Response:
    organization = {"name": ORG_NAME}
    return JsonResponse(
        {"organization": organization, "homeOrganization": organization, "authorizedScope": ["coaching"]}
    )


async def get_subject(context: RequestContext) -> Response:
    """Respond with the caller's only role, and the permissions that it grants."""
    policies: dict[tuple[str, str], JsonObject] = {}
    for permission in sorted(context.caller.permissions):
        domain, entity, action = permission.split(":")
        policy = policies.setdefault((domain, entity), {"domain": domain, "entityName": entity, "actions": []})
        policy["actions"].append(action)
    role = {"name": "sandbox", "policies": list(policies.values())}
    subject: JsonObject = {"grants": [{"role": role}] if policies else []}
    return JsonResponse(subject if context.user_id is None else {"id": context.user_id} | subject)


ROUTES: Routes = {
    "/api/v2/tokens/me": {"GET": get_token},
    "/api/v2/authorization/subjects/me": {"GET": get_subject},
}
