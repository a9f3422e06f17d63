"""What any platform token may ask about itself: not part of the Coaching API, and only as much as clients look at."""

from starlette.responses import Response

from coaching_async.sandbox._auth.oauth import ORG_NAME
from coaching_async.sandbox._wire.formats import JsonObject
from coaching_async.sandbox._wire.responses import Json

from .request_context import Call

TOKEN = "/api/v2/tokens/me"
SUBJECT = "/api/v2/authorization/subjects/me"


async def get_token(_: Call) -> Response:
    organization = {"name": ORG_NAME}
    return Json({"organization": organization, "homeOrganization": organization, "authorizedScope": ["coaching"]})


async def get_subject(call: Call) -> Response:
    """The roles of who asks, a single one here, and what their policies allow."""
    policies: dict[tuple[str, str], JsonObject] = {}
    for permission in sorted(call.caller.permissions):
        domain, entity, action = permission.split(":")
        policy = policies.setdefault((domain, entity), {"domain": domain, "entityName": entity, "actions": []})
        policy["actions"].append(action)
    role = {"name": "sandbox", "policies": list(policies.values())}
    subject: JsonObject = {"grants": [{"role": role}] if policies else []}
    return Json(subject if call.by is None else {"id": call.by} | subject)
