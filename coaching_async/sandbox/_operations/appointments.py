"""Appointments, their statuses and their conversations."""

import asyncio
from collections.abc import Callable, Iterable
from datetime import datetime
from typing import Any

from starlette.datastructures import QueryParams
from starlette.responses import Response

from coaching_async.sandbox._auth import access
from coaching_async.sandbox._auth.access import Rule, require_permission, require_user
from coaching_async.sandbox._state.appointment import SETTABLE_STATUSES, STATUSES, USER_IDS, relationships_of
from coaching_async.sandbox._state.filters import AppointmentFilter
from coaching_async.sandbox._wire import errors
from coaching_async.sandbox._wire import query as read
from coaching_async.sandbox._wire.formats import JsonObject
from coaching_async.sandbox._wire.references import APPOINTMENTS, appointment_reference, conversation_reference
from coaching_async.sandbox._wire.responses import JsonResponse
from coaching_async.sandbox._wire.validation import (
    Fields,
    is_boolean,
    is_date,
    is_positive_int32,
    is_string,
    is_string_list,
    is_timestamp,
    one_of,
    read_field,
    read_fields,
)

from .request_context import RequestContext, Routes, unchanged


def appointment_of(context: RequestContext) -> JsonObject:
    """Return the appointment that the path names."""
    return context.state.appointment(context.ids["appointmentId"])


def require_for_appointment(context: RequestContext, *rules: Rule) -> None:
    """Raise the API's error unless one of the rules allows the request for the appointment that the path names."""
    relationships = relationships_of(context.user_id, appointment_of(context))
    require_permission(context.caller, *rules, relationships=relationships)


# lists


async def list_appointments(context: RequestContext) -> Response:
    require_permission(context.caller, access.LIST_APPOINTMENTS)
    if not (user_ids := read.strings(context.query, "userIds")):
        raise errors.missing_parameter("userIds")
    return _list(context, user_ids)


async def list_my_appointments(context: RequestContext) -> Response:
    return _list(context, [require_user(context.caller)])


def _list(context: RequestContext, user_ids: Iterable[str]) -> Response:
    wanted = _read_filter(context.query, user_ids, context.state.clock())
    state, table = context.state, context.state.appointments
    with table.lock:  # an appointment that was found still exists when it is shown
        if (change := context.effects.list_change) and (found := state.find_appointments(wanted)):
            change(state, found, wanted.newest_first)
        return context.page(state.find_appointments(wanted), lambda id_: state.shown(table[id_]))


def _read_filter(query: QueryParams, user_ids: Iterable[str], now: datetime) -> AppointmentFilter:
    interval = read.interval(query, "interval")
    overlapping = read.choice(query, "intervalCondition", ("StartsIn", "Overlaps"), "StartsIn") == "Overlaps"
    return AppointmentFilter(
        tuple(user_ids),
        relationships=read.choices(query, "relationships", USER_IDS),
        facilitator_ids=read.strings(query, "facilitatorIds"),
        starting=None if overlapping else interval,
        overlapping=interval if overlapping else None,
        completed=read.interval(query, "completionInterval"),
        statuses=read.choices(query, "statuses", STATUSES),
        overdue={"True": True, "False": False}.get(read.choice(query, "overdue", ("True", "False", "Any"), "Any")),
        now=now,
        newest_first=read.choice(query, "sortOrder", ("Asc", "Desc"), "Asc") == "Desc",
    )


# one appointment


def _is_schedule(value: Any) -> bool:
    match value:
        case {"id": str(), "businessUnit": {"id": str()}, "weekDate": week}:
            return is_date(week)
        case _:
            return False


_FIELDS: Fields = {
    "name": is_string,
    "description": is_string,
    "dateStart": is_timestamp,
    "lengthInMinutes": is_positive_int32,
    "conversationIds": is_string_list,
    "documentIds": is_string_list,
    "wfmSchedule": _is_schedule,
    "externalLinks": is_string_list,
    "location": is_string,
    "shareInsightsData": is_boolean,
    "addToSchedule": is_boolean,
}
_is_settable_status = one_of(*SETTABLE_STATUSES)
_CREATE_FIELDS: Fields = {**_FIELDS, "facilitatorId": is_string, "attendeeIds": is_string_list}
_REQUIRED = ("name", "description", "dateStart", "lengthInMinutes", "attendeeIds")
_UPDATE_FIELDS: Fields = {**_FIELDS, "status": _is_settable_status}
_CLEARABLE = frozenset({"description", "location", "wfmSchedule"})


async def get_appointment(context: RequestContext) -> Response:
    require_for_appointment(context, access.VIEW_APPOINTMENT)
    return JsonResponse(context.state.shown(appointment_of(context)))


async def create_appointment(context: RequestContext) -> Response:
    require_permission(context.caller, access.ADD_APPOINTMENT)
    body = read_fields(await context.body(), _CREATE_FIELDS, _REQUIRED)
    appointment_id = context.state.new_id()

    def create() -> Response:
        appointment = context.state.create(appointment_id, body, context.user_id)
        return JsonResponse(context.state.shown(appointment), 201)

    return _run_or_accept(context, appointment_id, create)


async def update_appointment(context: RequestContext) -> Response:
    require_for_appointment(context, access.EDIT_APPOINTMENT)
    appointment_id, body = context.ids["appointmentId"], _read_update(await context.body())

    def update() -> Response:
        return JsonResponse(context.state.shown(context.state.update(appointment_id, body, context.user_id)))

    return _run_or_accept(context, appointment_id, update)


def _read_update(body: JsonObject) -> JsonObject:
    cleared = {name: None for name in _CLEARABLE if name in body and body[name] is None}
    return read_fields({name: value for name, value in body.items() if name not in cleared}, _UPDATE_FIELDS) | cleared


async def delete_appointment(context: RequestContext) -> Response:
    require_for_appointment(context, access.DELETE_APPOINTMENT)
    appointment_id = context.ids["appointmentId"]

    def delete() -> Response:
        context.state.delete(appointment_id, context.user_id)
        return Response(status_code=204)

    return _run_or_accept(context, appointment_id, delete)


def _run_or_accept(context: RequestContext, appointment_id: str, run: Callable[[], Response]) -> Response:
    """Run now; or, if a fault asks for it, respond 202 and run later."""
    delay = context.effects.accept_for
    if delay is None:
        return run()
    asyncio.get_running_loop().call_later(delay, _ignore_api_errors, run)
    return JsonResponse(appointment_reference(appointment_id), 202)


def _ignore_api_errors(run: Callable[[], Response]) -> None:
    try:
        run()
    except errors.ApiError:
        return  # the appointment was changed after the 202


# statuses and conversations


async def list_statuses(context: RequestContext) -> Response:
    require_for_appointment(context, access.VIEW_STATUSES)
    return context.page(context.state.history(context.ids["appointmentId"]), unchanged, linked=False)


async def set_status(context: RequestContext) -> Response:
    require_for_appointment(context, access.EDIT_STATUS)
    status = read_field(await context.body(), "status", _is_settable_status)
    return JsonResponse(context.state.set_status(context.ids["appointmentId"], status, context.user_id))


async def add_conversation(context: RequestContext) -> Response:
    require_for_appointment(context, access.EDIT_APPOINTMENT, access.ADD_CONVERSATION)
    conversation = conversation_reference(read_field(await context.body(), "conversationId", is_string))
    appointment_id = context.ids["appointmentId"]
    context.state.add_conversation(appointment_id, conversation, context.user_id)
    return JsonResponse({"conversation": conversation, "appointment": appointment_reference(appointment_id)})


ROUTES: Routes = {
    APPOINTMENTS: {"GET": list_appointments, "POST": create_appointment},
    f"{APPOINTMENTS}/me": {"GET": list_my_appointments},  # before `{appointmentId}`, which matches it, too
    f"{APPOINTMENTS}/{{appointmentId}}": {
        "GET": get_appointment,
        "PATCH": update_appointment,
        "DELETE": delete_appointment,
    },
    f"{APPOINTMENTS}/{{appointmentId}}/statuses": {"GET": list_statuses},
    f"{APPOINTMENTS}/{{appointmentId}}/status": {"PATCH": set_status},
    f"{APPOINTMENTS}/{{appointmentId}}/conversations": {"POST": add_conversation},
}
