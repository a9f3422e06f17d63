"""Annotations of an appointment, public and private."""

from starlette.responses import Response

from coaching_async.sandbox._auth import access
from coaching_async.sandbox._auth.access import Rule
from coaching_async.sandbox._state.appointment import relationships_of
from coaching_async.sandbox._wire.formats import JsonObject
from coaching_async.sandbox._wire.references import APPOINTMENTS
from coaching_async.sandbox._wire.responses import JsonResponse
from coaching_async.sandbox._wire.validation import Fields, is_string, one_of, read_field, read_fields

from .appointments import appointment_of, require_for_appointment
from .request_context import RequestContext, Routes, unchanged

_FIELDS: Fields = {"text": is_string, "accessType": one_of("Public", "Private")}


def _permitted_annotation(context: RequestContext, rules: dict[str, Rule]) -> JsonObject:
    """Return the annotation that the path names; raise the API's error unless its rule allows the request."""
    annotation = context.state.annotation(context.ids["appointmentId"], context.ids["annotationId"])
    require_for_appointment(context, _rule_for(annotation, rules))
    return annotation


def _rule_for(annotation: JsonObject, rules: dict[str, Rule]) -> Rule:
    return rules["Private" if annotation["accessType"] == "Private" else "Public"]


async def list_annotations(context: RequestContext) -> Response:
    require_for_appointment(context, *access.VIEW_ANNOTATION.values())
    relationships = relationships_of(context.user_id, appointment_of(context))
    return context.page(
        [
            annotation
            for annotation in context.state.annotations_of(context.ids["appointmentId"])
            if _rule_for(annotation, access.VIEW_ANNOTATION).allows(context.caller, relationships)
        ],
        unchanged,
    )


async def get_annotation(context: RequestContext) -> Response:
    return JsonResponse(_permitted_annotation(context, access.VIEW_ANNOTATION))


async def create_annotation(context: RequestContext) -> Response:
    require_for_appointment(context, *access.ADD_ANNOTATION.values())
    body = read_fields(await context.body(), _FIELDS, required=("text", "accessType"))
    require_for_appointment(context, _rule_for(body, access.ADD_ANNOTATION))
    return JsonResponse(context.state.add_annotation(context.ids["appointmentId"], body, context.user_id), 201)


async def update_annotation(context: RequestContext) -> Response:
    annotation = _permitted_annotation(context, access.EDIT_ANNOTATION)
    text = read_field(await context.body(), "text", is_string)
    appointment_id = context.ids["appointmentId"]
    return JsonResponse(context.state.edit_annotation(appointment_id, annotation["id"], text, context.user_id))


async def delete_annotation(context: RequestContext) -> Response:
    annotation = _permitted_annotation(context, access.DELETE_ANNOTATION)
    context.state.delete_annotation(context.ids["appointmentId"], annotation["id"], context.user_id)
    return Response(status_code=204)


ROUTES: Routes = {
    f"{APPOINTMENTS}/{{appointmentId}}/annotations": {"GET": list_annotations, "POST": create_annotation},
    f"{APPOINTMENTS}/{{appointmentId}}/annotations/{{annotationId}}": {
        "GET": get_annotation,
        "PATCH": update_annotation,
        "DELETE": delete_annotation,
    },
}
