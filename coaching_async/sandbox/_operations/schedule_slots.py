"""Schedule slots: suggestions, and jobs that search for slots."""

from datetime import timedelta
from typing import Any

from starlette.responses import Response

from coaching_async.sandbox._auth import access
from coaching_async.sandbox._auth.access import require_permission
from coaching_async.sandbox._state import slots
from coaching_async.sandbox._wire.formats import parse_interval
from coaching_async.sandbox._wire.references import JOBS, SLOTS
from coaching_async.sandbox._wire.responses import JsonResponse
from coaching_async.sandbox._wire.validation import (
    Fields,
    is_interval,
    is_non_empty_string_list,
    is_positive_int32,
    is_string,
    is_string_list,
    list_of,
    one_of,
    read_fields,
)

from .request_context import RequestContext, Routes

MAX_SEARCH = timedelta(weeks=6)  # otherwise one request could ask for the slots of ten thousand years


def _is_length(value: Any) -> bool:
    return is_positive_int32(value) and value % 15 == 0


def _is_short_length(value: Any) -> bool:
    return _is_length(value) and value <= 60


def _is_search_interval(value: Any) -> bool:
    return _are_search_intervals([value])


def _are_search_intervals(value: Any) -> bool:
    if not (list_of(is_interval)(value) and value):
        return False
    return sum((end - start for start, end in map(parse_interval, value)), timedelta()) <= MAX_SEARCH


_QUERY_FIELDS: Fields = {
    "interval": _is_search_interval,
    "lengthInMinutes": _is_short_length,
    "attendeeIds": is_non_empty_string_list,
    "facilitatorIds": is_string_list,
    "interruptibleAppointmentIds": is_string_list,
}
_JOB_FIELDS: Fields = {
    "attendeeIds": is_non_empty_string_list,
    "facilitatorIds": is_string_list,
    "lengthInMinutes": _is_length,
    "activityCodeId": is_string,
    "intervals": _are_search_intervals,
    "slotsType": one_of("BestTime"),
}


async def query_slots(context: RequestContext) -> Response:
    require_permission(context.caller, access.VIEW_SLOTS)
    query = read_fields(await context.body(), _QUERY_FIELDS, required=("interval", "lengthInMinutes", "attendeeIds"))
    return JsonResponse(slots.suggestions(context.state, query))


async def start_job(context: RequestContext) -> Response:
    require_permission(context.caller, access.ADD_JOB)
    required = ("attendeeIds", "lengthInMinutes", "activityCodeId", "intervals", "slotsType")
    job = slots.new_job(context.state, read_fields(await context.body(), _JOB_FIELDS, required))
    return JsonResponse(slots.shown_job(context.state.add_job(job), context.job_reads), 202)


async def get_job(context: RequestContext) -> Response:
    require_permission(context.caller, access.VIEW_JOB)
    with context.state.lock:
        job = context.state.read_job(context.ids["jobId"])
        shown = slots.shown_job(job, context.job_reads)
        if shown != slots.shown_job({**job, "reads": job["reads"] - 1}, context.job_reads):
            context.channels.tell_of_job(shown)
    return JsonResponse(shown)


ROUTES: Routes = {
    f"{SLOTS}/query": {"POST": query_slots},
    JOBS: {"POST": start_job},
    f"{JOBS}/{{jobId}}": {"GET": get_job},
}
