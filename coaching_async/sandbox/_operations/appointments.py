"""The operations: who may, on what, and the answer."""

from starlette.responses import Response

from coaching_async.sandbox._auth import access
from coaching_async.sandbox._auth.access import demand, the_user
from coaching_async.sandbox._state import slots
from coaching_async.sandbox._state.aggregates import aggregates
from coaching_async.sandbox._wire import errors
from coaching_async.sandbox._wire import query as read
from coaching_async.sandbox._wire import validation as bodies
from coaching_async.sandbox._wire.formats import JsonObject, appointment_pointer, conversation_pointer
from coaching_async.sandbox._wire.responses import Json

from .request_context import Call


def _as_it_is(entity: JsonObject) -> JsonObject:
    return entity


# appointments


async def list_appointments(call: Call) -> Response:
    demand(call.caller, access.LIST_APPOINTMENTS)
    if not (user_ids := read.texts(call.query, "userIds")):
        raise errors.missing_parameter("userIds")
    return call.appointments_of(user_ids)


async def list_my_appointments(call: Call) -> Response:
    return call.appointments_of([the_user(call.caller)])


async def get_appointment(call: Call) -> Response:
    demand(call.caller, access.VIEW_APPOINTMENT, about=call.appointment)
    return Json(call.state.shown(call.appointment))


async def create_appointment(call: Call) -> Response:
    demand(call.caller, access.ADD_APPOINTMENT)
    body = bodies.created_appointment(await call.body())
    appointment_id = call.state.new_id()

    def create() -> Response:
        return Json(call.state.shown(call.state.create(appointment_id, body, call.by)), 201)

    return call.carry_out(appointment_id, create)


async def update_appointment(call: Call) -> Response:
    demand(call.caller, access.EDIT_APPOINTMENT, about=call.appointment)
    body = bodies.updated_appointment(await call.body())

    def update() -> Response:
        return Json(call.state.shown(call.state.update(call.appointment_id, body, call.by)))

    return call.carry_out(call.appointment_id, update)


async def delete_appointment(call: Call) -> Response:
    demand(call.caller, access.DELETE_APPOINTMENT, about=call.appointment)

    def delete() -> Response:
        call.state.delete(call.appointment_id, call.by)
        return Response(status_code=204)

    return call.carry_out(call.appointment_id, delete)


async def list_statuses(call: Call) -> Response:
    demand(call.caller, access.VIEW_STATUSES, about=call.appointment)
    return call.page(call.state.history(call.appointment_id), _as_it_is, linked=False)


async def set_status(call: Call) -> Response:
    demand(call.caller, access.EDIT_STATUS, about=call.appointment)
    status = bodies.set_status(await call.body())
    return Json(call.state.set_status(call.appointment_id, status, call.by))


async def add_conversation(call: Call) -> Response:
    demand(call.caller, access.EDIT_APPOINTMENT, access.ADD_CONVERSATION, about=call.appointment)
    conversation = conversation_pointer(bodies.added_conversation(await call.body()))
    call.state.add_conversation(call.appointment_id, conversation, call.by)
    return Json({"conversation": conversation, "appointment": appointment_pointer(call.appointment_id)})


async def aggregate_appointments(call: Call) -> Response:
    demand(call.caller, access.LIST_APPOINTMENTS)
    return Json(aggregates(call.state, bodies.aggregate_query(await call.body())))


# annotations


def _annotation(call: Call, rules: dict[str, access.Rule]) -> JsonObject:
    annotation = call.state.annotation(call.appointment_id, call.ids["annotationId"])
    demand(call.caller, _rule(rules, annotation), about=call.appointment)
    return annotation


def _rule(rules: dict[str, access.Rule], annotation: JsonObject) -> access.Rule:
    return rules["Private" if annotation["accessType"] == "Private" else "Public"]


async def list_annotations(call: Call) -> Response:
    demand(call.caller, *access.VIEW_ANNOTATION.values(), about=call.appointment)
    return call.page(
        [
            annotation
            for annotation in call.state.annotations_of(call.appointment_id)
            if _rule(access.VIEW_ANNOTATION, annotation).allows(call.caller, call.appointment)
        ],
        _as_it_is,
    )


async def get_annotation(call: Call) -> Response:
    return Json(_annotation(call, access.VIEW_ANNOTATION))


async def create_annotation(call: Call) -> Response:
    demand(call.caller, *access.ADD_ANNOTATION.values(), about=call.appointment)
    body = bodies.created_annotation(await call.body())
    demand(call.caller, _rule(access.ADD_ANNOTATION, body), about=call.appointment)
    return Json(call.state.add_annotation(call.appointment_id, body, call.by), 201)


async def update_annotation(call: Call) -> Response:
    annotation = _annotation(call, access.EDIT_ANNOTATION)
    text = bodies.updated_annotation(await call.body())
    return Json(call.state.edit_annotation(call.appointment_id, annotation["id"], text, call.by))


async def delete_annotation(call: Call) -> Response:
    annotation = _annotation(call, access.DELETE_ANNOTATION)
    call.state.delete_annotation(call.appointment_id, annotation["id"], call.by)
    return Response(status_code=204)


# notifications


def _expands(call: Call) -> bool:
    return "appointment" in read.choices(call.query, "expand", ("appointment",))


def _owns(call: Call, notification: JsonObject) -> bool:
    return bool(notification["user"]["id"] == call.by)


async def list_notifications(call: Call) -> Response:
    mine = call.state.notifications_of(the_user(call.caller))
    return call.page(mine, call.state.expanded if _expands(call) else _as_it_is)


async def get_notification(call: Call) -> Response:
    notification = call.state.notification(call.ids["notificationId"])
    if not _owns(call, notification):
        demand(call.caller, access.VIEW_NOTIFICATION)
    return Json(call.state.expanded(notification) if _expands(call) else notification)


async def update_notification(call: Call) -> Response:
    the_user(call.caller)
    notification = call.state.notification(call.ids["notificationId"])
    if not _owns(call, notification):
        raise errors.not_authorized()
    read_now = bodies.updated_notification(await call.body())
    return Json(call.state.mark(notification["id"], read=read_now))


# schedule slots


async def query_slots(call: Call) -> Response:
    demand(call.caller, access.VIEW_SLOTS)
    return Json(slots.suggestions(call.state, bodies.slots_query(await call.body())))


async def start_job(call: Call) -> Response:
    demand(call.caller, access.ADD_JOB)
    job = slots.new_job(call.state, bodies.created_job(await call.body()))
    return Json(slots.shown_job(call.state.add_job(job), call.job_reads), 202)


async def get_job(call: Call) -> Response:
    demand(call.caller, access.VIEW_JOB)
    return Json(slots.shown_job(call.state.read_job(call.ids["jobId"]), call.job_reads))
